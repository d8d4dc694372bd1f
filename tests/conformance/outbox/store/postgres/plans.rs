//! How PostgreSQL runs the hot statements on a large table, also while a held snapshot keeps the
//! rows that were deleted.

use std::{fmt::Write as _, time::Duration};

use cqrs_core::database::postgres::PostgresConfig;
use cqrs_outbox::{Counted, OutboxSession, OutboxStore, Position, postgres::PostgresStore};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::Database;
use crate::store::{
    fixture::{Fixture, PATIENCE, all_slots, fresh_id, row},
    statements::statement,
};

/// A connection tuned as a session's, with statements prepared by name.
struct Explained {
    connection: PgConnection,
}

/// What `explain (analyze, buffers)` said.
#[derive(Debug)]
struct Plan {
    json: Value,
    buffers: u64,
}

impl Explained {
    async fn open(fixture: &Database) -> Self {
        let mut connection = PgConnection::connect(fixture.database.url()).await.unwrap();
        run(&mut connection, statement("postgres", "session")).await;
        Self { connection }
    }

    /// Prepares while the table is as it is; the plan stays until statistics change.
    async fn prepare(&mut self, name: &str) {
        let text = statement("postgres", name);
        run(
            &mut self.connection,
            format!("prepare the_{name} as\n{text}"),
        )
        .await;
    }

    async fn run(&mut self, name: &str, arguments: &str) -> Plan {
        let sql =
            format!("explain (analyze, buffers, format json) execute the_{name}({arguments})");
        let row = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        let json: Value = sqlx::Row::try_get(&row, 0).unwrap();
        let root = &json[0]["Plan"];
        let buffers = ["Shared Hit Blocks", "Shared Read Blocks"]
            .iter()
            .map(|kind| root[kind].as_u64().unwrap())
            .sum();
        Plan { json, buffers }
    }
}

impl Plan {
    /// Each scan of a table or index that was done, and its conditions.
    fn scans(&self) -> Vec<String> {
        let mut scans = Vec::new();
        collect(&self.json[0]["Plan"], &mut scans);
        scans
    }

    fn expect(&self, wanted: &[&str], buffers: u64) {
        let scans = self.scans();
        for part in wanted {
            assert!(
                scans.iter().any(|scan| scan.contains(part)),
                "no {part} in {scans:#?}"
            );
        }
        for scan in &scans {
            // The index on waiting rows may be read whole, all others only by a condition.
            let whole = scan.contains(" cqrs_outbox ") && scan.contains("\n |");
            assert!(!whole || scan.contains("cqrs_outbox_due"), "{scan}");
        }
        assert!(
            self.buffers <= buffers,
            "{} buffers: {}",
            self.buffers,
            serde_json::to_string_pretty(&self.json).unwrap()
        );
    }
}

fn collect(node: &Value, scans: &mut Vec<String>) {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    if text("Node Type").contains("Scan") && !text("Relation Name").is_empty() {
        let mut scan = format!(
            "{} {} {}\n",
            text("Node Type"),
            text("Relation Name"),
            text("Index Name")
        );
        let _ = write!(
            scan,
            "{} | {} | rows {}",
            text("Index Cond"),
            text("Filter"),
            node["Actual Rows"]
        );
        scans.push(scan);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect(child, scans);
    }
}

async fn run(connection: &mut PgConnection, sql: String) {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap();
}

async fn snapshot(fixture: &Database) -> String {
    let sql = "select pg_current_snapshot()::text";
    sqlx::query_scalar(sql)
        .fetch_one(&fixture.pool)
        .await
        .unwrap()
}

const FILL: &str = "insert into cqrs_outbox
        (message_id, slot, cqrs_id, instance_pk, signal, revision, body, attempts, next_attempt_at)
    select gen_random_uuid(), n % 64, 'account', (n / 10)::text, 'SAVE', 0,
        convert_to(repeat('x', 300), 'UTF8'),
        case when n % 1000 = 0 then 1 else 0 end,
        case when n % 1000 = 0 then now() + (n - 100000) * interval '1 ms' end
    from generate_series(1, 200000) as n";

fn slots() -> String {
    let numbers: Vec<_> = all_slots()
        .iter()
        .map(|slot| slot.number().to_string())
        .collect();
    format!("'{{{}}}'", numbers.join(","))
}

