//! RabbitMQ: the shared server, or one of the test's own where the server itself is what breaks.

use cqrs_core::{
    QueueName, SecretUrl,
    transport::{
        TransportError,
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use cqrs_tests::{
    rabbitmq::{Admin, unique, url},
    services::Service,
};

use crate::fixture::Fixture;

mod partly;
mod proxy;
mod queues;
mod quorum;
mod refusals;
mod rights;
mod silence;
mod tls;
mod unreadable;
mod wire;

/// An exchange on a server.
pub(crate) struct Server {
    service: Option<Service>,
    url: SecretUrl,
    exchange: String,
}

impl Server {
    fn config(&self) -> RabbitMqConfig {
        let mut config = RabbitMqConfig::new(self.url.clone());
        config.exchange.clone_from(&self.exchange);
        config
    }

    async fn admin(&self) -> Admin {
        Admin::connect(&self.url).await
    }
}

impl Fixture for Server {
    type Transport = RabbitMq;

    async fn new() -> Self {
        Self {
            service: None,
            url: url(),
            exchange: unique("cqrs"),
        }
    }

    async fn private(name: &str) -> Self {
        let service = Service::rabbitmq(name).await.unwrap();
        let url = SecretUrl::new(service.url());
        Self {
            service: Some(service),
            url,
            exchange: unique("cqrs"),
        }
    }

    fn transport(&self) -> RabbitMq {
        RabbitMq::new(self.config())
    }

    fn elsewhere(&self) -> RabbitMq {
        self.transport()
    }

    async fn restart(&self) {
        self.service
            .as_ref()
            .expect("a private server")
            .restart()
            .await
            .unwrap();
    }

    async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        self.transport().depth(queue).await
    }

    async fn delete_queue(&self, queue: &QueueName) {
        let admin = self.admin().await;
        admin.delete_queue(queue).await;
        admin.close().await;
    }

    async fn clean(self, queues: &[&QueueName]) {
        let admin = self.admin().await;
        for queue in queues {
            admin.delete_queue(queue).await;
        }
        admin.delete_exchange(&self.exchange).await;
        admin.close().await;
    }
}

conformance!(Server:
    routing::broadcasts_reach_every_queue_of_the_model,
    routing::direct_messages_reach_their_queue_alone,
    routing::models_that_are_not_bound_stay_away,
    temporary::a_temporary_queue_goes_with_its_last_consumer,
    routing::subscribing_again_adds_bindings_and_removes_none,
    routing::the_dead_letter_queue_takes_direct_messages,
    browsing::looking_leaves_everything_where_it_is,
    browsing::a_queue_that_is_not_there_cannot_be_looked_into,
    browsing::a_model_that_is_unbound_comes_no_more,
    confirms::unroutable_messages_are_told_apart,
    confirms::messages_that_share_an_id_are_told_apart,
    confirms::unroutable_and_routable_messages_mix_in_a_batch,
    confirms::an_empty_batch_has_no_outcomes,
    confirms::a_batch_of_five_thousand_arrives_in_order,
    confirms::a_publisher_keeps_its_order_over_batches,
    confirms::a_cancelled_call_spoils_the_publisher,
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
    consuming::a_waiting_subscriber_hears_of_other_processes,
    consuming::a_deleted_queue_is_reported_and_declared_anew,
);

conformance_private!(Server:
    restarts::confirmed_messages_survive_a_restart,
    restarts::a_restart_ends_connections_and_new_ones_go_on,
);
