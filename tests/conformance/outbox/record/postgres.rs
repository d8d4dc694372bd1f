use cqrs_core::SecretUrl;
use cqrs_outbox::{Change, begin, migrate, record};
use cqrs_tests::postgres::TestDatabase;
use serde_json::value::RawValue;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Postgres, Row, SqlSafeStr,
    Transaction,
    postgres::{PgPoolOptions, PgRow},
};

use super::fixture::{Account, Fixture, Line, drop_after_polls, revision};

pub(crate) struct PostgresFixture {
    pub(crate) pool: PgPool,
    pub(crate) database: TestDatabase,
}

impl Fixture for PostgresFixture {
    type Tx = Transaction<'static, Postgres>;
    type Connection = PgConnection;

    const STATEMENTS: &'static str = "postgres/sql";
    const UNSENT: Option<(i64, bool)> = Some((0, true));
    const DECIMAL: &'static str = "numeric";
    const BYTES: &'static str = "bytea";
    const INTERVAL: &'static str = "interval";
    const HEX: &'static str = "encode(photo, 'hex')";
    const SECONDS: &'static str = "cast(extract(epoch from open) as integer)";
    const JOIN: &'static str = "string_agg";

    async fn new() -> Self {
        let database = TestDatabase::create().await.unwrap();
        migrate(&database.secret_url()).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(5);
        let pool = pool.connect(database.url()).await.unwrap();
        pool.execute("create table account (id bigint primary key, name text not null)")
            .await
            .unwrap();
        Self { pool, database }
    }

    fn url(&self) -> SecretUrl {
        self.database.secret_url()
    }

    async fn begin(&self) -> Self::Tx {
        begin(&self.pool).await.unwrap()
    }

    async fn cancel_begin_and_insert(&self, polls: usize) {
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect(self.database.url()).await.unwrap();
        drop_after_polls(begin(&pool), polls).await;
        pool.execute("insert into account (id, name) values (1, 'x')")
            .await
            .unwrap();
        pool.close().await;
    }

    async fn commit(tx: Self::Tx) {
        tx.commit().await.unwrap();
    }

    async fn rollback(tx: Self::Tx) {
        tx.rollback().await.unwrap();
    }

    async fn connection(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }

