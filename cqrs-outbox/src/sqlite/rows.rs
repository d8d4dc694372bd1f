//! Values to and from `SQLite`.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, Utc};
use cqrs_core::{Revision, Slot, StoreError, database::sqlite::classify};
use sqlx::{Decode, Row, Sqlite, Type, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    DeadRow, Epoch, Instance, OutboxRow, RowRef,
    store::{Unreadable, columns::Table},
};

/// A column by its place; the statements name them in this order.
pub(super) fn get<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T, StoreError>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(index).map_err(classify)
}

/// A text that may come from any program: what is not UTF-8 in it is shown as U+FFFD. `SQLite` does
/// not check, and one bad text must not stop the relay.
fn text(row: &SqliteRow, index: usize) -> Result<Cow<'_, str>, StoreError> {
    get::<&[u8]>(row, index).map(String::from_utf8_lossy)
}

/// A text that must be one.
fn strict<'r>(
    table: Table,
    column: &'static str,
    row: &'r SqliteRow,
    index: usize,
) -> Result<&'r str, StoreError> {
    std::str::from_utf8(get(row, index)?).map_err(|error| table.corrupt(column, error))
}

/// A text that is there to be seen, if it is there.
fn shown(row: &SqliteRow, index: usize) -> Result<Option<String>, StoreError> {
    let bytes: Option<&[u8]> = get(row, index)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// A number that no check keeps below 2^32.
fn attempts(row: &SqliteRow, index: usize) -> Result<u32, StoreError> {
    Ok(u32::try_from(get::<i64>(row, index)?).unwrap_or(u32::MAX))
}

/// The instance whose model and key are in this column and the next.
pub(super) fn instance(row: &SqliteRow, index: usize) -> Result<Instance, StoreError> {
    let table = Table::OUTBOX;
    let cqrs_id = strict(table, "cqrs_id", row, index)?;
    table.instance(cqrs_id, text(row, index + 1)?.into_owned())
}

/// The slot of the instance whose model and key are in this column and the next.
pub(super) fn slot_of(row: &SqliteRow, index: usize) -> Result<Slot, StoreError> {
    Ok(Slot::of(&text(row, index)?, &text(row, index + 1)?))
}

pub(super) fn outbox_row(row: &SqliteRow) -> Result<OutboxRow, StoreError> {
    let table = Table::OUTBOX;
    Ok(OutboxRow {
        id: get(row, 0)?,
        message_id: uuid(table, "message_id", strict(table, "message_id", row, 1)?)?,
        slot: match get(row, 2)? {
            Some(number) => table.slot(number)?,
            None => slot_of(row, 3)?,
        },
        instance: instance(row, 3)?,
        signal: table.signal(get(row, 5)?)?,
        queue: match shown(row, 6)? {
            Some(_) => table.queue(Some(strict(table, "queue", row, 6)?))?,
            None => None,
        },
        revision: Revision(get(row, 7)?),
        body: text(row, 8)?.into_owned().into(),
        trace: Table::trace(shown(row, 9)?.as_deref()),
        forced: get(row, 10)?,
        created_at: time(table, "created_at", get(row, 11)?)?,
        expired: get(row, 12)?,
        attempts: attempts(row, 13)?,
    })
}

pub(super) fn dead_row(row: &SqliteRow) -> Result<DeadRow, StoreError> {
    let table = Table::DEAD;
    Ok(DeadRow {
        id: get(row, 0)?,
        outbox_id: get(row, 1)?,
        message_id: text(row, 2)?.into_owned(),
        cqrs_id: text(row, 3)?.into_owned(),
        instance_pk: text(row, 4)?.into_owned(),
        signal: text(row, 5)?.into_owned(),
        queue: shown(row, 6)?,
        revision: Revision(get(row, 7)?),
        body: get::<&[u8]>(row, 8)?.to_vec().into(),
        created_at: DateTime::from_timestamp_micros(get(row, 9)?),
        died_at: time(table, "died_at", get(row, 10)?)?,
        attempts: attempts(row, 11)?,
        reason: get(row, 12)?,
        error: shown(row, 13)?,
        superseded: get(row, 14)?,
    })
}

pub(super) fn uuid(table: Table, column: &'static str, text: &str) -> Result<Uuid, StoreError> {
    table.parse(column, text)
}

pub(super) fn time(
    table: Table,
    column: &'static str,
    microseconds: i64,
) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(microseconds)
        .ok_or_else(|| table.corrupt(column, format!("{microseconds} is not a time")))
}

/// A UUID the way tables hold it.
pub(super) fn uuid_text(uuid: Uuid) -> String {
    uuid.hyphenated().to_string()
}

/// Slots as a JSON array, for `json_each`.
pub(super) fn slot_array(slots: &[Slot]) -> String {
    array(slots.iter().map(|slot| slot.number().to_string()))
}

/// Slots and epochs as a JSON array of pairs.
pub(super) fn held_array(held: &[(Slot, Epoch)]) -> String {
    array(
        held.iter()
            .map(|(slot, epoch)| format!("[{},{}]", slot.number(), epoch.0)),
    )
}

/// Names of rows as a JSON array of pairs.
pub(super) fn named_array(rows: &[RowRef]) -> String {
    array(
        rows.iter()
            .map(|row| format!("[{},\"{}\"]", row.id, row.message_id.hyphenated())),
    )
}

/// Rows to be set aside, as a JSON array of pairs.
pub(super) fn unreadable_array(rows: &[Unreadable]) -> String {
    let pairs: Vec<_> = rows
        .iter()
        .map(|row| (row.id, row.problem.as_str()))
        .collect();
    serde_json::to_string(&pairs).expect("text serialises")
}

pub(super) fn id_array(ids: &[i64]) -> String {
    array(ids.iter().map(i64::to_string))
}

fn array(members: impl Iterator<Item = String>) -> String {
    format!("[{}]", members.collect::<Vec<_>>().join(","))
}

pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}
