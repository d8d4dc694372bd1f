//! Where the broker is and how long to wait for it.

use std::{num::NonZeroU16, time::Duration};

use crate::{SecretUrl, transport::QueueType};

/// The settings of a [`RabbitMq`](super::RabbitMq).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RabbitMqConfig {
    /// `amqp://user:password@host:5672/vhost`, or `amqps://` with the feature `tls`. The virtual
    /// host is percent-encoded (`%2f` is `/`, the only one django-cqrs uses).
    ///
    /// Certificates are checked against the system's roots, or against the file that the environment
    /// variable `SSL_CERT_FILE` names.
    pub url: SecretUrl,
    /// The topic exchange. Default: `cqrs`, as in django-cqrs.
    pub exchange: String,
    /// The type of queues that are made, those of dead letters included. Default: the virtual host's.
    pub queue_type: QueueType,
    /// How the connections are called in the broker's own listings. Default: `cqrs`.
    pub connection_name: String,
    /// The longest time for a connection to be ready for use, topology included. Default: 10 s.
    pub connect_timeout: Duration,
    /// The longest time without any confirm of what was sent, or for the broker to take an
    /// acknowledgement. It does not run while the broker blocks publishers for want of memory or
    /// disk. Default: 10 s.
    pub confirm_timeout: Duration,
    /// The interval of heartbeats, in whole seconds, unless the URL says `?heartbeat=`. A dead peer
    /// is noticed after two of them. Default: 10 s (the broker's own proposal is 60).
    pub heartbeat: Duration,
    /// How many messages may be sent and not yet confirmed. Default: 1000; more is slower, since the
    /// driver looks through all of them for each collective confirm.
    pub max_in_flight: NonZeroU16,
}

impl RabbitMqConfig {
    /// The defaults, for this broker.
    #[must_use]
    pub fn new(url: SecretUrl) -> Self {
        Self {
            url,
            exchange: "cqrs".to_owned(),
            queue_type: QueueType::default(),
            connection_name: "cqrs".to_owned(),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            max_in_flight: NonZeroU16::new(1000).unwrap_or(NonZeroU16::MAX),
        }
    }
}
