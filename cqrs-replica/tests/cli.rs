//! The binary, as an operator meets it: a `SQLite` database and the embedded broker.
#![cfg(all(feature = "cli", feature = "sqlite", feature = "embedded"))]
#![expect(
    clippy::unwrap_used,
    reason = "what is not a test function here supports one"
)]

mod site;

use std::{
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use cqrs_core::transport::{Message, Routing};
use serde_json::Value;
use sqlx::Connection;

use self::site::{Site, account, message, save, until};

const TABLE: &str = "[[replica.model]]\ncqrs_id = 'account'\ntable = 'account'\nkey = 'id'\n";

impl Site {
    /// The program, with nothing of our environment that could lead it astray.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cqrs-replica"));
        command
            .current_dir(self.dir.path())
            .env_clear()
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn configure(&self, more: &str) {
        let (broker, database) = (self.broker_url(), self.database_url());
        let text = format!(
            "[broker]\nurl = '{broker}'\n[replica]\ndatabase = '{database}'\nqueue = 'billing'\n{more}"
        );
        std::fs::write(self.dir.path().join("cqrs.toml"), text).unwrap();
    }

    fn call(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// Calls, expects success, and answers with stdout.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    fn start(&self, arguments: &[&str]) -> Process {
        Process(Some(self.program(arguments).spawn().unwrap()))
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running program; it does not outlive its test.
struct Process(Option<Child>);

impl Process {
    fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end, 20 s at most.
    async fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.0.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the program goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        (output.status, stderr(&output))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_hand_and_the_next_start_goes_on() {
    let site = Site::new().await;
    site.configure(&format!("batch_size = 50\n{TABLE}"));
    site.publish((0..3_000).map(|id| save(id, 0))).await;
    for signal in ["TERM", "INT"] {
        let before = site.number("select count(*) from account").await;
        let process = site.start(&["run"]);
        until("some are applied", || async {
            site.number("select count(*) from account").await > before
        })
        .await;
        process.signal(signal);
        let (status, log) = process.ended().await;
        assert!(status.success(), "{status}: {log}");
        assert!(log.contains("the worker has finished"), "{log}");
        // What was applied was acknowledged as well.
        let applied = site.number("select count(*) from account").await;
        assert_eq!(u64::try_from(applied).unwrap() + site.depth().await, 3_000);
        assert_eq!(
            site.json(&["status", "--json"])["workers"],
            Value::Array(Vec::new())
        );
    }
    let process = site.start(&["run"]);
    until("all are applied", || async {
        site.number("select count(*) from account").await == 3_000
    })
    .await;
    until("the worker shows", || async {
        site.json(&["status", "--json"])["workers"]
            .as_array()
            .unwrap()
            .len()
            == 1
    })
    .await;
    let text = site.ok(&["status"]);
    assert!(text.contains("live        3000"), "{text}");
    process.signal("TERM");
    assert!(process.ended().await.0.success());
}

#[tokio::test]
async fn a_second_signal_stops_at_once_and_says_what_was_left() {
    let site = Site::new().await;
    site.configure(TABLE);
    let process = site.start(&["run"]);
    until("the worker shows", || async {
        site.number("select count(*) from cqrs_replica_worker")
            .await
            == 1
    })
    .await;
    let mut other = site.connection().await;
    let lock = other.begin_with("begin exclusive").await.unwrap();
    site.publish([save(1, 0)]).await;
    until("it is taken", || async { site.depth().await == 0 }).await;
    process.signal("TERM");
    // The echo of a signal is not a second one.
    process.signal("TERM");
    tokio::time::sleep(Duration::from_millis(600)).await;
    process.signal("TERM");
    let (status, log) = process.ended().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("1 messages will come again"), "{log}");
    drop(lock);
}

#[tokio::test]
async fn dead_letters_are_listed_shown_retried_and_discarded() {
    let site = Site::new().await;
    site.configure(&format!("max_attempts = 1\n{TABLE}"));
    site.publish([
        message(&b"\xff"[..]),
        account("SAVE", 7, 0, r#","name":null"#),
        save(8, 0),
    ])
    .await;
    let process = site.start(&["run"]);
    until("two are dead", || async {
        site.json(&["status", "--json"])["dead"] == 2
    })
    .await;

    let list = site.json(&["dead", "list", "--json"]);
    let letters = list.as_array().unwrap();
    let of = |key: &Value| {
        letters
            .iter()
            .find(|letter| letter["instance_pk"] == *key)
            .unwrap()
    };
    let (unreadable, wrong) = (of(&Value::Null), of(&Value::from("7")));
    assert_eq!(unreadable["reason"], "unreadable");
    let text = site.ok(&["dead-letters", "list", "--limit", "1"]);
    assert_eq!(text.lines().count(), 2, "{text}");

    let id = unreadable["id"].to_string();
    assert_eq!(
        site.json(&["dead", "show", &id, "--json"])["body_hex"],
        "ff"
    );
    let text = site.ok(&["dead", "show", &wrong["id"].to_string()]);
    assert!(
        text.contains("\\n") && text.contains("must not be null"),
        "{text}"
    );

    assert_eq!(site.ok(&["dead", "discard", &id]), "1 letter discarded\n");
    assert_eq!(
        site.json(&["dead", "list", "--state", "discarded", "--json"])[0]["id"],
        unreadable["id"]
    );
    let again = site.call(&["dead", "discard", &id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("is discarded; only dead letters can be discarded"),
        "{}",
        stderr(&again)
    );

    assert_eq!(
        site.ok(&["dead", "retry", "--all"]),
        "1 letter queued for retry\n"
    );
    until("it is dead again", || async {
        site.json(&["dead", "list", "--json"])[0]["attempts"] == 1
    })
    .await;
    assert_eq!(
        site.json(&["dead", "list", "--state", "all", "--json"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(!site.call(&["dead", "show", "4711"]).status.success());
    process.signal("TERM");
    assert!(process.ended().await.0.success());
}

#[tokio::test]
async fn the_brokers_dead_letters_are_listed_imported_and_published() {
    let site = Site::new().await;
    let nothing = site.call(&["dead", "broker", "list"]);
    assert_eq!(nothing.status.code(), Some(1));
    site.configure(&format!(
        "max_attempts = 1\n{TABLE}publish_dead_letters = true\n"
    ));
    let missing = site.call(&["dead", "broker", "list"]);
    let text = stderr(&missing);
    assert!(
        text.contains("the queue dead_letter_billing is gone"),
        "{text}"
    );

    site.publish([account("SAVE", 7, 0, r#","name":null"#), save(8, 0)])
        .await;
    let process = site.start(&["run"]);
    until("it is with the broker", || async {
        let listed = site.call(&["dead", "broker", "list", "--json"]).stdout;
        serde_json::from_slice::<Vec<Value>>(&listed).is_ok_and(|letters| letters.len() == 1)
    })
    .await;
    // A look takes nothing.
    for _ in 0..2 {
        let found = site.json(&["dead", "broker", "list", "--json"]);
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found[0]["routing_key"], "cqrs.dead_letter_billing.account");
        assert_eq!(
            (&found[0]["instance_pk"], &found[0]["retries"]),
            (&"7".into(), &1.into())
        );
        assert!(found[0]["body"].as_str().unwrap().contains("\"retries\":1"));
    }
    let text = site.ok(&["dead", "broker", "list", "--limit", "1"]);
    assert!(
        text.lines().count() == 2 && text.contains("account"),
        "{text}"
    );
    until("that is remembered", || async {
        site.json(&["dead", "list", "--json"])[0]["published_at"].is_string()
    })
    .await;

    // Its own is known again, another one's is not.
    let queue: cqrs_core::QueueName = "dead_letter_billing".parse().unwrap();
    let cqrs_id: cqrs_core::CqrsId = "account".parse().unwrap();
    site.publish([Message {
        routing: Routing::Direct { queue, cqrs_id },
        ..save(9, 0)
    }])
    .await;
    assert_eq!(
        site.ok(&["dead", "broker", "import", "--limit", "1"]),
        "0 letters imported; 1 were here already\n"
    );
    assert_eq!(
        site.ok(&["dead", "broker", "import", "--retry"]),
        "1 letter imported\n"
    );
    assert_eq!(site.ok(&["dead", "broker", "list"]), "no dead letters\n");
    until("the row is there", || async {
        site.number("select count(*) from account where id = 9")
            .await
            == 1
    })
    .await;
    process.signal("TERM");
    assert!(process.ended().await.0.success());
}

#[tokio::test]
async fn all_problems_of_a_configuration_are_told_at_once() {
    let site = Site::new().await;
    site.configure("lanes = 0\nbatchsize = 3\n[[replica.model]]\ncqrs_id = 'a b'\ntable = 't'\n");
    let output = site.call(&["run"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "cqrs.toml:6: replica.lanes",
        "did you mean batch_size?",
        "cqrs_id",
        "key",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let output = site.call(&["run", "--config", "other.toml"]);
    assert!(stderr(&output).contains("cannot read the configuration file other.toml"));
    let output = site.call(&["run", "--config", "."]);
    assert!(stderr(&output).contains("it is a directory: name the file in it"));
    std::fs::write(
        site.dir.path().join("other.toml"),
        "[replica]\nqueue = new_dl\n",
    )
    .unwrap();
    let output = site.call(&["run", "--config", "other.toml"]);
    let unquoted =
        "other.toml:2: is not TOML; correct this line (texts and durations stand in quotes)";
    assert!(stderr(&output).contains(unquoted), "{}", stderr(&output));
    let log = site.program(&["run"]).env("CQRS_LOG", "verbose").output();
    let text = stderr(&log.unwrap());
    assert!(text.contains("\"verbose\", which is not a level"), "{text}");
}

#[tokio::test]
async fn flags_win_over_the_environment_and_it_over_the_file() {
    let site = Site::new().await;
    site.configure("");
    let queue = |command: &mut Command| {
        let output = command.output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        status["queue"].as_str().unwrap().to_owned()
    };
    assert_eq!(queue(&mut site.program(&["status", "--json"])), "billing");
    let mut command = site.program(&["status", "--json"]);
    assert_eq!(queue(command.env("CQRS_REPLICA_QUEUE", "q1")), "q1");
    let mut command = site.program(&["--queue", "q2", "status", "--json"]);
    assert_eq!(queue(command.env("CQRS_REPLICA_QUEUE", "q1")), "q2");
}

#[tokio::test]
async fn tables_that_do_not_fit_are_named_at_the_start() {
    let site = Site::new().await;
    site.configure(
        "[[replica.model]]\ncqrs_id = 'account'\ntable = 'no_such'\nkey = 'id'\n\
         [[replica.model]]\ncqrs_id = 'user'\ntable = 'nor_this'\nkey = 'id'\n",
    );
    let output = site.call(&["run"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("no_such") && text.contains("nor_this"),
        "{text}"
    );
}

#[tokio::test]
async fn without_its_tables_every_command_says_what_to_do() {
    let site = Site::new().await;
    let fresh = format!("sqlite://{}", site.dir.path().join("fresh.db").display());
    site.configure("");
    let output = site.call(&["status", "--database", &fresh]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let missing = stderr(&output);
    assert!(
        missing.contains("fresh.db: create it with the command `migrate`"),
        "{missing}"
    );
    for _ in 0..2 {
        assert_eq!(
            site.ok(&["migrate", "--database", &fresh]),
            "the tables are up to date\n"
        );
    }
    site.ok(&["status", "--database", &fresh]);
    site.execute("drop table cqrs_replica_migrations").await;
    let output = site.call(&["run"]);
    assert!(
        stderr(&output).contains("run `cqrs-replica migrate` first"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let site = Site::new().await;
    site.configure(TABLE);
    let broker = "amqp://guest:hush@127.0.0.1:1/%2f";
    let process = site.start(&["run", "--broker", broker, "--log-format", "json"]);
    until("the worker shows", || async {
        site.number("select count(*) from cqrs_replica_worker")
            .await
            == 1
    })
    .await;
    process.signal("TERM");
    let (status, log) = process.ended().await;
    assert!(status.success(), "{log}");
    assert!(
        log.contains("guest:***@127.0.0.1") && !log.contains("hush"),
        "{log}"
    );
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    let database = "mysql://root:hush@db/x";
    let output = site.call(&["status", "--database", database]);
    assert!(
        !output.status.success() && !stderr(&output).contains("hush"),
        "{}",
        stderr(&output)
    );
    let output = site
        .program(&["status"])
        .env("CQRS_REPLICA_DATABASE", database)
        .output()
        .unwrap();
    assert!(
        !output.status.success() && !stderr(&output).contains("hush"),
        "{}",
        stderr(&output)
    );
}
