//! Tables with hooks.

use std::marker::PhantomData;

use cqrs_core::json::Object;
use cqrs_replica::{
    Applied, Failure, Hooks, LetterState, Model, ReplicaStore, SkipReason, Step, TableModel,
    WaitReason,
};

use serde_json::value::RawValue;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::{Message, account, gone},
};

type Connection<F> = <<F as Fixture>::Store as ReplicaStore>::Connection;

const NOTES: &str = "create table note (n {serial}, text text not null)";

async fn note<F: Fixture>(tx: &mut Connection<F>, text: &str) -> Result<(), Failure> {
    F::inside(tx, format!("insert into note (text) values ('{text}')")).await?;
    Ok(())
}

fn hooked<F: Fixture>(hooks: impl Hooks<F::Store>) -> Model<F::Store> {
    table("account", TableModel::new("account", "id")).with_hooks(hooks)
}

impl<F: Fixture> Replica<F> {
    async fn hooked(hooks: impl Hooks<F::Store>) -> Self {
        Self::new(&[NOTES, ACCOUNT], [hooked::<F>(hooks)]).await
    }

    async fn notes(&self) -> Vec<String> {
        self.rows("select text from note order by n").await
    }

    async fn names(&self) -> Vec<String> {
        self.rows("select name from account order by id").await
    }
}

/// Notes each call, then does what the table does; fails afterwards at the name `fail`.
struct Noting<F>(PhantomData<fn() -> F>);

impl<F> Noting<F> {
    const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<F: Fixture> Noting<F> {
    async fn save(
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
        hook: &str,
    ) -> Result<(), Failure> {
        let sync = if step.is_sync() { " sync" } else { "" };
        let event = step.event();
        let text = format!("{hook} {} {}{sync}", event.key, event.revision);
        note::<F>(tx, &text).await?;
        step.save(tx).await?;
        match step.data().get("name").map(RawValue::get) {
            Some("\"fail\"") => Err("the service said no".into()),
            _ => Ok(()),
        }
    }
}

impl<F: Fixture> Hooks<F::Store> for Noting<F> {
    async fn create(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        Self::save(tx, step, "create").await
    }

    async fn update(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        Self::save(tx, step, "update").await
    }

    async fn delete(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        let event = step.event();
        let text = format!("delete {} {}", event.key, event.revision);
        note::<F>(tx, &text).await?;
        step.delete(tx).await
    }
}

pub(super) async fn each_step_has_its_hook<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Noting::<F>::new()).await;
    let sync = |revision| Message::sync("account", "1", revision, "\"name\":\"s\"").id(1);
    let answers = replica
        .apply(&[
            account(1, 0, "a"),
            account(1, 1, "b"),
            sync(1),
            gone(1, 2),
            account(1, 3, "c"),
        ])
        .await;
    assert!(
        answers.iter().all(|answer| *answer == APPLIED),
        "{answers:?}"
    );
    let steps = [
        "create 1 0",
        "update 1 1",
        "update 1 1 sync",
        "delete 1 2",
        "create 1 3",
    ];
    assert_eq_rows(&replica.notes().await, &steps);
    assert_eq_rows(&replica.names().await, &["c"]);
    // Duplicates come to no hook; a sync of what is unknown creates, a delete of it deletes.
    replica.apply(&[account(1, 3, "c"), gone(2, 0)]).await;
    replica
        .one(&Message::sync("account", "3", 9, "\"name\":\"d\""))
        .await;
    let more = ["delete 2 0", "create 3 9 sync"];
    assert_eq_rows(&replica.notes().await, &[&steps[..], &more].concat());
    assert_eq_rows(&replica.names().await, &["c", "d"]);
}

/// Deletes are kept.
struct Keep<F>(PhantomData<fn() -> F>);

impl<F: Fixture> Hooks<F::Store> for Keep<F> {
    async fn delete(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        note::<F>(tx, &format!("kept {}", step.data().to_json())).await
    }
}

