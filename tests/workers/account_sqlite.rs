//! A service's own relay on `SQLite`: the stock one with a model that has code of its own.

use std::process::ExitCode;

use cqrs_outbox::sqlite::SqliteStore;
use cqrs_relay::cli::{self, Model};
use cqrs_tests::account::Account;

fn main() -> ExitCode {
    cli::main_with::<SqliteStore>(|| Ok(vec![Model::of::<Account>()?]))
}
