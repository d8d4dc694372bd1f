//! The codec against recorded messages of django-cqrs and against what a Rust peer may meet.

use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, InstanceKey, Revision, Signal,
    wire::{BodyTemplate, Problem, decode, encode, parse_timestamp},
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

/// The body's keys, in the order in which django-cqrs writes them.
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

#[derive(Deserialize)]
struct Recorded {
    case: String,
    routing_key: String,
    body: String,
}

fn recorded() -> Vec<Recorded> {
    let recorded: Vec<Recorded> =
        serde_json::from_str(include_str!("wire/recorded.json")).expect("the recording is JSON");
    assert_eq!(recorded.len(), 14);
    recorded
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).expect("a body is strict JSON")
}

/// The names of an object's members in the order in which they stand in the text.
fn key_order(body: &str) -> Vec<String> {
    let object = cqrs_core::json::Object::from_json(body).expect("a body is an object");
    object.iter().map(|(name, _)| name.to_owned()).collect()
}

fn time(text: &str) -> DateTime<Utc> {
    parse_timestamp(text).expect("a literal time")
}

#[test]
fn every_recorded_message_decodes_and_encodes_to_equal_json() {
    for message in recorded() {
        let event =
            decode(message.body.as_bytes()).unwrap_or_else(|e| panic!("{}: {e:?}", message.case));
        assert!(
            message.routing_key.ends_with(event.cqrs_id.as_str()),
            "{}",
            message.case
        );
        let again = encode(&event);
        assert_eq!(parsed(&again), parsed(&message.body), "{}", message.case);
        assert_eq!(key_order(&again), KEYS, "{}", message.case);
    }
}

#[test]
fn what_is_recorded_is_understood() {
    let messages = recorded();
    let update = decode(messages[1].body.as_bytes()).unwrap();
    assert_eq!(update.signal, Signal::Save);
    assert_eq!(update.key, InstanceKey::Integer(3));
    assert_eq!(update.revision, Revision(1));
    assert_eq!(update.updated, time("2026-11-21T01:17:20.039839Z"));
    assert_eq!(update.expires, Some(time("2026-11-22T01:17:20Z")));
    assert_eq!(update.correlation().as_deref(), Some("corr-simple-3"));
    assert_eq!(update.data.get("balance").unwrap().get(), "99999.99");
    let previous = update.previous.unwrap();
    assert_eq!(previous.get("status").unwrap().get(), "\"new\"");
    let delete = decode(messages[3].body.as_bytes()).unwrap();
    assert_eq!(delete.signal, Signal::Delete);
    assert_eq!(
        delete.data.get("custom").unwrap().get(),
        r#"{"name":"child"}"#
    );
    assert!(delete.previous.is_none());
}

