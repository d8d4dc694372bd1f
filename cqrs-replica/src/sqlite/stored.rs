//! Times and ids as they are stored: microseconds and hyphenated text.

use chrono::{DateTime, Utc};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

pub(super) fn time(row: &SqliteRow, column: usize) -> Result<DateTime<Utc>, sqlx::Error> {
    optional_time(row, column)?.ok_or_else(|| unreadable(column, "a time is missing"))
}

pub(super) fn optional_time(
    row: &SqliteRow,
    column: usize,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let micros: Option<i64> = row.try_get(column)?;
    micros
        .map(|micros| {
            DateTime::from_timestamp_micros(micros)
                .ok_or_else(|| unreadable(column, "a time is out of range"))
        })
        .transpose()
}

pub(super) fn uuid(row: &SqliteRow, column: usize) -> Result<Uuid, sqlx::Error> {
    optional_uuid(row, column)?.ok_or_else(|| unreadable(column, "a UUID is missing"))
}

pub(super) fn optional_uuid(row: &SqliteRow, column: usize) -> Result<Option<Uuid>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| {
        text.parse()
            .map_err(|error: uuid::Error| sqlx::Error::ColumnDecode {
                index: column.to_string(),
                source: error.into(),
            })
    })
    .transpose()
}

fn unreadable(column: usize, problem: &'static str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_string(),
        source: problem.into(),
    }
}
