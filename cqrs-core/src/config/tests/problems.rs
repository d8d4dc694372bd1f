//! What is refused, and in which words.

use std::path::Path;

use super::{file, lines, load, refusal, shown};
use crate::config::{Config, ConfigError, Needed, Place, Sources};

#[test]
fn every_problem_of_every_source_is_reported_at_once() {
    let text = "\
[broker]
url = \"http://localhost\"
exchagne = \"cqrs\"
[relya]
[relay]
batch_size = 0
lease = 2
on_expired = \"drop\"
retry_initial = \"10m\"
[replica]
queue = \"a#\"
[[replica.model]]
cqrs_id = \"account\"
key = []
[[master.model]]
cqrs_id = \"account\"
table = \"a.b.c\"
key = \"id\"
";
    let sources = file(text)
        .with_env([
            ("CQRS_RELAY_PUBLISHERS", "many"),
            ("CQRS_RELAY_BACTH_SIZE", "5"),
        ])
        .with_flag("replica.lanes", "--lanes", "100")
        .with_flag("replica.lane", "--lane", "1");
    assert_eq!(
        refusal(&sources),
        "\
cqrs.toml:2: broker.url is a URL that starts with http://; write a URL that starts with amqp://, amqps://, embedded://, for example url = \"amqp://guest:guest@localhost:5672/%2f\"
cqrs.toml:3: broker.exchagne is not a known key; did you mean exchange?
cqrs.toml:4: relya is not a known section; did you mean [relay]?
cqrs.toml:6: relay.batch_size is 0; write a whole number from 1 to 10000, for example batch_size = 500
cqrs.toml:7: relay.lease is 2; write a duration (a number with ms, s, m, h or d) from 500ms to 1m, for example lease = \"2s\"
cqrs.toml:8: relay.on_expired is \"drop\"; write \"dead\" or \"send\", for example on_expired = \"dead\"
cqrs.toml:9: relay.retry_initial contradicts retry_max: retry_initial (\"10m\") is longer than retry_max (\"5m\"); lower retry_initial or raise retry_max
cqrs.toml:11: replica.queue is \"a#\"; write a queue of 1 to 120 bytes without * and #, for example queue = \"billing\"
cqrs.toml:12: replica.model.table is missing; add table = \"account_ref\"
cqrs.toml:14: replica.model.key is an empty list; write one column or a list of columns, each 1 to 63 bytes, for example key = \"id\"
cqrs.toml:17: master.model.table is \"a.b.c\"; write table or schema.table, each part 1 to 63 bytes, for example table = \"accounts\"
CQRS_RELAY_BACTH_SIZE: is not a known variable; did you mean CQRS_RELAY_BATCH_SIZE?
CQRS_RELAY_PUBLISHERS: relay.publishers is \"many\"; write a whole number from 1 to 16, for example CQRS_RELAY_PUBLISHERS=2
--lane: replica.lane is not a known key; did you mean replica.lanes?
--lanes: replica.lanes is \"100\"; write a whole number from 1 to 64, for example --lanes 4"
    );
}

#[test]
fn sections_and_models_must_be_tables() {
    for (text, remedy) in [
        ("relay = 1", "write [relay] on a line of its own"),
        ("[[broker]]", "write [broker] on a line of its own"),
        (
            "[master.model]\ncqrs_id = 'a'",
            "write [[master.model]], in double brackets",
        ),
        (
            "master.model = ['a']",
            "write [[master.model]], in double brackets",
        ),
        (
            "replica.model = 'a'",
            "write [[replica.model]], in double brackets",
        ),
    ] {
        let found = lines(text);
        assert!(
            found.len() == 1 && found[0].contains(remedy),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_file_that_is_not_toml_says_where_and_other_sources_are_still_checked() {
    let sources = file("[relay]\nbatch_size = \nlease = 2s\n[broker]\n")
        .with_env([("CQRS_RELAY_LEASE", "soon")]);
    let found = refusal(&sources);
    let places: Vec<_> = found
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        ["cqrs.toml:2", "cqrs.toml:3", "CQRS_RELAY_LEASE"],
        "{found}"
    );
    assert!(!found.contains("missing;"), "{found}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Sources::read(Path::new("/nowhere/cqrs.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read the configuration file /nowhere/cqrs.toml;")
    );
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("No such file")
    );
    assert!(matches!(error, ConfigError::Unreadable { .. }));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cqrs.toml");
    std::fs::write(&path, "[relay]\r\nbatch_size = 7\r\n").unwrap();
    assert_eq!(
        Config::load(&Sources::read(&path).unwrap())
            .unwrap()
            .relay
            .batch_size,
        7
    );
    std::fs::write(&path, b"\xef\xbb\xbf[relay]\nbatch_size = 0\n").unwrap();
    let error = Config::load(&Sources::read(&path).unwrap()).unwrap_err();
    assert_eq!(error.problems()[0].place, Place::Line(path, 2));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_refused() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    let value = OsString::from_vec(b"postgres://u:p\xff@h/db".to_vec());
    let sources = Sources::default().with_env([("CQRS_MASTER_DATABASE", value)]);
    assert!(refusal(&sources).contains("is not valid UTF-8"));
}

#[test]
fn what_a_process_needs_is_named_with_an_example() {
    let config = load("[master]\n[relay]\nbatch_size = 1");
    assert_eq!(
        shown(config.require_broker()),
        "cqrs.toml: broker.url is missing; add [broker] with \
         url = \"amqp://guest:guest@localhost:5672/%2f\", or set CQRS_BROKER_URL"
    );
    assert_eq!(
        shown(config.require_master()),
        "cqrs.toml:1: master.database is missing; \
         add database = \"postgres://localhost/shop\", or set CQRS_MASTER_DATABASE"
    );
    let found = shown(config.require_replica());
    assert!(
        found.contains("replica.database is") && found.contains("replica.queue is"),
        "{found}"
    );

    let nothing = Config::load(&Sources::default()).unwrap();
    assert!(shown(nothing.require_broker()).starts_with("configuration: broker.url is missing;"));
}

#[test]
fn what_a_process_needs_can_be_among_all_other_problems() {
    let sources = file("[relay]\nbatch_size = 0").with_env([("CQRS_MASTER_DATABASE", "x")]);
    let found = shown(Config::load_for(
        &sources,
        &[Needed::Broker, Needed::Master],
    ));
    let keys: Vec<_> = found
        .lines()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(
        keys,
        ["relay.batch_size", "broker.url", "master.database"],
        "{found}"
    );
}
