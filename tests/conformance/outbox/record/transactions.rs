//! Several changes of one instance in one transaction.

use std::collections::BTreeMap;

use cqrs_outbox::{Change, Recorded, record, record_all, record_each};
use serde_json::{Value, json};

use super::fixture::{Account, Fixture, Line, revision};

fn named(name: &str) -> Account {
    Account::named(1, name)
}

async fn saved<F: Fixture>(tx: &mut F::Tx, name: &str, before: &str) -> Recorded {
    let change = Change::saved(&named(name)).previous(&named(before));
    record(tx, change).await.unwrap()
}

/// Key, signal, queue, revision and name of each row.
fn shape(lines: &[Line]) -> Vec<(&str, &str, Option<&str>, i64, String)> {
    lines
        .iter()
        .map(|line| {
            let name = match &line.json()["instance_data"]["name"] {
                Value::String(name) => name.clone(),
                _ => String::new(),
            };
            let (key, signal) = (line.instance_pk.as_str(), line.signal.as_str());
            (key, signal, line.queue.as_deref(), line.revision, name)
        })
        .collect()
}

pub(crate) async fn they_are_one_event_with_the_last_state_and_the_first_old_values<F: Fixture>(
    db: F,
) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    let first = saved::<F>(&mut tx, "b", "a").await;
    let other = record(&mut tx, Change::saved(&Account::named(2, "x")));
    other.await.unwrap();
    assert_eq!(saved::<F>(&mut tx, "c", "b").await, first);
    assert_eq!(saved::<F>(&mut tx, "d", "c").await, first);
    F::commit(tx).await;
    let lines = db.outbox().await;
    // In the place of the first, so that instances that refer to each other keep their order.
    assert_eq!(
        shape(&lines[1..]),
        [
            ("1", "SAVE", None, 1, "d".to_owned()),
            ("2", "SAVE", None, 0, "x".to_owned())
        ]
    );
    assert_eq!(lines[1].json()["previous_data"], json!({"name": "a"}));
    assert_eq!(lines[1].event().revision.0, 1);
    let Recorded::Event { id, message_id, .. } = first else {
        panic!("{first:?}")
    };
    assert_eq!((lines[1].id, lines[1].message_id), (id, message_id));
    assert!(lines[1].event().updated > lines[0].event().updated);
    assert_eq!(db.revision("1").await, Some((1, false)));
}

pub(crate) async fn events_that_share_an_id_may_be_replaced_together<F: Fixture>(db: F) {
    let id = uuid::Uuid::from_u128(7);
    let mut tx = db.begin().await;
    for key in [1, 2] {
        let change = Change::saved(&Account::named(key, "a")).message_id(id);
        record(&mut tx, change).await.unwrap();
    }
    let again = [1, 2].map(|key| Change::saved(&Account::named(key, "b")));
    record_all(&mut tx, again).await.unwrap();
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(
        shape(&lines),
        [
            ("1", "SAVE", None, 0, "b".to_owned()),
            ("2", "SAVE", None, 0, "b".to_owned())
        ]
    );
}

pub(crate) async fn what_is_changed_back_has_no_old_value<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    saved::<F>(&mut tx, "a", "b").await;
    F::commit(tx).await;
    assert_eq!(db.outbox().await[1].json()["previous_data"], json!({}));
}

pub(crate) async fn the_next_transaction_is_another_event<F: Fixture>(db: F) {
    for name in ["a", "b", "c"] {
        db.record(Change::saved(&named(name))).await;
    }
    let revisions: Vec<_> = db.outbox().await.iter().map(|line| line.revision).collect();
    assert_eq!(revisions, [0, 1, 2]);
}

pub(crate) async fn a_save_and_a_delete_are_a_delete_and_the_other_way_round_a_save<F: Fixture>(
    db: F,
) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    let deleted = record(&mut tx, Change::deleted(&named("b")).custom("gone"));
    assert_eq!(revision(deleted.await.unwrap()), 1);
    F::commit(tx).await;
    assert_eq!(db.revision("1").await, Some((1, true)));

    db.record(Change::saved(&named("c"))).await;
    let mut tx = db.begin().await;
    for change in [Change::deleted(&named("c")), Change::saved(&named("d"))] {
        assert_eq!(revision(record(&mut tx, change).await.unwrap()), 3);
    }
    F::commit(tx).await;
    assert_eq!(db.revision("1").await, Some((3, false)));
    let lines = db.outbox().await;
    assert_eq!(
        shape(&lines[1..]),
        [
            ("1", "DELETE", None, 1, String::new()),
            ("1", "SAVE", None, 2, "c".to_owned()),
            ("1", "SAVE", None, 3, "d".to_owned())
        ]
    );
    let data = &lines[1].json()["instance_data"];
    assert_eq!((&data["id"], &data["custom"]), (&json!(1), &json!("gone")));
    assert_eq!(lines[1].json()["previous_data"], Value::Null);
}

