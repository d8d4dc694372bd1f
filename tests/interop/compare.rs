//! Two databases, row by row.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use cqrs_tests::{
    database::Database,
    wait::{Seen, until},
};

/// Long enough for a machine that is compiling at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A table on both sides, as queries that answer one row of JSON text per instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    name: &'static str,
    /// On a Django master.
    original: &'static str,
    /// On a replica, and on a master of ours.
    copy: &'static str,
}

impl Table {
    const fn same(name: &'static str, query: &'static str) -> Self {
        Self {
            name,
            original: query,
            copy: query,
        }
    }
}

pub(crate) const CUSTOMER: Table = Table::same(
    "customer",
    "select to_jsonb(r)::text from (
        select id, name, status, balance, ratio, active, born, seen, extra, parent_id from customer
     ) as r order by id",
);

pub(crate) const DEVICE: Table = Table::same(
    "device",
    "select to_jsonb(r)::text from (select id, label, serial from device) as r order by id",
);

pub(crate) const COUNTRY: Table = Table::same(
    "country",
    "select to_jsonb(r)::text from (select code, name from country) as r
     order by code collate \"C\"",
);

pub(crate) const ARTICLE: Table = Table::same(
    "article",
    "select to_jsonb(r)::text from (select id, title, published from article) as r order by id",
);

/// Its lines are rows on the Django master and a document elsewhere.
pub(crate) const ORDER: Table = Table {
    name: "orders",
    original: "select to_jsonb(r)::text from (
        select id, number, customer_id, total, placed, pickup, (
            select coalesce(jsonb_agg(jsonb_build_object(
                'product', product, 'quantity', quantity, 'price', price::text) order by id), '[]')
            from line where order_id = orders.id
        ) as lines from orders
     ) as r order by id",
    copy: "select to_jsonb(r)::text from (
        select id, number, customer_id, total, placed, pickup, lines from orders
     ) as r order by id",
};

/// The whole shop.
pub(crate) const ALL: [Table; 5] = [CUSTOMER, DEVICE, COUNTRY, ORDER, ARTICLE];

/// Waits until a Django master's tables and their copies have the same rows.
pub(crate) async fn copied(tables: &[Table], master: &Database, replica: &Database) -> Result<()> {
    for table in tables {
        equal(table.name, master, table.original, replica, table.copy).await?;
    }
    Ok(())
}

/// The same between two replicas, or from a master of ours.
pub(crate) async fn agree(tables: &[Table], one: &Database, other: &Database) -> Result<()> {
    for table in tables {
        equal(table.name, one, table.copy, other, table.copy).await?;
    }
    Ok(())
}

async fn equal(
    name: &str,
    one: &Database,
    query: &'static str,
    other: &Database,
    copy: &'static str,
) -> Result<()> {
    until(&format!("{name} is copied"), PATIENCE, async || {
        let (rows, copies) = (one.rows(query).await?, other.rows(copy).await?);
        Ok(match difference(&rows, &copies) {
            Ok(()) => Seen::Yes,
            Err(how) => Seen::NotYet(how.to_string()),
        })
    })
    .await
}

fn difference(rows: &[Vec<Option<String>>], copies: &[Vec<Option<String>>]) -> Result<()> {
    for (row, copy) in rows.iter().zip(copies) {
        ensure!(row == copy, "{row:?} here, {copy:?} there");
    }
    if rows.len() != copies.len() {
        bail!("{} rows here, {} there", rows.len(), copies.len());
    }
    Ok(())
}
