//! Rows that were given up.

use cqrs_outbox::{Buried, DeadReason, OutboxSession, Position, Retried, RowRef, Settlement};

use super::fixture::{Fixture, Holder, NewRow, all_slots, instance, row};

/// Adds rows and buries them, in this order.
async fn bury<F: Fixture, S: OutboxSession>(
    fixture: &F,
    session: &mut S,
    rows: &[NewRow],
) -> Vec<RowRef> {
    let added = fixture.add(rows).await;
    for row in &added {
        let buried = Buried {
            row: *row,
            reason: DeadReason::Failed,
            error: "refused".to_owned(),
            attempts: 5,
        };
        let settlement = Settlement {
            dead: vec![buried],
            ..Settlement::default()
        };
        assert_eq!(session.settle(&settlement, &[]).await.unwrap().dead, 1);
    }
    added
}

pub(super) async fn dead_rows_are_listed_and_shown<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = bury(
        &fixture,
        &mut session,
        &[row(1, "a"), row(1, "b"), row(1, "c")],
    )
    .await;
    let listed: Vec<_> = session
        .dead_list(2)
        .await
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(listed, [added[2].id, added[1].id]);
    let shown = session.dead_show(added[0].id).await.unwrap().unwrap();
    assert_eq!(shown.instance, instance("a"));
    assert_eq!(shown.body, br#"{"instance_pk":"a"}"#.as_slice());
    assert_eq!(
        (shown.reason.as_str(), shown.error.as_deref()),
        ("failed", Some("refused"))
    );
    assert_eq!(shown.attempts, 5);
    assert!(!shown.superseded && shown.died_at >= shown.created_at);
    assert!(session.dead_show(-1).await.unwrap().is_none());
}

pub(super) async fn a_retried_row_gets_a_new_id<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    fixture.know(&instance("a"), 4).await;
    let added = bury(
        &fixture,
        &mut session,
        &[row(9, "a").revision(4), row(9, "pruned"), row(9, "c")],
    )
    .await;
    let wanted = [added[0].id, added[1].id, -1];
    let retried = session.dead_retry(Some(&wanted), false).await.unwrap();
    assert_eq!(
        retried,
        Retried {
            retried: 2,
            superseded: 0
        }
    );

    let rows = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row.id > added[2].id && row.attempts == 0)
    );
    assert_eq!(rows[0].message_id, added[0].message_id);
    assert_eq!((rows[0].revision.0, rows[0].slot.number()), (4, 9));
    assert_eq!(rows[0].body, br#"{"instance_pk":"a"}"#.as_slice());
    let left: Vec<_> = session
        .dead_list(9)
        .await
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(left, [added[2].id]);
}

pub(super) async fn a_superseded_row_is_sent_only_by_force<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = bury(&fixture, &mut session, &[row(1, "a"), row(1, "b")]).await;
    fixture.know(&instance("a"), 1).await;
    fixture.know(&instance("b"), 0).await;
    assert_eq!(session.backlog().await.unwrap().dead, 2);
    let retried = session.dead_retry(None, false).await.unwrap();
    assert_eq!(
        retried,
        Retried {
            retried: 1,
            superseded: 1
        }
    );
    assert!(
        session
            .dead_show(added[0].id)
            .await
            .unwrap()
            .unwrap()
            .superseded
    );
    assert_eq!(session.backlog().await.unwrap().dead, 0);
    let retried = session
        .dead_retry(Some(&[added[0].id]), true)
        .await
        .unwrap();
    assert_eq!(
        retried,
        Retried {
            retried: 1,
            superseded: 0
        }
    );
    assert!(session.dead_list(9).await.unwrap().is_empty());
    assert_eq!(session.backlog().await.unwrap().rows, 2);
}

pub(super) async fn a_retried_row_does_not_expire_again<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let past = row(1, "past").expires_in(-5);
    let future = row(1, "future").expires_in(3_600);
    let added = bury(&fixture, &mut session, &[past, future.clone()]).await;
    assert_eq!(
        session.dead_retry(None, false).await.unwrap().retried,
        added.len() as u64
    );
    let rows = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap()
        .rows;
    assert!(rows.iter().all(|row| !row.expired));
    assert_eq!(
        rows[0].body,
        br#"{"instance_data":{},"expires":null}"#.as_slice()
    );
    assert_eq!(rows[1].body, future.body.as_bytes());
    let timeless = "select count(*) from cqrs_outbox where expires_at is null";
    assert_eq!(fixture.number(timeless).await, 1);
}

pub(super) async fn retrying_everything_keeps_the_order<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let rows: Vec<_> = (0..450).map(|n| row(1, &n.to_string())).collect();
    let added = fixture.add(&rows).await;
    let holder = Holder::of_all(&mut session).await;
    let dead = added.iter().map(|row| Buried {
        row: *row,
        reason: DeadReason::Failed,
        error: String::new(),
        attempts: 1,
    });
    let settlement = Settlement {
        dead: dead.collect(),
        ..Settlement::default()
    };
    assert_eq!(
        session
            .settle(&settlement, &holder.held)
            .await
            .unwrap()
            .dead,
        450
    );
    let retried = session.dead_retry(None, false).await.unwrap();
    assert_eq!(
        retried,
        Retried {
            retried: 450,
            superseded: 0
        }
    );
    let rows = session
        .fetch(&all_slots(), &Position::START, 500)
        .await
        .unwrap()
        .rows;
    assert!(
        rows.iter()
            .map(|row| row.message_id)
            .eq(added.iter().map(|row| row.message_id))
    );
}

pub(super) async fn discarded_rows_are_gone<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = bury(
        &fixture,
        &mut session,
        &[row(1, "a"), row(1, "b"), row(1, "c")],
    )
    .await;
    assert_eq!(
        session
            .dead_discard(Some(&[added[1].id, -1]))
            .await
            .unwrap(),
        1
    );
    assert_eq!(session.dead_discard(Some(&[])).await.unwrap(), 0);
    assert_eq!(session.dead_discard(None).await.unwrap(), 2);
    assert!(session.dead_list(9).await.unwrap().is_empty());
    assert_eq!(
        session.dead_retry(None, true).await.unwrap(),
        Retried::default()
    );
}
