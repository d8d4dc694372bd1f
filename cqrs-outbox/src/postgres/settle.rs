//! Writing what became of rows.

use cqrs_core::{Slot, StoreError};
use uuid::Uuid;

use super::{
    PostgresSession,
    rows::{get, held_arrays},
    sql,
};
use crate::{
    Epoch, RowRef, Settled, Settlement,
    store::{columns::Table, kept_error},
};

impl PostgresSession {
    pub(super) async fn write(
        &mut self,
        settlement: &Settlement,
        held: &[(Slot, Epoch)],
    ) -> Result<Settled, StoreError> {
        let Settlement {
            confirmed,
            postponed,
            dead,
            expired,
        } = settlement;
        let (confirmed_ids, confirmed_messages) = named(confirmed.iter());
        let (held_slots, held_epochs) = held_arrays(held);
        let (postponed_ids, postponed_messages) = named(postponed.iter().map(|one| &one.row));
        let postponed_attempts: Vec<_> = postponed
            .iter()
            .map(|one| attempts(one.failures()))
            .collect();
        let delays: Vec<_> = postponed
            .iter()
            .map(|one| one.wait().as_secs_f64())
            .collect();
        let postponed_errors: Vec<_> = postponed.iter().map(|one| kept_error(&one.error)).collect();
        let (dead_ids, dead_messages) = named(dead.iter().map(|one| &one.row));
        let dead_attempts: Vec<_> = dead.iter().map(|one| attempts(one.attempts)).collect();
        let reasons: Vec<_> = dead.iter().map(|one| one.reason.as_str()).collect();
        let dead_errors: Vec<_> = dead.iter().map(|one| kept_error(&one.error)).collect();
        let (expired_ids, expired_messages) = named(expired.iter());
        let statement = sqlx::query(sql::SETTLE)
            .bind(confirmed_ids)
            .bind(confirmed_messages)
            .bind(held_slots)
            .bind(held_epochs)
            .bind(postponed_ids)
            .bind(postponed_messages)
            .bind(postponed_attempts)
            .bind(delays)
            .bind(postponed_errors)
            .bind(dead_ids)
            .bind(dead_messages)
            .bind(dead_attempts)
            .bind(reasons)
            .bind(dead_errors)
            .bind(expired_ids)
            .bind(expired_messages);
        let row = self.row(statement).await?;
        let lost: Vec<i16> = get(&row, 4)?;
        Ok(Settled {
            confirmed: get::<i64>(&row, 0)?.unsigned_abs(),
            postponed: get::<i64>(&row, 1)?.unsigned_abs(),
            dead: get::<i64>(&row, 2)?.unsigned_abs(),
            superseded: get::<i64>(&row, 3)?.unsigned_abs(),
            lost: lost
                .into_iter()
                .map(|slot| Table::LEASE.slot(slot.into()))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn named<'a>(rows: impl Iterator<Item = &'a RowRef>) -> (Vec<i64>, Vec<Uuid>) {
    rows.map(|row| (row.id, row.message_id)).unzip()
}

fn attempts(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
