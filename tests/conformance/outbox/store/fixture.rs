//! What a test of the suite needs of a database.

use std::{collections::BTreeSet, future::Future, time::Duration};

use cqrs_core::{CqrsId, Slot};
use cqrs_outbox::{
    Census, Epoch, Fetched, Instance, OutboxSession, OutboxStore, Owner, Position, RowRef,
};
use uuid::Uuid;

/// A fresh, migrated database.
pub(super) trait Fixture: Sized + Send + Sync {
    type Store: OutboxStore;

    /// A transaction of an application.
    type Open: Send;

    /// Statements that leave a value nobody can read in the rows of the instance `bad`, with its column.
    const SPOILINGS: &[(&str, &str)];

    /// Makes all rows wait for a retry, as if in an order of their ids.
    const WAIT: &str;

    /// Makes them wait for ever.
    const NEVER: &str;

    fn new() -> impl Future<Output = Self>;

    fn store(&self) -> Self::Store;

    fn begin(&self) -> impl Future<Output = Self::Open> + Send;

    /// Inserts a row as `record` would.
    fn insert(open: &mut Self::Open, row: &NewRow) -> impl Future<Output = RowRef> + Send;

    fn commit(open: Self::Open) -> impl Future<Output = ()> + Send;

    fn rollback(open: Self::Open) -> impl Future<Output = ()> + Send;

    /// Runs a statement that all databases understand.
    fn execute(&self, sql: &'static str) -> impl Future<Output = ()> + Send;

    /// The number that such a query answers.
    fn number(&self, sql: &'static str) -> impl Future<Output = i64> + Send;

    /// Says that a revision of the instance has been recorded.
    fn know(&self, instance: &Instance, revision: i64) -> impl Future<Output = ()> + Send;

    /// Lets the heartbeat run out.
    fn expire(&self, owner: Owner) -> impl Future<Output = ()> + Send;

    /// Makes all waiting rows due.
    fn make_due(&self) -> impl Future<Output = ()> + Send;

    /// Inserts rows in a transaction of their own.
    fn add(&self, rows: &[NewRow]) -> impl Future<Output = Vec<RowRef>> + Send {
        async move {
            let mut open = self.begin().await;
            let mut added = Vec::with_capacity(rows.len());
            for row in rows {
                added.push(Self::insert(&mut open, row).await);
            }
            Self::commit(open).await;
            added
        }
    }

    fn session(&self) -> impl Future<Output = <Self::Store as OutboxStore>::Session> + Send {
        async { self.store().session().await.unwrap() }
    }
}

/// What a test wants in the outbox.
#[derive(Debug, Clone)]
pub(super) struct NewRow {
    pub(super) instance: Instance,
    pub(super) slot: Slot,
    pub(super) revision: i64,
    pub(super) queue: Option<&'static str>,
    pub(super) body: String,
    /// Seconds from now; past, if negative.
    pub(super) expires_in: Option<i64>,
}

impl NewRow {
    pub(super) fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = Some(seconds);
        let body = r#"{"instance_data":{},"expires":"2020-01-01T00:00:00+00:00"}"#;
        body.clone_into(&mut self.body);
        self
    }

    pub(super) fn revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }
}

/// A first revision of an instance, in a slot of the test's choice.
pub(super) fn row(number: u16, key: &str) -> NewRow {
    NewRow {
        instance: instance(key),
        slot: slot(number),
        revision: 0,
        queue: None,
        body: format!("{{\"instance_pk\":{key:?}}}"),
        expires_in: None,
    }
}

pub(super) fn instance(key: &str) -> Instance {
    Instance {
        cqrs_id: CqrsId::new("account").unwrap(),
        instance_pk: key.to_owned(),
    }
}

pub(super) fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

pub(super) fn all_slots() -> Vec<Slot> {
    Slot::all().collect()
}

/// An id of a relay or message.
pub(super) fn fresh_id() -> Uuid {
    Uuid::from_u128(fastrand::u128(..))
}

/// A relay that holds all slots.
pub(super) struct Holder {
    pub(super) owner: Owner,
    pub(super) held: Vec<(Slot, Epoch)>,
}

/// How long test heartbeats live.
pub(super) const LEASE: Duration = Duration::from_secs(30);

impl Holder {
    pub(super) async fn of_all<S: OutboxSession>(session: &mut S) -> Self {
        let owner = Owner(fresh_id());
        let census = session.beat(owner, LEASE, true).await.unwrap();
        let held = session.acquire(owner, &seen(&census)).await.unwrap();
        assert_eq!(held.len(), 64, "a fresh database has 64 free slots");
        Self { owner, held }
    }
}

/// All slots with their epochs.
pub(super) fn seen(census: &Census) -> Vec<(Slot, Epoch)> {
    census
        .leases
        .iter()
        .map(|lease| (lease.slot, lease.epoch))
        .collect()
}

pub(super) fn ids(rows: &[RowRef]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

pub(super) fn fetched_ids(fetched: &Fetched) -> Vec<i64> {
    fetched.rows.iter().map(|row| row.id).collect()
}

/// A series of fetches that must not repeat a row.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) position: Position,
    pub(super) found: BTreeSet<i64>,
}

impl Series {
    /// Fetches until there is no more, and answers with what is new.
    pub(super) async fn drain<S: OutboxSession>(
        &mut self,
        session: &mut S,
        slots: &[Slot],
        limit: usize,
    ) -> Vec<i64> {
        let mut found = Vec::new();
        loop {
            let fetched = session.fetch(slots, &self.position, limit).await.unwrap();
            assert!(
                fetched.rows.len() <= limit,
                "{} rows of {limit}",
                fetched.rows.len()
            );
            for id in fetched_ids(&fetched) {
                assert!(self.found.insert(id), "row {id} came twice");
                found.push(id);
            }
            self.position = fetched.position;
            if !fetched.more {
                return found;
            }
        }
    }
}

/// Longer than any test takes on a machine that compiles at the same time.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// One test per name, each with a database of its own.
macro_rules! conformance {
    ($fixture:ty: $($module:ident::$test:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let test = async {
                let fixture = <$fixture as crate::store::fixture::Fixture>::new().await;
                crate::store::$module::$test(fixture).await;
            };
            tokio::time::timeout(crate::store::fixture::PATIENCE, test).await.expect("in time");
        }
    )*};
}
