//! What the derive writes is what a person would.
#![cfg(feature = "derive")]
#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by where it stops"
)]

use std::time::Duration;

use cqrs_outbox::{About, InstanceKey, KeyPart, Master, Signal, Table, Tracked};
use serde_json::{Value, json};
use uuid::Uuid;

fn data(model: &impl Master) -> Value {
    serde_json::to_value(model.data()).unwrap()
}

fn row(model: &impl Table) -> Value {
    serde_json::to_value(model.row()).unwrap()
}

// Neither `Serialize` nor anything else.
#[derive(Master)]
#[master(
    cqrs_id = "account",
    table = "billing.accounts",
    tracked(status, email),
    ttl = "90s"
)]
struct Account {
    #[master(key)]
    id: i64,
    #[master(rename = "full_name")]
    name: String,
    #[master(column = "mail")]
    email: String,
    #[master(skip)]
    password_hash: String,
    status: &'static str,
    r#type: Option<u8>,
    #[master(bytes)]
    photo: Vec<u8>,
    #[master(with = cqrs_outbox::form::duration)]
    trial: Duration,
}

fn account() -> Account {
    Account {
        id: 7,
        name: "Ada".to_owned(),
        email: "a@b.c".to_owned(),
        password_hash: "x".to_owned(),
        status: "new",
        r#type: None,
        photo: b"hi".to_vec(),
        trial: Duration::from_secs(61),
    }
}

#[test]
fn published_fields_are_the_data_in_their_order() {
    assert_eq!(Account::CQRS_ID, "account");
    assert_eq!(Account::TRACKED, Tracked::Fields(&["status", "email"]));
    assert_eq!(Account::TTL, Some(Duration::from_secs(90)));
    const { assert!(Account::PRODUCE) };
    assert_eq!(account().key(), InstanceKey::Integer(7));
    assert_eq!(
        serde_json::to_string(&account().data()).unwrap(),
        r#"{"id":7,"full_name":"Ada","email":"a@b.c","status":"new","type":null,"photo":"aGk=","trial":"P0DT00H01M01S"}"#
    );
    assert!(account().should_sync());
}

#[test]
fn all_fields_are_columns() {
    assert_eq!(Account::TABLE, "billing.accounts");
    assert_eq!(Account::KEY, ["id"]);
    assert_eq!(Account::BYTES, ["photo"]);
    assert_eq!(
        row(&account()),
        json!({
            "id": 7, "name": "Ada", "mail": "a@b.c", "password_hash": "x", "status": "new",
            "type": null, "photo": "aGk=", "trial": "P0DT00H01M01S",
        })
    );
}

#[derive(Master)]
#[master(cqrs_id = "line", tracked(all), produce = false, fields(pieces))]
struct Line<'a> {
    pieces: u32,
    #[master(key, rename = "order")]
    order_id: Uuid,
    #[master(key)]
    article: &'a str,
    #[master(key)]
    place: i16,
    note: &'a str,
}

#[test]
fn several_key_fields_are_a_composite_key() {
    let line = Line {
        pieces: 3,
        order_id: Uuid::nil(),
        article: "a",
        place: 1,
        note: "not sent",
    };
    let key = vec![
        KeyPart::Uuid(Uuid::nil()),
        KeyPart::Text("a".to_owned()),
        KeyPart::Integer(1),
    ];
    assert_eq!(line.key(), InstanceKey::Composite(key));
    let expected = json!({"pieces": 3, "order": Uuid::nil(), "article": "a", "place": 1});
    assert_eq!(data(&line), expected);
    assert_eq!(line.note, "not sent");
    assert_eq!(Line::TRACKED, Tracked::All);
    assert_eq!(Line::TTL, None);
    const { assert!(!Line::PRODUCE) };
}

mod upper {
    use serde::Serializer;

    pub(crate) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text.to_uppercase())
    }
}

mod outbox {
    pub(crate) use cqrs_outbox::*;
}

#[derive(Master)]
#[master(
    cqrs_id = "page",
    filter = "Self::is_public",
    meta = origin,
    delete_data = "Page::last_words",
    crate = "outbox"
)]
#[master(ttl = "36500d")]
struct Page<'a> {
    #[master(key, with = "upper")]
    slug: String,
    #[master(with = "self::upper")]
    title: &'a str,
    public: bool,
}

impl Page<'_> {
    fn is_public(&self) -> bool {
        self.public
    }

    fn last_words(&self, signal: Signal, before: Option<&Self>) -> Option<Value> {
        let before = before.map(|before| before.title);
        (signal == Signal::Delete).then(|| json!({"title": self.title, "before": before}))
    }
}

fn origin(about: &About<'_>) -> Option<Value> {
    let to_all = about.queue().is_none();
    to_all.then(|| json!({"from": about.cqrs_id()}))
}

#[test]
fn functions_of_ones_own_take_the_place_of_defaults() {
    let page = Page {
        slug: "a-b".to_owned(),
        title: "é",
        public: false,
    };
    assert_eq!(page.key(), InstanceKey::Text("a-b".to_owned()));
    assert_eq!(
        data(&page),
        json!({"slug": "A-B", "title": "É", "public": false})
    );
    assert!(!page.should_sync());
    // `meta` is called by a record only; the conformance suite has it.
    assert_eq!(
        page.delete_data(Signal::Delete, Some(&page)),
        Some(json!({"title": "é", "before": "é"}))
    );
    assert_eq!(page.delete_data(Signal::Save, None), None);
}

// Named like anything the derive might write.
#[derive(Master)]
#[master(cqrs_id = "object")]
struct Object {
    #[master(key)]
    id: i64,
    #[master(bytes)]
    form: Vec<u8>,
}

#[test]
fn a_model_may_have_any_name() {
    let object = Object {
        id: 1,
        form: b"hi".to_vec(),
    };
    assert_eq!(data(&object), json!({"id": 1, "form": "aGk="}));
}
