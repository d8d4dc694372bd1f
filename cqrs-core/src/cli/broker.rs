//! Which broker.

use anyhow::bail;

#[cfg(feature = "embedded")]
use super::embedded;
#[cfg(feature = "rabbitmq")]
use super::rabbitmq;
use crate::{
    config::Broker,
    transport::{Browse, Transport},
};

/// What is done with whichever transport it is.
pub trait WithTransport {
    /// Does it.
    ///
    /// Cancellation: the implementation says.
    fn with<T: Transport>(self, transport: T) -> impl Future<Output = anyhow::Result<()>>;
}

/// Does something with the transport that the configuration names. `program` is what a broker calls
/// our connections.
///
/// # Errors
/// The URL makes no sense, this program was built without that transport, or the task fails.
///
/// Cancellation: as for the task.
// Not an `async fn`, which clippy refuses where no transport is there to be waited for.
pub fn with(
    broker: &Broker,
    program: &str,
    task: impl WithTransport,
) -> impl Future<Output = anyhow::Result<()>> {
    let scheme = broker.url.scheme();
    async move {
        // The only place that names all transports, each there if its feature is.
        #[cfg(feature = "rabbitmq")]
        if rabbitmq::SCHEMES.contains(&scheme.as_str()) {
            return task.with(rabbitmq::open(broker, program)).await;
        }
        #[cfg(feature = "embedded")]
        if embedded::SCHEMES.contains(&scheme.as_str()) {
            return task.with(embedded::open(broker)?).await;
        }
        drop((program, task));
        bail!(
            "broker.url is {}, but this program was built without support for {scheme}://: build \
             it with the feature `rabbitmq` or `embedded`",
            broker.url
        )
    }
}

/// What is done with whichever transport it is whose queues can be looked into.
pub trait WithBrowse {
    /// Does it.
    ///
    /// Cancellation: the implementation says.
    fn with<T: Browse>(self, transport: T) -> impl Future<Output = anyhow::Result<()>>;
}

/// As [`with`], for brokers whose queues can be looked into.
///
/// # Errors
/// As for [`with`]; also a broker that cannot.
///
/// Cancellation: as for the task.
pub fn browse(
    broker: &Broker,
    program: &str,
    task: impl WithBrowse,
) -> impl Future<Output = anyhow::Result<()>> {
    let scheme = broker.url.scheme();
    async move {
        #[cfg(feature = "rabbitmq")]
        if rabbitmq::SCHEMES.contains(&scheme.as_str()) {
            return task.with(rabbitmq::open(broker, program)).await;
        }
        #[cfg(feature = "embedded")]
        if embedded::SCHEMES.contains(&scheme.as_str()) {
            return task.with(embedded::open(broker)?).await;
        }
        drop((program, task));
        bail!(
            "broker.url is {}, but this program cannot look into the queues of {scheme}://, only into \
             those of RabbitMQ and of the embedded broker, each if it was built for it",
            broker.url
        )
    }
}
