//! What the configuration promises, as tests.

mod documents;
mod precedence;
mod problems;
mod secrets;
mod unknown;
mod values;

use super::{Config, ConfigError, Sources};

/// The sample of the design.
const SAMPLE: &str = r#"
[broker]
url = "amqp://guest:guest@localhost:5672/%2f"   # or embedded:///var/lib/app/broker.db
exchange = "cqrs"

[master]
database = "postgres://localhost/shop"          # or sqlite://shop.db
[[master.model]]                                # only for dump, sync and diff by the stock binary
cqrs_id = "account"
table = "accounts"
key = "id"

[relay]
batch_size = 500

[replica]
database = "postgres://localhost/billing"
queue = "billing"
[[replica.model]]
cqrs_id = "account"
table = "account_ref"
key = "id"
columns = { name = "full_name", status = "status" }   # omitted: equal names
"#;

fn file(text: &str) -> Sources {
    Sources::text("cqrs.toml", text)
}

fn load(text: &str) -> Config {
    Config::load(&file(text)).unwrap()
}

/// Everything that is printed about sources that must not load.
fn refusal(sources: &Sources) -> String {
    let error = Config::load(sources).unwrap_err();
    assert!(!error.problems().is_empty());
    error.to_string()
}

/// The lines of a refusal of a file.
fn lines(text: &str) -> Vec<String> {
    refusal(&file(text))
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

fn shown(result: Result<impl std::fmt::Debug, ConfigError>) -> String {
    result.unwrap_err().to_string()
}
