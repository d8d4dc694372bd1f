//! The same on quorum queues.

use cqrs_core::{
    QueueName,
    transport::{QueueType, TransportError, rabbitmq::RabbitMq},
};

use super::Server;
use crate::fixture::Fixture;

/// A server on which quorum queues are made.
struct Quorum(Server);

impl Fixture for Quorum {
    type Transport = RabbitMq;

    async fn new() -> Self {
        Self(Server::new().await)
    }

    async fn private(name: &str) -> Self {
        Self(Server::private(name).await)
    }

    fn transport(&self) -> RabbitMq {
        let mut config = self.0.config();
        config.queue_type = QueueType::Quorum;
        RabbitMq::new(config)
    }

    fn elsewhere(&self) -> RabbitMq {
        self.transport()
    }

    async fn restart(&self) {
        self.0.restart().await;
    }

    async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        self.0.depth(queue).await
    }

    async fn delete_queue(&self, queue: &QueueName) {
        self.0.delete_queue(queue).await;
    }

    async fn clean(self, queues: &[&QueueName]) {
        self.0.clean(queues).await;
    }
}

conformance!(Quorum:
    routing::broadcasts_reach_every_queue_of_the_model,
    routing::subscribing_again_adds_bindings_and_removes_none,
    routing::the_dead_letter_queue_takes_direct_messages,
    browsing::looking_leaves_everything_where_it_is,
    confirms::unroutable_and_routable_messages_mix_in_a_batch,
    confirms::a_batch_of_five_thousand_arrives_in_order,
    confirms::a_publisher_keeps_its_order_over_batches,
    content::ids_and_headers_come_as_they_were_sent,
    content::bodies_come_unchanged,
    consuming::closing_gives_back_what_is_not_acknowledged,
    consuming::dropping_gives_back_what_is_not_acknowledged,
    consuming::acknowledged_messages_are_gone,
    consuming::an_acknowledgement_up_to_covers_all_before,
    consuming::both_kinds_of_acknowledgement_mix,
    consuming::prefetch_bounds_what_is_unacknowledged,
    consuming::the_prefetch_can_be_changed_and_the_order_stays,
    consuming::two_subscribers_share_a_queue,
    consuming::a_cancelled_next_loses_nothing,
    consuming::a_deleted_queue_is_reported_and_declared_anew,
);

conformance_private!(Quorum:
    restarts::confirmed_messages_survive_a_restart,
);
