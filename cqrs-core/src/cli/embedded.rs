//! The embedded broker, from `[broker]`.

use crate::{
    config::Broker,
    transport::{
        TransportError,
        embedded::{Embedded, EmbeddedConfig},
    },
};

pub(super) const SCHEMES: &[&str] = &["embedded"];

pub(super) fn open(broker: &Broker) -> Result<Embedded, TransportError> {
    let mut config = EmbeddedConfig::from_url(&broker.url)?;
    config.exchange.clone_from(&broker.exchange);
    Ok(Embedded::new(config))
}
