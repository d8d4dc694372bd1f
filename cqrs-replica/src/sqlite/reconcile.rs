//! Reading a table in order to compare it.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    CqrsId, InstanceKey, QueueName, StoreError,
    database::{
        condition::Dialect,
        sqlite::{check_schema, classify, connect},
    },
    json::Object,
};
use sqlx::{Connection, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteReplica, catalog,
    error::{run, try_run},
    sql,
    stored::time,
    tables::value,
};
use crate::{
    TableModel,
    apply::Failed,
    migrations,
    reconcile::{
        KnownState, LetterOf, Loss, ReconcileStore, ReconcileTable, ReplicaReader, ReplicaRow,
        WorkersSeen, plan_of, unfit,
    },
    table::{checked, key_parts, quoted},
};

/// How long a statement may take.
const LIMIT: Duration = Duration::from_mins(2);

/// A connection that reads tables.
#[derive(Debug)]
pub struct SqliteReader {
    connection: SqliteConnection,
    limit: Duration,
}

impl ReconcileStore for SqliteReplica {
    type Reader = SqliteReader;

    async fn reader(&self) -> Result<SqliteReader, StoreError> {
        let mut connection = connect(&self.config).await?;
        check_schema(&mut connection, &migrations::SQLITE).await?;
        Ok(SqliteReader {
            connection,
            limit: self.config.busy_timeout + LIMIT,
        })
    }
}

impl SqliteReader {
    /// Reads rows that `condition` chooses, with values for columns of the key.
    async fn read(
        &mut self,
        table: &ReconcileTable,
        condition: &str,
        values: &[String],
    ) -> Result<Vec<ReplicaRow>, Failed> {
        let sql: Arc<str> = format!(
            "-- cqrs-replica: reconcile\nselect {}, {pk}, s.revision, {}\nfrom {} as t\n\
             left join cqrs_replica_state as s\n  on s.queue = ? and s.cqrs_id = ? \
             and s.instance_pk = {pk} and s.deleted_at is null and s.revision >= 0\nwhere {condition}",
            table.key_json("t"),
            table.content("t"),
            table.plan.table,
            pk = table.instance_pk("t"),
        )
        .into();
        let mut select = sqlx::query(checked(&sql))
            .bind(table.queue.as_str().to_owned())
            .bind(table.cqrs_id.as_str().to_owned());
        for (&column, json) in table.plan.key.iter().zip(values) {
            select = value(&table.plan, column, json)?.bind(select);
        }
        let select = select.persistent(false);
        let found = try_run(self.limit, select.fetch_all(&mut self.connection)).await?;
        let rows = found.iter().map(row).collect::<Result<_, _>>();
        rows.map_err(|error| Failed::Store(classify(error)))
    }

    async fn row(
        &mut self,
        table: &ReconcileTable,
        key: &InstanceKey,
    ) -> Result<Vec<ReplicaRow>, Failed> {
        let same: Vec<_> = table
            .key_columns("t")
            .iter()
            .map(|column| format!("{column} = ?"))
            .collect();
        self.read(table, &same.join(" and "), &key_parts(key)).await
    }

    /// Puts a row into the table of its like, and reads it.
    async fn shown(
        &mut self,
        table: &ReconcileTable,
        row: &Object,
        columns: &[usize],
    ) -> Result<String, Failed> {
        let marks = vec!["?"; columns.len()].join(", ");
        let sql: Arc<str> =
            format!("-- cqrs-replica: store\ninsert into temp.{STORED} values ({marks})").into();
        let mut insert = sqlx::query(checked(&sql));
        for &column in columns {
            let json = row.get(&table.plan.columns[column].name);
            let json = json.map_or("null", |value| value.get());
            insert = value(&table.plan, column, json)?.bind(insert);
        }
        try_run(
            self.limit,
            insert.persistent(false).execute(&mut self.connection),
        )
        .await?;
        let sql: Arc<str> = format!(
            "-- cqrs-replica: stored\nselect {} from temp.{STORED} as r order by r.rowid desc limit 1",
            table.content("r"),
        )
        .into();
        let show = sqlx::query_scalar(checked(&sql)).persistent(false);
        try_run(self.limit, show.fetch_one(&mut self.connection)).await
    }

