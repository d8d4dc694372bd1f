//! Values to and from `PostgreSQL`.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_core::{Revision, Slot, StoreError, database::postgres::classify};
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type, postgres::PgRow};
use uuid::Uuid;

use crate::{DeadRow, Epoch, Instance, OutboxRow, store::columns::Table};

/// A column by its place; the statements name them in this order.
pub(super) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
    usize: ColumnIndex<PgRow>,
{
    row.try_get(index).map_err(classify)
}

/// A text; a database whose encoding is `SQL_ASCII` keeps any bytes.
fn text<'r>(
    table: Table,
    column: &'static str,
    row: &'r PgRow,
    index: usize,
) -> Result<&'r str, StoreError> {
    let bytes = row.try_get_unchecked::<&[u8], _>(index).map_err(classify)?;
    std::str::from_utf8(bytes).map_err(|error| table.corrupt(column, error))
}

/// A text that is there to be seen.
fn shown(row: &PgRow, index: usize) -> Result<Option<String>, StoreError> {
    let bytes: Option<&[u8]> = row.try_get_unchecked(index).map_err(classify)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// A time. The driver panics on `infinity` and on years that `chrono` does not know.
pub(super) fn time(row: &PgRow, index: usize) -> Result<Option<DateTime<Utc>>, StoreError> {
    let since_2000: i64 = row.try_get_unchecked(index).map_err(classify)?;
    let epoch = DateTime::from_timestamp_secs(946_684_800).unwrap_or_default();
    Ok(epoch.checked_add_signed(TimeDelta::microseconds(since_2000)))
}

fn attempts(table: Table, row: &PgRow, index: usize) -> Result<u32, StoreError> {
    u32::try_from(get::<i32>(row, index)?).map_err(|error| table.corrupt("attempts", error))
}

/// The instance whose model and key are in this column and the next.
pub(super) fn instance(row: &PgRow, index: usize) -> Result<Instance, StoreError> {
    let table = Table::OUTBOX;
    let cqrs_id = text(table, "cqrs_id", row, index)?;
    let key = text(table, "instance_pk", row, index + 1)?;
    table.instance(cqrs_id, key.to_owned())
}

pub(super) fn outbox_row(row: &PgRow) -> Result<OutboxRow, StoreError> {
    let table = Table::OUTBOX;
    Ok(OutboxRow {
        id: get(row, 0)?,
        message_id: get(row, 1)?,
        slot: table.slot(get::<i16>(row, 2)?.into())?,
        instance: instance(row, 3)?,
        signal: table.signal(get(row, 5)?)?,
        queue: table.queue(shown(row, 6)?.as_deref())?,
        revision: Revision(get(row, 7)?),
        body: get::<Vec<u8>>(row, 8)?.into(),
        trace: Table::trace(shown(row, 9)?.as_deref()),
        forced: get(row, 10)?,
        created_at: time(row, 11)?
            .ok_or_else(|| table.corrupt("created_at", "it is out of range"))?,
        expired: get(row, 12)?,
        attempts: attempts(table, row, 13)?,
    })
}

pub(super) fn dead_row(row: &PgRow) -> Result<DeadRow, StoreError> {
    let table = Table::DEAD;
    let text = |index| Ok::<_, StoreError>(shown(row, index)?.unwrap_or_default());
    Ok(DeadRow {
        id: get(row, 0)?,
        outbox_id: get(row, 1)?,
        message_id: get::<Uuid>(row, 2)?.to_string(),
        cqrs_id: text(3)?,
        instance_pk: text(4)?,
        signal: text(5)?,
        queue: shown(row, 6)?,
        revision: Revision(get(row, 7)?),
        body: get::<Vec<u8>>(row, 8)?.into(),
        created_at: time(row, 9)?,
        died_at: time(row, 10)?.ok_or_else(|| table.corrupt("died_at", "it is out of range"))?,
        attempts: attempts(table, row, 11)?,
        reason: get(row, 12)?,
        error: shown(row, 13)?,
        superseded: get(row, 14)?,
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
