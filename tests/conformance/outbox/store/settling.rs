//! What became of rows.

use std::time::Duration;

use cqrs_outbox::{Buried, DeadReason, OutboxSession, Postponed, RowRef, Settled, Settlement};

use super::fixture::{
    Fixture, Holder, LEASE, Series, all_slots, fresh_id, ids, instance, row, seen, slot,
};

pub(super) async fn every_kind_is_counted<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    fixture.know(&instance("superseded"), 1).await;
    fixture.know(&instance("newest"), 0).await;
    let added = fixture
        .add(&[
            row(1, "sent"),
            row(1, "later"),
            row(1, "bad"),
            row(1, "superseded").expires_in(-1),
            row(1, "newest").expires_in(-1),
            row(1, "untouched"),
        ])
        .await;
    let settlement = Settlement {
        confirmed: vec![added[0]],
        postponed: vec![Postponed {
            row: added[1],
            attempts: 1,
            delay: Duration::from_secs(9),
            error: "later".to_owned(),
        }],
        dead: vec![Buried {
            row: added[2],
            reason: DeadReason::NoQueue,
            error: "no such queue".to_owned(),
            attempts: 7,
        }],
        expired: vec![added[3], added[4]],
    };
    let settled = session.settle(&settlement, &holder.held).await.unwrap();
    let expected = Settled {
        confirmed: 1,
        postponed: 1,
        dead: 2,
        superseded: 1,
        lost: Vec::new(),
    };
    assert_eq!(settled, expected);
    let left = Series::default()
        .drain(&mut session, &all_slots(), 10)
        .await;
    assert_eq!(left, [added[5].id]);

    // What is gone is not counted again.
    let settled = session.settle(&settlement, &holder.held).await.unwrap();
    assert_eq!(
        settled,
        Settled {
            postponed: 1,
            ..Settled::default()
        }
    );

    let dead = session.dead_list(10).await.unwrap();
    assert_eq!(dead.len(), 2);
    let bad = dead
        .iter()
        .find(|row| row.outbox_id == added[2].id)
        .unwrap();
    assert_eq!((bad.reason.as_str(), bad.attempts), ("no_queue", 7));
    assert_eq!(bad.error.as_deref(), Some("no such queue"));
    assert_eq!(bad.message_id, added[2].message_id.to_string());
    let newest = dead
        .iter()
        .find(|row| row.outbox_id == added[4].id)
        .unwrap();
    assert_eq!((newest.reason.as_str(), newest.attempts), ("expired", 0));
    assert_eq!(newest.instance_pk, "newest");
}

pub(super) async fn a_wrong_message_id_hits_nothing<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    let added = fixture
        .add(&[row(1, "a"), row(1, "b"), row(1, "c"), row(1, "d")])
        .await;
    let wrong = |at: usize| RowRef {
        id: added[at].id,
        message_id: fresh_id(),
    };
    let settlement = Settlement {
        confirmed: vec![wrong(0)],
        postponed: vec![Postponed {
            row: wrong(1),
            attempts: 1,
            delay: Duration::ZERO,
            error: String::new(),
        }],
        dead: vec![Buried {
            row: wrong(2),
            reason: DeadReason::Failed,
            error: String::new(),
            attempts: 1,
        }],
        expired: vec![wrong(3)],
    };
    let settled = session.settle(&settlement, &holder.held).await.unwrap();
    assert_eq!(settled, Settled::default());
    assert_eq!(
        Series::default()
            .drain(&mut session, &all_slots(), 10)
            .await,
        ids(&added)
    );
    assert!(session.dead_list(10).await.unwrap().is_empty());
}

pub(super) async fn a_batch_is_settled_whole<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    let rows: Vec<_> = (0..1_000).map(|n| row(n % 64, &n.to_string())).collect();
    let added = fixture.add(&rows).await;
    let settlement = Settlement {
        confirmed: added,
        ..Settlement::default()
    };
    let settled = session.settle(&settlement, &holder.held).await.unwrap();
    assert_eq!(
        settled,
        Settled {
            confirmed: 1_000,
            ..Settled::default()
        }
    );
}

pub(super) async fn lost_slots_are_reported<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let old = Holder::of_all(&mut session).await;
    let added = fixture.add(&[row(5, "a")]).await;
    let nothing = Settlement::default();
    assert!(
        session
            .settle(&nothing, &old.held)
            .await
            .unwrap()
            .lost
            .is_empty()
    );

    fixture.expire(old.owner).await;
    let mut other = fixture.session().await;
    let new = cqrs_outbox::Owner(fresh_id());
    let census = other.beat(new, LEASE, true).await.unwrap();
    let taken = other.acquire(new, &seen(&census)[5..7]).await.unwrap();
    assert_eq!(taken.len(), 2);

    assert_eq!(
        session.settle(&nothing, &old.held).await.unwrap().lost,
        [slot(5), slot(6)]
    );
    // What was confirmed is sent, whoever holds the slot.
    let settlement = Settlement {
        confirmed: added,
        ..Settlement::default()
    };
    let settled = session.settle(&settlement, &old.held).await.unwrap();
    assert_eq!(
        (settled.confirmed, settled.lost),
        (1, vec![slot(5), slot(6)])
    );
    assert!(
        session
            .settle(&nothing, &taken)
            .await
            .unwrap()
            .lost
            .is_empty()
    );
}

pub(super) async fn no_words_of_a_failure_spoil_a_settlement<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    let added = fixture.add(&[row(1, "a"), row(1, "b")]).await;
    let error = format!("nul \0, quote ' and {}", "long 😀".repeat(10_000));
    let settlement = Settlement {
        postponed: vec![Postponed {
            row: added[0],
            attempts: 0,
            delay: Duration::MAX,
            error: error.clone(),
        }],
        dead: vec![Buried {
            row: added[1],
            reason: DeadReason::Failed,
            error,
            attempts: u32::MAX,
        }],
        ..Settlement::default()
    };
    let settled = session.settle(&settlement, &holder.held).await.unwrap();
    assert_eq!((settled.postponed, settled.dead), (1, 1));
    let dead = session.dead_list(1).await.unwrap();
    let shown = session.dead_show(dead[0].id).await.unwrap().unwrap();
    assert!(
        shown
            .error
            .unwrap()
            .starts_with("nul \u{fffd}, quote ' and long 😀")
    );
    assert!(session.due(&all_slots(), 10).await.unwrap().next.is_some());
}
