use std::time::Duration;

use cqrs_outbox::{Change, Signal};
use serde_json::{Value, json};

use super::fixture::{Account, Fixture};

const KEYS: [&str; 9] = [
    "signal_type",
    "cqrs_id",
    "instance_data",
    "previous_data",
    "instance_pk",
    "correlation_id",
    "retries",
    "expires",
    "meta",
];

pub(crate) async fn a_save_has_the_nine_keys_and_the_forms_of_django<F: Fixture>(db: F) {
    let change = Change::saved(&Account::named(7, "n/a é \"q\" ☃"))
        .correlation_id("request 1")
        .meta(json!({"user": 5}))
        .trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    db.record(change).await;
    db.record(Change::saved(&Account::new(8)).trace("malformed"))
        .await;
    let lines = db.outbox().await;
    let body = lines[0].json();

    let keys: Vec<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(sorted(keys), sorted(KEYS.to_vec()));
    // serde_json's map sorts its keys; the order on the wire is Django's.
    let text = String::from_utf8(lines[0].body.to_vec()).unwrap();
    let at: Vec<_> = KEYS
        .iter()
        .map(|key| text.find(&format!("\"{key}\":")).unwrap())
        .collect();
    assert!(at.is_sorted(), "{text}");

    assert_eq!(body["signal_type"], "SAVE");
    assert_eq!(body["cqrs_id"], "account");
    assert_eq!(body["instance_pk"], 7);
    assert_eq!(body["previous_data"], Value::Null);
    assert_eq!(body["correlation_id"], "request 1");
    assert_eq!(body["retries"], 0);
    assert_eq!(body["expires"], Value::Null);
    assert_eq!(body["meta"], json!({"user": 5}));
    assert_eq!(body["instance_data"]["cqrs_revision"], 0);
    assert_eq!(body["instance_data"]["name"], "n/a é \"q\" ☃");
    let updated = body["instance_data"]["cqrs_updated"].as_str().unwrap();
    assert!(is_updated(updated), "{updated}");

    assert_eq!(lines[0].traceparent.as_deref().map(str::len), Some(55));
    assert_eq!(lines[1].traceparent, None);
    assert_eq!(lines[1].json()["meta"], json!({}));
    assert_eq!(lines[1].json()["correlation_id"], Value::Null);
    let slot = cqrs_core::Slot::of("account", "7").number();
    assert_eq!(lines[0].slot, i64::from(slot));
}

pub(crate) async fn a_delete_has_the_id_and_its_custom_data<F: Fixture>(db: F) {
    let account = Account::new(1);
    db.record(Change::deleted(&account)).await;
    db.record(Change::deleted(&account).custom(json!({"k": "v"})))
        .await;
    db.record(Change::json("order", ("a", 2), Signal::Delete, json!(null)))
        .await;
    let lines = db.outbox().await;
    let mut data: Vec<Value> = lines
        .iter()
        .map(|line| line.json()["instance_data"].clone())
        .collect();
    for data in &mut data {
        assert!(is_updated(data["cqrs_updated"].as_str().unwrap()));
        data.as_object_mut().unwrap().remove("cqrs_updated");
    }
    assert_eq!(data[0], json!({"id": 1, "cqrs_revision": 0}));
    assert_eq!(
        data[1],
        json!({"id": 1, "cqrs_revision": 1, "custom": {"k": "v"}})
    );
    assert_eq!(data[2], json!({"id": ["a", 2], "cqrs_revision": 0}));
    assert_eq!(lines[2].instance_pk, r#"["a",2]"#);
    assert_eq!(lines[0].json()["previous_data"], Value::Null);
}

pub(crate) async fn a_whole_second_has_no_fraction<F: Fixture>(db: F) {
    db.record(Change::saved(&Account::new(1))).await;
    db.set_updated("1", 4_102_444_799_999_999).await;
    db.record(Change::saved(&Account::new(1))).await;
    let line = db.outbox().await.pop().unwrap();
    assert_eq!(
        line.json()["instance_data"]["cqrs_updated"],
        "2100-01-01 00:00:00+00:00"
    );
    db.record(Change::saved(&Account::new(1))).await;
    let line = db.outbox().await.pop().unwrap();
    assert_eq!(
        line.json()["instance_data"]["cqrs_updated"],
        "2100-01-01 00:00:00.000001+00:00"
    );
}

pub(crate) async fn a_time_to_live_is_written_in_whole_seconds<F: Fixture>(db: F) {
    let account = Account::new(1);
    db.record(Change::saved(&account).expires_in(Duration::from_millis(59_001)))
        .await;
    db.record(
        Change::saved(&account)
            .expires_in(Duration::from_secs(5))
            .never_expires(),
    )
    .await;
    let lines = db.outbox().await;
    let life = lines[0].life.unwrap();
    assert!((59.0..=60.1).contains(&life), "{life}");
    let expires = lines[0].json()["expires"].as_str().unwrap().to_owned();
    assert_eq!(expires.len(), "2026-01-02T03:04:05+00:00".len());
    assert_eq!(&expires[10..11], "T");
    assert!(expires.ends_with("+00:00"), "{expires}");
    assert_eq!(lines[1].life, None);
    assert_eq!(lines[1].json()["expires"], Value::Null);
}

pub(crate) async fn text_of_any_kind_arrives_as_it_was<F: Fixture>(db: F) {
    let text = "\0 \u{1}\u{7f} \\ \" / \u{2028} é 😀 ' $1 ?1 :a --";
    let change = Change::json(
        "doc",
        "k'é\"\\",
        Signal::Save,
        json!({"text": text, "n": 1.5}),
    );
    db.record(change).await;
    let line = db.outbox().await.pop().unwrap();
    assert_eq!(line.json()["instance_data"]["text"], text);
    assert_eq!(line.json()["instance_pk"], "k'é\"\\");
    assert_eq!(line.instance_pk, "k'é\"\\");
}

pub(crate) async fn previous_data_names_what_changed<F: Fixture>(db: F) {
    let (before, after) = (Account::named(1, "old"), Account::named(1, "new"));
    db.record(Change::saved(&after).previous(&before)).await;
    db.record(Change::saved(&after).previous(&after)).await;
    let json = Change::json("order", 1, Signal::Save, json!({"a": 1, "b": 2}));
    db.record(json.previous_json(json!({"a": 1, "b": 1, "c": 0})))
        .await;
    let previous: Vec<_> = db
        .outbox()
        .await
        .iter()
        .map(|line| line.json()["previous_data"].clone())
        .collect();
    assert_eq!(
        previous,
        [json!({"name": "old"}), json!({}), json!({"b": 1, "c": 0})]
    );
}

fn sorted(mut keys: Vec<&str>) -> Vec<&str> {
    keys.sort_unstable();
    keys
}

/// `2026-01-02 03:04:05.678901+00:00`, or without the fraction once in a million runs.
fn is_updated(text: &str) -> bool {
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    form == "0000-00-00 00:00:00.000000+00:00" || form == "0000-00-00 00:00:00+00:00"
}