/// W7: django-cqrs publishes a save without a key, and then a delete.
pub(crate) async fn what_begins_and_ends_in_it_is_nothing<F: Fixture>(db: F) {
    let ends = [
        || Change::deleted(&named("a")),
        || Change::saved(&Account::hidden(1)),
    ];
    for end in ends {
        let mut tx = db.begin().await;
        record(&mut tx, Change::saved(&named("a"))).await.unwrap();
        let queue = Change::synced(&named("a")).to_queue("audit");
        record(&mut tx, queue).await.unwrap();
        assert_eq!(record(&mut tx, end()).await.unwrap(), Recorded::Undone);
        F::commit(tx).await;
        assert!(db.outbox().await.is_empty());
        assert_eq!(db.revision("1").await, F::UNSENT);
    }

    // The same in the second life of an instance.
    db.record(Change::saved(&named("a"))).await;
    db.record(Change::deleted(&named("a"))).await;
    let mut tx = db.begin().await;
    record(&mut tx, Change::saved(&named("b"))).await.unwrap();
    let end = record(&mut tx, Change::deleted(&named("b"))).await.unwrap();
    assert_eq!(end, Recorded::Undone);
    F::commit(tx).await;
    assert_eq!(db.revision("1").await, Some((1, true)));
    assert_eq!(db.outbox().await.len(), 2);
    let back = db.record(Change::saved(&named("c"))).await;
    assert_eq!(revision(back), 2, "no revision is used up");

    // What begins again after that is as if nothing had been.
    let mut tx = db.begin().await;
    for change in [
        Change::saved(&Account::named(2, "a")),
        Change::deleted(&Account::named(2, "a")),
        Change::saved(&Account::named(2, "b")),
    ] {
        record(&mut tx, change).await.unwrap();
    }
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(shape(&lines[3..]), [("2", "SAVE", None, 0, "b".to_owned())]);
}

pub(crate) async fn what_leaves_the_filter_is_deleted_once<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    for change in [
        Change::saved(&Account::hidden(1)),
        Change::deleted(&Account::hidden(1)),
        Change::saved(&Account::hidden(2)),
    ] {
        record(&mut tx, change).await.unwrap();
    }
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(
        shape(&lines[1..]),
        [("1", "DELETE", None, 1, String::new())]
    );
    assert_eq!(db.revision("1").await, Some((1, true)));
}

/// W8: in django-cqrs an instance is dumb for ever after a rollback.
pub(crate) async fn a_savepoint_takes_its_part_back<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    record(&mut tx, Change::saved(&named("a"))).await.unwrap();
    F::execute(&mut tx, "savepoint users_own").await;
    saved::<F>(&mut tx, "b", "a").await;
    let gone = record(&mut tx, Change::deleted(&named("b"))).await.unwrap();
    assert_eq!(gone, Recorded::Undone);
    record(&mut tx, Change::saved(&Account::named(2, "x")))
        .await
        .unwrap();
    F::execute(&mut tx, "rollback to savepoint users_own").await;
    record(&mut tx, Change::saved(&Account::named(2, "y")))
        .await
        .unwrap();
    F::commit(tx).await;
    assert_eq!(
        shape(&db.outbox().await),
        [
            ("1", "SAVE", None, 0, "a".to_owned()),
            ("2", "SAVE", None, 0, "y".to_owned())
        ]
    );
    assert_eq!(
        revision(db.record(Change::saved(&named("c"))).await),
        1,
        "and it goes on"
    );
}

