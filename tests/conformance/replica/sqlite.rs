//! The replica in SQLite.

use cqrs_core::{CqrsId, QueueName, SecretUrl, StoreError, database::sqlite::SqliteConfig};
use cqrs_replica::{
    Applied, Freshness, ReplicaSession, TableModel,
    sqlite::{SqliteReplica, migrate, statements},
};
use sqlx::{
    AssertSqlSafe, Executor, Row, SqlSafeStr, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tempfile::TempDir;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::Message,
};

/// A file in a directory of its own.
pub(super) struct Database {
    url: SecretUrl,
    pool: SqlitePool,
    _directory: TempDir,
}

impl Database {
    fn config(&self) -> SqliteConfig {
        SqliteConfig::new(self.url.clone())
    }
}

fn dialect(sql: &str) -> String {
    sql.replace("{decimal}", "text")
        .replace("{wide}", "text")
        .replace("{bigint}", "integer")
        .replace("{float}", "real")
        .replace("{boolean}", "integer")
        .replace("{json_text}", "text")
        .replace("{date}", "text")
        .replace("{time}", "text")
        .replace("{moment}", "text")
        .replace("{bytes}", "blob")
        .replace("{interval}", "text")
        .replace("{uuid}", "text")
        .replace("{serial}", "integer primary key")
        .replace("{strict}", "strict")
}

impl Fixture for Database {
    type Store = SqliteReplica;
    const TRUE: &'static str = "1";
    const NAN: &'static str = "-";
    const MOMENTS: [&'static str; 2] = [
        "2026-01-02T03:04:05.678901Z",
        "2026-01-02 03:04:05.678901+00:00",
    ];
    const MOMENT: &'static str = "select v from val";
    const HI: &'static str = "hi";
    const LENGTH: &'static str = "P1DT02H03M04.5S";
    const NEGATIVE_LENGTH: &'static str = "-P1DT02H";
    const CASELESS: (&'static str, &'static str) = ("select 1", "text collate nocase");

    fn pass_over(table: &str, write: &str) -> String {
        format!(
            "create trigger pass_over_{write} before {write} on {table}
             begin select raise(ignore); end;"
        )
    }

    async fn new() -> Self {
        let database = Self::empty().await;
        database.migrate().await.unwrap();
        database
    }

    async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("replica.db");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await
            .unwrap();
        let url = SecretUrl::new(format!("sqlite://{}", file.display()));
        Self {
            url,
            pool,
            _directory: directory,
        }
    }

    fn store(&self) -> SqliteReplica {
        SqliteReplica::new(self.config())
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        migrate(&self.config()).await
    }

    async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        self.pool
            .execute(AssertSqlSafe(dialect(sql)).into_sql_str())
            .await
            .map(drop)
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&self.pool)
            .await
            .unwrap();
        let text = |row: &sqlx::sqlite::SqliteRow| {
            let cells: Vec<String> = (0..row.len())
                .map(|at| {
                    row.get::<Option<String>, _>(at)
                        .unwrap_or_else(|| "-".to_owned())
                })
                .collect();
            cells.join("|")
        };
        rows.iter().map(text).collect()
    }

    async fn inside(tx: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
        tx.execute(AssertSqlSafe(sql).into_sql_str())
            .await
            .map(drop)
    }

    async fn circle(&self, rules: &str) {
        for (table, other) in [("hen", "egg"), ("egg", "hen")] {
            let sql = format!(
                "create table {table} (id integer primary key,
                 {other} integer not null references {other} {rules}) strict"
            );
            self.execute(&sql).await;
        }
    }

    fn freshness(&self, queue: QueueName, kept: Vec<CqrsId>) -> Freshness {
        Freshness::sqlite(self.pool.clone(), queue, kept)
    }

    fn statements() -> &'static [(&'static str, &'static str)] {
        statements()
    }

    async fn prepare(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        (&mut *connection)
            .prepare(sql.into_sql_str())
            .await
            .map(drop)
    }
}

suite!(Database);

#[tokio::test]
async fn a_statement_timeout_is_refused_at_the_start() {
    let timeout = std::time::Duration::from_secs(1);
    let model = table("account", TableModel::new("account", "id"));
    let models = [model.with_statement_timeout(timeout)];
    let mut replica = Replica::<Database>::new(&[ACCOUNT], models).await;
    let error = replica
        .session
        .check_models(&replica.models)
        .await
        .unwrap_err();
    let words = error.to_string();
    assert!(words.contains("`statement_timeout`"), "{words}");
}

