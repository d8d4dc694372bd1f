//! The binary `cqrs-relay`, on SQLite and the embedded broker.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Read as _,
    num::NonZeroU16,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use cqrs_core::{
    CqrsId, QueueName, Signal,
    transport::{
        Ack, Subscriber, Subscription, Transport,
        embedded::{Embedded, EmbeddedConfig},
    },
};
use cqrs_outbox::{self as outbox, Change};
use serde_json::Value;
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// With a `cqrs.toml` and migrated tables.
    fn migrated() -> Self {
        let place = Self::new();
        let toml =
            "[broker]\nurl = \"embedded://broker.db\"\n[master]\ndatabase = \"sqlite://shop.db\"\n";
        std::fs::write(place.path().join("cqrs.toml"), toml).unwrap();
        place.good(&["migrate"]);
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cqrs-relay"));
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CQRS_") {
                command.env_remove(name);
            }
        }
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it says when all is well.
    fn good(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.output(arguments);
        assert!(
            status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(arguments)).unwrap()
    }

    /// What it says when it is not.
    fn bad(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.output(arguments);
        assert_eq!(
            status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&stdout)
        );
        String::from_utf8(stderr).unwrap()
    }

    async fn pool(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(self.path().join("shop.db"))
            .busy_timeout(PATIENCE);
        SqlitePool::connect_with(options).await.unwrap()
    }
}

