//! Tables of a master in `SQLite`, read as models.

use std::sync::Arc;

use cqrs_core::{
    InstanceKey, StoreError,
    database::{
        checked,
        condition::Bound,
        sqlite::{check_schema, classify, connect},
    },
    filter::Filter,
};
use sqlx::{
    Connection, Row, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    MIGRATIONS, SqliteStore,
    rows::{get, id_array},
    snapshot::SqliteSnapshot,
    sql,
};
use crate::{
    RecordError, Recorded,
    record::record_current_all,
    source::{
        After, Columns, KeyPage, Loader, Met, ReadModel, Scan, Select, Source, SourceReader,
        SourceStore, SourceTable, Statement, SyncOptions, Synced, found, key_page, schema, syncs,
    },
};

impl SourceStore for SqliteStore {
    type Row = SqliteRow;
    type Snapshot = SqliteSnapshot;
    type Reader = SqliteReader;

    async fn table(
        &self,
        model: ReadModel<SqliteRow>,
    ) -> Result<Arc<SourceTable<SqliteRow>>, StoreError> {
        let mut connection = self.source_connection().await?;
        let source = Source::in_sqlite(&mut connection, model.source).await?;
        close(connection).await;
        Ok(Arc::new(SourceTable {
            source,
            loader: model.loader,
        }))
    }

    async fn snapshot(
        &self,
        table: &Arc<SourceTable<SqliteRow>>,
        scan: Scan,
    ) -> Result<SqliteSnapshot, StoreError> {
        let connection = self.source_connection().await?;
        SqliteSnapshot::open(connection, Arc::clone(table), scan).await
    }

    async fn reader(
        &self,
        table: &Arc<SourceTable<SqliteRow>>,
    ) -> Result<SqliteReader, StoreError> {
        let mut connection = self.source_connection().await?;
        Ok(SqliteReader {
            blobs: blobs(&mut connection, table).await?,
            connection,
            table: Arc::clone(table),
        })
    }
}

impl SqliteStore {
    async fn source_connection(&self) -> Result<SqliteConnection, StoreError> {
        let mut connection = connect(&self.config).await?;
        check_schema(&mut connection, &MIGRATIONS).await?;
        Ok(connection)
    }
}

/// A connection that reads a table in `SQLite` as it is.
#[derive(Debug)]
pub struct SqliteReader {
    pub(super) connection: SqliteConnection,
    pub(super) table: Arc<SourceTable<SqliteRow>>,
    blobs: Vec<bool>,
}

impl SourceReader for SqliteReader {
    const LOCKS_INSTANCES: bool = false;

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
        let begun = self.connection.begin_with("BEGIN IMMEDIATE").await;
        let mut tx = begun.map_err(classify)?;
        let read = async |connection: &mut SqliteConnection, _: &[InstanceKey]| {
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
            .bind(id_array(ids))
            .fetch_all(&mut self.connection)
            .await
            .map_err(classify)
    }

    async fn without_queue(&mut self, ids: &[i64]) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(sql::WITHOUT_QUEUE)
            .bind(id_array(ids))
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

impl SqliteReader {
    pub(super) fn select<'s>(&'s self, filter: &'s Filter, columns: Columns) -> Select<'s> {
        select(&self.table, filter, columns, &self.blobs)
    }

    fn named(&self, keys: &[InstanceKey], columns: Columns) -> Result<Statement, StoreError> {
        self.select(&Filter::default(), columns).named_keys(keys)
    }
}

/// Rows of a table without their revisions.
pub(super) fn select<'s>(
    table: &'s SourceTable<SqliteRow>,
    filter: &'s Filter,
    columns: Columns,
    blobs: &'s [bool],
) -> Select<'s> {
    Select {
        source: table.source(),
        columns,
        filter,
        revisions: false,
        only_missing: false,
        blobs,
    }
}

/// What the model's loader needs of a row.
pub(super) fn columns(table: &SourceTable<SqliteRow>, content: bool) -> Columns {
    match (&table.loader, content) {
        (Loader::Code(_), _) => Columns::All,
        (Loader::Sql, true) => Columns::Json,
        (Loader::Sql, false) => Columns::None,
    }
}

/// Which columns of the key hold blobs. A text of a key does not tell, so all rows must agree.
pub(super) async fn blobs(
    connection: &mut SqliteConnection,
    table: &SourceTable<SqliteRow>,
) -> Result<Vec<bool>, StoreError> {
    let source = table.source();
    let name = source.table();
    let columns = source.key_columns("t");
    // Blobs come after all else, so the last key tells of the others too. Of several columns only
    // one row is asked: the others' order does not help.
    let ends = match columns.as_slice() {
        [key] => {
            ["", " desc"].map(|order| format!(" where {key} is not null order by {key}{order}"))
        }
        _ => [String::new(), String::new()],
    };
    let kinds: Vec<_> = columns.iter().map(|key| format!("typeof({key})")).collect();
    let mut found: Vec<Vec<bool>> = Vec::new();
    for end in ends {
        let sql = format!("select {} from {name} as t{end} limit 1", kinds.join(", "));
        let row = sqlx::query(checked(&sql.into()))
            .fetch_optional(&mut *connection)
            .await
            .map_err(classify)?;
        let Some(row) = row else {
            return Ok(Vec::new());
        };
        let blobs = (0..kinds.len()).map(|place| Ok(get::<String>(&row, place)? == "blob"));
        found.push(blobs.collect::<Result<_, StoreError>>()?);
    }
    match found.as_slice() {
        [first, last] if first == last => Ok(last.clone()),
        _ => Err(schema(format!(
            "the key of table {name} is a blob in some rows and not in others: store all keys in one way"
        ))),
    }
}

/// The rows of a [`Select`].
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    statement: &Statement,
) -> Result<Vec<(Met, SqliteRow)>, sqlx::Error> {
    let rows = query(statement).fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((met(&row)?, row))).collect()
}

/// How many rows there are.
pub(super) async fn estimate(
    connection: &mut SqliteConnection,
    statement: &Statement,
) -> Result<u64, StoreError> {
    let row = query(statement)
        .fetch_one(connection)
        .await
        .map_err(classify)?;
    Ok(get::<i64>(&row, 0)?.unsigned_abs())
}

pub(super) async fn close(connection: SqliteConnection) {
    // What was written is on the disk already.
    let _ = connection.close().await;
}

fn query(statement: &Statement) -> Query<'_, Sqlite, SqliteArguments> {
    let mut query = sqlx::query(checked(&statement.sql));
    for value in &statement.bound {
        query = match value {
            Bound::Integer(number) => query.bind(*number),
            Bound::Real(number) => query.bind(*number),
            Bound::Text(text) => query.bind(text.as_str()),
            // Only `PostgreSQL` has lists.
            Bound::Texts(texts) => query.bind(serde_json::Value::from(texts.clone()).to_string()),
        };
    }
    query
}

fn met(row: &SqliteRow) -> Result<Met, sqlx::Error> {
    let data = row.columns().get(6).map(sqlx::Column::name);
    Ok(Met {
        key: row.try_get(0)?,
        instance_pk: row.try_get(1)?,
        revision: row.try_get(2)?,
        updated: row.try_get(3)?,
        deleted: row.try_get(4)?,
        place: row.try_get(5)?,
        data: match data {
            // Text need not be UTF-8.
            Some(Select::DATA) => row.try_get(6).map_err(Into::into),
            _ => Ok(None),
        },
    })
}
