//! The embedded broker.

use cqrs_core::{
    QueueName,
    transport::{
        TransportError,
        embedded::{Embedded, EmbeddedConfig},
    },
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::fixture::Fixture;

mod files;
mod processes;

/// A file in a directory of its own.
pub(crate) struct File {
    directory: TempDir,
    transport: Embedded,
}

impl File {
    fn config(&self) -> EmbeddedConfig {
        EmbeddedConfig::new(self.directory.path().join("broker.db"))
    }

    /// The file as someone with sqlite3 sees it.
    async fn open(&self) -> SqliteConnection {
        let path = self.directory.path().join("broker.db");
        SqliteConnection::connect(&format!("sqlite://{}", path.display()))
            .await
            .unwrap()
    }
}

impl Fixture for File {
    type Transport = Embedded;

    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let transport = Embedded::new(EmbeddedConfig::new(directory.path().join("broker.db")));
        Self {
            directory,
            transport,
        }
    }

    async fn private(_: &str) -> Self {
        Self::new().await
    }

    fn transport(&self) -> Embedded {
        self.transport.clone()
    }

    fn elsewhere(&self) -> Embedded {
        Embedded::new(self.config())
    }

    /// There is no broker that could go away; `processes` kills real clients instead.
    async fn restart(&self) {}

    async fn depth(&self, queue: &QueueName) -> Result<u64, TransportError> {
        self.transport.depth(queue).await
    }

    async fn delete_queue(&self, queue: &QueueName) {
        sqlx::query("DELETE FROM queue WHERE name = ?1")
            .bind(queue.as_str())
            .execute(&mut self.open().await)
            .await
            .unwrap();
    }

    async fn clean(self, _: &[&QueueName]) {}
}

conformance!(File:
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

conformance_private!(File: restarts::confirmed_messages_survive_a_restart);

// Not `restarts::a_restart_ends_connections_and_new_ones_go_on`: there is no broker to lose.
