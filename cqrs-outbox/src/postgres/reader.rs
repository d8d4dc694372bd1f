//! Tables of a master in `PostgreSQL`, read as models.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    InstanceKey, StoreError,
    database::{
        checked,
        condition::Bound,
        postgres::{check_schema, classify, connect, is_of_data},
        within,
    },
    filter::Filter,
};
use sqlx::{
    Connection, PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{MIGRATIONS, PostgresStore, rows::get, snapshot::PostgresSnapshot, sql};
use crate::{
    RecordError, Recorded,
    record::record_current_all,
    source::{
        After, Columns, KeyPage, Loader, Met, ReadModel, Scan, Select, Source, SourceReader,
        SourceStore, SourceTable, Statement, SyncOptions, Synced, found, key_page, syncs,
    },
};

impl SourceStore for PostgresStore {
    type Row = PgRow;
    type Snapshot = PostgresSnapshot;
    type Reader = PostgresReader;

    async fn table(&self, model: ReadModel<PgRow>) -> Result<Arc<SourceTable<PgRow>>, StoreError> {
        let mut connection = self.source_connection().await?;
        let source = Source::in_postgres(&mut connection, model.source).await?;
        close(connection).await;
        Ok(Arc::new(SourceTable {
            source,
            loader: model.loader,
        }))
    }

    async fn snapshot(
        &self,
        table: &Arc<SourceTable<PgRow>>,
        scan: Scan,
    ) -> Result<PostgresSnapshot, StoreError> {
        let connection = self.source_connection().await?;
        let seeder = self.source_connection().await?;
        PostgresSnapshot::open(connection, seeder, Arc::clone(table), scan).await
    }

    async fn reader(&self, table: &Arc<SourceTable<PgRow>>) -> Result<PostgresReader, StoreError> {
        Ok(PostgresReader {
            connection: self.source_connection().await?,
            table: Arc::clone(table),
        })
    }
}

impl PostgresStore {
    /// A connection without time limits but for locks.
    async fn source_connection(&self) -> Result<PgConnection, StoreError> {
        let mut connection = connect(&self.config).await?;
        check_schema(&mut connection, &MIGRATIONS).await?;
        let patience = self.config.lock_timeout.min(LOCK_PATIENCE);
        let patience = patience.as_millis().to_string();
        let session = sqlx::query(sql::SOURCE_SESSION).bind(patience);
        let limit = self.config.statement_timeout + self.config.connect_timeout;
        within(limit, classify, session.execute(&mut connection)).await?;
        Ok(connection)
    }
}

/// How long a batch of syncs waits for one lock: those it has already hold up writers meanwhile.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// A connection that reads a table in `PostgreSQL` as it is.
#[derive(Debug)]
pub struct PostgresReader {
    pub(super) connection: PgConnection,
    pub(super) table: Arc<SourceTable<PgRow>>,
}

impl SourceReader for PostgresReader {
    const LOCKS_INSTANCES: bool = true;

    fn is_of_a_row(error: &StoreError) -> bool {
        is_of_data(error)
    }

    async fn keys(
        &mut self,
        filter: &Filter,
        after: Option<&After>,
        limit: usize,
    ) -> Result<KeyPage, StoreError> {
        let statement = self.select(filter, Columns::None).page(after, limit)?;
        let rows = rows(&mut self.connection, &statement).await;
        let rows = rows.map_err(classify)?;
        key_page(rows.into_iter().map(|(met, _)| met).collect(), limit)
    }

    async fn estimate(&mut self, filter: &Filter) -> Result<u64, StoreError> {
        let statement = self.select(filter, Columns::None).count()?;
        estimate(&mut self.connection, &statement).await
    }

    async fn find(&mut self, keys: &[InstanceKey]) -> Result<Vec<Option<InstanceKey>>, StoreError> {
        let columns = columns(&self.table, false);
        let statement = self.named(keys, columns)?;
        let rows = rows(&mut self.connection, &statement).await;
        Ok(found(&self.table, &rows.map_err(classify)?, keys.len()))
    }

    async fn sync(
        &mut self,
        keys: Vec<InstanceKey>,
        options: &SyncOptions,
    ) -> Result<Synced, RecordError> {
        let statement = self
            .named(&keys, columns(&self.table, true))
            .map_err(RecordError::Store)?;
        let cqrs_id = self.table.source().cqrs_id().to_string();
        let asked = keys.len();
        let mut failed = Vec::new();
        let mut tx = self.connection.begin().await.map_err(classify)?;
        let read = async |connection: &mut PgConnection, _: &[InstanceKey]| {
            let rows = rows(connection, &statement).await?;
            let (changes, bad) = syncs(&self.table, rows, options);
            failed = bad;
            Ok::<_, sqlx::Error>(changes)
        };
        let recorded = record_current_all(&mut *tx, &cqrs_id, keys, read).await?;
        tx.commit().await.map_err(classify)?;
        let ids: Vec<i64> = recorded.iter().filter_map(Recorded::id).collect();
        Ok(Synced {
            gone: asked.saturating_sub(ids.len() + failed.len()),
            ids,
            failed,
        })
    }

    async fn unsent(&mut self, ids: &[i64]) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar(sql::UNSENT)
            .bind(ids)
            .fetch_all(&mut self.connection)
            .await
            .map_err(classify)
    }

    async fn without_queue(&mut self, ids: &[i64]) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(sql::WITHOUT_QUEUE)
            .bind(ids)
            .fetch_one(&mut self.connection)
            .await
            .map_err(classify)?;
        Ok(count.unsigned_abs())
    }

    async fn live_relays(&mut self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(sql::LIVE_RELAYS)
            .fetch_one(&mut self.connection)
            .await
            .map_err(classify)?;
        Ok(count.unsigned_abs())
    }

    async fn close(self) {
        close(self.connection).await;
    }
}

