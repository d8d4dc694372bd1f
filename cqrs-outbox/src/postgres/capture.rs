//! Capture in `PostgreSQL`.

mod rows;
mod triggers;

use std::sync::Arc;

use cqrs_core::{
    CqrsId, StoreError,
    database::{
        TableName, checked,
        condition::{Dialect, literal},
        postgres::{check_schema, classify},
        quoted,
    },
};
use sqlx::{Connection, PgConnection};

use self::triggers::{FORM, Surroundings, Trigger, function_name};
use super::{MIGRATIONS, rows::get, sql};
use crate::{
    capture::{Capture, CaptureState, Entry, Installed, Unsendable, declared, differences, judge},
    source::{Source, SourceModel},
};

impl Capture for PgConnection {
    async fn sql(&mut self, model: &SourceModel) -> Result<Vec<String>, StoreError> {
        Ok(look(self, model).await?.statements())
    }

    async fn install(&mut self, model: &SourceModel) -> Result<Installed, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
        let mut tx = self.begin().await.map_err(classify)?;
        // One at a time: two would find the same and make it twice.
        sqlx::query(sql::CAPTURE_LOCK)
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
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
        let mut tx = self.begin().await.map_err(classify)?;
        let home = home(&mut tx).await?;
        let found = Found::new(&mut tx, cqrs_id).await?;
        let forgotten = sqlx::query(sql::CAPTURE_REMOVE)
            .bind(cqrs_id.as_str())
            .execute(&mut *tx)
            .await
            .map_err(classify)?;
        for (trigger, _) in &found.triggers {
            run(&mut tx, triggers::removal(trigger)).await?;
        }
        if found.function.is_some() {
            let function = quoted(&function_name(cqrs_id.as_str()));
            run(&mut tx, format!("drop function {home}.{function}()")).await?;
        }
        tx.commit().await.map_err(classify)?;
        Ok(found.function.is_some() || forgotten.rows_affected() > 0)
    }

    async fn status(&mut self, model: &SourceModel) -> Result<CaptureState, StoreError> {
        Ok(look(self, model).await?.state())
    }

    async fn changes(&mut self, model: &SourceModel) -> Result<Vec<String>, StoreError> {
        let plan = look(self, model).await?;
        Ok(differences(plan.recorded.as_ref(), &plan.entry))
    }

    async fn unsendable(
        &mut self,
        model: &SourceModel,
        max_bytes: usize,
    ) -> Result<Unsendable, StoreError> {
        let source = Source::in_postgres(self, model.clone()).await?;
        let statement: Arc<str> = rows::unsendable(&source)
            .map_err(|error| schema(format!("the model {}: {error}", model.cqrs_id)))?
            .into();
        let rows: Vec<(String, i64)> = sqlx::query_as(checked(&statement))
            .bind(i64::try_from(max_bytes).unwrap_or(i64::MAX))
            .fetch_all(self)
            .await
            .map_err(classify)?;
        Ok(Unsendable::of(rows))
    }

    async fn captured(&mut self) -> Result<Vec<CqrsId>, StoreError> {
        check_schema(self, &MIGRATIONS).await?;
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

/// What is there and what is to be, without a change.
async fn look(connection: &mut PgConnection, model: &SourceModel) -> Result<Plan, StoreError> {
    check_schema(connection, &MIGRATIONS).await?;
    let mut tx = connection.begin().await.map_err(classify)?;
    let plan = Plan::new(&mut tx, model).await?;
    tx.rollback().await.map_err(classify)?;
    Ok(plan)
}

/// What is there and what is to be.
struct Plan {
    cqrs_id: CqrsId,
    home: String,
    entry: Entry,
    recorded: Option<Entry>,
    found: Found,
    /// The text of the function.
    body: String,
    wanted: Vec<Trigger>,
    /// What makes the function and the triggers.
    creations: Vec<String>,
}

impl Plan {
    /// Leaves the transaction with another search path.
    async fn new(tx: &mut PgConnection, model: &SourceModel) -> Result<Self, StoreError> {
        let home = home(tx).await?;
        let recorded = recorded(tx, &model.cqrs_id).await?;
        let found = Found::new(tx, &model.cqrs_id).await?;
        let Some(table) = Table::find(tx, model).await? else {
            // It says what is wrong.
            Source::in_postgres(tx, model.clone()).await?;
            return Err(schema(format!("there is no table {:?}", model.table)));
        };
        let around = Surroundings {
            home: home.clone(),
            types: table.types,
        };
        // Names of types come out as they will be looked up: qualified, unless they are found.
        let path = around.path();
        run(tx, format!("set local search_path = {path}")).await?;
        let mut qualified = model.clone();
        qualified.table = format!("{}.{}", table.schema, table.name);
        let relations = relations(tx, &TableName::new(&qualified.table).quoted()).await?;
        let source = Source::in_postgres(tx, qualified).await?;
        let columns: Vec<(String, String)> = sqlx::query_as(sql::CAPTURE_COLUMNS)
            .bind(source.table())
            .fetch_all(&mut *tx)
            .await
            .map_err(classify)?;
        let body = triggers::body(&source, &home, &columns)
            .map_err(|error| schema(format!("the model {}: {error}", model.cqrs_id)))?;
        if let Some(column) = table.computed.iter().find(|c| body.contains(&quoted(c))) {
            return Err(schema(format!(
                "column {column:?} of table {:?} is computed when it is read, and triggers do not see \
                 it: make it a stored one, or leave it out of `columns` and `filter`",
                model.table
            )));
        }
        let cqrs_id = model.cqrs_id.as_str();
        let mut creations = triggers::function(&source, &around, &body);
        creations.extend(triggers::creations(&home, cqrs_id, &relations));
        Ok(Self {
            cqrs_id: model.cqrs_id.clone(),
            entry: Entry {
                model: declared(model),
                form: FORM,
                statements: creations.join(";\n"),
                columns: serde_json::json!(columns).to_string(),
            },
            wanted: triggers::triggers(cqrs_id, &relations),
            home,
            recorded,
            found,
            body,
            creations,
        })
    }

    fn state(&self) -> CaptureState {
        let state = judge(self.recorded.as_ref(), &self.entry);
        let found = &self.found;
        let is_there = |trigger: &Trigger| found.triggers.iter().any(|(t, _)| t == trigger);
        let all_there = found.triggers.len() == self.wanted.len()
            && self.wanted.iter().all(is_there)
            && found.function.as_ref() == Some(&self.body);
        let all_on = found.triggers.iter().all(|(_, on)| *on);
        match state {
            CaptureState::NotInstalled if found.function.is_some() => CaptureState::Damaged,
            CaptureState::Current if !all_there => CaptureState::Damaged,
            CaptureState::Current if !all_on => CaptureState::Disabled,
            state => state,
        }
    }

    fn statements(&self) -> Vec<String> {
        // `create or replace` leaves a trigger switched off.
        let stale = |(trigger, on): &&(Trigger, bool)| !on || !self.wanted.contains(trigger);
        let removals = self.found.triggers.iter().filter(stale);
        let removals = removals.map(|(trigger, _)| triggers::removal(trigger));
        let Entry {
            model,
            form,
            statements,
            columns,
        } = &self.entry;
        let text = |text: &str| literal(Dialect::Postgres, text);
        let entry = format!(
            "insert into {}.cqrs_capture (cqrs_id, model, form, statements, columns)\n\
             values ({}, {}, {form}, {}, {})\n\
             on conflict (cqrs_id) do update set model = excluded.model, form = excluded.form,\n    \
             statements = excluded.statements, columns = excluded.columns,\n    \
             installed_at = excluded.installed_at",
            self.home,
            text(self.cqrs_id.as_str()),
            text(model),
            text(statements),
            text(columns),
        );
        removals
            .chain(self.creations.iter().cloned())
            .chain([entry])
            .collect()
    }
}

/// What the catalog has of a model's capture.
struct Found {
    /// The text of the function.
    function: Option<String>,
    /// The triggers, and whether they are switched on.
    triggers: Vec<(Trigger, bool)>,
}

impl Found {
    async fn new(tx: &mut PgConnection, cqrs_id: &CqrsId) -> Result<Self, StoreError> {
        let rows = sqlx::query(sql::CAPTURE_TRIGGERS)
            .bind(function_name(cqrs_id.as_str()))
            .fetch_all(tx)
            .await
            .map_err(classify)?;
        let mut found = Self {
            function: None,
            triggers: Vec::new(),
        };
        for row in &rows {
            found.function = get(row, 3)?;
            if let (Some(relation), Some(name), Some(on)) =
                (get(row, 0)?, get(row, 1)?, get(row, 2)?)
            {
                found.triggers.push((Trigger { relation, name }, on));
            }
        }
        Ok(found)
    }
}

/// What the catalog has of a model's table, beyond what a source needs.
struct Table {
    schema: String,
    name: String,
    /// The schemas of its columns' types.
    types: Vec<String>,
    /// Columns that are computed when they are read.
    computed: Vec<String>,
}

impl Table {
    async fn find(tx: &mut PgConnection, model: &SourceModel) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query(sql::CAPTURE_TABLE)
            .bind(TableName::new(&model.table).quoted())
            .fetch_optional(tx)
            .await
            .map_err(classify)?;
        let Some(row) = row else { return Ok(None) };
        if let Some(whole) = get::<Option<String>>(&row, 2)? {
            return Err(schema(format!(
                "table {:?} is a part of {whole}, and triggers here do not see what is written there: \
                 let the model {} name {whole}",
                model.table, model.cqrs_id
            )));
        }
        Ok(Some(Self {
            schema: get(&row, 0)?,
            name: get(&row, 1)?,
            types: get(&row, 3)?,
            computed: get(&row, 4)?,
        }))
    }
}

