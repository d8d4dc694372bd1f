//! A master's model with code of its own: it publishes less than its table has, under other names.

use std::time::Duration;

use cqrs_core::InstanceKey;
use cqrs_outbox::{About, Master, Table};
use serde::Serialize;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

/// A row of `accounts`.
#[derive(Debug)]
pub struct Account {
    id: i64,
    name: Option<String>,
    closed: bool,
}

#[derive(Serialize)]
struct Published<'a> {
    id: i64,
    shout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl Master for Account {
    const CQRS_ID: &'static str = "account";
    const TTL: Option<Duration> = Some(Duration::from_hours(1));

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        Published {
            id: self.id,
            shout: self.name.as_deref().unwrap_or_default().to_uppercase(),
            name: self.name.as_deref(),
        }
    }

    fn should_sync(&self) -> bool {
        !self.closed
    }

    fn meta(_: &About<'_>) -> Option<serde_json::Value> {
        Some(serde_json::json!({"by": "code"}))
    }
}

impl Table for Account {
    const TABLE: &'static str = "accounts";
    const KEY: &'static [&'static str] = &["id"];

    fn row(&self) -> impl Serialize {
        self.data()
    }
}

/// As `#[derive(FromRow)]` writes it.
impl<'r, R: Row> FromRow<'r, R> for Account
where
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            closed: row.try_get("closed")?,
        })
    }
}
