//! Reading a table in order to compare it.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use cqrs_core::{
    CqrsId, InstanceKey, QueueName, StoreError,
    database::{
        condition::Dialect,
        postgres::{check_schema, classify, connect},
    },
    json::Object,
};
use sqlx::{Connection, PgConnection, Row as _, postgres::PgRow};

use super::{
    PostgresReplica, catalog,
    connection::GRACE,
    error::{run, try_run},
    sql,
    tables::{json_name, texts},
    values::given,
};
use crate::{
    TableModel,
    apply::Failed,
    migrations,
    reconcile::{
        KnownState, LetterOf, Loss, ReconcileStore, ReconcileTable, ReplicaReader, ReplicaRow,
        WorkersSeen, plan_of, unfit,
    },
    table::{Row, checked, quoted},
};

/// How long a statement may take at least: a page of a table with wide rows takes its time.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(2);

/// A connection that reads tables.
#[derive(Debug)]
pub struct PostgresReader {
    connection: PgConnection,
    limit: Duration,
}

impl ReconcileStore for PostgresReplica {
    type Reader = PostgresReader;

    async fn reader(&self) -> Result<PostgresReader, StoreError> {
        let mut config = self.config.as_ref().clone();
        config.statement_timeout = config.statement_timeout.max(STATEMENT_TIMEOUT);
        let mut connection = connect(&config).await?;
        check_schema(&mut connection, &migrations::POSTGRES).await?;
        let session = sqlx::query(sql::RECONCILE_SESSION).execute(&mut connection);
        run(config.statement_timeout, session).await?;
        Ok(PostgresReader {
            connection,
            limit: config.statement_timeout + GRACE,
        })
    }
}

impl PostgresReader {
    async fn read(
        &mut self,
        table: &ReconcileTable,
        rows: String,
        json: Option<String>,
    ) -> Result<Vec<ReplicaRow>, Failed> {
        // The states are looked up one by one: the planner would otherwise read all of them for
        // each page.
        let sql: Arc<str> = format!(
            "-- cqrs-replica: reconcile\nselect {key}, {pk}, s.revision, {content}\nfrom ({rows}) as t\n\
             left join lateral (\nselect revision from cqrs_replica_state as s\n\
             where s.queue = $1 and s.cqrs_id = $2 and s.instance_pk = {pk} collate \"C\"\n\
             and s.deleted_at is null and s.revision >= 0\noffset 0\n) as s on true\norder by {order}",
            key = table.key_json("t"),
            pk = table.instance_pk("t"),
            content = table.content("t"),
            order = table.key_columns("t").join(", "),
        )
        .into();
        let select = sqlx::query(checked(&sql))
            .bind(table.queue.as_str())
            .bind(table.cqrs_id.as_str())
            .bind(json)
            .persistent(false);
        let found = try_run(self.limit, select.fetch_all(&mut self.connection)).await?;
        let rows = found.iter().map(row).collect::<Result<_, _>>();
        rows.map_err(|error| Failed::Store(classify(error)))
    }

    async fn shown(
        &mut self,
        table: &ReconcileTable,
        rows: &[Object],
    ) -> Result<Vec<String>, Failed> {
        let sql: Arc<str> = format!(
            "-- cqrs-replica: stored\nselect {} from json_populate_recordset(null::{}, $1::text::json) as r",
            table.content("r"),
            table.plan.table,
        )
        .into();
        let rows: Result<Vec<String>, Failed> = rows.iter().map(|row| text(table, row)).collect();
        let show = sqlx::query_scalar(checked(&sql))
            .bind(format!("[{}]", rows?.join(",")))
            .persistent(false);
        try_run(self.limit, show.fetch_all(&mut self.connection)).await
    }
}

impl ReplicaReader for PostgresReader {
    async fn table(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
        model: &TableModel,
    ) -> Result<ReconcileTable, StoreError> {
        let description = catalog::describe(&mut self.connection, self.limit, model).await?;
        let plan = plan_of(cqrs_id, model, description)?;
        let (queue, cqrs_id) = (queue.clone(), cqrs_id.clone());
        Ok(ReconcileTable::new(queue, cqrs_id, plan, Dialect::Postgres))
    }

