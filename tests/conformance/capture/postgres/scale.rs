//! Statements on many rows.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::bed::Bed;
use crate::fixture::{Fixture, account};

/// Several batches.
const ROWS: i64 = 15_000;
const BATCHES: i64 = 3;

/// What a transaction has done so far.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counts {
    triggers: i64,
    news: i64,
    agains: i64,
    revision_scans: i64,
    outbox_scans: i64,
    account_scans: i64,
}

impl Counts {
    async fn now(tx: &mut PgConnection) -> Self {
        let calls = |function: &str| {
            format!(
                "(select coalesce(sum(calls), 0)::bigint from pg_stat_xact_user_functions
                  where funcname = '{function}')"
            )
        };
        let scans = |table: &str| {
            format!("(select seq_scan from pg_stat_xact_user_tables where relname = '{table}')")
        };
        let sql = format!(
            "select {} as triggers, {} as news, {} as agains, {} as revision_scans,
                 {} as outbox_scans, {} as account_scans",
            calls("cqrs_capture_account"),
            calls("cqrs_record_new"),
            calls("cqrs_record_again"),
            scans("cqrs_revision"),
            scans("cqrs_outbox"),
            scans("account"),
        );
        let (triggers, news, agains, revision_scans, outbox_scans, account_scans) =
            sqlx::query_as(AssertSqlSafe(sql))
                .fetch_one(tx)
                .await
                .unwrap();
        Self {
            triggers,
            news,
            agains,
            revision_scans,
            outbox_scans,
            account_scans,
        }
    }

    /// The counters of the server go on from one transaction to the next.
    fn since(self, start: Self) -> Self {
        Self {
            triggers: self.triggers - start.triggers,
            news: self.news - start.news,
            agains: self.agains - start.agains,
            revision_scans: self.revision_scans - start.revision_scans,
            outbox_scans: self.outbox_scans - start.outbox_scans,
            account_scans: self.account_scans - start.account_scans,
        }
    }
}

async fn counting(bed: &Bed) -> PgConnection {
    let mut session = bed.connection().await;
    session
        .execute("set track_functions = 'all'")
        .await
        .unwrap();
    session
}

/// What is called, and how tables are read, tells that nothing is done row by row, also with plans that
/// the session made for a single row.
#[tokio::test]
async fn a_statement_on_many_rows_is_recorded_in_sets() {
    let bed = Bed::new().await;
    bed.install(&account()).await;
    let mut session = counting(&bed).await;
    for id in 0..8 {
        let sql = format!(
            "begin; insert into account values (-1 - {id}, 'a', null, true);
             update account set name = 'b' where id = -1 - {id}; commit"
        );
        session.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    session.execute("delete from account").await.unwrap();

    let mut tx = session.begin().await.unwrap();
    let start = Counts::now(&mut tx).await;
    let insert = format!(
        "insert into account select g, 'a', null, true from generate_series(1, {ROWS}) as g"
    );
    tx.execute(AssertSqlSafe(insert)).await.unwrap();
    tx.execute("update account set name = 'b'").await.unwrap();
    let done = Counts::now(&mut tx).await.since(start);
    tx.commit().await.unwrap();
    let expected = Counts {
        triggers: 2,
        news: 2 * BATCHES,
        agains: BATCHES,
        revision_scans: 0,
        outbox_scans: 0,
        // The update's own.
        account_scans: 1,
    };
    assert_eq!(done, expected);
    let renamed = "select count(*) from cqrs_outbox
        where revision = 0 and convert_from(body, 'UTF8') like '%\"name\":\"b\"%'";
    assert_eq!(bed.number(renamed).await, ROWS + 8);

    let mut tx = session.begin().await.unwrap();
    let start = Counts::now(&mut tx).await;
    tx.execute("delete from account").await.unwrap();
    let done = Counts::now(&mut tx).await.since(start);
    tx.commit().await.unwrap();
    let expected = Counts {
        triggers: 1,
        news: BATCHES,
        agains: 0,
        ..expected
    };
    assert_eq!(done, expected);
    let dead = "select count(*) from cqrs_revision where deleted";
    assert_eq!(bed.number(dead).await, ROWS + 8);
}

/// Batches are bounded in bytes too: an array of PostgreSQL holds no more than a gigabyte.
#[tokio::test]
async fn large_rows_come_in_smaller_batches() {
    let bed = Bed::new().await;
    bed.install(&account()).await;
    let mut session = counting(&bed).await;
    let mut tx = session.begin().await.unwrap();
    tx.execute("insert into account select g, repeat('x', 1000000), null, true from generate_series(1, 80) as g")
        .await
        .unwrap();
    assert_eq!(Counts::now(&mut tx).await.news, 3);
    tx.rollback().await.unwrap();
}
