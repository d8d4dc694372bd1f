//! Rows without a slot: who may send them is found when they are read.

use std::time::Duration;

use cqrs_core::{Slot, database::sqlite::SqliteConfig};
use cqrs_outbox::{
    Buried, DeadReason, Fetched, OutboxRow, OutboxSession, OutboxStore, Owner, Position, Postponed,
    RowRef, Settlement,
    sqlite::{SqliteSession, SqliteStore},
};
use uuid::Uuid;

use super::bed::Bed;

async fn session(bed: &Bed) -> SqliteSession {
    SqliteStore::new(SqliteConfig::new(bed.url()))
        .session()
        .await
        .unwrap()
}

fn slots() -> Vec<Slot> {
    Slot::all().collect()
}

fn reference(row: &OutboxRow) -> RowRef {
    RowRef {
        id: row.id,
        message_id: row.message_id,
    }
}

/// Rows of three kinds in turn: without a slot, with one, and large.
async fn filled() -> Bed {
    let bed = Bed::new().await;
    bed.execute(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)
         insert into cqrs_record (cqrs_id, key, data)
         select 'account', i, json_object('id', i, 'x', hex(zeroblob(iif(i % 50 = 0, 100000, 5)))) from n",
    )
    .await;
    // As `record` would have written every third.
    for row in 1..=300_i64 {
        if row % 3 == 0 {
            let slot = Slot::of("account", &row.to_string()).number();
            sqlx::query("update cqrs_outbox set slot = ?2 where instance_pk = ?1")
                .bind(row.to_string())
                .bind(slot)
                .execute(&bed.pool)
                .await
                .unwrap();
        }
    }
    bed
}

async fn drain(session: &mut SqliteSession, slots: &[Slot], limit: usize) -> Vec<OutboxRow> {
    let mut found: Vec<OutboxRow> = Vec::new();
    let mut position = Position::START;
    loop {
        let Fetched {
            rows,
            position: next,
            more,
            ..
        } = session.fetch(slots, &position, limit).await.unwrap();
        assert!(rows.len() <= limit);
        found.extend(rows);
        position = next;
        if !more {
            return found;
        }
    }
}

#[tokio::test]
async fn every_row_comes_once_and_to_the_holder_of_its_slot() {
    let bed = filled().await;
    let mut session = session(&bed).await;
    for limit in [1, 7, 100, 1000] {
        let all: Vec<i64> = drain(&mut session, &slots(), limit)
            .await
            .iter()
            .map(|row| row.id)
            .collect();
        assert_eq!(all, (1..=300).collect::<Vec<_>>(), "limit {limit}");
        let mut parts = Vec::new();
        for share in slots().chunks(23) {
            let rows = drain(&mut session, share, limit).await;
            assert!(rows.is_sorted_by_key(|row| row.id));
            for row in rows {
                assert!(share.contains(&row.slot));
                assert_eq!(row.slot, Slot::of("account", &row.instance.instance_pk));
                parts.push(row.id);
            }
        }
        parts.sort_unstable();
        assert_eq!(parts, all, "limit {limit}");
    }
    assert!(drain(&mut session, &[], 10).await.is_empty());
    assert_eq!(
        bed.number("select count(*) from cqrs_outbox where slot is null")
            .await,
        200
    );
}

#[tokio::test]
async fn a_position_goes_on_behind_rows_without_a_slot() {
    let bed = filled().await;
    let mut session = session(&bed).await;
    let mut position = Position::START;
    let mut found = 0;
    for turn in 0..40 {
        let fetched = session.fetch(&slots(), &position, 10).await.unwrap();
        found += fetched.rows.len();
        position = fetched.position;
        if turn < 20 {
            bed.execute("insert into cqrs_record (cqrs_id, key, data) values ('account', 7, '{}')")
                .await;
        }
    }
    assert_eq!(found, 320);
}

