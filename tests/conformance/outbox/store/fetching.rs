//! Rows come in order, all of them, and once.

use cqrs_core::CqrsId;
use cqrs_outbox::{OutboxSession, Position, Settlement};

use super::fixture::{Fixture, Series, all_slots, fetched_ids, fresh_id, ids, row, slot};

pub(super) async fn rows_come_in_id_order_as_they_were_recorded<F: Fixture>(fixture: F) {
    let mut wanted = row(7, "ключ 1");
    wanted.queue = Some("billing");
    wanted.revision = 41;
    "{\"text\":\"naïve 😀\"}".clone_into(&mut wanted.body);
    let added = fixture.add(&[wanted, row(3, "2"), row(7, "3")]).await;

    let mut session = fixture.session().await;
    let fetched = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap();
    assert_eq!(fetched_ids(&fetched), ids(&added));
    assert!(!fetched.more);
    let first = &fetched.rows[0];
    assert_eq!(first.message_id, added[0].message_id);
    assert_eq!(first.slot, slot(7));
    assert_eq!(first.instance.instance_pk, "ключ 1");
    assert_eq!(first.queue.as_ref().unwrap().as_str(), "billing");
    assert_eq!(first.revision.0, 41);
    assert_eq!(first.body, "{\"text\":\"naïve 😀\"}".as_bytes());
    assert!(!first.expired && first.attempts == 0);
    assert!(fetched.rows[1].queue.is_none());
    session.close().await;
}

pub(super) async fn pages_cover_everything_once<F: Fixture>(fixture: F) {
    let rows: Vec<_> = (0..250).map(|n| row(n % 64, &n.to_string())).collect();
    let added = fixture.add(&rows).await;
    let mut session = fixture.session().await;
    for limit in [1, 7, 250, 251] {
        let found = Series::default()
            .drain(&mut session, &all_slots(), limit)
            .await;
        assert_eq!(found, ids(&added), "limit {limit}");
    }
}

pub(super) async fn a_position_goes_on_where_it_stood<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    for turn in 0..5 {
        let added = fixture
            .add(&[row(1, &turn.to_string()), row(2, &turn.to_string())])
            .await;
        assert_eq!(
            series.drain(&mut session, &all_slots(), 10).await,
            ids(&added)
        );
        assert!(
            series
                .drain(&mut session, &all_slots(), 10)
                .await
                .is_empty()
        );
    }
    assert_eq!(
        Series::default()
            .drain(&mut session, &all_slots(), 10)
            .await
            .len(),
        10
    );
}

pub(super) async fn only_the_slots_asked_for_come<F: Fixture>(fixture: F) {
    let mine = fixture.add(&[row(1, "a")]).await;
    fixture.add(&[row(2, "b"), row(3, "c")]).await;
    let later = fixture.add(&[row(1, "d")]).await;
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let found = series.drain(&mut session, &[slot(1), slot(9)], 10).await;
    assert_eq!(found, [ids(&mine), ids(&later)].concat());
    assert!(series.drain(&mut session, &[], 10).await.is_empty());
}

pub(super) async fn a_series_goes_on_with_fewer_slots<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    fixture.add(&[row(1, "a"), row(2, "b")]).await;
    series.drain(&mut session, &[slot(1), slot(2)], 10).await;
    fixture.add(&[row(2, "c")]).await;
    let kept = fixture.add(&[row(1, "d")]).await;
    assert_eq!(series.drain(&mut session, &[slot(1)], 10).await, ids(&kept));
}

pub(super) async fn rolled_back_ids_leave_no_hole_to_wait_for<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let before = fixture.add(&[row(1, "a")]).await;
    let mut open = fixture.begin().await;
    F::insert(&mut open, &row(1, "gone")).await;
    F::rollback(open).await;
    let after = fixture.add(&[row(1, "b")]).await;
    let found = series.drain(&mut session, &all_slots(), 10).await;
    assert_eq!(found, [ids(&before), ids(&after)].concat());

    let mut open = fixture.begin().await;
    F::insert(&mut open, &row(1, "gone")).await;
    assert!(
        series
            .drain(&mut session, &all_slots(), 10)
            .await
            .is_empty()
    );
    F::rollback(open).await;
    let last = fixture.add(&[row(1, "c")]).await;
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        ids(&last)
    );
}

pub(super) async fn settled_ids_are_never_given_again<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let first = fixture.add(&[row(1, "a"), row(1, "b")]).await;
    series.drain(&mut session, &all_slots(), 10).await;
    let settlement = Settlement {
        confirmed: first.clone(),
        ..Settlement::default()
    };
    assert_eq!(session.settle(&settlement, &[]).await.unwrap().confirmed, 2);
    let second = fixture.add(&[row(1, "c")]).await;
    assert!(second[0].id > first[1].id);
    assert_eq!(
        series.drain(&mut session, &all_slots(), 10).await,
        ids(&second)
    );
}

