//! From rows to the model.

use chrono::{DateTime, Utc};
use sqlx::Error;

use super::{
    Account, OrderView, Product, RevenueDay,
    order::{OrderLine, Share},
};

type OrderRow = (String, String, Option<String>, String, i64, i64, i64);

/// Orders, yet without their lines.
pub(super) fn orders(rows: Vec<OrderRow>) -> Result<Vec<OrderView>, Error> {
    rows.into_iter()
        .map(
            |(id, account_id, account, status, placed_at, total, version)| {
                Ok(OrderView {
                    id,
                    account_id,
                    account,
                    status,
                    placed_at: time(placed_at)?,
                    lines: Vec::new(),
                    total,
                    version,
                })
            },
        )
        .collect()
}

pub(super) fn line(
    (product_id, product, quantity, price): (String, Option<String>, i64, i64),
) -> OrderLine {
    OrderLine {
        product_id,
        product,
        quantity,
        price,
    }
}

pub(super) fn share((status, placed_at, total): (String, i64, i64)) -> Result<Share, Error> {
    Ok(Share::of(&status, time(placed_at)?, total))
}

pub(super) fn account(
    (id, name, status, orders, spent): (String, String, String, i64, i64),
) -> Account {
    Account {
        id,
        name,
        status,
        orders,
        spent,
    }
}

pub(super) fn product((id, name, price, stock): (String, String, i64, i64)) -> Product {
    Product {
        id,
        name,
        price,
        stock,
    }
}

pub(super) fn day((day, orders, revenue): (String, i64, i64)) -> RevenueDay {
    RevenueDay {
        day,
        orders,
        revenue,
    }
}

/// Each statement that writes, writes one row.
pub(super) fn one(written: u64) -> Result<(), Error> {
    match written {
        1 => Ok(()),
        _ => Err(Error::RowNotFound),
    }
}

/// What `like … escape '!'` takes for "contains this text", in lower case.
pub(super) fn pattern(search: Option<&str>) -> Option<String> {
    let search = search?.to_lowercase();
    let mut pattern = String::with_capacity(search.len() + 2);
    pattern.push('%');
    for character in search.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Some(pattern)
}

fn time(micros: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Error::Decode(format!("{micros} is no time").into()))
}
