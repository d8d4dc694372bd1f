use std::time::Duration;

use cqrs_core::wire::MAX_BODY;
use cqrs_outbox::{
    Change, Master, RecordError, Signal, StoreError, record, record_all, record_current,
    record_each,
};
use serde::Serialize;
use serde_json::json;

use super::fixture::{Account, Fixture};

pub(crate) async fn outside_of_a_transaction_nothing_is_recorded<F: Fixture>(db: F) {
    let mut connection = db.connection().await;
    let error = record(&mut connection, Change::saved(&Account::new(1)))
        .await
        .unwrap_err();
    assert!(matches!(error, RecordError::NotInTransaction), "{error:?}");
    let change = Change::saved(&Account::new(1));
    let error = record_current(
        &mut connection,
        "account",
        1,
        async |_: &mut F::Connection| Ok::<_, sqlx::Error>(change),
    );
    assert!(matches!(error.await, Err(RecordError::NotInTransaction)));
    assert!(db.outbox().await.is_empty());
    assert_eq!(db.revision("1").await, None);
}

/// A model whose data and name are as bad as a test wants them.
struct Bad(serde_json::Value);

impl Master for Bad {
    const CQRS_ID: &'static str = "bad";
    const TTL: Option<Duration> = Some(Duration::from_mins(1));

    fn key(&self) -> cqrs_outbox::InstanceKey {
        "key".into()
    }

    fn data(&self) -> impl Serialize {
        &self.0
    }
}

pub(crate) async fn what_cannot_be_sent_is_refused_before_anything_is_written<F: Fixture>(db: F) {
    let account = Account::new(1);
    let save = |data| Change::json("doc", 1, Signal::Save, data);
    let raw = serde_json::value::RawValue::from_string(r#"{"cqrs_\u0072evision":1}"#.to_owned());
    let cases = [
        (
            Change::json("a b", 1, Signal::Save, json!({})),
            "white space",
        ),
        (
            Change::json("doc", "", Signal::Save, json!({})),
            "key is empty",
        ),
        (Change::json("doc", "a\0b", Signal::Delete, ()), "NUL"),
        (
            Change::json("doc", "x".repeat(513), Signal::Delete, ()),
            "513 bytes",
        ),
        (save(json!(null)), "JSON object"),
        (save(json!([1])), "JSON object"),
        (save(json!({"cqrs_revision": 1})), "cqrs_revision"),
        (save(json!({"cqrs_updated": 1})), "cqrs_updated"),
        (
            Change::json("doc", 1, Signal::Save, raw.unwrap()),
            "cqrs_revision",
        ),
        (
            save(json!({"text": "x".repeat(MAX_BODY)})),
            "limit is 134217728",
        ),
        (Change::saved(&Bad(json!(5))), "JSON object"),
        (
            Change::saved(&Bad(json!({"cqrs_updated": 5}))),
            "cqrs_updated",
        ),
        (save(json!({})).expires_in(Duration::ZERO), "time to live"),
        (save(json!({})).expires_in(Duration::MAX), "time to live"),
        (save(json!({})).to_queue("q"), "only a sync"),
        (Change::synced(&account).to_queue("a*"), "wildcard"),
        (save(json!({})).custom(1), "only a delete"),
        (save(json!({})).forced(), "only a sync can be forced"),
        (
            Change::deleted(&account).forced(),
            "only a sync can be forced",
        ),
        (save(json!({})).previous(&account), "another instance"),
        (
            Change::saved(&account).previous(&Account::new(2)),
            "another instance",
        ),
        (save(json!({})).previous_json(1), "JSON object"),
        // The first mistake counts.
        (save(json!(null)).to_queue("q").custom(1), "JSON object"),
    ];
    let mut tx = db.begin().await;
    for (change, problem) in cases {
        let text = format!("{change:?}");
        let good = Change::saved(&Account::new(9));
        let error = record_all(&mut tx, [good, change]).await.unwrap_err();
        let RecordError::Invalid { cqrs_id, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(
            error.to_string().contains(cqrs_id) && !error.is_transient(),
            "{error}"
        );
        let chain = format!("{:#}", anyhow::Error::new(error));
        assert!(chain.contains(problem), "{chain} of {text:.200}");
    }
    // The transaction is none the worse for it.
    record(&mut tx, Change::saved(&account)).await.unwrap();
    F::commit(tx).await;
    assert_eq!(db.outbox().await.len(), 1);
    assert_eq!(db.revision("9").await, None);
}

pub(crate) async fn two_events_of_a_call_have_two_ids<F: Fixture>(db: F) {
    let change = |key, name| {
        let id = uuid::Uuid::from_u128(7);
        Change::saved(&Account::named(key, name)).message_id(id)
    };
    let mut tx = db.begin().await;
    let of_two = record_all(&mut tx, [change(1, "a"), change(2, "a")]).await;
    let of_one = record_each(&mut tx, [change(1, "a"), change(1, "b")]).await;
    for refused in [of_two, of_one] {
        let error = refused.unwrap_err();
        assert!(matches!(error, RecordError::Invalid { .. }), "{error:?}");
        let chain = format!("{:#}", anyhow::Error::new(error));
        assert!(chain.contains("message id"), "{chain}");
    }
    // These are one event.
    let both = record_all(&mut tx, [change(1, "a"), change(1, "b")]).await;
    assert_eq!(both.unwrap().len(), 2);
    F::commit(tx).await;
    assert_eq!(db.outbox().await.len(), 1);
}

pub(crate) async fn missing_tables_are_named_with_the_remedy<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    F::execute(&mut tx, "drop table cqrs_outbox").await;
    F::execute(&mut tx, "drop table cqrs_revision").await;
    let error = record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RecordError::Store(StoreError::Schema { .. })),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("cqrs_outbox::migrate") && text.contains("cqrs-relay migrate"),
        "{text}"
    );
    F::rollback(tx).await;
}