#[test]
fn says_what_it_can_do() {
    let place = Place::new();
    let help = place.good(&["--help"]);
    for word in [
        "run",
        "migrate",
        "status",
        "dead",
        "--config",
        "--database",
        "CQRS_CONFIG",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert_eq!(place.output(&["walk"]).status.code(), Some(2));
}

#[test]
fn says_all_that_is_missing_at_once() {
    let place = Place::new();
    let told = place.bad(&["run", "--batch-size", "0"]);
    for word in ["master.database", "broker.url", "--batch-size"] {
        assert!(told.contains(word), "{word} in {told}");
    }
    assert!(
        place
            .bad(&["status", "--config", "nowhere.toml"])
            .contains("nowhere.toml")
    );
}

#[test]
fn never_shows_a_password() {
    let place = Place::new();
    for command in ["status", "migrate"] {
        let told = place.bad(&[command, "--database", "mysql://u:hush@127.0.0.1:1/x"]);
        assert!(!told.contains("hush"), "{told}");
    }
    let broker = "embeded://u:hush@x";
    let told = place.bad(&["run", "--database", "sqlite://shop.db", "--broker", broker]);
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn migrates_once_and_says_so_when_it_has_not() {
    let place = Place::new();
    let url = ["--database", "sqlite://shop.db"];
    let told = place.bad(&["status", url[0], url[1]]);
    assert!(told.starts_with("error: "), "{told}");
    for _ in 0..2 {
        assert_eq!(
            place.good(&["migrate", url[0], url[1]]),
            "the tables are up to date\n"
        );
    }
    assert!(
        place
            .good(&["status", url[0], url[1]])
            .starts_with("backlog  0 rows\n")
    );
    std::fs::File::create(place.path().join("empty.db")).unwrap();
    let told = place.bad(&["status", "--database", "sqlite://empty.db"]);
    assert!(told.contains("cqrs-relay migrate"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_until_sigterm_and_leaves_nothing_in_flight() {
    let place = Place::migrated();
    let broker = Embedded::new(EmbeddedConfig::new(place.path().join("broker.db")));
    let subscription = Subscription {
        queue: QueueName::new("billing").unwrap(),
        dead_letter_queue: None,
        cqrs_ids: vec![CqrsId::new("account").unwrap()],
        prefetch: NonZeroU16::new(100).unwrap(),
    };
    let mut subscriber = broker.subscriber(&subscription).await.unwrap();
    record(&place.pool().await, 500).await;
    let status = place.json(&["status", "--json"]);
    assert_eq!(
        (&status["backlog"], &status["free_slots"]),
        (&500.into(), &64.into())
    );

    let running = place
        .command(&["run", "--log-format", "json"])
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(running.unwrap());
    for _ in 0..500 {
        let delivery = tokio::time::timeout(PATIENCE, subscriber.next())
            .await
            .unwrap()
            .unwrap();
        subscriber.ack(Ack::One(delivery.tag)).await.unwrap();
    }
    let log = running.terminate();
    assert_eq!(running.0.wait().unwrap().code(), Some(0), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO", "{line}");
    }
    let status = place.json(&["status", "--json"]);
    assert_eq!(
        (&status["backlog"], &status["relays"]),
        (&0.into(), &Value::Array(vec![]))
    );
}

#[test]
fn stops_cleanly_while_there_is_nothing_to_do() {
    let place = Place::migrated();
    let running = place.command(&["run"]).stderr(Stdio::piped()).spawn();
    let mut running = Running(running.unwrap());
    let started = Instant::now();
    while place.json(&["status", "--json"])["free_slots"] != 0 {
        assert!(started.elapsed() < PATIENCE, "never holds its slots");
    }
    let log = running.terminate();
    assert_eq!(running.0.wait().unwrap().code(), Some(0), "{log}");
}

#[test]
fn a_schema_it_does_not_know_ends_it_at_once() {
    let place = Place::new();
    std::fs::File::create(place.path().join("empty.db")).unwrap();
    let urls = [
        "--database",
        "sqlite://empty.db",
        "--broker",
        "embedded://broker.db",
    ];
    let told = place.bad(&["run", urls[0], urls[1], urls[2], urls[3]]);
    assert!(told.contains("cqrs-relay migrate"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_after_dead_rows() {
    let place = Place::migrated();
    let pool = place.pool().await;
    record(&pool, 3).await;
    let bury = "insert into cqrs_outbox_dead (id, message_id, slot, cqrs_id, instance_pk, signal,
            revision, body, created_at, attempts, reason, error, died_at)
        select id, message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at,
            10, 'failed', 'too long', created_at
        from cqrs_outbox";
    sqlx::query(bury).execute(&pool).await.unwrap();
    sqlx::query("delete from cqrs_outbox")
        .execute(&pool)
        .await
        .unwrap();

    let listed = place.json(&["dead", "list", "--json", "--limit", "2"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(
        place
            .good(&["dead", "list"])
            .contains("account 1 revision 0  failed: too long")
    );
    assert_eq!(
        place.json(&["dead", "show", "1", "--json"])["cqrs_id"],
        "account"
    );
    assert!(
        place
            .good(&["dead", "show", "1"])
            .contains("\"cqrs_id\":\"account\"")
    );
    assert!(place.bad(&["dead", "show", "9"]).contains("no dead row 9"));
    assert_eq!(
        place.good(&["dead", "retry", "1"]),
        "1 row back in the outbox\n"
    );
    assert_eq!(place.json(&["status", "--json"])["backlog"], 1);
    assert!(
        place
            .bad(&["dead", "discard", "2", "99"])
            .contains("1 of the rows named")
    );
    let refused = place.bad(&["dead", "discard", "--all"]);
    assert!(refused.contains("delete 1 row for good"), "{refused}");
    assert_eq!(
        place.good(&["dead", "discard", "--all", "--yes"]),
        "1 row discarded\n"
    );
    assert_eq!(place.good(&["dead", "list"]), "no dead rows\n");
}

async fn record(pool: &SqlitePool, keys: i64) {
    let mut tx = outbox::begin(pool).await.unwrap();
    let saved = |key| {
        Change::json(
            "account",
            key,
            Signal::Save,
            serde_json::json!({ "id": key }),
        )
    };
    outbox::record_all(&mut tx, (0..keys).map(saved))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Ends with the test, however that ends.
struct Running(Child);

impl Running {
    /// Sends SIGTERM and reads the log to its end.
    fn terminate(&mut self) -> String {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut log = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        log
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended already, as it should have.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn captures_a_table_and_tells_drift() {
    let place = Place::migrated();
    let toml = std::fs::read_to_string(place.path().join("cqrs.toml")).unwrap();
    let model = "[[master.model]]\ncqrs_id = \"account\"\ntable = \"accounts\"\nkey = \"id\"\n";
    let declare = |model: &str| {
        std::fs::write(place.path().join("cqrs.toml"), format!("{toml}{model}")).unwrap();
    };
    let told = place.bad(&["capture", "install", "--model", "account"]);
    assert!(told.contains("[[master.model]]"), "{told}");
    declare(model);
    let told = place.bad(&["capture", "install", "--all"]);
    assert!(told.contains("no table \"accounts\""), "{told}");
    let pool = place.pool().await;
    sqlx::query("create table accounts (id integer primary key, name text)")
        .execute(&pool)
        .await
        .unwrap();

    let status = ["capture", "status", "--all", "--json"];
    let state = |code: i32| {
        let output = place.output(&status);
        assert_eq!(output.status.code(), Some(code));
        let lines: Value = serde_json::from_slice(&output.stdout).unwrap();
        lines[0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(1), "not_installed");
    let printed = place.good(&["capture", "install", "--all", "--print"]);
    assert!(
        printed.to_lowercase().contains("create trigger"),
        "{printed}"
    );
    assert_eq!(state(1), "not_installed");
    let install = ["capture", "install", "--model", "account", "--json"];
    assert_eq!(place.json(&install)[0]["state"], "installed");
    assert_eq!(place.json(&install)[0]["state"], "unchanged");
    assert_eq!(state(0), "current");
    sqlx::query("insert into accounts values (1, 'a')")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(place.json(&["status", "--json"])["backlog"], 1);

    declare(&format!("{model}tracked = \"all\"\n"));
    let told = place.bad(&["capture", "status", "--all"]);
    assert!(told.contains("capture install"), "{told}");
    assert_eq!(place.json(&install)[0]["state"], "replaced");

    // What is captured besides is another service's, perhaps.
    let other = "[[master.model]]\ncqrs_id = \"other\"\ntable = \"accounts\"\nkey = \"id\"\n";
    declare(other);
    let install_other = ["capture", "install", "--all", "--json"];
    assert_eq!(place.json(&install_other)[0]["state"], "installed");
    let lines = place.json(&status);
    assert_eq!(
        (&lines[0]["state"], &lines[1]["state"]),
        (&"current".into(), &"not_declared".into())
    );
    let removed = place.json(&["capture", "remove", "--all", "--json"]);
    assert_eq!(removed.as_array().unwrap().len(), 1);
    assert_eq!(removed[0]["model"], "other");
    let removed = place.json(&["capture", "remove", "--undeclared", "--json"]);
    assert_eq!(
        (&removed[0]["model"], &removed[0]["state"]),
        (&"account".into(), &"removed".into())
    );
    declare("");
    let remove = ["capture", "remove", "--model", "account", "--json"];
    assert_eq!(place.json(&remove)[0]["state"], "not_installed");
    assert_eq!(place.good(&["capture", "status", "--all"]), "no models\n");
}
