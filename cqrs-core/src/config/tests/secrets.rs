//! No output shows a password.

use super::file;
use crate::config::{Config, Needed, Sources};

const SECRET: &str = "hunter2";

/// Nothing that can be printed of these sources holds the secret.
fn assert_hidden(sources: &Sources) {
    let needed = [Needed::Broker, Needed::Master, Needed::Replica];
    let result = Config::load_for(sources, &needed);
    let mut printed = format!("{sources:?} {result:?}");
    if let Err(error) = &result {
        printed = format!("{printed} {error} {error:#?}");
    }
    assert!(!printed.contains(SECRET), "{printed}");
}

#[test]
fn of_a_right_configuration() {
    let text = "\
[broker]
url = \"amqps://u:hunter2@h/%2f\"
[master]
database = \"postgres://h/db?user=u&password=hunter2\"
[replica]
database = \"postgres://u:hunter2@h/db\"
queue = \"q\"
";
    assert!(Config::load(&file(text)).is_ok());
    assert_hidden(&file(text));
}

#[test]
fn of_a_wrong_value_wherever_it_stands() {
    for value in [
        "hunter2",
        "",
        "hunter2://h",
        "mysql://u:hunter2@h/db",
        "postgres:u:hunter2@h/db",
        "postgres://u:hunter2@h /db",
        "u:hunter2@h/db",
        "postgres://u:p?hunter2@h/db",
        "postgres://u:hunter2?p@h/db",
        "amqp://u:/hunter2@h",
        "amqps://u:hunter2#@h",
        "embedded://u:hunter2/@h",
    ] {
        for key in ["broker.url", "master.database", "replica.database"] {
            assert_hidden(&file(&format!("{key} = '{value}'")));
            assert_hidden(&file(&format!("{key} = ['{value}']")));
            assert_hidden(&file(&format!("{key} = {value}")));
            assert_hidden(&file(&format!("{key} = '{value}")));
            assert_hidden(&file(&format!("{key} '{value}'")));
            assert_hidden(&file(&format!("{key}s = '{value}'")));
            let variable = format!("CQRS_{}", key.replace('.', "_").to_uppercase());
            assert_hidden(&Sources::default().with_env([(variable.as_str(), value)]));
            assert_hidden(&Sources::default().with_env([(format!("{variable}S"), value)]));
            assert_hidden(&Sources::default().with_flag(key, "--url", value));
            assert_hidden(&Sources::default().with_flag("broker.x", "--url", value));
        }
    }
}

#[test]
fn of_a_url_in_the_place_of_something_else() {
    let url = "postgres://u:hunter2@h/db#*";
    for key in [
        "relay.batch_size",
        "relay.lease",
        "relay.on_expired",
        "replica.queue",
        "replica.dead_letter_queue",
        "replica.retry_factor",
    ] {
        assert_hidden(&file(&format!("{key} = '{url}'")));
        assert_hidden(&file(&format!("{key} = {url}")));
        assert_hidden(&Sources::default().with_flag(key, "--flag", url));
    }
    let model = "[[replica.model]]\ncqrs_id = 'U'\ntable = 'U.U.U'\nkey = ['U', 'U']\n\
                 columns = { a = 'U', 'U' = 'U', 'V' = ['U'] }\n'U' = 1\n";
    assert_hidden(&file(&model.replace('U', url)));
    assert_hidden(&file(&format!("'{url}' = 1")));
    assert_hidden(&file(&format!("['{url}']")));
}
