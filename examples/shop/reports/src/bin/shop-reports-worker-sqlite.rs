//! The worker that fills the reports in `SQLite`: the stock one with the reports' models.

use std::process::ExitCode;

use cqrs_replica::{cli, sqlite::SqliteReplica};
use shop_reports::model::models;

fn main() -> ExitCode {
    cli::main_with::<SqliteReplica>(models)
}
