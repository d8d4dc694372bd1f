//! `[broker]`: where messages go.

use std::time::Duration;

use super::{
    kind::{Choice, Integer, Period},
    names::{Text, Url},
    section::Section,
};
use crate::{SecretUrl, transport::QueueType, wire};

/// How to reach the broker. Relay and replica use the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker {
    /// `amqp://`, `amqps://` or `embedded://`.
    pub url: SecretUrl,
    /// The topic exchange, `CQRS["exchange"]` of django-cqrs.
    pub exchange: String,
    /// The type of queues that workers make.
    pub queue_type: QueueType,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long no word may come on what was sent before the connection is given up. While the broker
    /// blocks publishers it does not run.
    pub confirm_timeout: Duration,
    /// How often both ends show that they are alive.
    pub heartbeat: Duration,
    /// The longest body that is sent or applied, in bytes.
    pub max_message_bytes: usize,
}

impl Broker {
    /// The broker at `url`, all else as by default.
    #[must_use]
    pub fn new(url: SecretUrl) -> Self {
        Self {
            url,
            exchange: "cqrs".to_owned(),
            queue_type: QueueType::default(),
            connect_timeout: Duration::from_secs(5),
            confirm_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            max_message_bytes: wire::MAX_BODY,
        }
    }

    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let default = Self::new(SecretUrl::new(""));
        let url = section.required(
            "url",
            &Url(&["amqp", "amqps", "embedded"]),
            "\"amqp://guest:guest@localhost:5672/%2f\"",
            "The broker: RabbitMQ, with TLS or without, or the path of an embedded one's file.",
        );
        let exchange = section.value(
            "exchange",
            &Text(127),
            default.exchange,
            "The topic exchange. Must be the same on all services, Django's included.",
        );
        let queue_type = section.value(
            "queue_type",
            &Choice(&[
                ("default", QueueType::Default),
                ("classic", QueueType::Classic),
                ("quorum", QueueType::Quorum),
            ]),
            default.queue_type,
            "RabbitMQ: the type of queues that workers make; `default` is the virtual host's. A queue that is there is taken as it is.",
        );
        let connect_timeout = section.value(
            "connect_timeout",
            &Period(Duration::from_millis(100)..=Duration::from_mins(5)),
            default.connect_timeout,
            "How long opening a connection may take.",
        );
        let confirm_timeout = section.value(
            "confirm_timeout",
            &Period(Duration::from_millis(100)..=Duration::from_mins(10)),
            default.confirm_timeout,
            "How long no word may come on what was sent before the connection is given up. While the broker blocks publishers it does not run.",
        );
        let heartbeat = section.value(
            "heartbeat",
            &Period(Duration::from_secs(1)..=Duration::from_mins(10)),
            default.heartbeat,
            "AMQP heartbeat, in whole seconds: a connection silent for twice as long is dead.",
        );
        let max_message_bytes = section.value(
            "max_message_bytes",
            &Integer(1024..=wire::MAX_BODY),
            default.max_message_bytes,
            "The longest body that is sent or applied. A row that RabbitMQ refuses for its \
             `max_message_size` (16 MiB by default since version 4, 128 MiB before) becomes a dead row too.",
        );
        if heartbeat.subsec_nanos() > 0 {
            section.wrong(
                "heartbeat",
                "is not in whole seconds",
                "write whole seconds, for example 10s",
            );
        }
        Some(Self {
            url: url?,
            exchange,
            queue_type,
            connect_timeout,
            confirm_timeout,
            heartbeat,
            max_message_bytes,
        })
    }
}