pub(crate) async fn direct_syncs_carry_the_last_state_too<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    let direct = || Change::synced(&named("b")).to_queue("audit");
    let direct = direct().expires_in(std::time::Duration::from_mins(1));
    let sync = record(&mut tx, direct.correlation_id("c-1")).await.unwrap();
    assert_eq!(revision(sync), 1);
    saved::<F>(&mut tx, "c", "b").await;
    let again = record(&mut tx, Change::synced(&named("c")).to_queue("audit"));
    assert_eq!(again.await.unwrap(), sync);
    saved::<F>(&mut tx, "d", "c").await;
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(
        shape(&lines[1..]),
        [
            ("1", "SAVE", None, 1, "d".to_owned()),
            ("1", "SYNC", Some("audit"), 1, "d".to_owned())
        ]
    );
    assert_eq!(lines[1].json()["previous_data"], json!({"name": "a"}));
}

pub(crate) async fn an_untouched_direct_sync_keeps_what_was_said_of_it<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    let direct = Change::synced(&named("b")).to_queue("audit").meta("m");
    let direct = direct.expires_in(std::time::Duration::from_mins(1));
    record(&mut tx, direct.correlation_id("c-1")).await.unwrap();
    saved::<F>(&mut tx, "c", "b").await;
    F::commit(tx).await;
    let lines = db.outbox().await;
    let sync = lines[2].json();
    assert_eq!(
        (&sync["correlation_id"], &sync["meta"]),
        (&json!("c-1"), &json!("m"))
    );
    assert!(sync["expires"].is_string() && lines[2].life.is_some());
    assert!(lines[1].json()["expires"].is_null() && lines[1].life.is_none());
}

pub(crate) async fn each_step_can_be_an_event_of_its_own<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    let steps = [
        Change::saved(&named("c")).previous(&named("b")),
        Change::saved(&Account::named(2, "x")),
        Change::deleted(&named("c")),
        Change::saved(&named("d")),
    ];
    let recorded = record_each(&mut tx, steps).await.unwrap();
    let revisions: Vec<_> = recorded.into_iter().map(revision).collect();
    assert_eq!(revisions, [2, 0, 3, 4]);
    saved::<F>(&mut tx, "e", "d").await;
    F::commit(tx).await;
    assert_eq!(
        shape(&db.outbox().await[1..]),
        [
            ("1", "SAVE", None, 1, "b".to_owned()),
            ("1", "SAVE", None, 2, "c".to_owned()),
            ("2", "SAVE", None, 0, "x".to_owned()),
            ("1", "DELETE", None, 3, String::new()),
            ("1", "SAVE", None, 4, "e".to_owned())
        ]
    );
}

/// What was recorded each on its own and carries the same revision is replaced with the rest, or it would
/// overtake the last state.
pub(crate) async fn a_step_of_its_own_does_not_survive_what_replaces_it<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    for ends in [false, true] {
        let mut tx = db.begin().await;
        saved::<F>(&mut tx, "b", "a").await;
        let sync = Change::synced(&named("between"));
        record_each(&mut tx, [sync]).await.unwrap();
        let direct = Change::synced(&named("between")).to_queue("audit");
        record_each(&mut tx, [direct]).await.unwrap();
        let last = if ends {
            Change::deleted(&named("b"))
        } else {
            Change::saved(&named("c"))
        };
        record(&mut tx, last).await.unwrap();
        F::commit(tx).await;
        let lines = db.outbox().await;
        let of_revision: Vec<_> = shape(&lines)
            .into_iter()
            .filter(|(_, _, _, revision, _)| *revision == lines.last().unwrap().revision)
            .collect();
        let stale: Vec<_> = of_revision
            .iter()
            .filter(|line| line.4 == "between")
            .collect();
        assert!(stale.is_empty(), "{of_revision:?}");
        let last = of_revision.last().unwrap();
        assert_eq!(last.1 == "DELETE", ends, "{of_revision:?}");
    }
}

/// Replicas that are ahead skip the save, so the forced sync is sent beside it, with its state.
pub(crate) async fn a_forced_sync_is_not_lost_in_a_save<F: Fixture>(db: F) {
    db.record(Change::saved(&named("a"))).await;
    let mut tx = db.begin().await;
    saved::<F>(&mut tx, "b", "a").await;
    let forced = || Change::synced(&named("b")).forced();
    for change in [
        forced(),
        Change::synced(&named("b")),
        Change::saved(&named("c")),
    ] {
        assert_eq!(revision(record(&mut tx, change).await.unwrap()), 1);
    }
    F::commit(tx).await;
    let mut tx = db.begin().await;
    let all = [
        forced(),
        Change::saved(&named("d")),
        Change::synced(&named("d")),
    ];
    record_all(&mut tx, all).await.unwrap();
    F::commit(tx).await;
    let lines = db.outbox().await;
    let forced: Vec<_> = lines.iter().map(|line| line.forced).collect();
    assert_eq!(forced, [false, false, true, true, false]);
    assert_eq!(
        shape(&lines[1..]),
        [
            ("1", "SAVE", None, 1, "c".to_owned()),
            ("1", "SYNC", None, 1, "c".to_owned()),
            ("1", "SYNC", None, 2, "d".to_owned()),
            ("1", "SAVE", None, 2, "d".to_owned())
        ]
    );
}

