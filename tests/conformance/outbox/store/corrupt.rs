//! Values that we never write.

use cqrs_core::StoreError;
use cqrs_outbox::{OutboxSession, Position};

use super::fixture::{Fixture, all_slots, instance, row};

pub(super) async fn a_corrupt_row_is_named_by_its_column<F: Fixture>(fixture: F) {
    let mut broken = row(1, "a");
    broken.queue = Some("not#a#queue");
    fixture.add(&[broken]).await;
    let mut session = fixture.session().await;
    let error = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Corrupt {
                table: "cqrs_outbox",
                column: "queue",
                ..
            }
        ),
        "{error:?}"
    );
    fixture
        .execute("update cqrs_outbox set queue = null, cqrs_id = 'cqrs.mine'")
        .await;
    let error = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Corrupt {
                column: "cqrs_id",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        session
            .of_instances(&[instance("a")], 10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(super) async fn a_database_without_tables_is_refused<F: Fixture>(fixture: F) {
    use cqrs_outbox::OutboxStore as _;
    fixture.execute("delete from cqrs_outbox_migrations").await;
    let error = fixture.store().session().await.err().unwrap();
    assert!(matches!(error, StoreError::Schema { .. }), "{error:?}");
    assert!(error.to_string().contains("cqrs-relay migrate"), "{error}");
}
