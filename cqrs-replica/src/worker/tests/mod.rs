//! The worker's promises, against a database and a broker that fail on demand. The clock stands
//! still but when all wait, so pauses cost nothing.

mod database;
mod fake;

use std::{error::Error, sync::Arc, time::Duration};

use cqrs_core::{
    QueueName, Slot, StoreError, SystemClock,
    transport::{Ack, DeliveryTag, TransportError},
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use uuid::Uuid;

use self::fake::{Fake, Step, Turn, delivery, delivery_of};
use crate::{Applied, Models, Shutdown, Worker, WorkerConfig, WorkerError};

struct Running {
    fake: Fake,
    shutdown: Shutdown,
    worker: JoinSet<Result<(), WorkerError>>,
}

impl Running {
    fn start(fake: &Fake) -> Self {
        Self::start_with(fake, |_| {})
    }

    fn start_with(fake: &Fake, configure: impl FnOnce(&mut WorkerConfig)) -> Self {
        let mut config = WorkerConfig::new(QueueName::new("q").unwrap());
        config.lanes = 1;
        configure(&mut config);
        let shutdown = Shutdown::new();
        let models = Models::new([]).unwrap();
        let clock = Arc::new(SystemClock);
        let worker = Worker::new(
            fake.clone(),
            fake.clone(),
            models,
            config,
            clock,
            Uuid::from_u128(1),
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(shutdown.clone()));
        Self {
            fake: fake.clone(),
            shutdown,
            worker: tasks,
        }
    }

    async fn ended(mut self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(Duration::from_mins(10), self.worker.join_next()).await;
        ended
            .unwrap_or_else(|_| panic!("the worker goes on: {:?}", self.fake.steps()))
            .unwrap()
            .unwrap()
    }

    async fn drained(self) {
        self.shutdown.drain.cancel();
        self.ended().await.unwrap();
    }
}

fn up_to(tag: u64) -> Ack {
    Ack::UpTo(DeliveryTag(tag))
}

fn one(tag: u64) -> Ack {
    Ack::One(DeliveryTag(tag))
}

fn reason() -> Box<dyn Error + Send + Sync> {
    "a test".into()
}

fn lost() -> TransportError {
    TransportError::Unavailable(reason())
}

#[tokio::test(start_paused = true)]
async fn messages_are_applied_in_order_then_acknowledged_in_one_word() {
    let fake = Fake::new();
    let broker = fake.subscriber();
    (1..=5).for_each(|revision| broker.send(Ok(delivery(revision))).unwrap());
    let running = Running::start(&fake);
    fake.does(Step::Acked(0, up_to(5))).await;
    assert_eq!(fake.count(&Step::Applied(vec![1, 2, 3, 4, 5])), 1);
    running.drained().await;
    assert_eq!(fake.acks(), [(0, up_to(5))]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_goes_to_the_store_like_the_rest() {
    let fake = Fake::new();
    let mut unreadable = delivery(1);
    unreadable.body = bytes::Bytes::from_static(b"\xff{");
    fake.subscriber().send(Ok(unreadable)).unwrap();
    let running = Running::start(&fake);
    fake.does(Step::Acked(0, one(1))).await;
    assert_eq!(fake.count(&Step::Applied(vec![-1])), 1);
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn tags_of_a_lost_subscriber_are_never_used_again() {
    let fake = Fake::new();
    let finish = Arc::new(Notify::new());
    fake.turns([Turn::Wait(Arc::clone(&finish))]);
    let first = fake.subscriber();
    first.send(Ok(delivery(7))).unwrap();
    let running = Running::start(&fake);
    fake.does(Step::Subscribed(0)).await;
    first.send(Err(lost())).unwrap();
    let second = fake.subscriber();
    fake.does(Step::Subscribed(1)).await;
    finish.notify_one();
    fake.does(Step::Applied(vec![7])).await;
    // It comes again, under another tag.
    let mut again = delivery(7);
    again.tag = DeliveryTag(1);
    second.send(Ok(again)).unwrap();
    fake.does(Step::Acked(1, one(1))).await;
    running.drained().await;
    assert_eq!(fake.acks(), [(1, one(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_asked_again_until_it_is_back() {
    let fake = Fake::new();
    (0..20).for_each(|_| fake.no_subscriber(lost()));
    fake.subscriber().send(Ok(delivery(1))).unwrap();
    let running = Running::start(&fake);
    fake.does(Step::Acked(0, one(1))).await;
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_is_reported_before_it_is_declared_anew() {
    let fake = Fake::new();
    let first = fake.subscriber();
    fake.subscriber();
    let running = Running::start(&fake);
    fake.does(Step::Subscribed(0)).await;
    let queue = QueueName::new("q").unwrap();
    first
        .send(Err(TransportError::QueueGone { queue }))
        .unwrap();
    fake.does(Step::Subscribed(1)).await;
    let steps = fake.steps();
    let position = |wanted: Step| steps.iter().position(|step| *step == wanted);
    assert!(
        position(Step::Beat {
            needs_reconcile: true
        }) < position(Step::Subscribed(1))
    );
    assert!(
        position(Step::Beat {
            needs_reconcile: true
        })
        .is_some()
    );
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn the_soft_stop_finishes_what_is_in_hand_and_retires() {
    let fake = Fake::new();
    let finish = Arc::new(Notify::new());
    fake.turns([Turn::Wait(Arc::clone(&finish))]);
    let broker = fake.subscriber();
    broker.send(Ok(delivery(1))).unwrap();
    let running = Running::start_with(&fake, |config| config.batch_size = 1);
    fake.does(Step::Beat {
        needs_reconcile: false,
    })
    .await;
    running.shutdown.drain.cancel();
    // Too late to be taken.
    tokio::time::sleep(Duration::from_millis(100)).await;
    broker.send(Ok(delivery(2))).unwrap();
    finish.notify_one();
    running.ended().await.unwrap();
    let steps = fake.steps();
    let from = steps
        .iter()
        .position(|step| *step == Step::Applied(vec![1]))
        .unwrap();
    let beatless: Vec<_> = steps[from..]
        .iter()
        .filter(|step| !matches!(step, Step::Beat { .. }))
        .cloned()
        .collect();
    let expected = [
        Step::Applied(vec![1]),
        Step::Acked(0, one(1)),
        Step::Closed(0),
        Step::Retired,
    ];
    assert_eq!(beatless, expected);
}

#[tokio::test(start_paused = true)]
async fn the_hard_stop_acknowledges_nothing_unfinished_and_says_so() {
    let fake = Fake::new();
    fake.turns([Turn::Wait(Arc::new(Notify::new()))]);
    fake.subscriber().send(Ok(delivery(1))).unwrap();
    let running = Running::start(&fake);
    fake.does(Step::Subscribed(0)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.shutdown.drain.cancel();
    running.shutdown.stop.cancel();
    let ended = running.ended().await;
    assert!(
        matches!(ended, Err(WorkerError::Stopped { in_hand: 1 })),
        "{ended:?}"
    );
    assert_eq!(fake.acks(), []);
    assert_eq!(fake.count(&Step::Retired), 0);
}

#[tokio::test(start_paused = true)]
async fn draining_has_a_limit() {
    let fake = Fake::new();
    fake.turns([Turn::Wait(Arc::new(Notify::new()))]);
    fake.subscriber().send(Ok(delivery(1))).unwrap();
    let running = Running::start(&fake);
    fake.does(Step::Subscribed(0)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    running.shutdown.drain.cancel();
    let ended = running.ended().await;
    assert!(
        matches!(ended, Err(WorkerError::NotDrained { in_hand: 1 })),
        "{ended:?}"
    );
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_reach_anything_still_stops_when_asked() {
    let fake = Fake::new();
    let running = Running::start(&fake);
    fake.does(Step::Beat {
        needs_reconcile: false,
    })
    .await;
    running.drained().await;
    assert_eq!(fake.count(&Step::Retired), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_worker_with_an_error() {
    let fake = Fake::new();
    fake.turns([Turn::Panic]);
    fake.subscriber().send(Ok(delivery(1))).unwrap();
    let ended = Running::start(&fake).ended().await;
    assert!(
        matches!(ended, Err(WorkerError::TaskDied { task: "lane", .. })),
        "{ended:?}"
    );
    assert_eq!(fake.acks(), []);
}

#[tokio::test(start_paused = true)]
async fn at_the_start_what_no_waiting_helps_is_fatal() {
    let fake = Fake::new();
    fake.refuse_models(StoreError::Schema {
        problem: "no table".to_owned(),
        source: None,
    });
    let ended = Running::start(&fake).ended().await;
    assert!(matches!(ended, Err(WorkerError::Models(_))), "{ended:?}");

    let fake = Fake::new();
    let problem = "bad login".to_owned();
    fake.refuse_models(StoreError::Misconfigured {
        problem,
        source: reason(),
    });
    let ended = Running::start(&fake).ended().await;
    assert!(matches!(ended, Err(WorkerError::Store(_))), "{ended:?}");

    let fake = Fake::new();
    let problem = "bad login".to_owned();
    fake.no_subscriber(TransportError::Misconfigured {
        problem,
        source: reason(),
    });
    let ended = Running::start(&fake).ended().await;
    assert!(matches!(ended, Err(WorkerError::Transport(_))), "{ended:?}");

    let ended = Running::start_with(&Fake::new(), |config| config.lanes = 0)
        .ended()
        .await;
    assert!(matches!(ended, Err(WorkerError::Config(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_wakes_the_task_that_looks_after_letters() {
    let failed = Applied::Retrying {
        attempts: 1,
        reason: "handler",
    };
    is_looked_after(Turn::Answer(failed)).await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_others_waited_for_wakes_the_task_that_looks_after_letters() {
    is_looked_after(Turn::Wake).await;
}

/// A message of which this becomes is followed by a look at the letters.
async fn is_looked_after(turn: Turn) {
    let fake = Fake::new();
    fake.turns([turn]);
    let broker = fake.subscriber();
    let running = Running::start_with(&fake, |config| {
        config.letter_interval = Duration::from_mins(1);
    });
    // The pauses grow up to a minute.
    tokio::time::sleep(Duration::from_secs(200)).await;
    let looks = fake.count(&Step::LookedForLetters);
    broker.send(Ok(delivery(1))).unwrap();
    let began = Instant::now();
    fake.reached("looked again", |steps| {
        steps
            .iter()
            .filter(|step| **step == Step::LookedForLetters)
            .count()
            > looks
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_prefetch_is_taken() {
    let fake = Fake::new();
    let finish = Arc::new(Notify::new());
    fake.turns([Turn::Wait(Arc::clone(&finish))]);
    let broker = fake.subscriber();
    (1..=9).for_each(|revision| broker.send(Ok(delivery(revision))).unwrap());
    let running = Running::start_with(&fake, |config| {
        config.prefetch = std::num::NonZeroU16::new(4).unwrap();
    });
    finish.notify_one();
    fake.does(Step::Applied(vec![1, 2, 3, 4])).await;
    fake.does(Step::Applied(vec![9])).await;
    running.drained().await;
    assert_eq!(fake.acks(), [(0, up_to(4)), (0, up_to(8)), (0, one(9))]);
}

#[tokio::test(start_paused = true)]
async fn no_more_bytes_are_taken_than_may_be_in_hand() {
    let fake = Fake::new();
    let finish = Arc::new(Notify::new());
    fake.turns([Turn::Wait(Arc::clone(&finish))]);
    let broker = fake.subscriber();
    for revision in 1..=3 {
        let mut large = delivery(revision);
        let mut body = large.body.to_vec();
        body.resize(600_000, b' ');
        large.body = body.into();
        broker.send(Ok(large)).unwrap();
    }
    let running = Running::start_with(&fake, |config| config.prefetch_bytes = 1 << 20);
    finish.notify_one();
    fake.does(Step::Applied(vec![3])).await;
    running.drained().await;
    let applied = |step: &Step| matches!(step, Step::Applied(_));
    let applied: Vec<_> = fake.steps().into_iter().filter(applied).collect();
    let singly: Vec<_> = (1..=3)
        .map(|revision| Step::Applied(vec![revision]))
        .collect();
    assert_eq!(applied, singly);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_stands_still_holds_back_no_other() {
    let lane_of = |key: i64| Slot::of("account", &key.to_string()).number() % 2;
    let other = (2..50).find(|key| lane_of(*key) != lane_of(1)).unwrap();
    let fake = Fake::new();
    let finish = Arc::new(Notify::new());
    fake.turns([Turn::Wait(Arc::clone(&finish))]);
    let broker = fake.subscriber();
    broker.send(Ok(delivery(1))).unwrap();
    let running = Running::start_with(&fake, |config| config.lanes = 2);
    tokio::time::sleep(Duration::from_millis(20)).await;
    (2..=3).for_each(|revision| broker.send(Ok(delivery_of(other, revision))).unwrap());
    fake.does(Step::Acked(0, one(3))).await;
    assert_eq!(fake.acks(), [(0, one(2)), (0, one(3))]);
    finish.notify_one();
    running.drained().await;
    assert_eq!(fake.acks()[2..], [(0, one(1))]);
}
