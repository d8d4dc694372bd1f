//! What a test of the suite needs of a broker.

use std::{
    future::Future,
    num::NonZeroU16,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::{
    CqrsId, QueueName,
    transport::{
        Delivery, Headers, Message, Outcome, Publisher, Routing, Subscriber, Subscription,
        Transport, TransportError,
    },
};
use cqrs_tests::rabbitmq::unique_queue;
use uuid::Uuid;

/// A broker with an exchange of the test's own.
pub(crate) trait Fixture: Sized + Send + Sync {
    type Transport: Transport;

    /// A fresh exchange on a shared broker.
    fn new() -> impl Future<Output = Self> + Send;

    /// A broker of the test's own.
    fn private(name: &str) -> impl Future<Output = Self> + Send;

    /// The broker as this process sees it.
    fn transport(&self) -> Self::Transport;

    /// The broker as another process sees it: shares nothing with [`Fixture::transport`].
    fn elsewhere(&self) -> Self::Transport;

    /// Restarts a private broker in good order.
    fn restart(&self) -> impl Future<Output = ()> + Send;

    /// How many messages are ready.
    fn depth(&self, queue: &QueueName) -> impl Future<Output = Result<u64, TransportError>> + Send;

    /// Deletes a queue by hand.
    fn delete_queue(&self, queue: &QueueName) -> impl Future<Output = ()> + Send;

    /// Deletes the exchange and the queues that the test names.
    fn clean(self, queues: &[&QueueName]) -> impl Future<Output = ()> + Send;
}

/// Longer than any step takes on a machine that compiles at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One test per name, each with a fixture of its own.
macro_rules! conformance {
    ($fixture:ty: $($module:ident::$test:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let test = async { crate::$module::$test(<$fixture as crate::fixture::Fixture>::new().await).await };
            tokio::time::timeout(crate::fixture::PATIENCE * 2, test).await.expect("in time");
        }
    )*};
}

/// Likewise, with a broker of its own.
macro_rules! conformance_private {
    ($fixture:ty: $($module:ident::$test:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let name = concat!("transport-", stringify!($test)).replace('_', "-");
            let name = &name[..name.len().min(40)];
            let fixture = <$fixture as crate::fixture::Fixture>::private(name).await;
            let test = crate::$module::$test(fixture);
            tokio::time::timeout(crate::fixture::PATIENCE * 4, test).await.expect("in time");
        }
    )*};
}

pub(crate) fn cqrs_id(text: &str) -> CqrsId {
    CqrsId::new(text).unwrap()
}

pub(crate) fn broadcast(text: &str) -> Routing {
    Routing::Broadcast(cqrs_id(text))
}

/// A subscription of `account` on a queue of the test's own.
pub(crate) fn subscription(prefetch: u16) -> Subscription {
    Subscription {
        queue: unique_queue("billing"),
        dead_letter_queue: None,
        cqrs_ids: vec![cqrs_id("account")],
        prefetch: NonZeroU16::new(prefetch).unwrap(),
    }
}

/// A message whose body is its number.
pub(crate) fn message(number: usize) -> Message {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64;
    Message {
        message_id: Uuid::from_u128(id),
        routing: broadcast("account"),
        body: Bytes::from(number.to_string()),
        headers: Headers::default(),
        timestamp: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    }
}

pub(crate) fn messages(numbers: std::ops::Range<usize>) -> Vec<Message> {
    numbers.map(message).collect()
}

pub(crate) fn number(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.body)
        .unwrap()
        .parse()
        .unwrap()
}

/// Publishes, and all of it is confirmed.
pub(crate) async fn publish<P: Publisher>(publisher: &mut P, messages: &[Message]) {
    let outcomes = publisher.publish(messages).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Confirmed; messages.len()]);
}

/// Publishes on a publisher made for it.
pub(crate) async fn publish_by<T: Transport>(transport: &T, messages: &[Message]) {
    let mut publisher = transport.publisher().await.unwrap();
    publish(&mut publisher, messages).await;
    publisher.close().await;
}

pub(crate) async fn next<S: Subscriber>(subscriber: &mut S) -> Delivery {
    outcome(subscriber).await.unwrap()
}

pub(crate) async fn outcome<S: Subscriber>(subscriber: &mut S) -> Result<Delivery, TransportError> {
    tokio::time::timeout(PATIENCE, subscriber.next())
        .await
        .expect("a message in time")
}

pub(crate) async fn take<S: Subscriber>(subscriber: &mut S, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::with_capacity(count);
    for _ in 0..count {
        deliveries.push(next(subscriber).await);
    }
    deliveries
}

pub(crate) fn numbers(deliveries: &[Delivery]) -> Vec<usize> {
    deliveries.iter().map(number).collect()
}

/// Nothing comes: what would come has been confirmed before, so a moment is long.
pub(crate) async fn nothing_comes<S: Subscriber>(subscriber: &mut S) {
    let moment = Duration::from_millis(300);
    if let Ok(delivery) = tokio::time::timeout(moment, subscriber.next()).await {
        panic!("unexpected: {delivery:?}");
    }
}

/// Waits until a queue has that many ready messages.
pub(crate) async fn depth_becomes<F: Fixture>(fixture: &F, queue: &QueueName, depth: u64) {
    let reached = async {
        while fixture.depth(queue).await.unwrap() != depth {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .expect("the depth in time");
}
