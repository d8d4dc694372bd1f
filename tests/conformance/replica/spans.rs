//! What the lines of a log say of the event behind them.

use std::{
    io,
    marker::PhantomData,
    sync::{Arc, Mutex},
};

use cqrs_core::Event;
use cqrs_replica::{Failure, Handler, Hooks, Model, ReplicaStore, Step, TableModel};
use serde_json::Value;
use tracing::{Subscriber, instrument::WithSubscriber, level_filters::LevelFilter};

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, attempts, id, table},
    message::{Message, account, gone},
    recorder::{SEEN, Script, recorded},
};

type Connection<F> = <<F as Fixture>::Store as ReplicaStore>::Connection;

/// Lines as JSON, each with its spans.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let lines = self.clone();
        tracing_subscriber::fmt()
            .json()
            .with_max_level(LevelFilter::DEBUG)
            .with_writer(move || lines.clone())
            .finish()
    }

    /// Those with this message.
    fn saying(&self, message: &str) -> Vec<Value> {
        let lines = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &Value| line["fields"]["message"] == message)
            .collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says that it is called, before and after it has let others work.
struct Talking<F>(PhantomData<fn() -> F>);

async fn talk() {
    tracing::info!("called");
    tokio::task::yield_now().await;
    tracing::info!("still there");
}

impl<F: Fixture> Handler<F::Store> for Talking<F> {
    async fn apply(&self, _tx: &mut Connection<F>, _event: &Event) -> Result<(), Failure> {
        talk().await;
        Ok(())
    }
}

impl<F: Fixture> Hooks<F::Store> for Talking<F> {
    async fn create(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        talk().await;
        step.save(tx).await
    }
}

#[track_caller]
fn assert_about(line: &Value, cqrs_id: &str, revision: i64) {
    let span = &line["span"];
    assert_eq!(
        (&span["name"], &span["cqrs_id"], &span["correlation_id"]),
        (
            &Value::from("handle"),
            &Value::from(cqrs_id),
            &Value::from(format!("c-{revision}"))
        ),
        "{line}"
    );
    assert_eq!(span["instance_pk"], "1", "{line}");
    assert_eq!(span["revision"], revision, "{line}");
}

pub(super) async fn a_handlers_lines_know_their_event<F: Fixture>() {
    let talking = || Talking::<F>(PhantomData);
    let models = [
        Model::handler(id("order"), talking()),
        table("account", TableModel::new("account", "id")).with_hooks(talking()),
    ];
    let mut replica = Replica::<F>::new(&[ACCOUNT], models).await;
    let lines = Lines::default();
    let batch = [
        Message::save("order", "1", 0, ""),
        Message::save("order", "1", 1, ""),
        account(1, 0, "a"),
    ];
    let answers = replica.apply(&batch);
    let answers = answers.with_subscriber(lines.subscriber()).await;
    assert_eq!(answers, [APPLIED, APPLIED, APPLIED]);
    for words in ["called", "still there"] {
        let said = lines.saying(words);
        assert_eq!(said.len(), 3);
        for (cqrs_id, revision) in [("order", 0), ("order", 1), ("account", 0)] {
            let line = said.iter().find(|line| {
                let span = &line["span"];
                span["cqrs_id"] == cqrs_id && span["revision"] == revision
            });
            assert_about(line.unwrap(), cqrs_id, revision);
        }
    }
}

pub(super) async fn what_became_of_an_event_is_said_with_its_correlation<F: Fixture>() {
    let script = Script::default();
    script.then([super::recorder::Step::Fail]);
    let models = [
        table("account", TableModel::new("account", "id")),
        recorded::<F>("order", &script).with_retry(attempts(5)),
    ];
    let mut replica = Replica::<F>::new(&[SEEN, ACCOUNT], models).await;
    let lines = Lines::default();
    let batch = [account(1, 3, "a"), Message::save("order", "1", 0, "")];
    async {
        replica.apply(&batch).await;
        replica.make_due().await;
        replica.due().await;
    }
    .with_subscriber(lines.subscriber())
    .await;
    let said = |message: &str| -> Vec<Value> {
        let lines = lines.saying(message);
        let fields = lines.iter().map(|line| &line["fields"]);
        fields
            .map(|fields| fields["correlation_id"].clone())
            .collect()
    };
    let failed = said("failed; it will be tried again");
    assert_eq!(failed, ["c-0"]);
    let mut applied = said("applied");
    applied.extend(said("applied; earlier revisions have not come"));
    applied.sort_by_key(Value::to_string);
    assert_eq!(
        applied,
        ["c-0", "c-3"],
        "of the table and of the retried letter"
    );
}

/// A trigger may keep rows as they are, and is told of.
pub(super) async fn rows_that_a_trigger_keeps_are_counted_in_the_log<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    for write in ["insert", "delete"] {
        replica
            .fixture
            .execute(&F::pass_over("account", write))
            .await;
    }
    let lines = Lines::default();
    let batch = [
        gone(1, 1),
        gone(3, 1),
        account(2, 1, "c"),
        account(4, 0, "d"),
    ];
    let answers = replica.apply(&batch).with_subscriber(lines.subscriber());
    assert_eq!(answers.await, [APPLIED; 4]);
    let kept = replica.rows("select name from account order by id").await;
    assert_eq_rows(&kept, &["a", "b"]);
    let said = lines.saying("a trigger of the table has kept rows as they were");
    let count = |write: &str| -> u64 {
        let lines = said.iter().filter(|line| line["fields"]["write"] == write);
        lines
            .filter_map(|line| line["fields"]["rows"].as_u64())
            .sum()
    };
    // 3 was never there.
    assert_eq!((count("delete"), count("upsert")), (1, 2), "{said:?}");
}
