//! Rows whose transactions commit out of order. Only for databases where that can happen.

use cqrs_outbox::{OutboxSession, Settlement};

use super::fixture::{Fixture, Series, all_slots, ids, row};

pub(super) async fn a_late_commit_is_found_once<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let mut late = fixture.begin().await;
    let low = F::insert(&mut late, &row(1, "late")).await;
    let high = fixture.add(&[row(1, "early")]).await;
    assert!(low.id < high[0].id);
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        ids(&high)
    );
    assert!(
        series
            .drain(&mut session, &all_slots(), 10)
            .await
            .is_empty()
    );
    F::commit(late).await;
    assert_eq!(series.drain(&mut session, &all_slots(), 10).await, [low.id]);
    assert!(
        series
            .drain(&mut session, &all_slots(), 10)
            .await
            .is_empty()
    );
}

pub(super) async fn transactions_that_commit_in_reverse_order_are_all_found<F: Fixture>(
    fixture: F,
) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let mut open = Vec::new();
    for n in 0..8 {
        let mut tx = fixture.begin().await;
        let added = F::insert(&mut tx, &row(n, &n.to_string())).await;
        open.push((tx, added));
    }
    while let Some((tx, added)) = open.pop() {
        F::commit(tx).await;
        assert_eq!(
            series.drain(&mut session, &all_slots(), 10).await,
            [added.id]
        );
    }
}

pub(super) async fn an_id_drawn_before_and_written_after_a_fetch_is_found<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    // The second row gives the transaction an id past what the fetch in between has seen.
    let mut open = fixture.begin().await;
    let first = F::insert(&mut open, &row(1, "a")).await;
    let other = fixture.add(&[row(2, "b")]).await;
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        ids(&other)
    );
    let second = F::insert(&mut open, &row(1, "c")).await;
    let other = fixture.add(&[row(2, "d")]).await;
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        ids(&other)
    );
    F::commit(open).await;
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        [first.id, second.id]
    );
}

pub(super) async fn a_transaction_held_open_holds_up_nobody_else<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let mut held = fixture.begin().await;
    let old = F::insert(&mut held, &row(1, "old")).await;
    for turn in 0..100 {
        let added = fixture.add(&[row(1, &turn.to_string())]).await;
        assert_eq!(
            series.drain(&mut session, &all_slots(), 10).await,
            ids(&added)
        );
        let settlement = Settlement {
            confirmed: added,
            ..Settlement::default()
        };
        session.settle(&settlement, &[]).await.unwrap();
    }
    F::commit(held).await;
    assert_eq!(series.drain(&mut session, &all_slots(), 10).await, [old.id]);
}

pub(super) async fn many_late_rows_come_in_pages<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    // Two large transactions, one of them the oldest there is, and small ones in between.
    let mut one = fixture.begin().await;
    let mut two = fixture.begin().await;
    let mut late = Vec::new();
    for n in 0..150 {
        late.push(F::insert(&mut one, &row(n % 64, &n.to_string())).await.id);
        late.push(F::insert(&mut two, &row(n % 64, &n.to_string())).await.id);
    }
    let early = fixture.add(&[row(1, "early")]).await;
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        ids(&early)
    );
    F::commit(two).await;
    F::commit(one).await;

    let mut found = Vec::new();
    let mut fresh = Vec::new();
    for turn in 0..40 {
        // Others commit while the pages are turned, some of them late themselves.
        let mut open = fixture.begin().await;
        let slow = F::insert(&mut open, &row(1, &format!("slow {turn}"))).await;
        fresh.extend(ids(&fixture.add(&[row(1, &format!("quick {turn}"))]).await));
        let fetched = session
            .fetch(&all_slots(), &series.position, 10)
            .await
            .unwrap();
        for row in &fetched.rows {
            assert!(series.found.insert(row.id), "row {} came twice", row.id);
            found.push(row.id);
        }
        // They leave room for those that came after them.
        let waits = fetched.rows.iter().all(|row| row.id <= early[0].id);
        assert!(!waits || turn == 0, "page {turn} has late rows only");
        series.position = fetched.position;
        F::commit(open).await;
        fresh.push(slow.id);
    }
    found.extend(series.drain(&mut session, &all_slots(), 10).await);
    let mut expected = late.clone();
    expected.extend(fresh);
    let mut sorted = found.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    // And in the order of their ids, as far as they became visible together.
    found.retain(|id| late.contains(id));
    assert_eq!(found, late);
}

pub(super) async fn late_rows_of_other_slots_stay_out<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let slots = &all_slots()[..4];
    let mut open = fixture.begin().await;
    let mine = F::insert(&mut open, &row(1, "mine")).await;
    F::insert(&mut open, &row(50, "theirs")).await;
    let early = fixture.add(&[row(2, "early"), row(51, "theirs")]).await;
    assert_eq!(series.drain(&mut session, slots, 1).await, [early[0].id]);
    F::commit(open).await;
    assert_eq!(series.drain(&mut session, slots, 1).await, [mine.id]);
}