    async fn execute(tx: &mut Self::Tx, sql: &str) {
        tx.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn text(tx: &mut Self::Tx, sql: &str) -> Option<String> {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_optional(&mut **tx)
            .await
            .unwrap()
    }

    fn portable(sql: &str) -> String {
        sql.replace("json_group_array(", "json_agg(")
            .replace("json_object(", "json_build_object(")
            .replace("json(lines)", "lines")
    }

    async fn prepare(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        self.pool.prepare(sql).await.map(drop)
    }

    async fn key(&self, cqrs_id: &str, key: &RawValue) -> (String, Option<u16>) {
        // As a trigger would: a scalar column as text, several as an array of what to_json makes.
        let sql = "with part as (
                select place, case
                    when json_typeof(value) = 'number' then to_json((value #>> '{}')::numeric)
                    else to_json(value #>> '{}')
                end as value
                from json_array_elements(
                    case json_typeof($2::json) when 'array' then $2::json
                    else json_build_array($2::json) end
                ) with ordinality as part(value, place)
            ),
            key as (
                select case json_typeof($2::json)
                    when 'array' then '[' || string_agg(value::text, ',' order by place) || ']'
                    else min(value #>> '{}')
                end as canonical
                from part
            )
            select canonical, get_byte(
                sha256(convert_to($1, 'UTF8') || '\\x00'::bytea || convert_to(canonical, 'UTF8')), 0
            ) & 63
            from key";
        let row = sqlx::query(sql)
            .bind(cqrs_id)
            .bind(key.get())
            .fetch_one(&self.pool)
            .await
            .unwrap();
        (
            row.get(0),
            Some(u16::try_from(row.get::<i32, _>(1)).unwrap()),
        )
    }

    async fn outbox(&self) -> Vec<Line> {
        let sql = "select id, message_id, slot, instance_pk, signal, queue, revision, body,
                          traceparent, extract(epoch from expires_at - created_at)::float8, forced
                   from cqrs_outbox order by id";
        let rows = self.pool.fetch_all(sql).await.unwrap();
        rows.iter().map(line).collect()
    }

    async fn revision(&self, instance_pk: &str) -> Option<(i64, bool)> {
        sqlx::query_as(
            "select revision, deleted from cqrs_revision where cqrs_id = 'account'
             and instance_pk = $1",
        )
        .bind(instance_pk)
        .fetch_optional(&self.pool)
        .await
        .unwrap()
    }

    async fn set_updated(&self, instance_pk: &str, micros: i64) {
        sqlx::query(
            "update cqrs_revision
             set updated = timestamptz 'epoch' + $2 * interval '1 microsecond'
             where instance_pk = $1",
        )
        .bind(instance_pk)
        .bind(micros)
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

fn line(row: &PgRow) -> Line {
    Line {
        id: row.get(0),
        message_id: row.get(1),
        slot: row.get::<i16, _>(2).into(),
        instance_pk: row.get(3),
        signal: row.get(4),
        queue: row.get(5),
        revision: row.get(6),
        body: row.get::<Vec<u8>, _>(7).into(),
        traceparent: row.get(8),
        life: row.get(9),
        forced: row.get(10),
    }
}

suite!(PostgresFixture);

/// However many revisions there are, a call looks up its own.
#[tokio::test]
async fn no_plan_reads_the_whole_table() {
    let db = PostgresFixture::new().await;
    let mut tx = db.begin().await;
    PostgresFixture::execute(
        &mut tx,
        "insert into cqrs_revision select 'account', n::text, 0, now(), false
         from generate_series(1, 50000) as n",
    )
    .await;
    PostgresFixture::execute(&mut tx, "analyze cqrs_revision").await;
    let record = include_str!("../../../../cqrs-outbox/src/postgres/sql/record.sql");
    PostgresFixture::execute(&mut tx, &format!("prepare call as {record}")).await;
    let nulls = vec!["null"; 16].join(", ");
    for mode in ["force_generic_plan", "force_custom_plan"] {
        PostgresFixture::execute(&mut tx, &format!("set local plan_cache_mode = {mode}")).await;
        let explain = AssertSqlSafe(format!("explain execute call({nulls})"));
        let plan: Vec<String> = sqlx::query_scalar(explain)
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{plan}");
        assert!(
            plan.contains("Index Scan using cqrs_revision_pkey"),
            "{plan}"
        );
    }
}

/// The numbers of transactions start again in another server: what it finds in a dump is not what this
/// transaction has recorded, though it has its number.
#[tokio::test]
async fn an_event_of_a_restored_dump_is_left_alone() {
    let db = PostgresFixture::new().await;
    db.record(Change::saved(&Account::named(1, "dumped"))).await;
    let mut tx = db.begin().await;
    for restored in [
        "update cqrs_revision set xid = pg_current_xact_id()",
        "update cqrs_outbox set xid = pg_current_xact_id()",
    ] {
        PostgresFixture::execute(&mut tx, restored).await;
    }
    record(&mut tx, Change::saved(&Account::named(1, "new")))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let lines = db.outbox().await;
    let revisions: Vec<_> = lines.iter().map(|line| line.revision).collect();
    assert_eq!(revisions, [0, 1]);
    assert_eq!(lines[0].json()["instance_data"]["name"], "dumped");
}

/// In a transaction that anyone began, at any depth.
#[tokio::test]
async fn nested_transactions_of_any_kind_coalesce() {
    let db = PostgresFixture::new().await;
    let mut connection = db.connection().await;
    let mut tx = connection.begin().await.unwrap();
    let change = || Change::saved(&Account::new(1));
    record(&mut tx, change()).await.unwrap();
    let mut nested = tx.begin().await.unwrap();
    record(&mut *nested, change()).await.unwrap();
    nested.commit().await.unwrap();
    record(&mut tx, change()).await.unwrap();
    tx.commit().await.unwrap();
    let revisions: Vec<_> = db.outbox().await.iter().map(|line| line.revision).collect();
    assert_eq!(revisions, [0]);
}

#[tokio::test]
async fn a_helper_that_takes_the_connection_can_record() {
    async fn helper(connection: &mut PgConnection) {
        record(connection, Change::saved(&Account::new(1)))
            .await
            .unwrap();
    }
    let db = PostgresFixture::new().await;
    let mut tx = db.begin().await;
    helper(&mut tx).await;
    record(&mut *tx, Change::saved(&Account::new(2)))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.outbox().await.len(), 2);
}

/// A writer that waits for the lock gets the next revision and a later id, although its statement
/// and its snapshot are older than the other's commit.
#[tokio::test]
async fn who_waits_comes_later() {
    let db = PostgresFixture::new().await;
    let mut first = db.begin().await;
    record(&mut first, Change::saved(&Account::named(1, "first")))
        .await
        .unwrap();
    let waiting = async {
        let mut second = db.begin().await;
        let recorded = record(&mut second, Change::saved(&Account::named(1, "second"))).await;
        second.commit().await.unwrap();
        recorded.unwrap()
    };
    let committing = async {
        loop {
            let sql = "select count(*) from pg_stat_activity
                       where wait_event_type = 'Lock' and query like '-- cqrs-outbox: record%'
                       and datname = current_database()";
            if sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(&db.pool)
                .await
                .unwrap()
                == 1
            {
                break;
            }
        }
        first.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(waiting, committing);
    assert_eq!(revision(second), 1);
    let names: Vec<_> = db
        .outbox()
        .await
        .iter()
        .map(|line| {
            line.json()["instance_data"]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["first", "second"]);
}
