//! The worker that fills the reports in `PostgreSQL`: the stock one with the reports' models.

use std::process::ExitCode;

use cqrs_replica::{cli, postgres::PostgresReplica};
use shop_reports::model::models;

fn main() -> ExitCode {
    cli::main_with::<PostgresReplica>(models)
}
