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

/// The id of a row among the dead ones.
async fn dead_id<S: OutboxSession>(session: &mut S, row: RowRef) -> i64 {
    let listed = session.dead_list(100).await.unwrap();
    let message_id = row.message_id.to_string();
    let found = listed.iter().find(|dead| dead.message_id == message_id);
    found.unwrap().id
}

pub(super) async fn dead_rows_are_listed_and_shown<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = bury(
        &fixture,
        &mut session,
        &[row(1, "a"), row(1, "b"), row(1, "c")],
    )
    .await;
    let listed = session.dead_list(2).await.unwrap();
    let outbox_ids: Vec<_> = listed.iter().map(|row| row.outbox_id).collect();
    assert_eq!(outbox_ids, [added[2].id, added[1].id]);
    let id = dead_id(&mut session, added[0]).await;
    let shown = session.dead_show(id).await.unwrap().unwrap();
    assert_eq!((shown.id, shown.outbox_id), (id, added[0].id));
    assert_eq!(shown.cqrs_id, "account");
    assert_eq!(shown.instance_pk, "a");
    assert_eq!(shown.body, br#"{"instance_pk":"a"}"#.as_slice());
    assert_eq!(
        (shown.reason.as_str(), shown.error.as_deref()),
        ("failed", Some("refused"))
    );
    assert_eq!(shown.attempts, 5);
    assert!(!shown.superseded && Some(shown.died_at) >= shown.created_at);
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
    let wanted = [
        dead_id(&mut session, added[0]).await,
        dead_id(&mut session, added[1]).await,
        -1,
    ];
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
        .map(|row| row.outbox_id)
        .collect();
    assert_eq!(left, [added[2].id]);
}

pub(super) async fn a_superseded_row_is_sent_only_by_force<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = bury(&fixture, &mut session, &[row(1, "a"), row(1, "b")]).await;
    fixture.know(&instance("a"), 1).await;
    fixture.know(&instance("b"), 0).await;
    assert_eq!(session.backlog().await.unwrap().dead, 2);
    let superseded = dead_id(&mut session, added[0]).await;
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
            .dead_show(superseded)
            .await
            .unwrap()
            .unwrap()
            .superseded
    );
    assert_eq!(session.backlog().await.unwrap().dead, 0);
    let retried = session.dead_retry(Some(&[superseded]), true).await.unwrap();
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

pub(super) async fn an_id_that_is_given_again_may_die_again<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let first = bury(&fixture, &mut session, &[row(1, "a")]).await[0];
    let added = fixture.add(&[row(1, "b"), row(1, "c")]).await;
    fixture
        .execute(
            "update cqrs_outbox set id = (select outbox_id from cqrs_outbox_dead)
             where instance_pk = 'b'",
        )
        .await;
    let again = RowRef {
        id: first.id,
        ..added[0]
    };
    let settlement = Settlement {
        confirmed: vec![added[1]],
        dead: vec![Buried {
            row: again,
            reason: DeadReason::Failed,
            error: "refused".to_owned(),
            attempts: 5,
        }],
        ..Settlement::default()
    };
    let settled = session.settle(&settlement, &[]).await.unwrap();
    assert_eq!((settled.confirmed, settled.dead), (1, 1));
    let (one, two) = (
        dead_id(&mut session, first).await,
        dead_id(&mut session, again).await,
    );
    assert_ne!(one, two);
    assert_eq!(session.dead_discard(Some(&[one])).await.unwrap(), 1);
    let left = session.dead_list(9).await.unwrap();
    assert_eq!((left[0].id, left[0].outbox_id), (two, first.id));
}

/// Of the ids of dead rows, the first ones are given again, as on a server that logical replication has
/// filled.
pub(super) async fn dead_rows_die_on_where_their_ids_have_stopped<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    bury(&fixture, &mut session, &[row(1, "a"), row(1, "b")]).await;
    fixture
        .execute("alter table cqrs_outbox_dead alter column id restart")
        .await;
    let mut session = fixture.session().await;
    let added = bury(&fixture, &mut session, &[row(1, "c")]).await;
    let newest = session.dead_list(1).await.unwrap();
    assert_eq!(newest[0].outbox_id, added[0].id);
    assert_eq!(
        fixture
            .number("select count(distinct id) from cqrs_outbox_dead")
            .await,
        3
    );
}

/// The dead rows of an outbox as it was before they had ids of their own: 7 and 9. They keep them.
pub(super) async fn dead_rows_of_before_keep_their_ids<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let listed = session.dead_list(9).await.unwrap();
    let mut named: Vec<_> = listed.iter().map(|row| (row.id, row.outbox_id)).collect();
    named.sort_unstable();
    assert_eq!(named, [(7, 7), (9, 9)]);
    let new = bury(&fixture, &mut session, &[row(1, "new")]).await[0];
    assert!(dead_id(&mut session, new).await > 9);
}

pub(super) async fn discarded_rows_are_gone<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = bury(
        &fixture,
        &mut session,
        &[row(1, "a"), row(1, "b"), row(1, "c")],
    )
    .await;
    let second = dead_id(&mut session, added[1]).await;
    assert_eq!(session.dead_discard(Some(&[second, -1])).await.unwrap(), 1);
    assert_eq!(session.dead_discard(Some(&[])).await.unwrap(), 0);
    assert_eq!(session.dead_discard(None).await.unwrap(), 2);
    assert!(session.dead_list(9).await.unwrap().is_empty());
    assert_eq!(
        session.dead_retry(None, true).await.unwrap(),
        Retried::default()
    );
}
