//! A table in `PostgreSQL` at one moment.

use std::{collections::HashMap, sync::Arc};

use cqrs_core::{
    StoreError,
    database::postgres::{classify, is_of_data},
    filter::Filter,
};
use sqlx::{
    Executor, PgConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{
    reader::{close, columns, estimate, rows, select},
    rows::get,
    sql,
};
use crate::source::{
    After, Columns, FailedRow, Met, Missing, Scan, Select, SourcePage, SourceSnapshot, SourceTable,
    Stamped, candidates,
};

/// One consistent view of a table in `PostgreSQL`: a read-only transaction, and a second connection
/// for the revisions of instances that have none. They are given there, at once: in the long
/// transaction their locks would hold up writers.
#[derive(Debug)]
pub struct PostgresSnapshot {
    connection: PgConnection,
    seeder: PgConnection,
    table: Arc<SourceTable<PgRow>>,
    filter: Filter,
    content: bool,
    after: Option<After>,
    ended: bool,
    /// When it began, in microseconds. What is given a revision has it as of then: whatever was written
    /// since is newer.
    moment: i64,
}

impl PostgresSnapshot {
    pub(super) async fn open(
        mut connection: PgConnection,
        mut seeder: PgConnection,
        table: Arc<SourceTable<PgRow>>,
        scan: Scan,
    ) -> Result<Self, StoreError> {
        connection
            .execute("begin isolation level repeatable read read only")
            .await
            .map_err(classify)?;
        let moment = sqlx::query_scalar("select (extract(epoch from now()) * 1000000)::bigint")
            .fetch_one(&mut connection)
            .await
            .map_err(classify)?;
        // Whoever records an instance for the first time just now is waited for.
        seeder
            .execute("set lock_timeout = 0")
            .await
            .map_err(classify)?;
        let snapshot = Self {
            connection,
            seeder,
            table,
            filter: scan.filter,
            content: scan.content,
            after: scan.after,
            ended: false,
            moment,
        };
        // What does not fit is told now.
        snapshot.select().count()?;
        Ok(snapshot)
    }

    fn select(&self) -> Select<'_> {
        Select {
            revisions: true,
            ..select(
                &self.table,
                &self.filter,
                columns(&self.table, self.content),
            )
        }
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let executed = self.connection.execute(statement).await;
        executed.map(|_| ()).map_err(classify)
    }

    /// The rows of the next page; up to a row that cannot be read, or that row's key alone.
    async fn read(&mut self, mut limit: usize) -> Result<Read, StoreError> {
        loop {
            self.execute("savepoint page").await?;
            let statement = self.select().page(self.after.as_ref(), limit)?;
            let error = match rows(&mut self.connection, &statement).await {
                Ok(rows) => {
                    self.execute("release savepoint page").await?;
                    return Ok(Read::Rows(rows, limit));
                }
                Err(error) => classify(error),
            };
            if !is_of_data(&error) {
                return Err(error);
            }
            self.execute("rollback to savepoint page; release savepoint page")
                .await?;
            if limit > 1 {
                limit /= 2;
                continue;
            }
            let key = Select {
                columns: Columns::None,
                ..self.select()
            };
            let statement = key.page(self.after.as_ref(), 1)?;
            let key = rows(&mut self.connection, &statement).await;
            let key = key.map_err(classify)?.pop();
            return match key {
                Some((met, _)) => Ok(Read::Failed(met, error)),
                None => Err(error),
            };
        }
    }

    async fn give(&mut self, missing: &Missing) -> Result<HashMap<String, Stamped>, StoreError> {
        let mut given = HashMap::new();
        let cqrs_id = self.table.source().cqrs_id().as_str();
        if !missing.never.is_empty() {
            let seed = || {
                sqlx::query(sql::SEED)
                    .bind(cqrs_id)
                    .bind(&missing.never)
                    .bind(self.moment)
            };
            given.extend(stamps(&mut self.seeder, seed).await?);
        }
        if !missing.deleted.is_empty() {
            let (keys, revisions): (Vec<&str>, Vec<i64>) = missing
                .deleted
                .iter()
                .map(|(key, revision)| (key.as_str(), *revision))
                .unzip();
            let revive = || {
                sqlx::query(sql::REVIVE)
                    .bind(cqrs_id)
                    .bind(keys.clone())
                    .bind(revisions.clone())
                    .bind(self.moment)
            };
            given.extend(stamps(&mut self.seeder, revive).await?);
        }
        let first = missing.never.iter().map(|key| (key.as_str(), 0));
        let next = missing.deleted.iter();
        let next = next.map(|(key, revision)| (key.as_str(), revision + 1));
        let (keys, revisions): (Vec<&str>, Vec<i64>) = first
            .chain(next)
            .filter(|(key, _)| !given.contains_key(*key))
            .unzip();
        if !keys.is_empty() {
            let seeded = || {
                sqlx::query(sql::SEEDED)
                    .bind(cqrs_id)
                    .bind(keys.clone())
                    .bind(revisions.clone())
            };
            given.extend(stamps(&mut self.seeder, seeded).await?);
        }
        Ok(given)
    }
}

impl SourceSnapshot for PostgresSnapshot {
    async fn next(&mut self, limit: usize) -> Result<Option<SourcePage>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let (rows, limit) = match self.read(limit).await? {
            Read::Rows(rows, limit) => (rows, limit),
            Read::Failed(met, error) => {
                self.after = Some(met.after()?);
                return Ok(Some(SourcePage {
                    failed: vec![FailedRow {
                        key: met.key,
                        fault: error.into(),
                    }],
                    ..SourcePage::default()
                }));
            }
        };
        self.ended = rows.len() < limit;
        if rows.is_empty() {
            return Ok(None);
        }
        let page = candidates(&self.table, rows, self.content)?;
        self.after.clone_from(&page.last);
        let given = self.give(&page.missing()).await?;
        page.page(&given).map(Some)
    }

    async fn estimate(&mut self) -> Result<u64, StoreError> {
        let statement = self.select().count()?;
        estimate(&mut self.connection, &statement).await
    }

    async fn close(self) {
        close(self.connection).await;
        close(self.seeder).await;
    }
}

/// What a read of a page has brought.
enum Read {
    /// Its rows, of so many at most.
    Rows(Vec<(Met, PgRow)>, usize),
    /// A row whose columns the database cannot give, text in no encoding perhaps, with its key.
    Failed(Met, StoreError),
}

/// How often a statement that lost against a concurrent one is run again.
const ATTEMPTS: usize = 5;

async fn stamps<'q>(
    seeder: &mut PgConnection,
    statement: impl Fn() -> Query<'q, sqlx::Postgres, PgArguments>,
) -> Result<Vec<(String, Stamped)>, StoreError> {
    let mut attempt = 1;
    let rows = loop {
        match statement().fetch_all(&mut *seeder).await.map_err(classify) {
            Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
            rows => break rows?,
        }
    };
    rows.iter()
        .map(|row| Ok((get(row, 0)?, (get(row, 1)?, get(row, 2)?))))
        .collect()
}