/// The schema of the outbox, quoted.
async fn home(tx: &mut PgConnection) -> Result<String, StoreError> {
    let home: Option<String> = sqlx::query_scalar(sql::CAPTURE_HOME)
        .fetch_optional(tx)
        .await
        .map_err(classify)?;
    home.ok_or_else(|| {
        schema(
            "there is no table cqrs_outbox on the search path: run `cqrs-relay migrate` first"
                .to_owned(),
        )
    })
}

async fn recorded(tx: &mut PgConnection, cqrs_id: &CqrsId) -> Result<Option<Entry>, StoreError> {
    let row = sqlx::query(sql::CAPTURE_ENTRY)
        .bind(cqrs_id.as_str())
        .fetch_optional(tx)
        .await
        .map_err(classify)?;
    row.map(|row| {
        Ok(Entry {
            model: get(&row, 0)?,
            form: get(&row, 1)?,
            statements: get(&row, 2)?,
            columns: get::<Option<String>>(&row, 3)?.unwrap_or_default(),
        })
    })
    .transpose()
}

/// The table and the parts of it, quoted.
async fn relations(tx: &mut PgConnection, table: &str) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(sql::CAPTURE_RELATIONS)
        .bind(table)
        .fetch_all(&mut *tx)
        .await
        .map_err(classify)?;
    let problem = |(relation, problem): &(String, Option<String>)| {
        let remedy = match problem.as_deref()? {
            "is unlogged" => format!(
                "after a crash of the server it is empty, and no event says so: run `alter table \
                 {relation} set logged` first"
            ),
            _ => "triggers do not see what changes its rows: capture tables".to_owned(),
        };
        Some(format!("{relation} {}, and {remedy}", problem.as_deref()?))
    };
    match rows.iter().find_map(problem) {
        Some(problem) => Err(schema(problem)),
        None => Ok(rows.into_iter().map(|(relation, _)| relation).collect()),
    }
}

async fn run(tx: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    let statement: Arc<str> = statement.into();
    sqlx::query(checked(&statement))
        .execute(tx)
        .await
        .map_err(classify)?;
    Ok(())
}

fn schema(problem: String) -> StoreError {
    StoreError::Schema {
        problem,
        source: None,
    }
}