/// `fetch` from a position, with the limits of the store.
fn fetch(id: i64, snapshot: &str) -> String {
    format!(
        "{}, {id}, '{snapshot}', '{{}}', '{{}}', 500, 8388608, 20000, {MAX}, '{{}}', 0, 0, 0, '{{}}'",
        slots()
    )
}

/// `fetch` from a position that has gone back behind another one.
fn fetch_again(id: i64, snapshot: &str, upto: i64, seen: &str) -> String {
    format!(
        "{}, {id}, '{snapshot}', '{{{upto}}}', array['{seen}'], 375, 6291456, 20000, {MAX}, '{{}}', {upto},
         125, 2097152, '{{}}'",
        slots()
    )
}

const MAX: i64 = i64::MAX;

#[tokio::test]
async fn hot_statements_use_their_indexes() {
    use_their_indexes(false).await;
}

#[tokio::test]
async fn hot_statements_planned_after_a_vacuum_use_their_indexes() {
    use_their_indexes(true).await;
}

async fn use_their_indexes(vacuumed: bool) {
    let fixture = Database::new().await;
    let mut explained = Explained::open(&fixture).await;
    // Planned on the empty table, never vacuumed or just now: how a relay starts.
    if vacuumed {
        fixture.execute("vacuum analyze cqrs_outbox").await;
    }
    for name in [
        "fetch",
        "settle",
        "due",
        "blocked",
        "of_instances",
        "dead_lock",
    ] {
        explained.prepare(name).await;
    }
    hot_statements(&fixture, &mut explained, 100).await;
    fixture.execute(FILL).await;
    hot_statements(&fixture, &mut explained, 200_000).await;
    fixture.execute("analyze cqrs_outbox").await;
    hot_statements(&fixture, &mut explained, 200_000).await;
}

async fn hot_statements(fixture: &Database, explained: &mut Explained, newest: i64) {
    let now = snapshot(fixture).await;

    let plan = explained.run("fetch", &fetch(newest / 2, &now)).await;
    plan.expect(
        &[
            "cqrs_outbox_pkey\n((id > $2) AND (id <= ",
            "cqrs_outbox_xid\n((xid >= ",
            "((xid = ANY (",
        ],
        1_500,
    );
    // All rows are of a model to be left out.
    let all = fetch(0, &now);
    let none = format!("{}'{{account}}'", all.strip_suffix("'{}'").unwrap());
    let plan = explained.run("fetch", &none).await;
    plan.expect(&["cqrs_outbox_pkey\n((id > $2) AND (id <= "], 3_000);
    let plan = explained.run("fetch", &fetch(newest + 1, &now)).await;
    plan.expect(&[], 400);

    let rows: Vec<_> = (1_000..1_500).map(|id| id.to_string()).collect();
    let messages: Vec<_> = (0..500).map(|_| fresh_id().to_string()).collect();
    let settle = format!(
        "'{{{}}}', '{{{}}}', '{{1,2}}', '{{0,0}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}',
         '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}'",
        rows.join(","),
        messages.join(",")
    );
    let plan = explained.run("settle", &settle).await;
    plan.expect(&["cqrs_outbox_pkey\n"], 2_500);

    let plan = explained.run("due", &format!("{}, 50", slots())).await;
    plan.expect(&["cqrs_outbox_due\n(next_attempt_at <= "], 400);
    let plan = explained.run("blocked", &slots()).await;
    plan.expect(&["cqrs_outbox_due\n"], 800);

    let instances = "array['account', 'account'], array['77', '78'], 500";
    let plan = explained.run("of_instances", instances).await;
    plan.expect(&["cqrs_outbox_instance\n((cqrs_id = "], 400);
    let plan = explained.run("dead_lock", "'{1,2,3}'").await;
    plan.expect(&["cqrs_outbox_dead_pkey", "cqrs_revision_pkey"], 400);
}

