//! A table in `SQLite` at one moment.

use std::{collections::HashMap, sync::Arc};

use cqrs_core::{Clock, StoreError, SystemClock, database::sqlite::classify, filter::Filter};
use sqlx::{Executor, SqliteConnection, sqlite::SqliteRow};

use super::{
    reader::{blobs, close, columns, estimate, rows, select},
    sql,
};
use crate::source::{
    After, Missing, Scan, Select, SourcePage, SourceSnapshot, SourceTable, Stamped, candidates,
};

/// One consistent view of a table in `SQLite`: a read transaction, which holds up no writer. Revisions of
/// instances that have none are written before it begins; of those that appear in between the
/// page says how many there are.
#[derive(Debug)]
pub struct SqliteSnapshot {
    connection: SqliteConnection,
    table: Arc<SourceTable<SqliteRow>>,
    blobs: Vec<bool>,
    filter: Filter,
    content: bool,
    after: Option<After>,
    ended: bool,
}

impl SqliteSnapshot {
    pub(super) async fn open(
        mut connection: SqliteConnection,
        table: Arc<SourceTable<SqliteRow>>,
        scan: Scan,
    ) -> Result<Self, StoreError> {
        let mut snapshot = Self {
            blobs: blobs(&mut connection, &table).await?,
            connection,
            table,
            filter: scan.filter,
            content: scan.content,
            after: scan.after,
            ended: false,
        };
        snapshot.give_all().await?;
        snapshot
            .connection
            .execute("begin deferred")
            .await
            .map_err(classify)?;
        // The view is that of the first read; the table may have been empty before.
        snapshot.blobs = blobs(&mut snapshot.connection, &snapshot.table).await?;
        Ok(snapshot)
    }

    fn select(&self) -> Select<'_> {
        Select {
            revisions: true,
            ..select(
                &self.table,
                &self.filter,
                columns(&self.table, self.content),
                &self.blobs,
            )
        }
    }

    /// Gives all instances without a live revision one, each page in one short transaction.
    async fn give_all(&mut self) -> Result<(), StoreError> {
        let mut after = self.after.clone();
        loop {
            let select = Select {
                only_missing: true,
                columns: columns(&self.table, false),
                ..self.select()
            };
            let statement = select.page(after.as_ref(), PAGE)?;
            let rows = rows(&mut self.connection, &statement)
                .await
                .map_err(classify)?;
            let ended = rows.len() < PAGE;
            let page = candidates(&self.table, rows, false)?;
            self.give(&page.missing()).await?;
            if ended {
                return Ok(());
            }
            after = page.last;
        }
    }

    async fn give(&mut self, missing: &Missing) -> Result<(), StoreError> {
        let cqrs_id = self.table.source().cqrs_id().as_str();
        let never = serde_json::Value::from(missing.never.as_slice());
        let deleted: Vec<_> = missing
            .deleted
            .iter()
            .map(|(key, revision)| serde_json::json!([key, revision]))
            .collect();
        let deleted = serde_json::Value::from(deleted);
        let writes = [
            (sql::SEED, never, missing.never.len()),
            (sql::REVIVE, deleted, missing.deleted.len()),
        ];
        for (statement, named, count) in writes {
            if count == 0 {
                continue;
            }
            let named = named.to_string();
            let mut attempts = 1;
            loop {
                let written = sqlx::query(statement)
                    .bind(cqrs_id)
                    .bind(&named)
                    .bind(SystemClock.now().timestamp_micros())
                    .execute(&mut self.connection)
                    .await
                    .map_err(classify);
                match written {
                    Ok(_) => break,
                    // Each has waited for the lock as long as one may; it goes to whoever asks at the
                    // right moment, and among busy writers that may be someone else for a while.
                    Err(StoreError::Conflict(_)) if attempts < ATTEMPTS => attempts += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// How often a page's revisions are tried to be written among writers who hold the lock.
const ATTEMPTS: u32 = 24;

/// How many instances get their revisions in one transaction.
const PAGE: usize = 1_000;

impl SourceSnapshot for SqliteSnapshot {
    async fn next(&mut self, limit: usize) -> Result<Option<SourcePage>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let statement = self.select().page(self.after.as_ref(), limit)?;
        let rows = rows(&mut self.connection, &statement)
            .await
            .map_err(classify)?;
        self.ended = rows.len() < limit;
        if rows.is_empty() {
            return Ok(None);
        }
        let page = candidates(&self.table, rows, self.content)?;
        self.after.clone_from(&page.last);
        page.page(&HashMap::<String, Stamped>::new()).map(Some)
    }

    async fn estimate(&mut self) -> Result<u64, StoreError> {
        let statement = self.select().count()?;
        estimate(&mut self.connection, &statement).await
    }

    async fn close(self) {
        close(self.connection).await;
    }
}