impl PostgresReader {
    pub(super) fn select<'s>(&'s self, filter: &'s Filter, columns: Columns) -> Select<'s> {
        select(&self.table, filter, columns)
    }

    fn named(&self, keys: &[InstanceKey], columns: Columns) -> Result<Statement, StoreError> {
        self.select(&Filter::default(), columns).named_keys(keys)
    }
}

/// Rows of a table without their revisions.
pub(super) fn select<'s>(
    table: &'s SourceTable<PgRow>,
    filter: &'s Filter,
    columns: Columns,
) -> Select<'s> {
    Select {
        source: table.source(),
        columns,
        filter,
        revisions: false,
        only_missing: false,
        blobs: &[],
    }
}

/// What the model's loader needs of a row.
pub(super) fn columns(table: &SourceTable<PgRow>, content: bool) -> Columns {
    match (&table.loader, content) {
        (Loader::Code(_), _) => Columns::All,
        (Loader::Sql, true) => Columns::Json,
        (Loader::Sql, false) => Columns::None,
    }
}

/// The rows of a [`Select`].
pub(super) async fn rows(
    connection: &mut PgConnection,
    statement: &Statement,
) -> Result<Vec<(Met, PgRow)>, sqlx::Error> {
    let rows = query(statement).fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((met(&row)?, row))).collect()
}

/// How many rows the planner expects.
pub(super) async fn estimate(
    connection: &mut PgConnection,
    statement: &Statement,
) -> Result<u64, StoreError> {
    let row = query(statement)
        .fetch_one(connection)
        .await
        .map_err(classify)?;
    let plan: serde_json::Value = get(&row, 0)?;
    let expected = plan.pointer("/0/Plan/Plan Rows");
    Ok(expected.and_then(serde_json::Value::as_u64).unwrap_or(0))
}

pub(super) async fn close(connection: PgConnection) {
    // The server notices by itself what this cannot tell it.
    let _ = connection.close().await;
}

fn query(statement: &Statement) -> Query<'_, Postgres, PgArguments> {
    let mut query = sqlx::query(checked(&statement.sql));
    for value in &statement.bound {
        query = match value {
            Bound::Integer(number) => query.bind(*number),
            Bound::Real(number) => query.bind(*number),
            Bound::Text(text) => query.bind(text.as_str()),
            Bound::Texts(texts) => query.bind(texts.as_slice()),
        };
    }
    query
}

fn met(row: &PgRow) -> Result<Met, sqlx::Error> {
    let data = row.columns().get(6).map(sqlx::Column::name);
    Ok(Met {
        key: row.try_get(0)?,
        instance_pk: row.try_get(1)?,
        revision: row.try_get(2)?,
        updated: row.try_get(3)?,
        deleted: row.try_get(4)?,
        place: row.try_get(5)?,
        data: match data {
            Some(Select::DATA) => row.try_get(6).map_err(Into::into),
            _ => Ok(None),
        },
    })
}
