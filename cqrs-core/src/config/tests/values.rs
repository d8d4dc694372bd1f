//! Which values are refused.

use super::{file, lines, load, refusal};

#[test]
fn numbers_durations_and_words_have_their_limits() {
    for (bad, good) in [
        ("relay.batch_size = 10001", "relay.batch_size = 10000"),
        ("relay.batch_size = -1", "relay.batch_size = 1"),
        (
            "relay.batch_size = 99999999999999999999",
            "relay.batch_size = 0x10",
        ),
        ("relay.batch_size = 5.0", "relay.batch_size = 1_000"),
        ("relay.batch_size = '500'", "relay.batch_size = 500"),
        ("relay.batch_size = true", "relay.batch_size = 0b1"),
        ("relay.batch_size = [1]", "relay.batch_size = 0o7"),
        ("relay.batch_size = 2024-01-01", "relay.batch_size = 7"),
        ("relay.window = 499", "relay.window = 500"),
        ("relay.publishers = 17", "relay.publishers = 16"),
        ("relay.lease = '499ms'", "relay.lease = '500ms'"),
        ("relay.lease = '61s'", "relay.lease = '60s'"),
        ("relay.lease = '2'", "relay.lease = '2s'"),
        ("relay.poll_interval = '4ms'", "relay.poll_interval = '5ms'"),
        ("relay.retry_max = '0s'", "relay.retry_max = '1000ms'"),
        ("relay.on_expired = 'apply'", "relay.on_expired = 'send'"),
        ("replica.on_expired = 'send'", "replica.on_expired = 'dead'"),
        ("replica.prefetch = 65536", "replica.prefetch = 65535"),
        ("replica.lanes = 0", "replica.lanes = 64"),
        ("replica.batch_size = 5001", "replica.batch_size = 5000"),
        ("replica.max_attempts = 0", "replica.max_attempts = 1"),
        (
            "replica.max_attempts = 'none'",
            "replica.max_attempts = 'unlimited'",
        ),
        ("replica.batch_wait = '2s'", "replica.batch_wait = '0s'"),
        ("replica.retry_factor = 0.9", "replica.retry_factor = 1"),
        ("replica.retry_factor = nan", "replica.retry_factor = 1.5"),
        ("replica.retry_factor = inf", "replica.retry_factor = 10.0"),
        ("broker.heartbeat = '0s'", "broker.heartbeat = '1s'"),
        ("broker.exchange = ''", "broker.exchange = 'x'"),
        ("broker.url = ''", "broker.url = 'AMQPS://h'"),
        ("broker.url = 'amqp://'", "broker.url = 'amqp://h'"),
        ("broker.url = 'amqp:h'", "broker.url = 'amqp://h/v'"),
        ("broker.url = 'sqlite://x'", "broker.url = 'embedded://x'"),
        (
            "broker.url = 'amqp://h:x/'",
            "broker.url = 'amqp://u:p:@[::1]:5672/%2f'",
        ),
        (
            "broker.url = 'amqp://u:p/w@h'",
            "broker.url = 'embedded:///a:b/c@d.db'",
        ),
        (
            "master.database = 'mysql://x'",
            "master.database = 'postgresql://x'",
        ),
        (
            "replica.database = 'p w'",
            "replica.database = 'sqlite://x'",
        ),
    ] {
        let found = lines(bad);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        let key = bad.split(' ').next().unwrap();
        assert!(
            found[0].starts_with(&format!("cqrs.toml:1: {key} ")),
            "{bad}: {found:?}"
        );
        assert!(
            found[0].contains("; ") && found[0].len() < 300,
            "{bad}: {found:?}"
        );
        load(good);
    }
}

#[test]
fn names_in_a_database_have_their_limits() {
    let long = "x".repeat(64);
    for bad in [
        "table = ''",
        "table = '.a'",
        "table = 'a.'",
        "table = 'a.b.c'",
        "table = \"a\\u0000\"",
        &format!("table = '{long}'"),
        "table = 1",
        "key = ''",
        "key = []",
        "key = ['a', 1]",
        "key = ['a', 'b', 'a']",
        &format!("key = ['a', '{long}']"),
        "key = { a = 'b' }",
        "columns = ['a']",
        "columns = { a = 1 }",
        "columns = { a = '' }",
        "columns = { a = 'x', b = 'x' }",
        "cqrs_id = 'a b'",
        "cqrs_id = 'cqrs.a'",
        "sync_downgrade = 'yes'",
    ] {
        let key = bad.split(' ').next().unwrap();
        let rest = ["cqrs_id = 'a'", "table = 't'", "key = 'k'"].into_iter();
        let rest: Vec<_> = rest.filter(|line| !line.starts_with(key)).collect();
        let found = lines(&format!("[[replica.model]]\n{bad}\n{}", rest.join("\n")));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(
            found[0].starts_with(&format!("cqrs.toml:2: replica.model.{key} ")),
            "{found:?}"
        );
    }
}

#[test]
fn two_models_with_one_name_are_refused() {
    let model = "[[master.model]]\ncqrs_id = 'a'\ntable = 't'\nkey = 'k'\n";
    let text = model.repeat(2) + &model.replace("master", "replica");
    assert_eq!(
        lines(&text),
        ["cqrs.toml:5: master.model a is already at cqrs.toml:1; keep one of the two"]
    );
}

#[test]
fn a_dead_letter_queue_is_another_queue() {
    let base = "[replica]\ndatabase = 'sqlite://r'\n";
    let found = lines(&format!("{base}queue = 'q'\ndead_letter_queue = 'q'"));
    assert!(
        found[0].starts_with("cqrs.toml:4: replica.dead_letter_queue contradicts queue"),
        "{found:?}"
    );
    let long = "q".repeat(110);
    let found = lines(&format!("{base}queue = '{long}'"));
    assert!(
        found[0].contains("is too long for dead_letter_queue"),
        "{found:?}"
    );
    load(&format!(
        "{base}queue = '{long}'\ndead_letter_queue = 'short'"
    ));
}

#[test]
fn contradictions_are_reported_where_they_were_made() {
    let sources = file("[relay]\nbatch_size = 10").with_env([("CQRS_RELAY_WINDOW", "5")]);
    assert_eq!(
        refusal(&sources),
        "CQRS_RELAY_WINDOW: relay.window contradicts batch_size: window (5) is less than \
         batch_size (10); raise window or lower batch_size"
    );
    assert_eq!(
        lines("[relay]\n\nretry_max = '999ms'"),
        [
            "cqrs.toml:3: relay.retry_max contradicts retry_initial: retry_initial (\"1s\") is longer \
          than retry_max (\"999ms\"); lower retry_initial or raise retry_max"
        ]
    );
    assert!(lines("broker.heartbeat = '1500ms'")[0].contains("is not in whole seconds"));
}