#[tokio::test]
async fn rows_without_a_slot_of_a_model_to_leave_out_are_passed_at_once() {
    let bed = filled().await;
    let mut session = session(&bed).await;
    let without = ["account".parse().unwrap()];
    let fetched = session
        .fetch_without(&without, &slots(), &Position::START, 10)
        .await
        .unwrap();
    assert!(fetched.rows.is_empty() && !fetched.more);
}

#[tokio::test]
async fn what_is_kept_gets_its_slot() {
    let bed = Bed::new().await;
    bed.execute(
        "insert into cqrs_record (cqrs_id, key, data, ttl)
         values ('account', 1, '{}', null), ('account', 2, '{}', null), ('account', 3, '{}', 1),
                ('account', 4, '{}', null), ('account', 1, '{}', null)",
    )
    .await;
    let mut session = session(&bed).await;
    let owner = Owner(Uuid::from_u128(7));
    let census = session
        .beat(owner, Duration::from_secs(30), true)
        .await
        .unwrap();
    let seen: Vec<_> = census
        .leases
        .iter()
        .map(|lease| (lease.slot, lease.epoch))
        .collect();
    let held = session.acquire(owner, &seen).await.unwrap();
    let rows = drain(&mut session, &slots(), 10).await;
    let settlement = Settlement {
        postponed: vec![Postponed {
            row: reference(&rows[0]),
            attempts: 1,
            delay: Duration::from_hours(1),
            error: "no".to_owned(),
        }],
        dead: vec![Buried {
            row: reference(&rows[1]),
            reason: DeadReason::Failed,
            error: "no".to_owned(),
            attempts: 3,
        }],
        expired: vec![reference(&rows[2])],
        confirmed: vec![reference(&rows[3])],
    };
    let settled = session.settle(&settlement, &held).await.unwrap();
    assert_eq!(
        (settled.postponed, settled.dead, settled.confirmed),
        (1, 2, 1)
    );
    let slot = |key: &str| i64::from(Slot::of("account", key).number());
    assert_eq!(
        bed.number("select slot from cqrs_outbox where id = 1")
            .await,
        slot("1")
    );
    assert_eq!(
        bed.number("select slot from cqrs_outbox_dead where outbox_id = 2")
            .await,
        slot("2")
    );
    assert_eq!(
        bed.number("select slot from cqrs_outbox_dead where outbox_id = 3")
            .await,
        slot("3")
    );
    let blocked = session.blocked(&slots()).await.unwrap();
    assert_eq!(blocked.len(), 1);
    let behind = session.of_instances(&blocked, 10).await.unwrap();
    assert_eq!(behind.iter().map(|row| row.id).collect::<Vec<_>>(), [5]);
    bed.execute("update cqrs_outbox set next_attempt_at = 1 where id = 1")
        .await;
    let due = session.due(&slots(), 10).await.unwrap();
    assert_eq!(due.rows[0].slot, Slot::of("account", "1"));
    let backlog = session.backlog().await.unwrap();
    assert_eq!((backlog.rows, backlog.retrying, backlog.dead), (2, 1, 2));
    assert_eq!(session.dead_retry(None, false).await.unwrap().retried, 2);
    assert_eq!(drain(&mut session, &slots(), 10).await.len(), 3);
}

/// SQLite does not check what it is given as text.
#[tokio::test]
async fn a_text_that_is_not_utf_8_does_not_stop_the_relay() {
    let bed = Bed::new().await;
    bed.execute(
        "insert into cqrs_record (cqrs_id, key, data)
         values ('account', cast(x'41ff' as text), json_object('a', cast(x'c328ff' as text)))",
    )
    .await;
    let mut session = session(&bed).await;
    let rows = drain(&mut session, &slots(), 10).await;
    assert_eq!(rows[0].instance.instance_pk, "A\u{fffd}");
    let event = cqrs_core::wire::decode(&rows[0].body).unwrap();
    assert_eq!(event.data.get("a").unwrap().get(), "\"\u{fffd}(\u{fffd}\"");
    let settlement = Settlement {
        confirmed: vec![reference(&rows[0])],
        ..Settlement::default()
    };
    assert_eq!(session.settle(&settlement, &[]).await.unwrap().confirmed, 1);
}
