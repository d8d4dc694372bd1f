//! What a test of the suite needs of a database.

use std::{fmt::Debug, future::Future, time::Duration};

use cqrs_core::{CqrsId, QueueName, RetryPolicy, StoreError};
use cqrs_replica::{
    Applied, ApplyPolicy, DueLetters, Incoming, Letter, LetterState, Model, Models, ReplicaSession,
    ReplicaStore, TableModel,
};

use super::message::Message;

/// A fresh, migrated database.
pub(super) trait Fixture: Sized + Send + Sync + 'static {
    type Store: ReplicaStore;
    /// What `true` looks like as text.
    const TRUE: &'static str;
    /// What a column for floats makes of `NaN`.
    const NAN: &'static str;

    fn new() -> impl Future<Output = Self>;

    /// A database without our tables.
    fn empty() -> impl Future<Output = Self>;

    fn store(&self) -> Self::Store;

    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// Runs a statement, in which `{decimal}`, `{wide}`, `{bigint}`, `{float}`, `{boolean}`,
    /// `{json_text}`, `{uuid}` and `{strict}` stand for what the database calls them.
    fn try_execute(&self, sql: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// What a query answers, whose columns are all text; null is `-`.
    fn rows(&self, sql: &str) -> impl Future<Output = Vec<String>> + Send;

    /// Runs a statement as a handler.
    fn inside(
        tx: &mut <Self::Store as ReplicaStore>::Transaction<'_>,
        sql: String,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// All statements of the store.
    fn statements() -> &'static [(&'static str, &'static str)];

    /// Prepares a statement.
    fn prepare(&self, sql: &'static str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    fn execute(&self, sql: &str) -> impl Future<Output = ()> + Send {
        async move { self.try_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")) }
    }

    fn session(&self) -> impl Future<Output = <Self::Store as ReplicaStore>::Session> + Send {
        async { self.store().session().await.unwrap() }
    }
}

/// A database with a session and models.
pub(super) struct Replica<F: Fixture> {
    pub(super) fixture: F,
    pub(super) session: <F::Store as ReplicaStore>::Session,
    pub(super) models: Models<F::Store>,
    pub(super) policy: ApplyPolicy,
}

impl<F: Fixture> Replica<F> {
    /// A replica of these models, after these statements.
    pub(super) async fn new(
        statements: &[&str],
        models: impl IntoIterator<Item = Model<F::Store>>,
    ) -> Self {
        let fixture = F::new().await;
        for sql in statements {
            fixture.execute(sql).await;
        }
        let session = fixture.session().await;
        Self { session, models: Models::new(models).unwrap(), policy: policy(), fixture }
    }

    /// A replica of `account` with a name and a quantity.
    pub(super) async fn accounts() -> Self {
        Self::new(&[ACCOUNT], [table("account", TableModel::new("account", "id"))]).await
    }

    pub(super) async fn apply(&mut self, batch: &[Message]) -> Vec<Applied> {
        self.try_apply(batch).await.unwrap()
    }

    pub(super) async fn try_apply(
        &mut self,
        batch: &[Message],
    ) -> Result<Vec<Applied>, StoreError> {
        let batch: Vec<Incoming> = batch.iter().map(Message::incoming).collect();
        self.session.apply(&self.models, &self.policy, &batch).await
    }

    /// Applies one message.
    pub(super) async fn one(&mut self, message: &Message) -> Applied {
        let mut answers = self.apply(std::slice::from_ref(message)).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub(super) async fn due(&mut self) -> DueLetters {
        self.session.apply_due(&self.models, &self.policy, 100).await.unwrap()
    }

    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        self.fixture.rows(sql).await
    }

    /// All letters, oldest first.
    pub(super) async fn letters(&mut self) -> Vec<Letter> {
        let mut letters = self.session.letter_list(&self.policy.queue, None, 1000).await.unwrap();
        letters.reverse();
        letters
    }

    /// State and reason of all letters, oldest first.
    pub(super) async fn letter_states(&mut self) -> Vec<(LetterState, String)> {
        self.letters().await.into_iter().map(|letter| (letter.state, letter.reason)).collect()
    }

    /// Makes all open letters due.
    pub(super) async fn make_due(&self) {
        let sql = "update cqrs_dead_letter set next_attempt_at = created_at
                   where next_attempt_at is not null";
        self.fixture.execute(sql).await;
    }
}

pub(super) const ACCOUNT: &str =
    "create table account (id integer primary key, name text not null, qty integer) {strict}";

pub(super) fn policy() -> ApplyPolicy {
    ApplyPolicy::new(QueueName::new("billing").unwrap())
}

pub(super) fn id(text: &str) -> CqrsId {
    CqrsId::new(text).unwrap()
}

pub(super) fn table<S: ReplicaStore>(cqrs_id: &str, table: TableModel) -> Model<S> {
    Model::table(id(cqrs_id), table)
}

/// A policy that gives up after this many attempts, without delay between them.
pub(super) fn attempts(max: u32) -> RetryPolicy {
    RetryPolicy {
        initial: Duration::ZERO,
        jitter: 0.0,
        max_attempts: Some(max),
        ..RetryPolicy::default()
    }
}

pub(super) const APPLIED: Applied = Applied::Applied { gap: 0, expired: false };

#[track_caller]
pub(super) fn assert_eq_rows(found: &[impl AsRef<str> + Debug], expected: &[&str]) {
    let found: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
    assert_eq!(found, expected);
}

/// Names the tests of a database.
macro_rules! conformance {
    ($fixture:ty: $($module:ident::$name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$module::$name::<$fixture>().await;
            }
        )+
    };
}
