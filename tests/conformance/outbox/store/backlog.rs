//! How much there is.

use std::time::Duration;

use cqrs_outbox::{Buried, Counted, DeadReason, OutboxSession, Postponed, Settlement};

use super::fixture::{Fixture, Holder, row};

pub(super) async fn a_large_backlog_is_counted_in_part<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    fixture.add(&[row(1, "oldest")]).await;
    fixture
        .execute(
            "insert into cqrs_outbox (message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at)
             with recursive number (n) as (select 1 union all select n + 1 from number where n < 100000)
             select message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at
             from cqrs_outbox cross join number",
        )
        .await;
    let backlog = session.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.counted), (100_000, Counted::AtLeast));
    assert!(backlog.oldest.is_some());
    fixture
        .execute("delete from cqrs_outbox where instance_pk = 'oldest' and id > 100000")
        .await;
    let backlog = session.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.counted), (100_000, Counted::Exactly));
}

pub(super) async fn the_backlog_is_counted<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let empty = session.backlog().await.unwrap();
    assert_eq!((empty.rows, empty.retrying, empty.dead), (0, 0, 0));
    assert!(empty.oldest.is_none() && empty.census.relays.is_empty());

    let holder = Holder::of_all(&mut session).await;
    let added = fixture.add(&[row(1, "a"), row(1, "b"), row(1, "c")]).await;
    let settlement = Settlement {
        postponed: vec![Postponed {
            row: added[0],
            attempts: 1,
            delay: Duration::from_mins(1),
            error: String::new(),
        }],
        dead: vec![Buried {
            row: added[1],
            reason: DeadReason::Failed,
            error: String::new(),
            attempts: 1,
        }],
        ..Settlement::default()
    };
    session.settle(&settlement, &holder.held).await.unwrap();
    let beat = session.backlog().await.unwrap().census.relays[0].beat;
    let backlog = session.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.retrying, backlog.dead), (2, 1, 1));
    assert!(backlog.oldest.unwrap() < Duration::from_mins(1));
    assert_eq!(backlog.census.leases.len(), 64);
    assert_eq!(
        backlog.census.relays[0].beat, beat,
        "looking renews nothing"
    );
}
