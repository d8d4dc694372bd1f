//! Which forms of a value a Django replica on PostgreSQL takes, type by type: what
//! `docs/migrating-from-django-cqrs.md` promises.

use anyhow::{Result, ensure};
use chrono::{DateTime, NaiveTime, TimeDelta};
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change, form};
use cqrs_tests::wait::{Seen, until};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{compare::PATIENCE, django::Django, our_master, shop};

/// As `cqrs_outbox::form` writes it.
#[derive(Serialize)]
struct Length(#[serde(with = "form::duration")] TimeDelta);

/// Likewise.
#[derive(Serialize)]
struct Bytes(#[serde(with = "form::bytes")] Vec<u8>);

/// A column, a value as we send it, and what the Django replica's database then has:
/// nothing where it refuses.
type Form = (&'static str, Value, Option<&'static str>);

fn forms() -> Vec<Form> {
    let uuid = "0193f5c4-7a3e-7c8d-9e0f-1a2b3c4d5e6f";
    let day = Some("1 day 02:03:04.5");
    let before = Some("-1 days -02:03:04.5");
    vec![
        ("price", json!("1.10"), Some("1.1000000000")),
        (
            "price",
            json!("1234567890123456.0123456789"),
            Some("1234567890123456.0123456789"),
        ),
        ("price", json!(1.25), Some("1.2500000000")),
        ("price", json!(7), Some("7.0000000000")),
        ("price", json!("NaN"), None),
        ("day", json!("2026-02-28"), Some("2026-02-28")),
        ("day", json!("2026-02-28T00:00:00Z"), None),
        (
            "moment",
            json!("2026-01-02T03:04:05.678901Z"),
            Some("2026-01-02 03:04:05.678901+00"),
        ),
        (
            "moment",
            json!("2026-01-02T03:04:05.123456789Z"),
            Some("2026-01-02 03:04:05.123456+00"),
        ),
        (
            "moment",
            json!("2026-01-02 03:04:05+02:00"),
            Some("2026-01-02 01:04:05+00"),
        ),
        (
            "moment",
            json!("2026-01-02T03:04:05"),
            Some("2026-01-02 03:04:05+00"),
        ),
        ("moment", json!(1_767_323_045), None),
        ("clock", json!("03:04:05.678901"), Some("03:04:05.678901")),
        (
            "clock",
            json!("03:04:05.123456789"),
            Some("03:04:05.123456"),
        ),
        ("clock", json!("03:04"), Some("03:04:00")),
        ("period", json!("P1DT2H3M4.5S"), day),
        ("period", json!("1 02:03:04.5"), day),
        ("period", json!("1 day 02:03:04.5"), day),
        ("period", json!("PT93784.5S"), Some("26:03:04.5")),
        ("period", json!("P0DT48H00M00S"), Some("48:00:00")),
        (
            "period",
            json!("-1 days +02:03:05"),
            Some("-1 days +02:03:05"),
        ),
        ("period", json!("P-1DT-2H-3M-4.5S"), before),
        ("period", json!("-1 days -02:03:04.5"), before),
        ("period", json!("-P1DT2H3M4.5S"), None),
        ("period", json!(93784.5), None),
        (
            "period",
            json!(Length(TimeDelta::milliseconds(93_784_500))),
            day,
        ),
        (
            "period",
            json!(Length(TimeDelta::milliseconds(-93_784_500))),
            before,
        ),
        (
            "period",
            json!(Length(TimeDelta::minutes(-90))),
            Some("-01:30:00"),
        ),
        ("period", json!(Length(TimeDelta::zero())), Some("00:00:00")),
        ("payload", json!("3q2+7w=="), None),
        (
            "base64",
            json!(Bytes(vec![0, 255, 226, 152, 131])),
            Some("00ffe29883"),
        ),
        (
            "clock",
            json!(NaiveTime::from_hms_micro_opt(3, 4, 5, 678_901)),
            Some("03:04:05.678901"),
        ),
        (
            "moment",
            json!(DateTime::from_timestamp(1_767_323_045, 0)),
            Some("2026-01-02 03:04:05+00"),
        ),
        ("payload", json!("\\xdeadbeef"), None),
        ("payload", json!([222, 173, 190, 239]), None),
        ("base64", json!("3q2+7w=="), Some("deadbeef")),
        ("owner", json!(uuid), Some(uuid)),
        (
            "owner",
            json!("0193F5C47A3E7C8D9E0F1A2B3C4D5E6F"),
            Some(uuid),
        ),
        ("ratio", json!(0.1), Some("0.1")),
        ("ratio", json!("0.5"), Some("0.5")),
        ("ratio", json!("NaN"), Some("NaN")),
        ("ratio", json!("-Infinity"), Some("-Infinity")),
        ("big", json!(i64::MAX), Some("9223372036854775807")),
        (
            "big",
            json!("9223372036854775807"),
            Some("9223372036854775807"),
        ),
        ("big", json!(u64::MAX), None),
        ("address", json!("2001:db8::1"), Some("2001:db8::1/128")),
        // `OrderCopy` has one that takes it.
        ("buyer", json!(1), None),
        (
            "document",
            json!({"a": [1, null, "☃"]}),
            Some("{\"a\": [1, null, \"☃\"]}"),
        ),
        ("document", json!("text"), Some("\"text\"")),
    ]
}

#[tokio::test]
async fn a_django_replica_takes_these_forms_and_refuses_those() -> Result<()> {
    const COLUMNS: &str =
        "select id::text, coalesce(price::text, day::text, moment::text, clock::text,
        period::text, encode(payload, 'hex'), encode(base64, 'hex'), owner::text, ratio::text, big::text, address::text,
        document::text, buyer_id::text) from sample";
    let stack = shop::open().await?;
    let django =
        Django::replica(&stack, &stack.replica, &stack.queue).with("INTEROP_MAX_RETRIES", "0");
    django.migrate().await?;
    let consumer = django.consumer("django", 1)?;
    let relay = our_master::open(&stack).await?;
    shop::attended(&stack.queue).await?;

    let changes: Vec<Change> = (1..)
        .zip(forms())
        .map(|(id, (column, value, _))| {
            Change::json("sample", id, Signal::Save, json!({"id": id, column: value}))
        })
        .collect();
    let sent = changes.len();
    let mut tx = outbox::begin(our_master::pool(&stack.master)).await?;
    outbox::record_all(&mut tx, changes).await?;
    tx.commit().await?;
    until("Django has dealt with all of them", PATIENCE, async || {
        let log = consumer.log();
        let done =
            log.matches("CQRS is applied").count() + log.matches("added to dead letter").count();
        Ok(Seen::equal(&done, &sent))
    })
    .await?;

    let rows = stack.replica.rows(COLUMNS).await?;
    let mut wrong = Vec::new();
    for (id, (column, value, expected)) in (1..).zip(forms()) {
        let id = Some(i32::to_string(&id));
        let found = rows.iter().find(|row| row[0] == id);
        let found = found.and_then(|row| row[1].as_deref());
        if found != expected {
            wrong.push(format!(
                "{column} of {value}: {found:?} instead of {expected:?}"
            ));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    relay.terminate().await?;
    consumer.terminate().await
}
