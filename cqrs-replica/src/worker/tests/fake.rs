//! A database and a broker that do what a test tells them, and note what the worker does, in order.

use std::{
    collections::VecDeque,
    num::NonZeroU16,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cqrs_core::{
    CqrsId, QueueName, StoreError,
    transport::{
        Ack, Delivery, DeliveryTag, Headers, Message, Outcome, PublishError, Publisher, Subscriber,
        Subscription, Transport, TransportError,
    },
};
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use crate::{
    Applied, ApplyPolicy, DueLetters, Imported, Incoming, Letter, LetterFilter, LetterGroup,
    LetterState, Models, ReplicaSession, ReplicaStatus, ReplicaStore, UnpublishedLetter,
    WorkerBeat,
};

/// Something that the worker did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Subscribed(usize),
    /// The revisions of a batch.
    Applied(Vec<i64>),
    /// The revision of a message set aside.
    SetAside(i64),
    Acked(usize, Ack),
    Closed(usize),
    Beat {
        needs_reconcile: bool,
    },
    Retired,
    LookedForLetters,
}

/// What the next call of `apply` does.
pub(super) enum Turn {
    Fail(StoreError),
    Panic,
    Answer(Applied),
    /// Succeeds, and makes letters due.
    Wake,
    /// Answers when told to.
    Wait(Arc<Notify>),
}

pub(super) type Deliveries = mpsc::UnboundedReceiver<Result<Delivery, TransportError>>;

#[derive(Debug, Clone)]
pub(super) struct Fake(Arc<Shared>);

struct Shared {
    steps: watch::Sender<Vec<Step>>,
    turns: Mutex<VecDeque<Turn>>,
    woken: AtomicBool,
    asides: Mutex<VecDeque<StoreError>>,
    sessions: Mutex<VecDeque<Result<(), StoreError>>>,
    subscribers: Mutex<VecDeque<Result<Deliveries, TransportError>>>,
    models: Mutex<Option<StoreError>>,
    away: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Fake {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            steps: watch::Sender::new(Vec::new()),
            turns: Mutex::default(),
            woken: AtomicBool::new(false),
            asides: Mutex::default(),
            sessions: Mutex::default(),
            subscribers: Mutex::default(),
            models: Mutex::default(),
            away: AtomicBool::new(false),
        }))
    }

    /// What the next calls of `apply` do; after them each succeeds.
    pub(super) fn turns(&self, turns: impl IntoIterator<Item = Turn>) {
        self.0.turns.lock().unwrap().extend(turns);
    }

    /// The next messages cannot be set aside.
    pub(super) fn refuse_asides(&self, errors: impl IntoIterator<Item = StoreError>) {
        self.0.asides.lock().unwrap().extend(errors);
    }

    /// Whether the next sessions can be opened; after them each can.
    pub(super) fn sessions(&self, opened: impl IntoIterator<Item = Result<(), StoreError>>) {
        self.0.sessions.lock().unwrap().extend(opened);
    }

    /// From now on the database can be reached by nobody, or by everybody again.
    pub(super) fn database_is_away(&self, away: bool) {
        self.0.away.store(away, Ordering::Relaxed);
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.0.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(())
    }

    /// A further subscriber, and the way to deliver to it.
    pub(super) fn subscriber(&self) -> mpsc::UnboundedSender<Result<Delivery, TransportError>> {
        let (sender, deliveries) = mpsc::unbounded_channel();
        self.0.subscribers.lock().unwrap().push_back(Ok(deliveries));
        sender
    }

    /// The next subscription fails.
    pub(super) fn no_subscriber(&self, error: TransportError) {
        self.0.subscribers.lock().unwrap().push_back(Err(error));
    }

    /// The models do not fit.
    pub(super) fn refuse_models(&self, error: StoreError) {
        *self.0.models.lock().unwrap() = Some(error);
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.0.steps.borrow().clone()
    }

    pub(super) fn count(&self, step: &Step) -> usize {
        self.steps().iter().filter(|done| *done == step).count()
    }

    /// All acknowledgements, in order.
    pub(super) fn acks(&self) -> Vec<(usize, Ack)> {
        let steps = self.steps().into_iter();
        steps
            .filter_map(|step| {
                if let Step::Acked(n, ack) = step {
                    Some((n, ack))
                } else {
                    None
                }
            })
            .collect()
    }

    /// Waits until the worker has done it; the clock of these tests stands still, so not for long.
    pub(super) async fn reached(&self, what: &str, mut reached: impl FnMut(&[Step]) -> bool) {
        let mut steps = self.0.steps.subscribe();
        let waiting = steps.wait_for(|steps| reached(steps));
        let outcome = tokio::time::timeout(Duration::from_mins(10), waiting).await;
        assert!(outcome.is_ok(), "never {what}: {:?}", self.steps());
    }

    pub(super) async fn does(&self, step: Step) {
        self.reached(&format!("{step:?}"), |steps| steps.contains(&step))
            .await;
    }

    fn note(&self, step: Step) {
        self.0.steps.send_modify(|steps| steps.push(step));
    }
}