/// The hot statements find their rows by index.
#[tokio::test]
async fn hot_statements_use_their_indexes() {
    let database = Database::new().await;
    for (name, indexes) in [
        (
            "states",
            vec!["PRIMARY KEY (queue=? AND cqrs_id=? AND instance_pk=?)"],
        ),
        (
            "applied_revisions",
            vec!["PRIMARY KEY (queue=? AND cqrs_id=? AND instance_pk=?)"],
        ),
        (
            "letters_holding",
            vec![
                "cqrs_dead_letter_instance (queue=? AND cqrs_id=? AND instance_pk=? AND revision=?)",
                "cqrs_dead_letter_dead (queue=? AND cqrs_id=? AND instance_pk=? AND revision=?)",
            ],
        ),
        (
            "others",
            vec![
                "cqrs_dead_letter_instance (queue=? AND cqrs_id=? AND instance_pk=?)",
                "cqrs_dead_letter_instance (queue=? AND cqrs_id=? AND instance_pk=? AND revision>?)",
                "cqrs_dead_letter_message (queue=? AND message_id=?)",
            ],
        ),
        (
            "take_due",
            vec![
                "cqrs_dead_letter_due (queue=? AND next_attempt_at>? AND next_attempt_at<?)",
                "cqrs_dead_letter_unknown (queue=? AND cqrs_id=?)",
            ],
        ),
        (
            "supersede",
            vec!["cqrs_dead_letter_instance (queue=? AND cqrs_id=? AND instance_pk=?"],
        ),
        (
            "prune_letters",
            vec!["cqrs_dead_letter_age (state=? AND queue=? AND updated_at<?)"],
        ),
        (
            "prune_tombstones",
            vec![
                "cqrs_replica_state_tombstone (queue=?",
                "cqrs_dead_letter_dead (queue=? AND cqrs_id=? AND instance_pk=?)",
            ],
        ),
        (
            "wake_referring",
            vec!["cqrs_dead_letter_reference (queue=? AND waits_for=? AND next_attempt_at>?)"],
        ),
        ("next_due", vec!["cqrs_dead_letter_due (queue=?"]),
        (
            "take_unpublished",
            vec!["cqrs_dead_letter_unpublished (queue=? AND cqrs_id=?)"],
        ),
        (
            "import_letter",
            vec![
                "cqrs_dead_letter_message (queue=? AND message_id=?)",
                "cqrs_dead_letter_instance (queue=? AND cqrs_id=? AND instance_pk=? AND revision=?)",
            ],
        ),
    ] {
        let (_, sql) = statements()
            .iter()
            .find(|(found, _)| *found == name)
            .unwrap();
        let steps: Vec<String> = sqlx::query(AssertSqlSafe(format!("explain query plan {sql}")))
            .fetch_all(&database.pool)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get::<String, _>(3))
            .collect();
        let plan = steps.join("\n");
        for index in indexes {
            assert!(plan.contains(index), "{name} does not use {index}:\n{plan}");
        }
        let whole = steps.iter().find(|step| {
            step.starts_with("SCAN cqrs_dead_letter") || step.starts_with("SCAN cqrs_replica")
        });
        assert_eq!(whole, None, "{name} reads a whole table:\n{plan}");
    }
}

#[tokio::test]
async fn a_number_that_a_column_would_round_is_refused() {
    let mut replica = Replica::<Database>::new(
        &["create table price (id integer primary key, amount decimal(30, 10))"],
        [table("price", TableModel::new("price", "id"))],
    )
    .await;
    let price = |revision, amount: &str| {
        Message::save("price", "1", revision, &format!("\"amount\":{amount}"))
    };
    assert_eq!(replica.one(&price(0, "12.50")).await, APPLIED);
    let refused = Applied::Retrying {
        attempts: 1,
        reason: "type",
    };
    assert_eq!(
        replica.one(&price(1, "1234567890123456.1234567890")).await,
        refused
    );
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(
        error.contains("amount") && !error.contains("123"),
        "{error}"
    );
    assert_eq_rows(
        &replica.rows("select cast(amount as text) from price").await,
        &["12.5"],
    );
}

#[tokio::test]
async fn a_strict_table_names_the_column_it_keeps_from_a_value() {
    let mut replica = Replica::<Database>::accounts().await;
    let bad = Message::save("account", "\"not a number\"", 0, r#""name":"a""#);
    let answer = replica.one(&bad).await;
    assert_eq!(
        answer,
        Applied::Retrying {
            attempts: 1,
            reason: "type"
        }
    );
}
