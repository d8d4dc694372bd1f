//! RabbitMQ, from `[broker]`.

use crate::{
    config::Broker,
    transport::rabbitmq::{RabbitMq, RabbitMqConfig},
};

pub(super) const SCHEMES: &[&str] = &["amqp", "amqps"];

pub(super) fn open(broker: &Broker, program: &str) -> RabbitMq {
    let mut config = RabbitMqConfig::new(broker.url.clone());
    config.exchange.clone_from(&broker.exchange);
    config.queue_type = broker.queue_type;
    program.clone_into(&mut config.connection_name);
    config.connect_timeout = broker.connect_timeout;
    config.confirm_timeout = broker.confirm_timeout;
    config.heartbeat = broker.heartbeat;
    RabbitMq::new(config)
}