#[test]
fn a_template_writes_the_nine_keys_with_the_types_and_date_forms_of_django() {
    let account = CqrsId::new("account").unwrap();
    let body = BodyTemplate::state(
        Signal::Save,
        &account,
        &InstanceKey::from(7),
        r#"{"id":7,"name":"Zoë \"q\"","price":1234567890123456.1234}"#,
        Some(r#"{"name":"Zoe"}"#),
    )
    .with_correlation_id("\"c-1\"")
    .with_meta(r#"{"by":"test"}"#)
    .splice(
        Revision(3),
        time("2026-01-02T03:04:05.000001Z"),
        Some(time("2026-01-03T03:04:05.9Z")),
    );
    assert_eq!(
        body,
        "{\"signal_type\":\"SAVE\",\"cqrs_id\":\"account\",\"instance_data\":{\"id\":7,\
         \"name\":\"Zoë \\\"q\\\"\",\"price\":1234567890123456.1234,\"cqrs_revision\":3,\
         \"cqrs_updated\":\"2026-01-02 03:04:05.000001+00:00\"},\"previous_data\":{\"name\":\"Zoe\"},\
         \"instance_pk\":7,\"correlation_id\":\"c-1\",\"retries\":0,\
         \"expires\":\"2026-01-03T03:04:05+00:00\",\"meta\":{\"by\":\"test\"}}"
    );
    assert_eq!(key_order(&body), KEYS);
}

#[test]
fn a_delete_carries_what_django_needs_under_the_names_it_reads() {
    let order = CqrsId::new("order").unwrap();
    let key = InstanceKey::from("A-1");
    let at = time("2026-01-02T03:04:05Z");
    let plain = BodyTemplate::delete(&order, &key, None).splice(Revision(4), at, None);
    assert_eq!(
        parsed(&plain),
        json!({
            "signal_type": "DELETE", "cqrs_id": "order",
            "instance_data": {
                "id": "A-1", "cqrs_revision": 4, "cqrs_updated": "2026-01-02 03:04:05+00:00",
            },
            "previous_data": null, "instance_pk": "A-1", "correlation_id": null, "retries": 0,
            "expires": null, "meta": {},
        })
    );
    let custom = BodyTemplate::delete(&order, &key, Some(r#"{"why":"gone"}"#));
    let custom = parsed(&custom.splice(Revision(4), at, None));
    assert_eq!(custom["instance_data"]["custom"], json!({"why": "gone"}));
}

#[test]
fn an_empty_state_and_a_composite_key_make_valid_bodies() {
    let line = CqrsId::new("line").unwrap();
    let key = InstanceKey::from(("A-1", 2));
    let body = BodyTemplate::state(Signal::Sync, &line, &key, "{ }", None).splice(
        Revision(0),
        time("2026-01-02T03:04:05Z"),
        None,
    );
    let event = decode(body.as_bytes()).unwrap();
    assert_eq!(event.key, key);
    assert_eq!(event.data.len(), 2);
}

#[test]
fn bodies_of_older_versions_are_read() {
    let oldest = json!({
        "signal_type": "SAVE", "cqrs_id": "a", "instance_pk": 1,
        "instance_data": {"id": 1, "cqrs_revision": 0, "cqrs_updated": "2026-01-02 03:04:05"},
    });
    let event = decode(oldest.to_string().as_bytes()).unwrap();
    assert!(event.previous.is_none() && event.expires.is_none() && event.meta.is_none());
    assert_eq!(event.retries, 0);
}

#[test]
fn what_python_may_write_is_read() {
    let body = br#"{"x-unknown":{"a":[]},"signal_type":"DELETE","signal_type":"SAVE","cqrs_id":"a",
        "instance_data":{"id":1,"cqrs_revision":2,"cqrs_updated":"2026-01-02T03:04:05Z",
        "url":"http:\/\/e.com\/x","face":"\ud83d\ude00","half":"\ud83d","f":NaN,"g":-Infinity,
        "big":1208925819614629174706176,"price":1.10,"id":7},
        "previous_data":null,"instance_pk":1208925819614629174706176,"correlation_id":5,
        "retries":"2","expires":"2026-01-02T03:04:05","meta":null}"#;
    let event = decode(body).unwrap();
    assert_eq!(
        event.signal,
        Signal::Save,
        "the last of two equal keys counts"
    );
    assert_eq!(event.key.canonical(), "1208925819614629174706176");
    let text = |name: &str| event.data.get(name).unwrap().get().to_owned();
    assert_eq!(text("id"), "7");
    assert_eq!(text("big"), "1208925819614629174706176");
    assert_eq!(text("price"), "1.10");
    assert_eq!(text("f"), "\"NaN\"");
    assert_eq!(text("g"), "\"-Infinity\"");
    assert_eq!(text("half"), "\"\\ufffd\"");
    assert_eq!(event.parse::<Value>().unwrap()["url"], "http://e.com/x");
    assert_eq!(event.parse::<Value>().unwrap()["face"], "😀");
    assert_eq!(
        event.expires,
        Some(time("2026-01-02T03:04:05Z")),
        "no offset is UTC"
    );
    assert_eq!(event.correlation().as_deref(), Some("5"));
}

#[test]
fn what_cannot_be_applied_is_named() {
    let good = json!({
        "signal_type": "SAVE", "cqrs_id": "a", "instance_pk": 1,
        "instance_data": {"id": 1, "cqrs_revision": 0, "cqrs_updated": "2026-01-02 03:04:05"},
    });
    let with = |path: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(path).unwrap() = value;
        body.to_string()
    };
    let without = |key: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(key);
        body.to_string()
    };
    let mut cases = vec![
        ("not json".to_owned(), "not a JSON object"),
        ("5".to_owned(), "not a JSON object"),
        ("[]".to_owned(), "not a JSON object"),
        ("{\"signal_type\":".to_owned(), "not a JSON object"),
        (
            with("/signal_type", json!("UPSERT")),
            "none of SAVE, DELETE, SYNC",
        ),
        (with("/signal_type", json!(1)), "not a string"),
        (with("/cqrs_id", json!("a b")), "white space"),
        (
            with("/instance_pk", json!(null)),
            "`instance_pk` is unusable",
        ),
        (
            with("/instance_pk", json!(1.5)),
            "`instance_pk` is unusable",
        ),
        (
            with("/instance_data", json!([1])),
            "`instance_data` is not an object",
        ),
        (
            with("/instance_data/cqrs_revision", json!("0")),
            "`cqrs_revision` is not an integer",
        ),
        (
            with("/instance_data/cqrs_updated", json!("soon")),
            "`cqrs_updated` is not a date",
        ),
    ];
    for key in ["signal_type", "cqrs_id", "instance_pk", "instance_data"] {
        cases.push((without(key), "is missing"));
    }
    for (body, expected) in cases {
        let error = decode(body.as_bytes()).unwrap_err();
        assert!(
            error.problem.to_string().contains(expected),
            "{body}: {}",
            error.problem
        );
    }
    let bad_expiry = {
        let mut body = good.clone();
        body["expires"] = json!("garbage");
        decode(body.to_string().as_bytes()).unwrap_err()
    };
    assert_eq!(bad_expiry.cqrs_id.as_deref(), Some("a"));
    assert_eq!(bad_expiry.instance_pk.as_deref(), Some("1"));
    let not_text = decode(b"\xff\xfe").unwrap_err();
    assert!(matches!(not_text.problem, Problem::NotText(_)));
}

#[test]
fn a_body_over_the_limit_is_refused_unread() {
    let body = vec![b' '; cqrs_core::wire::MAX_BODY + 1];
    assert!(matches!(
        decode(&body).unwrap_err().problem,
        Problem::TooLong { .. }
    ));
}

#[test]
fn many_equal_keys_take_linear_time() {
    let body = format!("{{{}\"b\":1}}", "\"a\":1,".repeat(150_000));
    assert!(decode(body.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
        drop(decode(&bytes));
    }

    #[test]
    fn a_template_is_read_back(
        name in "\\PC*",
        number: i128,
        revision in 0_i64..i64::MAX,
        micros in 0_i64..4_000_000_000_000_000,
    ) {
        let id = CqrsId::new("account").unwrap();
        let key = InstanceKey::Integer(number);
        let at = DateTime::from_timestamp_micros(micros).unwrap();
        let data = format!("{{\"id\":{number},\"name\":{}}}", json!(name));
        let body = BodyTemplate::state(Signal::Save, &id, &key, &data, None)
            .splice(Revision(revision), at, None);
        let event = decode(body.as_bytes()).unwrap();
        prop_assert_eq!(event.revision, Revision(revision));
        prop_assert_eq!(event.updated, at);
        prop_assert_eq!(&event.key, &key);
        prop_assert_eq!(&event.parse::<Value>().unwrap()["name"], &json!(name));
        prop_assert_eq!(parsed(&encode(&event)), parsed(&body));
    }
}
