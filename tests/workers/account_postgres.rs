//! A service's own relay on `PostgreSQL`: the stock one with a model that has code of its own.

use std::process::ExitCode;

use cqrs_outbox::postgres::PostgresStore;
use cqrs_relay::cli::{self, Model};
use cqrs_tests::account::Account;

fn main() -> ExitCode {
    cli::main_with::<PostgresStore>(|| Ok(vec![Model::of::<Account>()?]))
}
