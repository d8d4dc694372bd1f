//! The campaign's worker: the stock one with a handler that is in step and keeps a journal. When it ends in
//! good order it writes what it has counted to the file that `CQRS_TEST_COUNTERS` names.

use std::process::ExitCode;

use cqrs_core::Event;
use cqrs_replica::{Failure, Handler, Model, cli, postgres::PostgresReplica};
use cqrs_tests::services::optional;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde::Deserialize;
use sqlx::PgConnection;

struct Journal;

/// What of an event's data says by which transaction it was made.
#[derive(Deserialize)]
struct Made {
    turn: Option<String>,
    custom: Option<Custom>,
}

#[derive(Deserialize)]
struct Custom {
    turn: String,
}

impl Handler<PostgresReplica> for Journal {
    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), Failure> {
        let made: Made = event.parse()?;
        sqlx::query(
            "insert into step_journal (instance, revision, signal, turn) values ($1, $2, $3, $4)",
        )
        .bind(event.key.canonical())
        .bind(event.revision.0)
        .bind(event.signal.as_str())
        .bind(made.turn.or(made.custom.map(|custom| custom.turn)))
        .execute(tx)
        .await?;
        Ok(())
    }
}

fn main() -> ExitCode {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    if let Err(error) = recorder.install() {
        eprintln!("no counters: {error}");
        return ExitCode::FAILURE;
    }
    let end =
        cli::main_with::<PostgresReplica>(|| Ok(vec![Model::handler("step".parse()?, Journal)]));
    if let Err(error) = write_counters(&snapshotter) {
        eprintln!("the counters are lost: {error}");
        return ExitCode::FAILURE;
    }
    end
}

/// One line each: the name, its labels' values, and the count.
fn write_counters(snapshotter: &Snapshotter) -> std::io::Result<()> {
    let lines = snapshotter.snapshot().into_vec().into_iter();
    let lines = lines.filter_map(|(key, _, _, value)| {
        let DebugValue::Counter(count) = value else {
            return None;
        };
        let labels: Vec<_> = key.key().labels().map(metrics::Label::value).collect();
        Some(format!(
            "{} {} {count}\n",
            key.key().name(),
            labels.join(",")
        ))
    });
    let lines: String = lines.collect();
    match optional("CQRS_TEST_COUNTERS") {
        Some(file) => std::fs::write(file, lines),
        None => Ok(()),
    }
}