pub(super) async fn a_hook_left_out_does_what_the_table_does<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Keep::<F>(PhantomData)).await;
    replica
        .apply(&[account(1, 0, "a"), account(2, 0, "b")])
        .await;
    replica.apply(&[account(1, 1, "c"), gone(2, 1)]).await;
    assert_eq_rows(&replica.names().await, &["c", "b"]);
    assert_eq_rows(&replica.notes().await, &["kept {\"id\":2}"]);
    // The row is still there: its columns that are not sent keep their values.
    replica
        .one(&Message::save("account", "2", 2, "\"name\":\"again\""))
        .await;
    let rows = "select name, cast(qty as text) from account where id = 2";
    assert_eq_rows(&replica.rows(rows).await, &["again|0"]);
}

/// Writes other data than came, and takes no updates.
struct Loud<F>(PhantomData<fn() -> F>);

impl<F: Fixture> Hooks<F::Store> for Loud<F> {
    async fn create(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        let name: String = serde_json::from_str(step.data().get("name").unwrap().get())?;
        let mut data: Object = step.data().clone();
        let loud = serde_json::value::to_raw_value(&name.to_uppercase())?;
        data.insert(if name == "odd" { "nome" } else { "name" }, loud);
        step.save_as(tx, &data).await?;
        note::<F>(tx, "after").await
    }

    async fn update(&self, _: &mut Connection<F>, _: &Step<'_, F::Store>) -> Result<(), Failure> {
        Ok(())
    }
}

pub(super) async fn a_hook_may_change_or_replace_the_default<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Loud::<F>(PhantomData)).await;
    let answers = replica
        .apply(&[account(1, 0, "a"), account(1, 1, "b"), account(2, 0, "odd")])
        .await;
    let schema = Applied::Retrying {
        attempts: 1,
        reason: "schema",
    };
    assert_eq!(answers, [APPLIED, APPLIED, schema]);
    assert_eq_rows(&replica.names().await, &["A"]);
    assert_eq_rows(&replica.notes().await, &["after"]);
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("nome"), "{error}");
}

/// Notes what it is given.
struct Curious<F>(PhantomData<fn() -> F>);

#[derive(Debug, serde::Deserialize)]
struct Row {
    id: i64,
    full_name: String,
}

impl<F: Fixture> Hooks<F::Store> for Curious<F> {
    async fn create(
        &self,
        tx: &mut Connection<F>,
        step: &Step<'_, F::Store>,
    ) -> Result<(), Failure> {
        let row: Row = step.parse()?;
        note::<F>(tx, &format!("{} {}", row.id, row.full_name)).await?;
        let previous = step
            .previous()
            .map_or_else(|| "none".to_owned(), Object::to_json);
        note::<F>(tx, &previous).await?;
        let meta = step.meta().map_or("none", RawValue::get);
        note::<F>(tx, meta).await?;
        note::<F>(tx, &step.event().correlation().unwrap()).await?;
        step.save(tx).await
    }
}

pub(super) async fn a_hook_sees_the_data_as_the_table_does<F: Fixture>() {
    let person = TableModel::new("person", "id").with_columns([("name", "full_name")]);
    let mut replica = Replica::<F>::new(
        &[
            NOTES,
            "create table person (id integer primary key, full_name text not null)",
        ],
        [table("account", person).with_hooks(Curious::<F>(PhantomData))],
    )
    .await;
    let message = account(7, 0, "Ada")
        .previous("{\"name\":\"Eve\",\"qty\":3}")
        .meta("{\"by\":\"x\"}");
    assert_eq!(replica.one(&message).await, APPLIED);
    assert_eq_rows(
        &replica.notes().await,
        &["7 Ada", "{\"full_name\":\"Eve\"}", "{\"by\":\"x\"}", "c-0"],
    );
    let rows = "select full_name from person";
    assert_eq_rows(&replica.rows(rows).await, &["Ada"]);
}

pub(super) async fn what_a_failed_hook_wrote_is_gone<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Noting::<F>::new()).await;
    let answers = replica
        .apply(&[account(1, 0, "fail"), account(2, 0, "b")])
        .await;
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "handler",
    };
    assert_eq!(answers, [failed, APPLIED]);
    assert_eq_rows(&replica.notes().await, &["create 2 0"]);
    assert_eq_rows(&replica.names().await, &["b"]);
}

