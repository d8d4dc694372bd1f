//! Which source wins, and what holds without any.

use std::time::Duration;

use super::{SAMPLE, file, lines, load, refusal};
use crate::config::{Broker, Config, ExpiredMessage, ExpiredRow, Relay, Replica, Sources};

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let sources = file("[relay]\nbatch_size = 2\npublishers = 3\nmax_attempts = 4")
        .with_env([
            ("CQRS_RELAY_PUBLISHERS", "5"),
            ("CQRS_RELAY_MAX_ATTEMPTS", "6"),
        ])
        .with_flag("relay.max_attempts", "--max-attempts", "7")
        .with_flag("relay.max_attempts", "--max-attempts", "8");
    let relay = Config::load(&sources).unwrap().relay;
    assert_eq!(
        (relay.batch_size, relay.publishers, relay.max_attempts),
        (2, 5, 8)
    );
    assert_eq!(relay.lease, Relay::default().lease);
}

#[test]
fn a_value_that_loses_must_still_be_right() {
    let sources = file("[relay]\nbatch_size = 0").with_env([("CQRS_RELAY_BATCH_SIZE", "5")]);
    assert!(refusal(&sources).starts_with("cqrs.toml:2: relay.batch_size is 0;"));
}

#[test]
fn no_source_at_all_is_a_configuration() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(
        (&config.broker, &config.master, &config.replica),
        (&None, &None, &None)
    );
    assert_eq!(config.relay, Relay::default());
}

#[test]
fn what_is_read_without_keys_is_what_is_built_in_code() {
    let config =
        load("broker.url = 'amqp://h'\n[replica]\ndatabase = 'sqlite://r.db'\nqueue = 'billing'");
    let broker = config.require_broker().unwrap();
    assert_eq!(broker, &Broker::new(broker.url.clone()));
    let replica = config.require_replica().unwrap();
    assert_eq!(
        replica,
        &Replica::new(replica.database.clone(), replica.queue.clone())
    );
    assert_eq!(
        replica.dead_letter_queue.as_ref().unwrap().as_str(),
        "dead_letter_billing"
    );
    assert_eq!(replica.prefetch.get(), 1000);
}

#[test]
fn a_section_can_come_from_the_environment_alone() {
    let config = Config::load(&Sources::default().with_env([
        ("CQRS_BROKER_URL", "embedded:///var/lib/b.db"),
        ("CQRS_MASTER_DATABASE", "sqlite://shop.db"),
        ("CQRS_REPLICA_DATABASE", "postgres://h/db"),
        ("CQRS_REPLICA_QUEUE", "billing"),
        ("CQRS_REPLICA_RETRY_FACTOR", "3"),
        ("CQRS_REPLICA_ON_EXPIRED", "dead"),
        ("CQRS_RELAY_LEASE", "1500ms"),
        ("CQRS_RELAY_ON_EXPIRED", "send"),
    ]))
    .unwrap();
    assert_eq!(config.require_broker().unwrap().url.scheme(), "embedded");
    assert_eq!(
        config.require_master().unwrap().database.expose(),
        "sqlite://shop.db"
    );
    let replica = config.require_replica().unwrap();
    assert!((replica.retry_factor - 3.0).abs() < f64::EPSILON);
    assert_eq!(replica.on_expired, ExpiredMessage::Dead);
    assert_eq!(config.relay.lease, Duration::from_millis(1500));
    assert_eq!(config.relay.on_expired, ExpiredRow::Send);
}

#[test]
fn the_designs_sample_loads() {
    let config = load(SAMPLE);
    let master = config.require_master().unwrap();
    assert_eq!(master.models[0].cqrs_id.as_str(), "account");
    assert_eq!(master.models[0].table.to_string(), "accounts");
    let model = &config.require_replica().unwrap().models[0];
    assert_eq!(model.key, ["id"]);
    assert_eq!(model.columns.as_ref().unwrap()["name"], "full_name");
    assert_eq!((model.on_expired, model.sync_downgrade), (None, false));
    assert_eq!(config.require_broker().unwrap().exchange, "cqrs");
}

