//! Values that we never write.

use std::time::Duration;

use cqrs_core::StoreError;
use cqrs_outbox::{DeadRow, OutboxSession};

use super::fixture::{Fixture, Series, all_slots, ids, instance, row};

/// Adds a row between two others and spoils it.
async fn spoil<F: Fixture>(fixture: &F, spoil: &'static str) -> Vec<i64> {
    let rows = [row(1, "before"), row(1, "bad"), row(1, "after")];
    let added = fixture.add(&rows).await;
    fixture.execute(spoil).await;
    ids(&added)
}

async fn only_dead<S: OutboxSession>(session: &mut S) -> DeadRow {
    let mut dead = session.dead_list(10).await.unwrap();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let listed = dead.remove(0);
    let shown = session.dead_show(listed.id).await.unwrap().unwrap();
    assert_eq!(shown.outbox_id, listed.outbox_id);
    assert_eq!(shown.reason, "unreadable");
    shown
}

pub(super) async fn a_row_that_cannot_be_read_is_set_aside<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    for (column, spoiling) in F::SPOILINGS {
        let added = spoil(&fixture, spoiling).await;
        for limit in [10, 2] {
            // What came before goes on, also when the bad row filled the answer.
            let mut series = Series::default();
            let found = series.drain(&mut session, &all_slots(), limit).await;
            assert_eq!(found, [added[0], added[2]], "{spoiling}");
        }
        let dead = only_dead(&mut session).await;
        assert_eq!(dead.outbox_id, added[1]);
        assert_eq!(dead.body, br#"{"instance_pk":"bad"}"#.as_slice());
        let error = dead.error.unwrap();
        assert!(error.contains(&format!("cqrs_outbox.{column} ")), "{error}");

        // It may be tried again in vain, and thrown away.
        assert_eq!(
            session.dead_retry(None, true).await.unwrap().retried,
            1,
            "{spoiling}"
        );
        let mut series = Series::default();
        let found = series.drain(&mut session, &all_slots(), 1).await;
        assert_eq!(found, [added[0], added[2]], "{spoiling}");
        let dead = only_dead(&mut session).await;
        assert_eq!(session.dead_discard(Some(&[dead.id])).await.unwrap(), 1);
        assert!(session.backlog().await.unwrap().oldest.is_some());
        fixture.execute("delete from cqrs_outbox").await;
    }
}

pub(super) async fn one_that_waits_for_its_retry_is_set_aside<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    for (_, spoiling) in F::SPOILINGS {
        let added = spoil(&fixture, spoiling).await;
        fixture.execute(F::WAIT).await;
        let blocked = session.blocked(&all_slots()).await.unwrap();
        assert!(blocked.len() >= 2, "{blocked:?}");
        fixture.make_due().await;
        // Two fit, of which one is the bad one.
        let due = session.due(&all_slots(), 2).await.unwrap();
        let found: Vec<_> = due.rows.iter().map(|row| row.id).collect();
        assert_eq!(found, [added[0], added[2]], "{spoiling}");
        let dead = only_dead(&mut session).await;
        assert_eq!(session.dead_discard(Some(&[dead.id])).await.unwrap(), 1);
        fixture.execute("delete from cqrs_outbox").await;
    }
}

pub(super) async fn one_behind_a_settled_row_is_set_aside<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    let rows = [
        row(1, "a"),
        row(1, "a").revision(1),
        row(1, "a").revision(2),
    ];
    let added = ids(&fixture.add(&rows).await);
    fixture
        .execute("update cqrs_outbox set queue = 'not#a#queue' where revision = 1")
        .await;
    let rows = session.of_instances(&[instance("a")], 2).await.unwrap();
    let found: Vec<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!(found, [added[0], added[2]]);
    assert_eq!(only_dead(&mut session).await.outbox_id, added[1]);
}

pub(super) async fn a_retry_at_a_time_that_never_comes_is_waited_for<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    fixture.add(&[row(1, "a")]).await;
    fixture.execute(F::WAIT).await;
    fixture.execute(F::NEVER).await;
    let due = session.due(&all_slots(), 2).await.unwrap();
    assert!(due.rows.is_empty());
    assert!(
        due.next.unwrap() > Duration::from_hours(24 * 300),
        "{due:?}"
    );
}

pub(super) async fn a_row_with_any_id_is_found<F: Fixture>(fixture: F) {
    let mut session = fixture.session().await;
    fixture.add(&[row(1, "a"), row(1, "b")]).await;
    fixture
        .execute("update cqrs_outbox set id = -9000000000 where instance_pk = 'a'")
        .await;
    fixture
        .execute("update cqrs_outbox set id = 9223372036854775807 where instance_pk = 'b'")
        .await;
    let mut series = Series::default();
    let found = series.drain(&mut session, &all_slots(), 10).await;
    assert_eq!(found, [-9_000_000_000, i64::MAX]);
}

pub(super) async fn a_database_without_tables_is_refused<F: Fixture>(fixture: F) {
    use cqrs_outbox::OutboxStore as _;
    fixture.execute("delete from cqrs_outbox_migrations").await;
    let error = fixture.store().session().await.err().unwrap();
    assert!(matches!(error, StoreError::Schema { .. }), "{error:?}");
    assert!(error.to_string().contains("cqrs-relay migrate"), "{error}");
}
