//! Which broker.

use anyhow::bail;
use cqrs_core::{config::Broker, transport::Transport};

#[cfg(feature = "embedded")]
use super::embedded;
#[cfg(feature = "rabbitmq")]
use super::rabbitmq;

/// What is done with whichever transport it is.
pub(super) trait WithTransport {
    async fn with<T: Transport>(self, transport: T) -> anyhow::Result<()>;
}

/// Does something with the transport that the configuration names.
pub(super) async fn with(broker: &Broker, task: impl WithTransport) -> anyhow::Result<()> {
    let scheme = broker.url.scheme();
    // The only place that names all transports, each there if its feature is.
    #[cfg(feature = "rabbitmq")]
    if rabbitmq::SCHEMES.contains(&scheme.as_str()) {
        return task.with(rabbitmq::open(broker)).await;
    }
    #[cfg(feature = "embedded")]
    if embedded::SCHEMES.contains(&scheme.as_str()) {
        return task.with(embedded::open(broker)?).await;
    }
    drop(task);
    bail!(
        "broker.url is {}, but this program was built without support for {scheme}://: build it \
         with the feature `rabbitmq` or `embedded`",
        broker.url
    )
}
