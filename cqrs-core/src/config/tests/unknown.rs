//! What nobody knows is refused, with the name that was probably meant.

use super::{lines, refusal};
use crate::config::{Config, Sources};

#[test]
fn typos_get_a_suggestion() {
    for (text, suggestion) in [
        ("[relay]\nbatchsize = 1", "did you mean batch_size?"),
        ("[relay]\nqueue = 'q'", "did you mean queue in [replica]?"),
        ("batch_size = 1", "did you mean batch_size in [relay]?"),
        ("[replca]", "did you mean [replica]?"),
        (
            "[logging]",
            "remove it, or use one of broker, master, relay, replica",
        ),
        (
            "[broker]\nvhost = 'x'",
            "remove it, or use one of url, exchange, queue_type",
        ),
        (
            "[[replica.model]]\ncqrs_id='a'\ntable='t'\nkey='k'\ncolumn={}",
            "did you mean columns?",
        ),
    ] {
        let found = lines(text);
        assert!(
            found.len() == 1 && found[0].contains(suggestion),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn variables_of_others_are_left_alone_and_ours_are_not() {
    let others = [
        ("CQRS_CONFIG", "x"),
        ("CQRS_LOG", "x"),
        ("CQRS_LOG_FORMAT", "x"),
        ("CQRS_TEST_POSTGRES", "x"),
        ("CQRS_TEST_RELAY_BATCH_SIZE", "x"),
        ("CQRS_AMQP_URL", "x"),
        ("RELAY_BATCH_SIZE", "x"),
        ("HOME", "x"),
        // What Kubernetes sets in every container beside services named cqrs-relay and so on.
        ("CQRS_RELAY_SERVICE_HOST", "10.0.0.1"),
        ("CQRS_RELAY_SERVICE_PORT", "9000"),
        ("CQRS_RELAY_SERVICE_PORT_METRICS", "9000"),
        ("CQRS_RELAY_PORT", "tcp://10.0.0.1:9000"),
        ("CQRS_RELAY_PORT_9000_TCP", "tcp://10.0.0.1:9000"),
        ("CQRS_RELAY_PORT_9000_TCP_ADDR", "10.0.0.1"),
        ("CQRS_REPLICA_METRICS_PORT_9000_TCP_PROTO", "tcp"),
    ];
    Config::load(&Sources::default().with_env(others)).unwrap();
    for (name, remedy) in [
        ("CQRS_RELAY_COLOUR", "see docs/configuration.md"),
        ("CQRS_RELAY_PORT", "see docs/configuration.md"),
        ("CQRS_BROKER_UR", "did you mean CQRS_BROKER_URL?"),
        (
            "CQRS_RELYA_BATCH_SIZE",
            "did you mean CQRS_RELAY_BATCH_SIZE?",
        ),
        ("CQRS_MASTER_MODEL", "set it in the file, in [master]"),
        ("CQRS_REPLICA_MODEL_KEY", "set it in the file, in [replica]"),
    ] {
        let found = refusal(&Sources::default().with_env([(name, "x")]));
        assert!(
            found.starts_with(&format!("{name}: is not a known variable; ")),
            "{found}"
        );
        assert!(
            found.contains(remedy) && found.lines().count() == 1,
            "{found}"
        );
    }
}