    async fn count(&mut self, table: &ReconcileTable) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar(sql::COUNT_LIVE)
            .bind(table.queue.as_str())
            .bind(table.cqrs_id.as_str());
        let count: i64 = run(self.limit, count.fetch_one(&mut self.connection)).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn page(
        &mut self,
        table: &ReconcileTable,
        after: Option<&ReplicaRow>,
        limit: usize,
    ) -> Result<Vec<ReplicaRow>, StoreError> {
        let key = table.key_columns("k");
        let behind = after.map_or_else(
            // The parameter has to be used.
            || "$3::text is null".to_owned(),
            |_| {
                let columns = table.plan.key.iter();
                let values: Vec<_> = columns
                    .map(|&at| {
                        format!(
                            "(select a.{} from json_populate_record(null::{}, $3::text::json) as a)",
                            quoted(&table.plan.columns[at].name),
                            table.plan.table,
                        )
                    })
                    .collect();
                format!("({}) > ({})", key.join(", "), values.join(", "))
            },
        );
        let not_null: Vec<_> = key
            .iter()
            .map(|column| format!("{column} is not null"))
            .collect();
        let rows = format!(
            "select * from {} as k where {behind} and {} and {} order by {} limit {limit}",
            table.plan.table,
            not_null.join(" and "),
            table.condition(),
            key.join(", "),
        );
        let json = match after {
            Some(after) => Some(key_object(table, after)?),
            None => None,
        };
        self.read(table, rows, json).await.map_err(unfit)
    }

    async fn rows(
        &mut self,
        table: &ReconcileTable,
        keys: &[InstanceKey],
    ) -> Result<Vec<ReplicaRow>, StoreError> {
        let fit: Vec<&InstanceKey> = keys
            .iter()
            .filter(|key| table.plan.check_key(key).is_ok())
            .collect();
        match self.rows_of(table, &fit).await {
            Ok(rows) => Ok(rows),
            Err(Failed::Store(error)) => Err(error),
            Err(_) => {
                // One of them is of another type than the column.
                let mut rows = Vec::new();
                for key in fit {
                    match self.rows_of(table, &[key]).await {
                        Ok(found) => rows.extend(found),
                        Err(Failed::Store(error)) => return Err(error),
                        Err(_) => {}
                    }
                }
                Ok(rows)
            }
        }
    }

    async fn states(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
        instance_pks: &[String],
    ) -> Result<Vec<KnownState>, StoreError> {
        let states = sqlx::query(sql::KNOWN_STATES)
            .bind(queue.as_str())
            .bind(cqrs_id.as_str())
            .bind(instance_pks);
        let rows = run(self.limit, states.fetch_all(&mut self.connection)).await?;
        let state = |row: &PgRow| {
            Ok(KnownState {
                instance_pk: row.try_get(0)?,
                revision: row.try_get(1)?,
                updated: row.try_get(2)?,
                deleted: row.try_get(3)?,
                applied_at: row.try_get(4)?,
            })
        };
        rows.iter()
            .map(state)
            .collect::<Result<_, _>>()
            .map_err(classify)
    }

    async fn letters(
        &mut self,
        table: &ReconcileTable,
        instance_pks: &[String],
    ) -> Result<Vec<LetterOf>, StoreError> {
        let letters = sqlx::query(sql::LETTERS_OF)
            .bind(table.queue.as_str())
            .bind(table.cqrs_id.as_str())
            .bind(instance_pks);
        let rows = run(self.limit, letters.fetch_all(&mut self.connection)).await?;
        let letter = |row: &PgRow| {
            Ok(LetterOf {
                instance_pk: row.try_get(0)?,
                id: row.try_get(1)?,
                open: row.try_get(2)?,
            })
        };
        rows.iter()
            .map(letter)
            .collect::<Result<_, _>>()
            .map_err(classify)
    }

