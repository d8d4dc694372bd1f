//! A broker in a bad mood: the real one behind publishers that lose connections, before or after the
//! messages have arrived, and refuse messages.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cqrs_core::{
    RetryPolicy, SystemClock,
    transport::{
        Message, Outcome, PublishError, Publisher, Subscription, Transport, TransportError,
        embedded::{Embedded, EmbeddedPublisher, EmbeddedSubscriber},
    },
};
use cqrs_relay::{Relay, RelayConfig, Shutdown, new_owner};
use tokio::task::JoinSet;

use crate::bed::{Bed, saved};

#[derive(Debug, Clone)]
struct Capricious {
    broker: Embedded,
    mood: Arc<AtomicU64>,
}

struct CapriciousPublisher {
    publisher: EmbeddedPublisher,
    mood: Arc<AtomicU64>,
}

/// The same moods on each run, in whatever order they meet the batches.
fn draw(mood: &AtomicU64, out_of: u64) -> u64 {
    let mut x = mood.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) % out_of
}

impl Transport for Capricious {
    type Publisher = CapriciousPublisher;
    type Subscriber = EmbeddedSubscriber;

    async fn publisher(&self) -> Result<CapriciousPublisher, TransportError> {
        let publisher = self.broker.publisher().await?;
        Ok(CapriciousPublisher {
            publisher,
            mood: Arc::clone(&self.mood),
        })
    }

    async fn subscriber(
        &self,
        subscription: &Subscription,
    ) -> Result<EmbeddedSubscriber, TransportError> {
        self.broker.subscriber(subscription).await
    }
}

impl Publisher for CapriciousPublisher {
    async fn publish(&mut self, messages: &[Message]) -> Result<Vec<Outcome>, PublishError> {
        let mood = draw(&self.mood, 12);
        if mood == 0 {
            return Err(TransportError::Unavailable("in no mood".into()).into());
        }
        let refused: HashSet<_> = messages
            .iter()
            .filter(|_| mood == 1 && draw(&self.mood, 3) == 0)
            .map(|message| message.message_id)
            .collect();
        let taken: Vec<_> = messages
            .iter()
            .filter(|message| !refused.contains(&message.message_id))
            .cloned()
            .collect();
        let mut outcomes = self.publisher.publish(&taken).await?.into_iter();
        if mood == 2 {
            return Err(TransportError::Unavailable("after the fact".into()).into());
        }
        let outcome = |message: &Message| {
            if refused.contains(&message.message_id) {
                Outcome::Refused
            } else {
                outcomes.next().unwrap()
            }
        };
        let outcomes: Vec<_> = messages.iter().map(outcome).collect();
        if mood == 3 {
            // The word on some of them got through.
            let known = outcomes.into_iter();
            let known = known.map(|outcome| (draw(&self.mood, 2) == 0).then_some(outcome));
            return Err(PublishError {
                outcomes: known.collect(),
                error: TransportError::Unavailable("in the middle".into()),
            });
        }
        Ok(outcomes)
    }

    async fn close(self) {
        self.publisher.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_deliveries_stay_in_order_whatever_the_broker_does() {
    const RELAYS: usize = 3;
    let bed = Bed::new().await;
    let mut ledger = bed.queue("billing", "account").await;
    let broker = Capricious {
        broker: bed.broker.clone(),
        mood: Arc::default(),
    };
    let quick = RetryPolicy {
        initial: Duration::from_millis(2),
        max: Duration::from_millis(20),
        max_attempts: None,
        ..RetryPolicy::default()
    };
    let mut config = RelayConfig::default();
    (config.batch_size, config.window, config.publishers) = (20, 60, 3);
    (config.reconnect, config.destination_retry) = (quick.clone(), quick);
    config.lease = Duration::from_millis(600);
    let mut relays = JoinSet::new();
    let mut stops = Vec::new();
    for _ in 0..RELAYS {
        let shutdown = Shutdown::new();
        let relay = Relay::new(
            bed.store.clone(),
            broker.clone(),
            config.clone(),
            Arc::new(SystemClock),
            new_owner(&SystemClock),
        );
        relays.spawn(relay.run(shutdown.clone()));
        stops.push(shutdown);
    }
    for round in 0..60 {
        bed.record((0..50).map(|key| saved("account", key)).collect())
            .await;
        if round % 25 == 24 {
            // One leaves in good order and one dies, while the others go on.
            let stop = stops.pop().unwrap();
            if round < 30 {
                stop.drain.cancel();
            } else {
                stop.stop.cancel();
            }
        }
    }
    ledger.read(60 * 50).await;
    bed.until("empty", |status| status.backlog == 0).await;
    assert_eq!(bed.status().await.dead, 0);
}
