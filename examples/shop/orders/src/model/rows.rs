//! From rows to the model.

use chrono::{DateTime, Utc};
use sqlx::{Error, types::Json};
use uuid::Uuid;

use super::{Account, AccountStatus, Line, Order, OrderStatus, Product};

pub(super) fn account(
    (id, name, status, version): (Uuid, String, String, i64),
) -> Result<Account, Error> {
    Ok(Account {
        id,
        name,
        status: AccountStatus::of(&status).ok_or_else(|| unknown(&status))?,
        version,
    })
}

pub(super) fn product((id, name, price, stock): (Uuid, String, i64, i64)) -> Product {
    Product {
        id,
        name,
        price,
        stock,
    }
}

type OrderRow = (Uuid, Uuid, String, DateTime<Utc>, Json<Vec<Line>>, i64, i64);

pub(super) fn order(
    (id, account_id, status, placed_at, Json(lines), total, version): OrderRow,
) -> Result<Order, Error> {
    Ok(Order {
        id,
        account_id,
        status: OrderStatus::of(&status).ok_or_else(|| unknown(&status))?,
        placed_at,
        lines,
        total,
        version,
    })
}

/// Each statement that writes, writes one row.
pub(super) fn one(written: u64) -> Result<(), Error> {
    match written {
        1 => Ok(()),
        _ => Err(Error::RowNotFound),
    }
}

fn unknown(status: &str) -> Error {
    Error::Decode(format!("there is no status {status:?}").into())
}
