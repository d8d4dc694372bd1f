//! Values to and from `PostgreSQL`.

use cqrs_core::{Revision, Slot, StoreError, database::postgres::classify};
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type, postgres::PgRow};

use crate::{DeadRow, Epoch, OutboxRow, store::columns::Table};

/// A column by its place; the statements name them in this order.
pub(super) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
    usize: ColumnIndex<PgRow>,
{
    row.try_get(index).map_err(classify)
}

pub(super) fn outbox_row(row: &PgRow) -> Result<OutboxRow, StoreError> {
    let table = Table::OUTBOX;
    Ok(OutboxRow {
        id: get(row, 0)?,
        message_id: get(row, 1)?,
        slot: table.slot(get::<i16>(row, 2)?.into())?,
        instance: table.instance(get(row, 3)?, get(row, 4)?)?,
        signal: table.signal(get(row, 5)?)?,
        queue: table.queue(get(row, 6)?)?,
        revision: Revision(get(row, 7)?),
        body: get::<Vec<u8>>(row, 8)?.into(),
        trace: Table::trace(get(row, 9)?),
        forced: get(row, 10)?,
        created_at: get(row, 11)?,
        expired: get(row, 12)?,
        attempts: table.attempts(get::<i32>(row, 13)?.into())?,
    })
}

pub(super) fn dead_row(row: &PgRow) -> Result<DeadRow, StoreError> {
    let table = Table::DEAD;
    Ok(DeadRow {
        id: get(row, 0)?,
        message_id: get(row, 1)?,
        instance: table.instance(get(row, 2)?, get(row, 3)?)?,
        signal: table.signal(get(row, 4)?)?,
        queue: table.queue(get(row, 5)?)?,
        revision: Revision(get(row, 6)?),
        body: get::<Vec<u8>>(row, 7)?.into(),
        created_at: get(row, 8)?,
        died_at: get(row, 9)?,
        attempts: table.attempts(get::<i32>(row, 10)?.into())?,
        reason: get(row, 11)?,
        error: get(row, 12)?,
        superseded: get(row, 13)?,
    })
}

pub(super) fn slot_number(slot: Slot) -> i16 {
    i16::try_from(slot.number()).unwrap_or(i16::MAX)
}

pub(super) fn slot_numbers(slots: &[Slot]) -> Vec<i16> {
    slots.iter().copied().map(slot_number).collect()
}

/// Two arrays, in slot order: statements lock as they come.
pub(super) fn held_arrays(held: &[(Slot, Epoch)]) -> (Vec<i16>, Vec<i64>) {
    held.iter()
        .map(|(slot, epoch)| (slot_number(*slot), epoch.0))
        .unzip()
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
