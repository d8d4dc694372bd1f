//! Rows that wait for a retry, and what waits behind them.

use std::time::Duration;

use cqrs_outbox::{OutboxSession, Position, Postponed, RowRef, Settlement};

use super::fixture::{Fixture, Holder, Series, all_slots, fetched_ids, ids, instance, row, slot};

fn postponed(row: RowRef, delay: Duration) -> Postponed {
    Postponed {
        row,
        attempts: 3,
        delay,
        error: "not today".to_owned(),
    }
}

async fn postpone<S: OutboxSession>(session: &mut S, holder: &Holder, rows: Vec<Postponed>) {
    let number = rows.len() as u64;
    let settlement = Settlement {
        postponed: rows,
        ..Settlement::default()
    };
    let settled = session.settle(&settlement, &holder.held).await.unwrap();
    assert_eq!((settled.postponed, settled.lost), (number, vec![]));
}

pub(super) async fn waiting_rows_are_left_to_due<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    let added = fixture.add(&[row(1, "a"), row(1, "a"), row(2, "b")]).await;
    postpone(
        &mut session,
        &holder,
        vec![postponed(added[0], Duration::from_mins(1))],
    )
    .await;

    let fetched = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap();
    assert_eq!(fetched_ids(&fetched), [added[1].id, added[2].id]);
    assert_eq!(
        session.blocked(&all_slots()).await.unwrap(),
        [instance("a")]
    );
    assert!(session.blocked(&[slot(2)]).await.unwrap().is_empty());

    let due = session.due(&all_slots(), 10).await.unwrap();
    assert!(due.rows.is_empty());
    let next = due.next.unwrap();
    assert!(
        next > Duration::from_secs(30) && next <= Duration::from_mins(1),
        "{next:?}"
    );
    let due = session.due(&[slot(2)], 10).await.unwrap();
    assert!(due.rows.is_empty() && due.next.is_none());

    fixture.make_due().await;
    let due = session.due(&all_slots(), 10).await.unwrap();
    assert_eq!(due.rows.len(), 1);
    assert_eq!((due.rows[0].id, due.rows[0].attempts), (added[0].id, 3));
    assert!(due.next.is_none());
    assert!(session.due(&[slot(2)], 10).await.unwrap().rows.is_empty());
}

pub(super) async fn due_rows_come_oldest_first_and_limited<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    let added = fixture.add(&[row(1, "a"), row(1, "b"), row(1, "c")]).await;
    let rows = vec![
        postponed(added[0], Duration::from_millis(5)),
        postponed(added[1], Duration::ZERO),
        postponed(added[2], Duration::from_mins(1)),
    ];
    postpone(&mut session, &holder, rows).await;
    // Until the second is due as well; the database's clock says when.
    let due = loop {
        let due = session.due(&all_slots(), 10).await.unwrap();
        if due.rows.len() == 2 {
            break due;
        }
        tokio::time::sleep(due.next.unwrap_or_default()).await;
    };
    let order: Vec<_> = due.rows.iter().map(|row| row.id).collect();
    assert_eq!(order, [added[1].id, added[0].id]);
    assert!(due.next.is_some());
    let due = session.due(&all_slots(), 1).await.unwrap();
    assert_eq!(due.rows[0].id, added[1].id);
    assert!(due.next.is_none(), "the answer does not hold them all");
}

pub(super) async fn rows_behind_a_settled_one_are_read_by_instance<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let holder = Holder::of_all(&mut session).await;
    let added = fixture
        .add(&[
            row(1, "a"),
            row(1, "b"),
            row(1, "a"),
            row(1, "c"),
            row(1, "a"),
        ])
        .await;
    postpone(
        &mut session,
        &holder,
        vec![postponed(added[4], Duration::from_mins(1))],
    )
    .await;
    let wanted = [
        instance("a"),
        instance("b"),
        instance("nobody"),
        instance("a"),
    ];
    let found = session.of_instances(&wanted, 10).await.unwrap();
    let found: Vec<_> = found.iter().map(|row| row.id).collect();
    assert_eq!(found, [added[0].id, added[1].id, added[2].id]);
    let found = session.of_instances(&wanted, 2).await.unwrap();
    let found: Vec<_> = found.iter().map(|row| row.id).collect();
    assert_eq!(found, [added[0].id, added[1].id]);
    assert!(session.of_instances(&[], 10).await.unwrap().is_empty());
}

pub(super) async fn keys_are_compared_byte_by_byte<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let added = fixture
        .add(&[row(1, "Key"), row(1, "key"), row(1, "key "), row(1, "kéy")])
        .await;
    for (key, row) in ["Key", "key", "key ", "kéy"].into_iter().zip(&added) {
        let found = session.of_instances(&[instance(key)], 10).await.unwrap();
        assert_eq!(
            found.iter().map(|row| row.id).collect::<Vec<_>>(),
            [row.id],
            "{key:?}"
        );
    }
}

pub(super) async fn a_row_is_put_off_only_under_a_held_slot<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let old = Holder::of_all(&mut session).await;
    let added = fixture.add(&[row(1, "a"), row(2, "b")]).await;
    session.release(old.owner, &old.held[1..2]).await.unwrap();
    let settlement = Settlement {
        postponed: added
            .iter()
            .map(|row| postponed(*row, Duration::ZERO))
            .collect(),
        ..Settlement::default()
    };
    let settled = session.settle(&settlement, &old.held).await.unwrap();
    assert_eq!((settled.postponed, settled.lost), (1, vec![slot(1)]));
    let found = Series::default()
        .drain(&mut session, &all_slots(), 10)
        .await;
    assert_eq!(found, ids(&added[..1]));
}