/// A delivery of this revision of instance 1; the tag is the same number.
pub(super) fn delivery(revision: i64) -> Delivery {
    delivery_of(1, revision)
}

/// A delivery of this revision of an instance.
pub(super) fn delivery_of(key: i64, revision: i64) -> Delivery {
    let body = format!(
        r#"{{"signal_type":"SAVE","cqrs_id":"account","instance_pk":{key},"instance_data":
           {{"cqrs_revision":{revision},"cqrs_updated":"2026-11-21 10:00:00.000000+00:00"}}}}"#
    );
    Delivery {
        tag: DeliveryTag(revision.unsigned_abs()),
        message_id: None,
        routing_key: "account".to_owned(),
        body: Bytes::from(body),
        headers: Headers::default(),
        redelivered: false,
    }
}

impl ReplicaStore for Fake {
    type Session = Self;
    type Connection = ();

    async fn session(&self) -> Result<Self, StoreError> {
        self.reach()?;
        let opened = self.0.sessions.lock().unwrap().pop_front();
        opened.unwrap_or(Ok(())).map(|()| self.clone())
    }
}

impl ReplicaSession for Fake {
    type Store = Self;

    async fn check_models(&mut self, _: &Models<Self>) -> Result<(), StoreError> {
        self.0.models.lock().unwrap().take().map_or(Ok(()), Err)
    }

    async fn apply(
        &mut self,
        _: &Models<Self>,
        _: &ApplyPolicy,
        batch: &[Incoming],
    ) -> Result<Vec<Applied>, StoreError> {
        self.reach()?;
        let mut answer = Applied::Applied {
            gap: 0,
            expired: false,
        };
        let turn = self.0.turns.lock().unwrap().pop_front();
        match turn {
            Some(Turn::Fail(error)) => return Err(error),
            Some(Turn::Panic) => panic!("a bug in a store"),
            Some(Turn::Wait(told)) => told.notified().await,
            Some(Turn::Answer(other)) => answer = other,
            Some(Turn::Wake) => self.0.woken.store(true, Ordering::Relaxed),
            None => {}
        }
        let revision =
            |message: &Incoming| message.event.as_ref().map_or(-1, |event| event.revision.0);
        self.note(Step::Applied(batch.iter().map(revision).collect()));
        Ok(vec![answer; batch.len()])
    }

    async fn set_aside(
        &mut self,
        _: &Models<Self>,
        _: &ApplyPolicy,
        message: &Incoming,
        _: &str,
    ) -> Result<Applied, StoreError> {
        if let Some(error) = self.0.asides.lock().unwrap().pop_front() {
            return Err(error);
        }
        let event = message.event.as_ref();
        self.note(Step::SetAside(event.map_or(-1, |event| event.revision.0)));
        Ok(Applied::Retrying {
            attempts: 0,
            reason: "database",
        })
    }

    async fn apply_due(
        &mut self,
        _: &Models<Self>,
        _: &ApplyPolicy,
        _: usize,
    ) -> Result<DueLetters, StoreError> {
        self.reach()?;
        self.note(Step::LookedForLetters);
        Ok(DueLetters::default())
    }

