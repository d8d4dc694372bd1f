//! A service under load: writers that change shared rows and record what they did.

use anyhow::Result;
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change};
use serde_json::json;
use sqlx::{PgConnection, SqliteConnection};
use tokio::task::JoinSet;

use crate::database::Database;

/// The master's table, on both engines.
pub const TABLE: &str = "create table account
    (id bigint primary key, name text not null, version bigint not null, note text)";

/// The model whose events keep a table.
pub const TABLE_MODEL: &str = "account";
/// The model whose events go to a handler that is in step.
pub const STEP_MODEL: &str = "account_step";

/// What writers do.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many write at once.
    pub writers: u64,
    /// How many transactions each makes.
    pub transactions: u64,
    /// Among how many rows they choose.
    pub rows: u64,
}

/// Lets the writers do their work. Each transaction saves or deletes one to three rows and records
/// each change twice, once for either model; one in eight is rolled back.
///
/// # Errors
/// A transaction fails: writers have no reason to.
pub async fn write(database: &Database, load: Load) -> Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..load.writers {
        match database {
            Database::Postgres { pool, .. } => {
                let pool = pool.clone();
                writers.spawn(async move {
                    let mut random = fastrand::Rng::with_seed(writer);
                    for turn in 0..load.transactions {
                        let mut tx = pool.begin().await?;
                        for operation in draw(&mut random, load, writer, turn) {
                            on_postgres(&mut tx, &operation).await?;
                        }
                        if random.u8(..8) == 0 {
                            tx.rollback().await?;
                        } else {
                            tx.commit().await?;
                        }
                    }
                    anyhow::Ok(())
                });
            }
            Database::Sqlite { pool, .. } => {
                let pool = pool.clone();
                writers.spawn(async move {
                    let mut random = fastrand::Rng::with_seed(writer);
                    for turn in 0..load.transactions {
                        let mut tx = outbox::begin(&pool).await?;
                        for operation in draw(&mut random, load, writer, turn) {
                            on_sqlite(&mut tx, &operation).await?;
                        }
                        if random.u8(..8) == 0 {
                            tx.rollback().await?;
                        } else {
                            tx.commit().await?;
                        }
                    }
                    anyhow::Ok(())
                });
            }
        }
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

/// One change of one row.
struct Operation {
    id: i64,
    name: String,
    version: i64,
    note: Option<String>,
    delete: bool,
}

/// What one transaction does, in key order: writers who choose their own order may deadlock, which
/// is another test's business.
fn draw(random: &mut fastrand::Rng, load: Load, writer: u64, turn: u64) -> Vec<Operation> {
    let mut ids: Vec<_> = (0..random.usize(1..=3))
        .map(|_| random.u64(..load.rows))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let operations = ids.into_iter().map(|id| Operation {
        id: id.cast_signed(),
        name: format!("wríter {writer} \"turn\" {turn} 😀"),
        version: (writer * 1_000_000 + turn).cast_signed(),
        note: random
            .bool()
            .then(|| format!("back\\slash {}", random.u32(..))),
        delete: random.u8(..5) == 0,
    });
    operations.collect()
}

const UPSERT: &str = "insert into account (id, name, version, note) values ($1, $2, $3, $4)
    on conflict (id) do update
    set name = excluded.name, version = excluded.version, note = excluded.note";
const DELETE: &str = "delete from account where id = $1";

/// Writes first, records last.
async fn on_postgres(tx: &mut PgConnection, operation: &Operation) -> Result<()> {
    let statement = if operation.delete {
        sqlx::query(DELETE).bind(operation.id)
    } else {
        sqlx::query(UPSERT)
            .bind(operation.id)
            .bind(&operation.name)
            .bind(operation.version)
            .bind(&operation.note)
    };
    if statement.execute(&mut *tx).await?.rows_affected() > 0 {
        outbox::record_all(tx, changes(operation)).await?;
    }
    Ok(())
}

async fn on_sqlite(tx: &mut SqliteConnection, operation: &Operation) -> Result<()> {
    let statement = if operation.delete {
        sqlx::query(DELETE).bind(operation.id)
    } else {
        sqlx::query(UPSERT)
            .bind(operation.id)
            .bind(&operation.name)
            .bind(operation.version)
            .bind(&operation.note)
    };
    if statement.execute(&mut *tx).await?.rows_affected() > 0 {
        outbox::record_all(tx, changes(operation)).await?;
    }
    Ok(())
}

fn changes(operation: &Operation) -> [Change; 2] {
    let signal = if operation.delete {
        Signal::Delete
    } else {
        Signal::Save
    };
    [TABLE_MODEL, STEP_MODEL].map(|cqrs_id| {
        let data = if operation.delete {
            json!({})
        } else {
            json!({"id": operation.id, "name": operation.name, "version": operation.version,
                   "note": operation.note})
        };
        Change::json(cqrs_id, operation.id, signal, data)
    })
}
