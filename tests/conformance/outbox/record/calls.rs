use cqrs_outbox::{Change, InstanceKey, Master, Recorded, record, record_all, record_current};

use super::fixture::{Account, Fixture, revision};

fn id(recorded: Recorded) -> i64 {
    let Recorded::Event { id, .. } = recorded else {
        panic!("{recorded:?}")
    };
    id
}

pub(crate) async fn many_at_once_get_ids_in_their_order<F: Fixture>(db: F) {
    let keys = [5, 3, 9, 1, 7];
    let mut tx = db.begin().await;
    let changes = keys.map(|key| Change::saved(&Account::new(key)));
    let recorded = record_all(&mut tx, changes).await.unwrap();
    F::commit(tx).await;
    let ids: Vec<_> = recorded.iter().copied().map(id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let lines = db.outbox().await;
    assert_eq!(lines.iter().map(|line| line.id).collect::<Vec<_>>(), ids);
    for (line, (key, recorded)) in lines.iter().zip(keys.iter().zip(recorded)) {
        assert_eq!(line.instance_pk, key.to_string());
        let Recorded::Event { message_id, .. } = recorded else {
            panic!("{recorded:?}")
        };
        assert_eq!(line.message_id, message_id);
    }
}

pub(crate) async fn an_instance_twice_in_one_call_is_one_event<F: Fixture>(db: F) {
    db.record(Change::saved(&Account::named(1, "a"))).await;
    let mut tx = db.begin().await;
    let recorded = record_all(
        &mut tx,
        [
            Change::saved(&Account::named(1, "b")).previous(&Account::named(1, "a")),
            Change::saved(&Account::named(2, "x")),
            Change::saved(&Account::named(1, "c")).previous(&Account::named(1, "b")),
            Change::deleted(&Account::new(2)),
        ],
    )
    .await
    .unwrap();
    F::commit(tx).await;
    assert_eq!(recorded[0], recorded[2]);
    assert_eq!(recorded[1], recorded[3]);
    assert_eq!(revision(recorded[0]), 1);
    let lines = db.outbox().await;
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1].json()["instance_data"]["name"], "c");
    assert_eq!(
        lines[1].json()["previous_data"],
        serde_json::json!({"name": "a"})
    );
    assert_eq!((lines[2].signal.as_str(), lines[2].revision), ("DELETE", 0));
}

pub(crate) async fn a_thousand_in_one_call<F: Fixture>(db: F) {
    for round in 0..3 {
        let mut tx = db.begin().await;
        let changes = (0..1000).map(|key| Change::saved(&Account::new(key)));
        let recorded = record_all(&mut tx, changes).await.unwrap();
        F::commit(tx).await;
        assert_eq!(recorded.len(), 1000);
        assert!(recorded.iter().all(|recorded| revision(*recorded) == round));
        assert!(recorded.is_sorted_by(|a, b| id(*a) < id(*b)));
    }
    assert_eq!(db.outbox().await.len(), 3000);
}

pub(crate) async fn syncs_and_saves_in_one_call_keep_to_themselves<F: Fixture>(db: F) {
    for key in 1..=4 {
        db.record(Change::saved(&Account::new(key))).await;
    }
    db.record(Change::deleted(&Account::new(4))).await;
    let mut tx = db.begin().await;
    let recorded = record_all(
        &mut tx,
        [
            Change::synced(&Account::new(1)),
            Change::saved(&Account::new(2)),
            Change::synced(&Account::new(3)).to_queue("a"),
            Change::synced(&Account::new(3)).to_queue("b"),
            Change::synced(&Account::new(4)),
            Change::saved(&Account::hidden(5)),
            Change::synced(&Account::new(2)).to_queue("a"),
        ],
    )
    .await
    .unwrap();
    F::commit(tx).await;
    let revisions: Vec<_> = recorded
        .iter()
        .map(|recorded| recorded.revision().map(|revision| revision.0))
        .collect();
    assert_eq!(
        revisions,
        [Some(0), Some(1), Some(0), Some(0), Some(2), None, Some(1)]
    );
    let lines = db.outbox().await.split_off(5);
    let shape: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line.instance_pk.as_str(),
                line.signal.as_str(),
                line.queue.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shape,
        [
            ("1", "SYNC", None),
            ("2", "SAVE", None),
            ("3", "SYNC", Some("a")),
            ("3", "SYNC", Some("b")),
            ("4", "SYNC", None),
            ("2", "SYNC", Some("a")),
        ]
    );
}

pub(crate) async fn nothing_at_all_is_fine<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    assert!(record_all(&mut tx, []).await.unwrap().is_empty());
    F::commit(tx).await;
}

/// A model that is not published.
struct Draft {
    id: i64,
}

impl Master for Draft {
    const CQRS_ID: &'static str = "draft";
    const PRODUCE: bool = false;

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl serde::Serialize {
        serde_json::json!({"id": self.id})
    }
}

pub(crate) async fn what_is_not_produced_is_not_written<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let recorded = record(&mut tx, Change::saved(&Draft { id: 1 })).await;
    assert_eq!(recorded.unwrap(), Recorded::NotProduced);
    let recorded = record_all(
        &mut tx,
        [
            Change::deleted(&Draft { id: 1 }),
            Change::saved(&Account::new(1)),
            Change::saved(&Draft { id: 2 }).previous(&Draft { id: 2 }),
            Change::synced(&Draft { id: 2 }).to_queue("a"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(revision(recorded[1]), 0);
    for other in [0, 2, 3] {
        assert_eq!(recorded[other], Recorded::NotProduced);
    }
    let read = async |_: &mut F::Tx| Ok::<_, std::io::Error>(Change::saved(&Draft { id: 3 }));
    let recorded = record_current(&mut tx, "draft", 3, read).await;
    assert_eq!(recorded.unwrap(), Recorded::NotProduced);
    let known = F::text(
        &mut tx,
        "select cqrs_id from cqrs_revision where cqrs_id = 'draft'",
    );
    assert_eq!(known.await, None);
    F::commit(tx).await;
    assert_eq!(db.outbox().await.len(), 1);
}