pub(super) async fn large_bodies_cut_an_answer_short<F: Fixture>(fixture: F) {
    let large = |key: &str| {
        let mut large = row(1, key);
        large.body = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
        large
    };
    let rows: Vec<_> = (0..20).map(|n| large(&n.to_string())).collect();
    let added = fixture.add(&rows).await;
    let mut session = fixture.session().await;
    let fetched = session
        .fetch(&all_slots(), &Position::START, 500)
        .await
        .unwrap();
    assert!(fetched.more);
    assert!(
        (4..16).contains(&fetched.rows.len()),
        "{} rows",
        fetched.rows.len()
    );
    let found = Series::default()
        .drain(&mut session, &all_slots(), 500)
        .await;
    assert_eq!(found, ids(&added));
}

pub(super) async fn a_long_backlog_of_other_slots_is_passed_in_steps<F: Fixture>(fixture: F) {
    let mut rows: Vec<_> = (0..25_000).map(|_| row(2, "other")).collect();
    rows.push(row(1, "mine"));
    let added = fixture.add(&rows).await;
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let first = session
        .fetch(&[slot(1)], &Position::START, 10)
        .await
        .unwrap();
    assert!(first.rows.is_empty() && first.more);
    assert_eq!(
        series.drain(&mut session, &[slot(1)], 10).await,
        [added[25_000].id]
    );
}

/// They are many, and lie before those that may go.
pub(super) async fn rows_of_models_to_leave_out_are_passed_in_steps<F: Fixture>(fixture: F) {
    fixture.add(&[row(1, "held")]).await;
    fixture
        .execute(
            "insert into cqrs_outbox (message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at)
             with recursive number (n) as (select 1 union all select n + 1 from number where n < 200000)
             select message_id, slot, 'nobody', instance_pk, signal, revision, body, created_at
             from cqrs_outbox cross join number",
        )
        .await;
    let live = fixture.add(&[row(1, "live")]).await;
    let without = [
        CqrsId::new("nobody").unwrap(),
        CqrsId::new("other").unwrap(),
    ];
    let mut session = fixture.session().await;
    let (mut position, mut calls, mut found) = (Position::START, 0, Vec::new());
    loop {
        let fetched = session
            .fetch_without(&without, &all_slots(), &position, 500)
            .await
            .unwrap();
        calls += 1;
        found.extend(fetched_ids(&fetched));
        position = fetched.position;
        if !fetched.more {
            break;
        }
    }
    assert_eq!(found, [1, live[0].id]);
    assert!(calls <= 12, "{calls} calls");
    let all = session
        .fetch(&all_slots(), &Position::START, 500)
        .await
        .unwrap();
    assert_eq!(fetched_ids(&all), (1..=500).collect::<Vec<_>>());
}

pub(super) async fn an_empty_outbox_answers_nothing<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let fetched = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap();
    assert!(fetched.rows.is_empty() && !fetched.more);
    // Its position is one to go on from.
    let added = fixture.add(&[row(1, "a")]).await;
    let fetched = session
        .fetch(&all_slots(), &fetched.position, 10)
        .await
        .unwrap();
    assert_eq!(fetched_ids(&fetched), ids(&added));
}

pub(super) async fn expired_rows_say_so<F: Fixture>(fixture: F) {
    fixture
        .add(&[
            row(1, "a").expires_in(-5),
            row(1, "b").expires_in(3_600),
            row(1, "c"),
        ])
        .await;
    let mut session = fixture.session().await;
    let fetched = session
        .fetch(&all_slots(), &Position::START, 10)
        .await
        .unwrap();
    let expired: Vec<_> = fetched.rows.iter().map(|row| row.expired).collect();
    assert_eq!(expired, [true, false, false]);
}

pub(super) async fn two_relays_with_different_slots_share_the_rows<F: Fixture>(fixture: F) {
    let rows: Vec<_> = (0..128)
        .map(|n| row(n % 64, &fresh_id().to_string()))
        .collect();
    let added = fixture.add(&rows).await;
    let (even, odd): (Vec<_>, Vec<_>) = all_slots()
        .into_iter()
        .partition(|slot| slot.number() % 2 == 0);
    let mut found = Vec::new();
    for slots in [even, odd] {
        let mut session = fixture.session().await;
        found.extend(Series::default().drain(&mut session, &slots, 9).await);
    }
    found.sort_unstable();
    assert_eq!(found, ids(&added));
}