    async fn beat(&mut self, beat: &WorkerBeat) -> Result<(), StoreError> {
        self.reach()?;
        self.note(Step::Beat {
            needs_reconcile: beat.needs_reconcile,
        });
        Ok(())
    }

    async fn retire(&mut self, _: Uuid) -> Result<(), StoreError> {
        self.note(Step::Retired);
        Ok(())
    }

    fn has_woken(&mut self) -> bool {
        self.0.woken.swap(false, Ordering::Relaxed)
    }

    async fn prune_letters(
        &mut self,
        _: &QueueName,
        _: LetterState,
        _: Duration,
        _: usize,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn prune_tombstones(
        &mut self,
        _: &QueueName,
        _: Duration,
        _: usize,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn status(&mut self, _: &QueueName) -> Result<ReplicaStatus, StoreError> {
        Ok(ReplicaStatus::default())
    }

    async fn letter_list(
        &mut self,
        _: &QueueName,
        _: Option<LetterState>,
        _: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        Ok(Vec::new())
    }

    async fn letter_show(&mut self, _: &QueueName, _: i64) -> Result<Option<Letter>, StoreError> {
        Ok(None)
    }

    async fn letter_retry(&mut self, _: &QueueName, _: Option<&[i64]>) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn letter_discard(
        &mut self,
        _: &QueueName,
        _: Option<&[i64]>,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn letter_page(
        &mut self,
        _: &QueueName,
        _: &LetterFilter,
        _: i64,
        _: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        Ok(Vec::new())
    }

    async fn letter_groups(
        &mut self,
        _: &QueueName,
        _: &LetterFilter,
        _: Option<&[i64]>,
    ) -> Result<Vec<LetterGroup>, StoreError> {
        Ok(Vec::new())
    }

    async fn letter_purge(&mut self, _: &QueueName, _: &[i64]) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn letters_to_publish(
        &mut self,
        _: &QueueName,
        _: &[CqrsId],
        _: Duration,
        _: usize,
    ) -> Result<Vec<UnpublishedLetter>, StoreError> {
        Ok(Vec::new())
    }

    async fn letters_published(
        &mut self,
        _: &QueueName,
        _: &[(i64, Uuid)],
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn letter_import(
        &mut self,
        _: &QueueName,
        _: Vec<Incoming>,
        _: bool,
    ) -> Result<Imported, StoreError> {
        Ok(Imported::default())
    }

    async fn close(self) {}
}

pub(super) struct FakeSubscriber {
    fake: Fake,
    number: usize,
    deliveries: Deliveries,
}

pub(super) struct NoPublisher;

impl Transport for Fake {
    type Publisher = NoPublisher;
    type Subscriber = FakeSubscriber;

    async fn publisher(&self) -> Result<NoPublisher, TransportError> {
        Ok(NoPublisher)
    }

    async fn subscriber(&self, _: &Subscription) -> Result<FakeSubscriber, TransportError> {
        let next = self.0.subscribers.lock().unwrap().pop_front();
        let Some(next) = next else {
            return std::future::pending().await;
        };
        let deliveries = next?;
        let before = |step: &&Step| matches!(step, Step::Subscribed(_));
        let number = self.steps().iter().filter(before).count();
        self.note(Step::Subscribed(number));
        Ok(FakeSubscriber {
            fake: self.clone(),
            number,
            deliveries,
        })
    }
}

impl Subscriber for FakeSubscriber {
    async fn next(&mut self) -> Result<Delivery, TransportError> {
        match self.deliveries.recv().await {
            Some(next) => next,
            None => std::future::pending().await,
        }
    }

    async fn set_prefetch(&mut self, _: NonZeroU16) -> Result<(), TransportError> {
        Ok(())
    }

    async fn ack(&mut self, ack: Ack) -> Result<(), TransportError> {
        self.fake.note(Step::Acked(self.number, ack));
        Ok(())
    }

    async fn close(self) {
        self.fake.note(Step::Closed(self.number));
    }
}

impl Publisher for NoPublisher {
    async fn publish(&mut self, _: &[Message]) -> Result<Vec<Outcome>, PublishError> {
        Ok(Vec::new())
    }

    async fn close(self) {}
}
