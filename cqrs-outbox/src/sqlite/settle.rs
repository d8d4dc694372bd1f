//! Writing what became of rows.

use cqrs_core::{Slot, StoreError, database::sqlite::classify};
use sqlx::SqliteConnection;

use super::{
    SqliteSession,
    rows::{get, held_array, microseconds, named_array, slot_of, uuid_text},
    sql,
};
use crate::{
    Buried, DeadReason, Epoch, Postponed, RowRef, Settled, Settlement,
    store::{columns::Table, kept_error},
};

impl SqliteSession {
    pub(super) async fn write(
        &mut self,
        settlement: &Settlement,
        held: &[(Slot, Epoch)],
    ) -> Result<Settled, StoreError> {
        let held = held_array(held);
        if settlement.is_empty() {
            return lost_slots(&mut self.connection, &held).await;
        }
        self.transaction(async |tx| {
            let mut settled = lost_slots(tx, &held).await?;
            settled.confirmed = confirm(tx, &settlement.confirmed).await?;
            // What is kept is found by its slot later on.
            let postponed = settlement.postponed.iter().map(|one| &one.row);
            let dead = settlement.dead.iter().map(|one| &one.row);
            for row in postponed.chain(dead).chain(&settlement.expired) {
                assign(tx, row).await?;
            }
            for one in &settlement.postponed {
                settled.postponed += postpone(tx, one, &held).await?;
            }
            for one in &settlement.dead {
                settled.dead += bury(tx, one).await?;
            }
            for one in &settlement.expired {
                expire(tx, one, &mut settled).await?;
            }
            Ok(settled)
        })
        .await
    }
}

/// Which slots are lost, and nothing settled yet.
async fn lost_slots(tx: &mut SqliteConnection, held: &str) -> Result<Settled, StoreError> {
    let rows = sqlx::query(sql::LOST)
        .bind(held)
        .fetch_all(tx)
        .await
        .map_err(classify)?;
    let lost = rows
        .iter()
        .map(|row| Table::LEASE.slot(get(row, 0)?))
        .collect::<Result<_, _>>()?;
    Ok(Settled {
        lost,
        ..Settled::default()
    })
}

async fn confirm(tx: &mut SqliteConnection, rows: &[RowRef]) -> Result<u64, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(sql::CONFIRM)
        .bind(named_array(rows))
        .execute(tx)
        .await;
    done.map(|done| done.rows_affected()).map_err(classify)
}

/// Writes down the slot of a row that was recorded in SQL.
async fn assign(tx: &mut SqliteConnection, row: &RowRef) -> Result<(), StoreError> {
    let found = sqlx::query(sql::SLOTLESS)
        .bind(row.id)
        .bind(uuid_text(row.message_id))
        .fetch_optional(&mut *tx)
        .await
        .map_err(classify)?;
    let Some(found) = found else {
        return Ok(());
    };
    let assigned = sqlx::query(sql::ASSIGN)
        .bind(row.id)
        .bind(uuid_text(row.message_id))
        .bind(slot_of(&found, 0)?.number())
        .execute(tx)
        .await
        .map_err(classify)?;
    if assigned.rows_affected() == 1 {
        return Ok(());
    }
    // Nobody else writes in this transaction.
    let problem = format!("outbox row {} has gone while its slot was written", row.id);
    Err(StoreError::Backend(problem.into()))
}

async fn postpone(
    tx: &mut SqliteConnection,
    one: &Postponed,
    held: &str,
) -> Result<u64, StoreError> {
    let statement = sqlx::query(sql::POSTPONE)
        .bind(one.row.id)
        .bind(uuid_text(one.row.message_id))
        .bind(i64::from(one.failures()))
        .bind(microseconds(one.wait()))
        .bind(kept_error(&one.error))
        .bind(held);
    statement
        .execute(tx)
        .await
        .map(|done| done.rows_affected())
        .map_err(classify)
}

async fn bury(tx: &mut SqliteConnection, one: &Buried) -> Result<u64, StoreError> {
    let attempts = Some(i64::from(one.attempts));
    move_to_dead(
        tx,
        &one.row,
        one.reason,
        attempts,
        Some(kept_error(&one.error)),
    )
    .await
}

async fn expire(
    tx: &mut SqliteConnection,
    row: &RowRef,
    settled: &mut Settled,
) -> Result<(), StoreError> {
    let found = sqlx::query(sql::SUPERSEDED)
        .bind(row.id)
        .bind(uuid_text(row.message_id))
        .fetch_optional(&mut *tx)
        .await
        .map_err(classify)?;
    match found.map(|found| get(&found, 0)).transpose()? {
        None => {}
        Some(true) => settled.superseded += remove(tx, row).await?,
        Some(false) => {
            settled.dead += move_to_dead(tx, row, DeadReason::Expired, None, None).await?;
        }
    }
    Ok(())
}

async fn move_to_dead(
    tx: &mut SqliteConnection,
    row: &RowRef,
    reason: DeadReason,
    attempts: Option<i64>,
    error: Option<String>,
) -> Result<u64, StoreError> {
    let statement = sqlx::query(sql::BURY)
        .bind(row.id)
        .bind(uuid_text(row.message_id))
        .bind(reason.as_str())
        .bind(attempts)
        .bind(error);
    statement.execute(&mut *tx).await.map_err(classify)?;
    remove(tx, row).await
}

async fn remove(tx: &mut SqliteConnection, row: &RowRef) -> Result<u64, StoreError> {
    let statement = sqlx::query(sql::REMOVE)
        .bind(row.id)
        .bind(uuid_text(row.message_id));
    statement
        .execute(tx)
        .await
        .map(|done| done.rows_affected())
        .map_err(classify)
}