#[tokio::test]
async fn a_fetch_passes_rows_that_a_held_snapshot_keeps() {
    let fixture = Database::new().await;
    let mut explained = Explained::open(&fixture).await;
    explained.prepare("fetch").await;
    let mut held = fixture.begin().await;
    (&mut *held)
        .execute("set transaction isolation level repeatable read")
        .await
        .unwrap();
    (&mut *held)
        .execute("select count(*) from cqrs_outbox")
        .await
        .unwrap();
    fixture.execute(FILL).await;
    let before = snapshot(&fixture).await;
    fixture.execute("delete from cqrs_outbox").await;

    // The series has come past them: an idle poll, and one that finds a few rows.
    let plan = explained.run("fetch", &fetch(200_000, &before)).await;
    plan.expect(&["cqrs_outbox_xid\n((xid >= "], 400);
    fixture
        .execute(
            "insert into cqrs_outbox
            (message_id, slot, cqrs_id, instance_pk, signal, revision, body)
        select gen_random_uuid(), n % 64, 'account', n::text, 'SAVE', 0, '{}'
        from generate_series(1, 10) as n",
        )
        .await;
    let plan = explained.run("fetch", &fetch(200_000, &before)).await;
    plan.expect(&["cqrs_outbox_xid\n((xid >= "], 400);

    // A new series has to look at them, once.
    let plan = explained.run("fetch", &fetch(0, &before)).await;
    assert!(
        plan.buffers > 200_000 / 100,
        "the snapshot was not held: {}",
        plan.buffers
    );
    Database::rollback(held).await;
}

/// What deleted rows cost a new series may be more than a statement is allowed: it comes to its end all
/// the same.
#[tokio::test]
async fn a_new_series_passes_any_number_of_rows_that_a_held_snapshot_keeps() {
    let fixture = Database::new().await;
    let mut held = fixture.begin().await;
    (&mut *held)
        .execute("set transaction isolation level repeatable read")
        .await
        .unwrap();
    (&mut *held)
        .execute("select count(*) from cqrs_outbox")
        .await
        .unwrap();
    fixture.execute(FILL).await;
    fixture.execute(FILL).await;
    fixture.execute("delete from cqrs_outbox").await;
    let added = fixture.add(&[row(1, "a")]).await;

    let mut config = PostgresConfig::new(fixture.database.secret_url(), "cqrs-tests");
    config.statement_timeout = Duration::from_millis(60);
    let store = PostgresStore::new(config);
    let found = async {
        loop {
            let mut session = store.session().await.unwrap();
            let mut position = Position::START;
            // A busy machine may be too slow for any part: a relay begins again too.
            while let Ok(fetched) = session.fetch(&all_slots(), &position, 500).await {
                if let Some(row) = fetched.rows.first() {
                    return row.id;
                }
                assert!(fetched.more, "{:?}", fetched.position);
                position = fetched.position;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    assert_eq!(found.expect("in time"), added[0].id);

    // Nor does it keep anybody from seeing how much there is.
    let mut session = store.session().await.unwrap();
    let backlog = session.backlog().await.unwrap();
    assert!(
        backlog.counted == Counted::About || backlog.rows == 1,
        "{backlog:?}"
    );
    Database::rollback(held).await;
}

/// A transaction that has written much and is not over is looked at once and then left alone.
#[tokio::test]
async fn a_fetch_passes_an_open_bulk_load() {
    let fixture = Database::new().await;
    let mut explained = Explained::open(&fixture).await;
    explained.prepare("fetch").await;
    let mut bulk = fixture.begin().await;
    (&mut *bulk).execute(FILL).await.unwrap();
    for _ in 0..3 {
        fixture
            .execute(
                "insert into cqrs_outbox
                    (message_id, slot, cqrs_id, instance_pk, signal, revision, body)
                 values (gen_random_uuid(), 1, 'account', 'x', 'SAVE', 0, '{}')",
            )
            .await;
        let before = snapshot(&fixture).await;
        let plan = explained.run("fetch", &fetch(200_010, &before)).await;
        plan.expect(&[], 400);
    }
    let before = snapshot(&fixture).await;
    Database::commit(bulk).await;
    let plan = explained.run("fetch", &fetch(200_010, &before)).await;
    assert_eq!(plan.json[0]["Plan"]["Actual Rows"], 501);
    // Then it is read page by page, and no page costs more than its rows.
    let now = snapshot(&fixture).await;
    fixture
        .execute(
            "insert into cqrs_outbox
                (message_id, slot, cqrs_id, instance_pk, signal, revision, body)
             select gen_random_uuid(), n % 64, 'order', n::text, 'SAVE', 0, '{}'
             from generate_series(1, 200) as n",
        )
        .await;
    for id in [500, 100_000, 190_000] {
        let page = fetch_again(id, &now, 200_010, &before);
        let plan = explained.run("fetch", &page).await;
        assert_eq!(plan.json[0]["Plan"]["Actual Rows"], 375 + 125 + 1);
        plan.expect(
            &["cqrs_outbox_instance\n((cqrs_id = looked.cqrs_id)"],
            2_500,
        );
    }
}
