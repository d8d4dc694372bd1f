//! A recorder's settings, and what model and change say instead.

use std::time::Duration;

use cqrs_outbox::{About, Change, InstanceKey, Master, Recorder, Signal, Tracked};
use serde::Serialize;
use serde_json::{Value, json};

use super::fixture::{Account, Fixture};

/// A model whose meta data say what they were made of.
#[derive(Serialize)]
struct Document {
    id: i64,
    owner: &'static str,
    #[serde(skip)]
    open: bool,
}

impl Master for Document {
    const CQRS_ID: &'static str = "document";
    const TRACKED: Tracked = Tracked::All;

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        self
    }

    fn should_sync(&self) -> bool {
        self.open
    }

    fn meta(about: &About<'_>) -> Option<Value> {
        Some(json!({
            "signal": about.signal().as_str(),
            "key": about.key().to_json(),
            "queue": about.queue(),
            "data": about.data(),
            "previous": about.previous(),
        }))
    }

    fn delete_data(&self, signal: Signal, before: Option<&Self>) -> Option<Value> {
        let before = before.map(|before| before.owner);
        Some(json!({"was": self.owner, "by": signal.as_str(), "before": before}))
    }
}

fn document(owner: &'static str, open: bool) -> Document {
    Document { id: 1, owner, open }
}

pub(crate) async fn meta_sees_signal_data_and_previous_data<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let change = Change::saved(&document("ann", true)).previous(&document("bob", true));
    let sync = Change::synced(&document("ann", true)).to_queue("audit");
    cqrs_outbox::record_all(&mut tx, [change, sync])
        .await
        .unwrap();
    F::commit(tx).await;
    let hidden = document("cid", false);
    db.record(Change::updated(&document("ann", true), &hidden))
        .await;
    db.record(Change::saved(&document("ann", true))).await;
    db.record(Change::deleted(&document("ann", true))).await;
    let meta: Vec<_> = db
        .outbox()
        .await
        .iter()
        .map(|line| line.json()["meta"].clone())
        .collect();
    let data = json!({"id": 1, "owner": "ann"});
    assert_eq!(
        meta[0],
        json!({"signal": "SAVE", "key": "1", "queue": null, "data": data,
               "previous": {"owner": "bob"}})
    );
    assert_eq!(
        meta[1],
        json!({"signal": "SYNC", "key": "1", "queue": "audit", "data": data, "previous": null})
    );
    // Out of the filter: a delete, which says so.
    let data = json!({"id": 1, "custom": {"was": "cid", "by": "SAVE", "before": "ann"}});
    assert_eq!(
        meta[2],
        json!({"signal": "DELETE", "key": "1", "queue": null, "data": data, "previous": null})
    );
    assert_eq!(
        meta[4]["data"]["custom"],
        json!({"was": "ann", "by": "DELETE", "before": null})
    );
}

pub(crate) async fn the_change_comes_before_the_model_and_the_model_before_the_recorder<
    F: Fixture,
>(
    db: F,
) {
    let recorder = Recorder::new()
        .with_meta(|about| Some(json!({"for": about.cqrs_id()})))
        .with_correlation_id(|about| Some(json!(format!("{}-{}", about.signal(), about.key()))))
        .with_ttl(Duration::from_mins(1));
    let mut tx = db.begin().await;
    let changes = [
        Change::saved(&Account::new(1)),
        Change::saved(&Account::new(2))
            .meta("own")
            .correlation_id(17)
            .never_expires(),
        Change::deleted(&Account::new(3)),
        Change::saved(&document("ann", true)).expires_in(Duration::from_mins(2)),
    ];
    recorder.record_all(&mut tx, changes).await.unwrap();
    F::commit(tx).await;
    let lines = db.outbox().await;
    let said: Vec<_> = lines
        .iter()
        .map(|line| {
            let body = line.json();
            (body["meta"].clone(), body["correlation_id"].clone())
        })
        .collect();
    assert_eq!(said[0], (json!({"for": "account"}), json!("SAVE-1")));
    assert_eq!(said[1], (json!("own"), json!(17)));
    assert_eq!(said[2], (json!({"for": "account"}), json!("DELETE-3")));
    assert_eq!(
        (&said[3].0["signal"], &said[3].1),
        (&json!("SAVE"), &json!("SAVE-1"))
    );
    let life: Vec<_> = lines.iter().map(|line| line.life).collect();
    assert!(
        life[0].is_some_and(|seconds| (60.0..62.0).contains(&seconds)),
        "{life:?}"
    );
    assert!(life[1].is_none() && life[2].is_some(), "{life:?}");
    assert!(
        life[3].is_some_and(|seconds| (120.0..122.0).contains(&seconds)),
        "{life:?}"
    );
}

pub(crate) async fn an_impossible_time_to_live_is_refused<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let recorder = Recorder::new().with_ttl(Duration::MAX);
    let error = recorder
        .record(&mut tx, Change::saved(&Account::new(1)))
        .await;
    let chain = format!("{:#}", anyhow::Error::new(error.unwrap_err()));
    assert!(
        chain.contains("time to live") && chain.contains("account 1"),
        "{chain}"
    );
    F::rollback(tx).await;
}