/// What the first change did not know, the second does not make up: its old values are of a state that
/// nobody has seen.
pub(crate) async fn old_values_of_states_in_between_are_not_sent<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    record(&mut tx, Change::saved(&named("a"))).await.unwrap();
    saved::<F>(&mut tx, "b", "a").await;
    F::commit(tx).await;
    assert_eq!(db.outbox().await[0].json()["previous_data"], Value::Null);
}

/// Each fits, both together do not: the old values are left out.
pub(crate) async fn old_values_that_do_not_fit_are_left_out<F: Fixture>(db: F) {
    let text = |c: &str| c.repeat(cqrs_core::wire::MAX_BODY * 6 / 10);
    let document = |data: Value| Change::json("doc", 1, cqrs_outbox::Signal::Save, data);
    db.record(document(json!({"text": text("a")}))).await;
    let mut tx = db.begin().await;
    let first = document(json!({"text": ""})).previous_json(json!({"text": text("a")}));
    record(&mut tx, first).await.unwrap();
    record(&mut tx, document(json!({"text": text("b")})))
        .await
        .unwrap();
    F::commit(tx).await;
    let last = db.outbox().await.pop().unwrap().json();
    assert_eq!(last["previous_data"], Value::Null);
    assert!(last["instance_data"]["text"] == text("b"));
}

/// Whatever transactions do: replaying their events gives the state they left, with dense revisions
/// and one event of an instance for each transaction at most.
pub(crate) async fn replaying_the_events_gives_the_state_that_was_left<F: Fixture>(db: F) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut truth: BTreeMap<i64, String> = BTreeMap::new();
    let mut ends = vec![0];
    for _ in 0..100 {
        let mut tx = db.begin().await;
        let mut state = truth.clone();
        let mut saved_state = None;
        for _ in 0..random.usize(1..8) {
            let id = random.i64(0..4);
            let name = format!("n{}", random.u8(..));
            let change = match random.u8(0..10) {
                0 | 1 => {
                    state.remove(&id);
                    Change::deleted(&Account::new(id))
                }
                2 => {
                    state.remove(&id);
                    Change::saved(&Account::hidden(id))
                }
                3 if saved_state.is_none() => {
                    F::execute(&mut tx, "savepoint users_own").await;
                    saved_state = Some(state.clone());
                    continue;
                }
                4 if saved_state.is_some() => {
                    F::execute(&mut tx, "rollback to savepoint users_own").await;
                    state = saved_state.clone().unwrap();
                    continue;
                }
                _ => {
                    state.insert(id, name.clone());
                    Change::saved(&Account::named(id, &name))
                }
            };
            record_all(&mut tx, [change]).await.unwrap();
        }
        if random.bool() {
            truth = state;
            F::commit(tx).await;
        } else {
            F::rollback(tx).await;
        }
        ends.push(db.outbox().await.len());
    }
    let lines = db.outbox().await;
    let mut replica: BTreeMap<i64, String> = BTreeMap::new();
    let mut revisions: BTreeMap<String, i64> = BTreeMap::new();
    for pair in ends.windows(2) {
        let of_transaction = &lines[pair[0]..pair[1]];
        let mut seen = std::collections::BTreeSet::new();
        for line in of_transaction {
            assert!(seen.insert(&line.instance_pk), "{of_transaction:?}");
            let next = revisions.entry(line.instance_pk.clone()).or_insert(-1);
            *next += 1;
            assert_eq!(line.revision, *next, "{line:?}");
            let id: i64 = line.instance_pk.parse().unwrap();
            if line.signal == "DELETE" {
                replica.remove(&id);
            } else {
                let name = line.json()["instance_data"]["name"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                replica.insert(id, name);
            }
        }
    }
    assert_eq!(replica, truth);
    assert!(lines.len() > 50, "{}", lines.len());
}