    async fn stored(
        &mut self,
        table: &ReconcileTable,
        rows: &[Object],
    ) -> Result<Vec<Option<String>>, StoreError> {
        match self.shown(table, rows).await {
            Ok(shown) => return Ok(shown.into_iter().map(Some).collect()),
            Err(Failed::Store(error)) => return Err(error),
            Err(_) => {}
        }
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            match self.shown(table, std::slice::from_ref(row)).await {
                Ok(mut shown) => stored.push(shown.pop()),
                Err(Failed::Store(error)) => return Err(error),
                Err(_) => stored.push(None),
            }
        }
        Ok(stored)
    }

    async fn workers(&mut self, queue: &QueueName) -> Result<WorkersSeen, StoreError> {
        let workers = sqlx::query_as(sql::WORKERS_SEEN).bind(queue.as_str());
        let rows: Vec<(i64, Option<i64>, Option<i64>)> =
            run(self.limit, workers.fetch_all(&mut self.connection)).await?;
        Ok(WorkersSeen::of(rows))
    }

    async fn losses(&mut self, queue: &QueueName) -> Result<Vec<Loss>, StoreError> {
        let losses = sqlx::query_as(sql::LOSSES).bind(queue.as_str());
        let losses: Vec<(String, i64)> =
            run(self.limit, losses.fetch_all(&mut self.connection)).await?;
        Ok(losses.into_iter().map(Loss::new).collect())
    }

    async fn make_good(&mut self, losses: &[Loss]) -> Result<u64, StoreError> {
        let mut made_good = 0;
        for loss in losses {
            let statement = sqlx::query(sql::MAKE_GOOD)
                .bind(&loss.worker)
                .bind(loss.number);
            let done = run(self.limit, statement.execute(&mut self.connection)).await?;
            made_good += done.rows_affected();
        }
        Ok(made_good)
    }

    async fn undo_deletes(
        &mut self,
        table: &ReconcileTable,
        instance_pks: &[String],
    ) -> Result<u64, StoreError> {
        let undo = sqlx::query(sql::UNDO_DELETES)
            .bind(table.queue.as_str())
            .bind(table.cqrs_id.as_str())
            .bind(instance_pks);
        let done = run(self.limit, undo.execute(&mut self.connection)).await?;
        Ok(done.rows_affected())
    }

    async fn close(self) {
        // Nothing is left to lose.
        let _ = run(GRACE, self.connection.close()).await;
    }
}

impl PostgresReader {
    async fn rows_of(
        &mut self,
        table: &ReconcileTable,
        keys: &[&InstanceKey],
    ) -> Result<Vec<ReplicaRow>, Failed> {
        let rows = keys.iter().map(|&key| Row {
            key,
            values: Vec::new(),
        });
        let key = table.key_columns("k");
        let wanted = table.key_columns("w");
        let same: Vec<_> = key
            .iter()
            .zip(&wanted)
            .map(|(column, wanted)| format!("{column} = {wanted}"))
            .collect();
        let mut found = Vec::new();
        for json in texts(&table.plan, &table.plan.key, rows)? {
            let rows = format!(
                "select k.* from json_populate_recordset(null::{table}, $3::text::json) as w\n\
                 join {table} as k on {}",
                same.join(" and "),
                table = table.plan.table,
            );
            found.extend(self.read(table, rows, Some(json)).await?);
        }
        Ok(found)
    }
}

/// The key's columns of a row that was read, as one JSON object.
fn key_object(table: &ReconcileTable, row: &ReplicaRow) -> Result<String, StoreError> {
    let mut json = String::from("{");
    for (place, (column, value)) in table.key_values(row)?.into_iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(json, "{comma}{}:{}", json_name(&column.name), value.get());
    }
    json.push('}');
    Ok(json)
}

fn row(row: &PgRow) -> Result<ReplicaRow, sqlx::Error> {
    Ok(ReplicaRow::new(
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
    ))
}

/// Values by column as one JSON object.
fn text(table: &ReconcileTable, row: &Object) -> Result<String, Failed> {
    let mut json = String::from("{");
    for (name, value) in row.iter() {
        let Some(at) = table
            .plan
            .columns
            .iter()
            .position(|column| column.name == name)
        else {
            continue;
        };
        let value = given(&table.plan.columns[at], value.get()).map_err(super::tables::misfit)?;
        let comma = if json.len() == 1 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(json, "{comma}{}:{value}", json_name(name));
    }
    json.push('}');
    Ok(json)
}