    async fn execute(&mut self, sql: String) -> Result<(), StoreError> {
        let sql: Arc<str> = sql.into();
        let statement = sqlx::query(checked(&sql)).persistent(false);
        run(self.limit, statement.execute(&mut self.connection)).await?;
        Ok(())
    }
}

/// A table of this connection alone, whose columns have the affinities of those of the model's table.
const STORED: &str = "cqrs_reconcile_stored";

impl ReplicaReader for SqliteReader {
    async fn table(
        &mut self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
        model: &TableModel,
    ) -> Result<ReconcileTable, StoreError> {
        let description = catalog::describe(&mut self.connection, self.limit, model).await?;
        let plan = plan_of(cqrs_id, model, description)?;
        let (queue, cqrs_id) = (queue.clone(), cqrs_id.clone());
        Ok(ReconcileTable::new(queue, cqrs_id, plan, Dialect::Sqlite))
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
        let key = table.key_columns("t");
        let not_null: Vec<_> = key
            .iter()
            .map(|column| format!("{column} is not null"))
            .collect();
        let behind = match after {
            None => String::new(),
            Some(_) => format!(
                "({}) > ({}) and ",
                key.join(", "),
                vec!["?"; key.len()].join(", ")
            ),
        };
        let condition = format!(
            "{behind}{} and {}\norder by {} limit {limit}",
            not_null.join(" and "),
            table.condition(),
            key.join(", "),
        );
        let values = match after {
            Some(row) => table.key_values(row)?,
            None => Vec::new(),
        };
        let values: Vec<_> = values
            .into_iter()
            .map(|(_, value)| value.get().to_owned())
            .collect();
        self.read(table, &condition, &values).await.map_err(unfit)
    }

    async fn rows(
        &mut self,
        table: &ReconcileTable,
        keys: &[InstanceKey],
    ) -> Result<Vec<ReplicaRow>, StoreError> {
        let mut rows = Vec::new();
        for key in keys {
            if table.plan.check_key(key).is_err() {
                continue;
            }
            match self.row(table, key).await {
                Ok(found) => rows.extend(found),
                Err(Failed::Store(error)) => return Err(error),
                // It is of another type than the column.
                Err(_) => {}
            }
        }
        Ok(rows)
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
            .bind(serde_json::Value::from(instance_pks).to_string());
        let rows = run(self.limit, states.fetch_all(&mut self.connection)).await?;
        let state = |row: &SqliteRow| {
            Ok(KnownState {
                instance_pk: row.try_get(0)?,
                revision: row.try_get(1)?,
                updated: time(row, 2)?,
                deleted: row.try_get(3)?,
                applied_at: time(row, 4)?,
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
            .bind(serde_json::Value::from(instance_pks).to_string());
        let rows = run(self.limit, letters.fetch_all(&mut self.connection)).await?;
        let letter = |row: &SqliteRow| {
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
        let columns = table.compared_columns();
        if columns.is_empty() {
            return Ok(vec![Some("{}".to_owned()); rows.len()]);
        }
        let names: Vec<_> = columns
            .iter()
            .map(|&column| quoted(&table.plan.columns[column].name))
            .collect();
        self.execute(format!(
            "-- cqrs-replica: like\ncreate temp table {STORED} as select {} from {} where false",
            names.join(", "),
            table.plan.table,
        ))
        .await?;
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            match self.shown(table, row, &columns).await {
                Ok(shown) => stored.push(Some(shown)),
                Err(Failed::Store(error)) => return Err(error),
                Err(_) => stored.push(None),
            }
        }
        self.execute(format!("-- cqrs-replica: unlike\ndrop table temp.{STORED}"))
            .await?;
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
            .bind(serde_json::Value::from(instance_pks).to_string());
        let done = run(self.limit, undo.execute(&mut self.connection)).await?;
        Ok(done.rows_affected())
    }

    async fn close(self) {
        // Nothing is left to lose.
        let _ = run(self.limit, self.connection.close()).await;
    }
}

fn row(row: &SqliteRow) -> Result<ReplicaRow, sqlx::Error> {
    Ok(ReplicaRow::new(
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
    ))
}
