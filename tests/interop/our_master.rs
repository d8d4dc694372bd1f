//! A master of ours for the shop: rows and events in one transaction, as a service would write them.

use anyhow::{Context, Result};
use cqrs_core::{InstanceKey, Signal};
use cqrs_outbox::{self as outbox};
use cqrs_tests::{database::Database, process::Process, stack::Stack};
use serde_json::{Value, json, value::RawValue};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::task::JoinSet;

use crate::{
    changes::{Change, draw},
    shop,
};

/// How a model is stored: table, key, the other columns, and the field whose column has another name.
struct Model {
    cqrs_id: &'static str,
    table: &'static str,
    key: &'static str,
    columns: &'static str,
    renamed: Option<(&'static str, &'static str)>,
}

const MODELS: [Model; 5] = [
    Model {
        cqrs_id: "customer",
        table: "customer",
        key: "id",
        columns: "name, status, balance, ratio, active, born, seen, extra, parent_id",
        renamed: Some(("parent", "parent_id")),
    },
    Model {
        cqrs_id: "device",
        table: "device",
        key: "id",
        columns: "label, serial",
        renamed: None,
    },
    Model {
        cqrs_id: "country",
        table: "country",
        key: "code",
        columns: "name",
        renamed: None,
    },
    Model {
        cqrs_id: "order",
        table: "orders",
        key: "id",
        columns: "number, customer_id, total, placed, pickup, lines",
        renamed: Some(("customer", "customer_id")),
    },
    Model {
        cqrs_id: "article",
        table: "article",
        key: "id",
        columns: "title, published",
        renamed: None,
    },
];

impl Model {
    fn of(cqrs_id: &str) -> Result<&'static Self> {
        let found = MODELS.iter().find(|model| model.cqrs_id == cqrs_id);
        found.with_context(|| format!("no model {cqrs_id}"))
    }

    /// What an event says of an instance.
    fn data(&self, key: &Value, state: &Value) -> Value {
        let mut data = state.clone();
        data[self.key] = key.clone();
        data
    }

    /// The same as a row.
    fn row(&self, key: &Value, state: &Value) -> Value {
        let mut row = self.data(key, state);
        if let Some((field, column)) = self.renamed {
            row[column] = row[field].take();
        }
        row
    }
}

/// Makes the tables and the outbox, and starts a relay.
pub(crate) async fn open(stack: &Stack) -> Result<Process> {
    shop::make_tables(&stack.master).await?;
    stack.run("cqrs-relay", &["migrate"]).await?;
    stack.relay("relay")
}

pub(crate) fn pool(database: &Database) -> &PgPool {
    match database {
        Database::Postgres { pool, .. } => pool,
        Database::Sqlite { .. } => panic!("the shop is on PostgreSQL"),
    }
}

/// Writes changes in one transaction, and records them in one call or one by one.
pub(crate) async fn write(pool: &PgPool, changes: &[Change], at_once: bool) -> Result<()> {
    let mut tx = outbox::begin(pool).await?;
    let mut events = Vec::new();
    for change in changes {
        if write_row(&mut tx, change).await? {
            let event = event(change)?;
            if at_once {
                events.push(event);
            } else {
                outbox::record(&mut tx, event).await?;
            }
        }
    }
    outbox::record_all(&mut tx, events).await?;
    Ok(tx.commit().await?)
}

/// Whether there was something to change.
async fn write_row(tx: &mut PgConnection, change: &Change) -> Result<bool> {
    let model = Model::of(change.cqrs_id)?;
    let Model {
        table,
        key,
        columns,
        ..
    } = model;
    let (sql, row) = if let Some(state) = &change.state {
        let excluded = columns.replace(", ", ", excluded.");
        let sql = format!(
            "insert into {table} ({key}, {columns})
             select {key}, {columns} from json_populate_record(null::{table}, $1::json)
             on conflict ({key}) do update set ({columns}) = row(excluded.{excluded})"
        );
        (sql, model.row(&change.key, state))
    } else {
        let sql = format!(
            "delete from {table} using json_populate_record(null::{table}, $1::json) as gone
             where {table}.{key} = gone.{key}"
        );
        (sql, json!({ *key: change.key }))
    };
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(row.to_string())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn event(change: &Change) -> Result<outbox::Change> {
    let model = Model::of(change.cqrs_id)?;
    let key = instance_key(&change.key)?;
    Ok(match &change.state {
        Some(state) => {
            let data = model.data(&change.key, state);
            outbox::Change::json(change.cqrs_id, key, Signal::Save, data)
        }
        None => outbox::Change::json(change.cqrs_id, key, Signal::Delete, ()),
    }
    .meta(json!({"by": "interop"})))
}

fn instance_key(key: &Value) -> Result<InstanceKey> {
    Ok(match key {
        Value::String(text) => InstanceKey::Text(text.clone()),
        number => InstanceKey::Integer(number.as_i64().context("an integer")?.into()),
    })
}

/// Lets four writers change the same rows at the same time.
pub(crate) async fn storm(database: &Database, changes: usize) -> Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let pool = pool(database).clone();
        writers.spawn(async move {
            for (turn, some) in draw(writer, changes, None).chunks(5).enumerate() {
                // In key order, or they would wait for each other in a circle.
                let mut some = some.to_vec();
                some.sort_by_key(|change| (change.cqrs_id, change.key.to_string()));
                some.dedup_by(|later, earlier| {
                    (later.cqrs_id, &later.key) == (earlier.cqrs_id, &earlier.key)
                });
                write(&pool, &some, turn % 4 > 0).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

/// Every model.
pub(crate) const ALL: [&str; 5] = ["customer", "device", "country", "order", "article"];

/// Sends the state of every instance again: a sync of each that lives, a delete of each that does not.
pub(crate) async fn sync(database: &Database, models: &[&str]) -> Result<()> {
    let pool = pool(database);
    for cqrs_id in models {
        let model = Model::of(cqrs_id)?;
        let Model {
            cqrs_id,
            table,
            key,
            ..
        } = model;
        let mut tx = outbox::begin(pool).await?;
        // As text, since a float must keep its last digit.
        let state = match model.renamed {
            Some((field, column)) => {
                format!("to_jsonb(r) - '{column}' || jsonb_build_object('{field}', r.{column})")
            }
            None => "to_jsonb(r)".to_owned(),
        };
        // A table that came from Django has columns that no event may have.
        let state = format!("({state}) - 'cqrs_revision' - 'cqrs_updated'");
        let live = format!("select to_jsonb(r.{key}), ({state})::text from {table} as r");
        let live: Vec<(Value, String)> = sqlx::query_as(AssertSqlSafe(live))
            .fetch_all(&mut *tx)
            .await?;
        let mut changes = Vec::new();
        for (key, state) in live {
            let state = RawValue::from_string(state)?;
            let key = instance_key(&key)?;
            changes.push(outbox::Change::json(cqrs_id, key, Signal::Sync, state));
        }
        let gone: Vec<String> = sqlx::query_scalar(
            "select instance_pk from cqrs_revision where cqrs_id = $1 and deleted",
        )
        .bind(cqrs_id)
        .fetch_all(&mut *tx)
        .await?;
        for canonical in gone {
            let key = canonical
                .parse()
                .map_or(InstanceKey::Text(canonical), InstanceKey::Integer);
            changes.push(outbox::Change::json(cqrs_id, key, Signal::Delete, ()));
        }
        outbox::record_all(&mut tx, changes).await?;
        tx.commit().await?;
    }
    Ok(())
}
