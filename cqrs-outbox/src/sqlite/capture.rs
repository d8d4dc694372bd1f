//! Capture in `SQLite`.

mod triggers;

use cqrs_core::{
    CqrsId, StoreError,
    database::{
        TableName, checked, quoted,
        sqlite::{check_schema, classify},
    },
};
use sqlx::{Connection, SqliteConnection};

use self::triggers::{FORM, Trigger, UniqueIndex, prefix, triggers, unsendable};
use super::{MIGRATIONS, rows::get, sql};
use crate::{
    capture::{Capture, CaptureState, Entry, Installed, Unsendable, declared, differences, judge},
    source::{Source, SourceModel},
};

impl Capture for SqliteConnection {
    async fn sql(&mut self, model: &SourceModel) -> Result<Vec<String>, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
        Ok(Plan::new(self, model).await?.statements())
    }

    async fn install(&mut self, model: &SourceModel) -> Result<Installed, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
        let mut tx = self.begin_with(IMMEDIATE).await.map_err(classify)?;
        let plan = Plan::new(&mut tx, model).await?;
        let installed = match plan.state() {
            CaptureState::Current => return Ok(Installed::Unchanged),
            CaptureState::NotInstalled => Installed::New,
            _ => Installed::Replaced,
        };
        for statement in plan.statements() {
            run(&mut tx, statement).await?;
        }
        tx.commit().await.map_err(classify)?;
        Ok(installed)
    }

    async fn remove(&mut self, cqrs_id: &CqrsId) -> Result<bool, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
        let mut tx = self.begin_with(IMMEDIATE).await.map_err(classify)?;
        let found = installed(&mut tx, cqrs_id).await?;
        for trigger in &found {
            run(&mut tx, dropped(&trigger.name)).await?;
        }
        let forgotten = sqlx::query(sql::CAPTURE_REMOVE)
            .bind(cqrs_id.as_str())
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
        tx.commit().await.map_err(classify)?;
        Ok(!found.is_empty() || forgotten.rows_affected() > 0)
    }

    async fn status(&mut self, model: &SourceModel) -> Result<CaptureState, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
        Ok(Plan::new(self, model).await?.state())
    }

    async fn changes(&mut self, model: &SourceModel) -> Result<Vec<String>, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
        let plan = Plan::new(self, model).await?;
        Ok(differences(plan.recorded.as_ref(), &plan.entry))
    }

    async fn unsendable(
        &mut self,
        model: &SourceModel,
        max_bytes: usize,
    ) -> Result<Unsendable, StoreError> {
        let source = Source::in_sqlite(self, model.clone()).await?;
        let statement = unsendable(&source)
            .map_err(|error| schema(format!("the model {}: {error}", model.cqrs_id)))?;
        let rows: Vec<(String, i64)> = sqlx::query_as(checked(&statement.into()))
            .bind(i64::try_from(max_bytes).unwrap_or(i64::MAX))
            .fetch_all(self)
            .await
            .map_err(classify)?;
        Ok(Unsendable::of(rows))
    }

    async fn captured(&mut self) -> Result<Vec<CqrsId>, StoreError> {
        let names: Vec<String> = sqlx::query_scalar(sql::CAPTURE_LIST)
            .fetch_all(self)
            .await
            .map_err(classify)?;
        let corrupt = |error: cqrs_core::CqrsIdError| StoreError::Corrupt {
            table: "cqrs_capture",
            column: "cqrs_id",
            source: error.into(),
        };
        names
            .iter()
            .map(|name| CqrsId::new(name).map_err(corrupt))
            .collect()
    }
}

/// Keeps writers out until the triggers are there.
const IMMEDIATE: &str = "BEGIN IMMEDIATE";

/// What is there and what is to be.
struct Plan {
    cqrs_id: CqrsId,
    entry: Entry,
    recorded: Option<Entry>,
    wanted: Vec<Trigger>,
    found: Vec<Trigger>,
}

impl Plan {
    async fn new(
        connection: &mut SqliteConnection,
        model: &SourceModel,
    ) -> Result<Self, StoreError> {
        let source = Source::in_sqlite(connection, model.clone()).await?;
        let name = TableName::new(&model.table);
        if name.schema.is_some_and(|schema| schema != "main") {
            return Err(schema(format!(
                "table {:?} is of another file than the outbox: a trigger cannot write there, so \
                 move one of the two",
                model.table
            )));
        }
        let others = other_indexes(connection, name.table, model).await?;
        let wanted = triggers(&source, name.table, &others)
            .map_err(|error| schema(format!("the model {}: {error}", model.cqrs_id)))?;
        let columns: Vec<_> = source
            .columns
            .iter()
            .map(|c| (&c.name, &c.type_name))
            .collect();
        let statements: Vec<_> = wanted.iter().map(|trigger| trigger.sql.as_str()).collect();
        Ok(Self {
            cqrs_id: model.cqrs_id.clone(),
            entry: Entry {
                model: declared(model),
                form: FORM,
                statements: statements.join(";\n"),
                columns: serde_json::json!(columns).to_string(),
            },
            recorded: recorded(connection, &model.cqrs_id).await?,
            found: installed(connection, &model.cqrs_id).await?,
            wanted,
        })
    }

