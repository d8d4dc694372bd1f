//! The cases of every database.

use cqrs_outbox::{begin, sqlite::RecordingTransaction};
use sqlx::{AssertSqlSafe, Executor, Row, SqliteConnection};

use super::bed::Bed;
use crate::fixture::{Fixture, Line};

impl Fixture for Bed {
    type Tx = RecordingTransaction<'static>;
    type Connection = SqliteConnection;

    const TRIGGERS_FOLD: bool = false;

    async fn new() -> Self {
        let bed = Self::new().await;
        bed.execute(
            "create table account (id integer primary key, name text not null, note text, active boolean)",
        )
        .await;
        bed
    }

    async fn connection(&self) -> SqliteConnection {
        self.connection().await
    }

    async fn begin(&self) -> Self::Tx {
        begin(&self.pool).await.unwrap()
    }

    async fn commit(tx: Self::Tx) {
        tx.commit().await.unwrap();
    }

    async fn run(tx: &mut Self::Tx, sql: &str) {
        tx.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn lines(&self) -> Vec<Line> {
        let sql = "select id, signal, instance_pk, queue, revision, forced, traceparent, body
                   from cqrs_outbox order by id";
        let rows = self.pool.fetch_all(sql).await.unwrap();
        rows.iter()
            .map(|row| Line {
                id: row.get(0),
                signal: row.get(1),
                instance_pk: row.get(2),
                queue: row.get(3),
                revision: row.get(4),
                forced: row.get(5),
                traceparent: row.get(6),
                text: row.get(7),
            })
            .collect()
    }
}

suite!(Bed);