pub(super) async fn what_the_table_refuses_costs_one_event<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Noting::<F>::new()).await;
    let missing = Message::save("account", "1", 0, "\"qty\":1");
    let wrong = Message::save("account", "2", 0, "\"name\":\"b\",\"qty\":\"many\"");
    let answers = replica.apply(&[missing, wrong, account(3, 0, "c")]).await;
    let failed = |reason| Applied::Retrying {
        attempts: 1,
        reason,
    };
    assert_eq!(answers, [failed("missing_column"), failed("type"), APPLIED]);
    let letters = replica.letters().await;
    let error = |at: usize| letters[at].error.clone().unwrap_or_default();
    assert!(error(0).contains("name"), "{}", error(0));
    assert!(error(1).contains("qty"), "{}", error(1));
    assert_eq_rows(&replica.notes().await, &["create 3 0"]);
    assert_eq_rows(&replica.names().await, &["c"]);
}

pub(super) async fn a_renamed_column_is_noticed_through_hooks<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Keep::<F>(PhantomData)).await;
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    let rename = "alter table account rename column qty to quantity";
    replica.fixture.execute(rename).await;
    assert_eq!(replica.one(&account(1, 1, "b")).await, APPLIED);
    assert_eq_rows(&replica.names().await, &["b"]);
    assert!(replica.letters().await.is_empty());
}

pub(super) async fn a_row_from_before_the_bookkeeping_is_created_again<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Noting::<F>::new()).await;
    let old = "insert into account (id, name, qty) values (1, 'old', 5)";
    replica.fixture.execute(old).await;
    assert_eq!(replica.one(&account(1, 0, "new")).await, APPLIED);
    assert_eq_rows(&replica.notes().await, &["create 1 0"]);
    assert_eq_rows(&replica.names().await, &["new"]);
}

pub(super) async fn hooks_see_every_revision_in_order<F: Fixture>() {
    let mut replica = Replica::<F>::hooked(Noting::<F>::new()).await;
    assert_eq!(
        replica.one(&account(1, 1, "b")).await,
        Applied::Waiting(WaitReason::Gap)
    );
    replica
        .apply(&[account(1, 2, "c"), account(1, 0, "a")])
        .await;
    let steps = ["create 1 0", "update 1 1", "update 1 2"];
    assert_eq_rows(&replica.notes().await, &steps);
    assert_eq_rows(&replica.names().await, &["c"]);
    assert!(replica.letters().await.is_empty());
    // Those after one that failed wait for it.
    replica
        .apply(&[account(1, 3, "fail"), account(1, 4, "e")])
        .await;
    let states: Vec<_> = replica.letters().await.iter().map(|l| l.state).collect();
    assert_eq!(states, [LetterState::Retrying, LetterState::Waiting]);
    assert_eq_rows(&replica.names().await, &["c"]);
}

pub(super) async fn latest_hooks_skip_what_is_overtaken<F: Fixture>() {
    let model = hooked::<F>(Noting::<F>::new()).latest();
    let mut replica = Replica::<F>::new(&[NOTES, ACCOUNT], [model]).await;
    let answers = replica
        .apply(&[account(1, 5, "a"), account(1, 3, "b"), account(1, 6, "c")])
        .await;
    assert_eq!(
        answers,
        [APPLIED, Applied::Skipped(SkipReason::Stale), APPLIED]
    );
    assert_eq_rows(&replica.notes().await, &["create 1 5", "update 1 6"]);
    assert_eq_rows(&replica.names().await, &["c"]);
}

pub(super) async fn a_hooked_row_waits_for_the_hooked_row_it_refers_to<F: Fixture>() {
    let item = "create table item (id integer primary key,
                account_id integer not null references account (id))";
    let items = table("item", TableModel::new("item", "id")).with_hooks(Noting::<F>::new());
    let models = [hooked::<F>(Noting::<F>::new()), items];
    let mut replica = Replica::<F>::new(&[NOTES, ACCOUNT, item], models).await;
    let child = Message::save("item", "5", 0, "\"account_id\":1");
    let waits = Applied::Waiting(WaitReason::Reference);
    assert_eq!(replica.one(&child).await, waits);
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    assert_eq!(replica.due().await.applied, [APPLIED]);
    assert_eq_rows(&replica.notes().await, &["create 1 0", "create 5 0"]);
    assert!(replica.letters().await.is_empty());
}