    fn state(&self) -> CaptureState {
        let state = judge(self.recorded.as_ref(), &self.entry);
        let all_there = self.wanted.len() == self.found.len()
            && self
                .wanted
                .iter()
                .all(|trigger| self.found.contains(trigger));
        match state {
            CaptureState::NotInstalled if !self.found.is_empty() => CaptureState::Damaged,
            CaptureState::Current if !all_there => CaptureState::Damaged,
            state => state,
        }
    }

    fn statements(&self) -> Vec<String> {
        let dropped = self.found.iter().map(|trigger| dropped(&trigger.name));
        let created = self.wanted.iter().map(|trigger| trigger.sql.clone());
        let Entry {
            model,
            form,
            statements,
            columns,
        } = &self.entry;
        let entry = format!(
            "INSERT INTO cqrs_capture (cqrs_id, model, form, statements, columns, installed_at)\n\
             VALUES ({}, {}, {form}, {}, {}, unixepoch() * 1000000)\n\
             ON CONFLICT (cqrs_id) DO UPDATE SET model = excluded.model, form = excluded.form,\n  \
             statements = excluded.statements, columns = excluded.columns,\n  \
             installed_at = excluded.installed_at",
            text(self.cqrs_id.as_str()),
            text(model),
            text(statements),
            text(columns),
        );
        dropped.chain(created).chain([entry]).collect()
    }
}

async fn recorded(
    connection: &mut SqliteConnection,
    cqrs_id: &CqrsId,
) -> Result<Option<Entry>, StoreError> {
    let found: Option<(String, i64, String, Option<String>)> = sqlx::query_as(sql::CAPTURE_ENTRY)
        .bind(cqrs_id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(classify)?;
    Ok(found.map(|(model, form, statements, columns)| Entry {
        model,
        form,
        statements,
        columns: columns.unwrap_or_default(),
    }))
}

async fn installed(
    connection: &mut SqliteConnection,
    cqrs_id: &CqrsId,
) -> Result<Vec<Trigger>, StoreError> {
    let rows = sqlx::query(sql::CAPTURE_TRIGGERS)
        .bind(prefix(cqrs_id.as_str()))
        .fetch_all(connection)
        .await
        .map_err(classify)?;
    rows.iter()
        .map(|row| {
            Ok(Trigger {
                name: get(row, 0)?,
                sql: get(row, 1)?,
            })
        })
        .collect()
}

/// The unique indexes by which a REPLACE may take a row of another key away.
async fn other_indexes(
    connection: &mut SqliteConnection,
    table: &str,
    model: &SourceModel,
) -> Result<Vec<UniqueIndex>, StoreError> {
    let (kind, integer_key): (String, Option<String>) = sqlx::query_as(sql::CAPTURE_TABLE)
        .bind(table)
        .fetch_one(&mut *connection)
        .await
        .map_err(classify)?;
    if kind != "table" {
        return Err(schema(format!(
            "{table:?} is a {kind}, whose writes no trigger can see: name the table below it"
        )));
    }
    let rows: Vec<(String, Option<String>, String)> = sqlx::query_as(sql::CAPTURE_UNIQUE)
        .bind(table)
        .fetch_all(connection)
        .await
        .map_err(classify)?;
    let mut indexes: Vec<(Option<String>, Option<UniqueIndex>)> = Vec::new();
    for (index, column, collation) in rows {
        if indexes
            .last()
            .is_none_or(|(name, _)| name.as_ref() != Some(&index))
        {
            indexes.push((Some(index), Some(Vec::new())));
        }
        if let Some((_, columns)) = indexes.last_mut() {
            *columns = columns.take().zip(column).map(|(mut columns, column)| {
                columns.push((column, collation));
                columns
            });
        }
    }
    let integer_key = integer_key.map(|column| vec![(column, "BINARY".to_owned())]);
    // Rows that are equal, byte by byte, in all columns of the key are one instance.
    let of_key = |index: &UniqueIndex| {
        let exactly = |key: &String| {
            let same =
                |(column, collation): &(String, String)| column == key && collation == "BINARY";
            index.iter().any(same)
        };
        model.key.iter().all(exactly)
    };
    let indexes = indexes.into_iter().filter_map(|(_, index)| index);
    let indexes = integer_key.into_iter().chain(indexes);
    Ok(indexes.filter(|index| !of_key(index)).collect())
}

async fn run(connection: &mut SqliteConnection, statement: String) -> Result<(), StoreError> {
    sqlx::raw_sql(checked(&statement.into()))
        .execute(connection)
        .await
        .map_err(classify)?;
    Ok(())
}

fn dropped(trigger: &str) -> String {
    format!("DROP TRIGGER {}", quoted(trigger))
}

fn text(text: &str) -> String {
    cqrs_core::database::condition::literal(cqrs_core::database::condition::Dialect::Sqlite, text)
}

fn schema(problem: String) -> StoreError {
    StoreError::Schema {
        problem,
        source: None,
    }
}