#[test]
fn a_model_may_have_a_schema_and_several_key_columns() {
    let config = load(
        "[replica]\ndatabase = 'sqlite://r'\nqueue = 'q'\n[[replica.model]]\ncqrs_id = 'a'\n\
         table = 'sales.order line'\nkey = ['order', 'line']\nsync_downgrade = true\n\
         on_expired = 'dead'",
    );
    let model = &config.require_replica().unwrap().models[0];
    assert_eq!(model.table.schema.as_deref(), Some("sales"));
    assert_eq!(model.table.name, "order line");
    assert_eq!(model.key, ["order", "line"]);
    assert!(model.sync_downgrade);
    assert_eq!(model.on_expired, Some(ExpiredMessage::Dead));
}

#[test]
fn the_window_follows_the_batch() {
    assert_eq!(load("[relay]\nbatch_size = 10").relay.window, 40);
    assert_eq!(
        load("[relay]\nbatch_size = 10\nwindow = 10").relay.window,
        10
    );
}

#[test]
fn retry_policies_come_from_the_keys() {
    let config = load(
        "[relay]\nmax_attempts = 3\nretry_initial = '10ms'\nretry_max = '1m'\n\
         destination_retry_max = '5s'",
    );
    let retry = config.relay.retry();
    assert_eq!(
        (retry.initial, retry.max_attempts),
        (Duration::from_millis(10), Some(3))
    );
    assert_eq!(retry.max, Duration::from_mins(1));
    let destination = config.relay.destination_retry();
    assert_eq!(
        (destination.max, destination.max_attempts),
        (Duration::from_secs(5), None)
    );
}

const REPLICA: &str = "[replica]\ndatabase = 'postgres://r'\nqueue = 'q'\n";
const MODEL: &str = "[[replica.model]]\ncqrs_id = 'a'\ntable = 'a'\nkey = 'id'\n";

#[test]
fn a_model_overrides_the_retry_policy_of_its_replica() {
    let config = load(&format!(
        "{REPLICA}max_attempts = 'unlimited'\nretry_max = '1h'\n{MODEL}max_attempts = 1\n\
         retry_factor = 3\nretry_initial = '10m'\nstatement_timeout = '500ms'\n\
         only_direct_syncs = true\n[[replica.model]]\ncqrs_id = 'b'\ntable = 'b'\nkey = 'id'"
    ));
    let replica = config.require_replica().unwrap();
    let [own, usual] = &replica.models[..] else {
        panic!("{:?}", replica.models);
    };
    let retry = replica.retry_of(own);
    assert_eq!((retry.max_attempts, retry.factor), (Some(1), 3.0));
    assert_eq!(
        (retry.initial, retry.max),
        (Duration::from_mins(10), Duration::from_hours(1))
    );
    assert_eq!(own.statement_timeout, Some(Duration::from_millis(500)));
    assert!(own.only_direct_syncs && !usual.only_direct_syncs);
    assert_eq!(replica.retry_of(usual), replica.retry());
    assert_eq!(replica.retry().max_attempts, None);
}

#[test]
fn a_models_values_must_agree_with_each_other_and_with_its_replicas() {
    for (replica, model, words) in [
        (
            "",
            "retry_initial = '2s'\nretry_max = '1s'",
            "is longer than retry_max",
        ),
        ("", "retry_initial = '10m'", "set both for the model"),
        (
            "database = 'sqlite://r'",
            "statement_timeout = '1s'",
            "which SQLite does not know",
        ),
        ("", "statement_timeout = '9ms'", "from 10ms to 10m"),
        ("", "max_attempts = 0", "or \"unlimited\""),
    ] {
        let replica = if replica.is_empty() {
            "database = 'postgres://r'"
        } else {
            replica
        };
        let found = lines(&format!(
            "[replica]\nqueue = 'q'\n{replica}\n{MODEL}{model}"
        ));
        assert_eq!(found.len(), 1, "{model}: {found:?}");
        assert!(found[0].contains(words), "{model}: {found:?}");
    }
}
