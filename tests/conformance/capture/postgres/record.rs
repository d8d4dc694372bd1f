//! `cqrs_record`, from any language.

use std::time::Duration;

use cqrs_outbox::{Change, InstanceKey, KeyPart, OpenTransaction, Signal, record};
use serde_json::{Value, json};
use sqlx::{Executor, Postgres, Transaction};

use super::bed::Bed;
use crate::fixture::{Fixture, Line};

const RECORD: &str =
    "select cqrs_record($1, $2::text::json, $3::text::json, $4, $5::text::json, $6, $7,
    make_interval(secs => $8), $9::text::json, $10::text::json, $11)";

/// A change, for both.
#[derive(Debug, Clone)]
struct Told {
    key: Value,
    data: Value,
    signal: Signal,
    previous: Option<Value>,
    queue: Option<&'static str>,
    forced: bool,
    ttl: Option<u32>,
    meta: Option<Value>,
    correlation: Option<Value>,
    trace: Option<&'static str>,
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

impl Told {
    fn random(chance: &mut fastrand::Rng) -> Self {
        let signal = chance
            .choice([Signal::Save, Signal::Save, Signal::Delete, Signal::Sync])
            .unwrap();
        let key = chance.choice([json!(1), json!("ü\"\\"), json!([1, "a\n"])]);
        let state = |chance: &mut fastrand::Rng| json!({"id": 1, "n": chance.i64(..3), "t": chance.choice(["é\"", "x"]).unwrap()});
        let sync = signal == Signal::Sync;
        Self {
            key: key.unwrap(),
            data: match signal {
                Signal::Delete => chance.choice([Value::Null, json!({"by": "x"})]).unwrap(),
                _ => state(chance),
            },
            signal,
            previous: (!sync && chance.bool()).then(|| state(chance)),
            queue: (sync && chance.bool()).then(|| chance.choice(["q", "r"]).unwrap()),
            forced: sync && chance.u8(..3) == 0,
            ttl: chance.choice([None, Some(1000)]).unwrap(),
            meta: chance.choice([None, Some(json!({"m": 1.5}))]).unwrap(),
            correlation: chance.choice([None, Some(json!("c"))]).unwrap(),
            trace: chance
                .choice([None, Some(TRACE), Some("nonsense")])
                .unwrap(),
        }
    }

    async fn with_sql(&self, tx: &mut Transaction<'static, Postgres>) -> Option<i64> {
        sqlx::query_scalar(RECORD)
            .bind("account")
            .bind(self.key.to_string())
            .bind(self.data.to_string())
            .bind(self.signal.as_str())
            .bind(self.previous.as_ref().map(Value::to_string))
            .bind(self.queue)
            .bind(self.forced)
            .bind(self.ttl.map(f64::from))
            .bind(self.meta.as_ref().map(Value::to_string))
            .bind(self.correlation.as_ref().map(Value::to_string))
            .bind(self.trace)
            .fetch_one(&mut **tx)
            .await
            .unwrap()
    }

    async fn with_rust<T: OpenTransaction>(&self, tx: &mut T) -> Option<i64> {
        let mut change = Change::json("account", key(&self.key), self.signal, &self.data);
        if let Some(previous) = &self.previous {
            change = change.previous_json(previous);
        }
        if let Some(queue) = self.queue {
            change = change.to_queue(queue);
        }
        if self.forced {
            change = change.forced();
        }
        if let Some(ttl) = self.ttl {
            change = change.expires_in(Duration::from_secs(ttl.into()));
        }
        if let Some(meta) = &self.meta {
            change = change.meta(meta);
        }
        if let Some(id) = &self.correlation {
            change = change.correlation_id(id);
        }
        if let Some(trace) = self.trace {
            change = change.trace(trace);
        }
        record(tx, change).await.unwrap().revision().map(|r| r.0)
    }
}

fn key(json: &Value) -> InstanceKey {
    let part = |json: &Value| match json {
        Value::String(text) => KeyPart::from(text),
        number => KeyPart::from(number.as_i64().unwrap()),
    };
    match json {
        Value::Array(parts) => InstanceKey::Composite(parts.iter().map(part).collect()),
        Value::String(text) => text.into(),
        number => number.as_i64().unwrap().into(),
    }
}

/// Each event with the life it has left, in whole seconds.
async fn events(bed: &Bed) -> Vec<(Line, Option<i64>)> {
    let left: Vec<Option<i64>> = sqlx::query_scalar(
        "select ceil(extract(epoch from expires_at - created_at))::bigint / 10 from cqrs_outbox order by id",
    )
    .fetch_all(&bed.pool)
    .await
    .unwrap();
    let lines = bed.take().await;
    lines.iter().map(Line::timeless).zip(left).collect()
}

/// All that the tables of revisions say, but for times.
async fn revisions(bed: &Bed) -> Vec<(String, i64, bool, bool)> {
    sqlx::query_as(
        "select instance_pk, revision, deleted, began and xid is not null from cqrs_revision order by 1",
    )
    .fetch_all(&bed.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn random_transactions_are_recorded_as_from_rust() {
    let (sql, rust) = (Bed::empty().await, Bed::empty().await);
    let mut chance = fastrand::Rng::with_seed(3);
    let mut several = 0;
    for _ in 0..250 {
        let told: Vec<Told> = (0..chance.u8(1..5))
            .map(|_| Told::random(&mut chance))
            .collect();
        let (mut here, mut there) = (sql.begin().await, rust.begin().await);
        for told in &told {
            let (ours, theirs) = (
                told.with_sql(&mut here).await,
                told.with_rust(&mut there).await,
            );
            assert_eq!(ours, theirs, "{told:#?}");
        }
        here.commit().await.unwrap();
        there.commit().await.unwrap();
        let (ours, theirs) = (events(&sql).await, events(&rust).await);
        assert_eq!(ours, theirs, "{told:#?}");
        assert_eq!(revisions(&sql).await, revisions(&rust).await, "{told:#?}");
        several += usize::from(ours.len() < told.len());
    }
    assert!(several > 20, "{several}");
}

/// What Rust and SQL record in one transaction folds into the same events, whoever is first.
#[tokio::test]
async fn rust_and_sql_take_turns_in_a_transaction() {
    let (mixed, rust) = (Bed::empty().await, Bed::empty().await);
    let mut chance = fastrand::Rng::with_seed(11);
    for _ in 0..120 {
        let told: Vec<Told> = (0..chance.u8(2..6))
            .map(|_| Told::random(&mut chance))
            .collect();
        let (mut here, mut there) = (mixed.begin().await, rust.begin().await);
        for told in &told {
            let ours = if chance.bool() {
                told.with_sql(&mut here).await
            } else {
                told.with_rust(&mut here).await
            };
            assert_eq!(ours, told.with_rust(&mut there).await, "{told:#?}");
        }
        here.commit().await.unwrap();
        there.commit().await.unwrap();
        assert_eq!(events(&mixed).await, events(&rust).await, "{told:#?}");
    }
}

#[tokio::test]
async fn keys_slots_and_ids_are_those_of_rust() {
    #[derive(serde::Deserialize)]
    struct Golden {
        cqrs_id: String,
        key: Box<serde_json::value::RawValue>,
        canonical: String,
        slot: i16,
    }
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("../../../../cqrs-core/tests/golden/keys.json")).unwrap();
    let bed = Bed::empty().await;
    for case in &golden {
        let sql = "select cqrs_record($1, $2::text::json, '{}')";
        let recorded = sqlx::query(sql).bind(&case.cqrs_id).bind(case.key.get());
        recorded.execute(&bed.pool).await.unwrap();
        let row: (String, i16, uuid::Uuid) =
            sqlx::query_as("delete from cqrs_outbox returning instance_pk, slot, message_id")
                .fetch_one(&bed.pool)
                .await
                .unwrap();
        assert_eq!(row.0, case.canonical);
        assert_eq!(row.1, case.slot);
        assert_eq!(row.2.get_version_num(), 7);
        assert_eq!(row.2.get_variant(), uuid::Variant::RFC4122);
        let (seconds, _) = row.2.get_timestamp().unwrap().to_unix();
        let now = bed
            .number("select extract(epoch from clock_timestamp())::bigint")
            .await;
        assert!(now.abs_diff(i64::try_from(seconds).unwrap()) < 60);
    }
}

/// The text comes through as it is, spaces outside of it aside.
#[tokio::test]
async fn json_texts_stay_as_they_are() {
    let bed = Bed::empty().await;
    bed.script(r#"select cqrs_record('account', ' 7 ', $j$ { "n": 1.10, "t":"\u00e9\/" }  $j$, meta => '[ 1 ]')"#)
        .await;
    let lines = bed.take().await;
    assert!(
        lines[0].text.starts_with(
            r#"{"signal_type":"SAVE","cqrs_id":"account","instance_data":{"n": 1.10, "t":"\u00e9\/","cqrs_revision":0,"#
        ),
        "{}",
        lines[0].text
    );
    assert!(lines[0].text.contains(r#""instance_pk":7,"#));
    assert!(lines[0].text.ends_with(r#","expires":null,"meta":[ 1 ]}"#));
    bed.script("select cqrs_record('account', '7', '{ }')")
        .await;
    assert!(
        bed.take().await[0]
            .text
            .contains(r#""instance_data":{"cqrs_revision":1"#)
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_remedy() {
    let bed = Bed::empty().await;
    let long = "é".repeat(257);
    for (call, words) in [
        ("'', '1', '{}'", "is empty"),
        ("'a b', '1', '{}'", "white space"),
        ("E'a\\u2003', '1', '{}'", "white space"),
        ("'a*', '1', '{}'", "wildcard"),
        ("'cqrs.a', '1', '{}'", "reserved"),
        ("repeat('é', 51), '1', '{}'", "100 bytes"),
        ("'a', 'null', '{}'", "key is null"),
        ("'a', null, '{}'", "key is null"),
        ("'a', '[1,null]', '{}'", "key is null"),
        ("'a', '[]', '{}'", "key is empty"),
        ("'a', '\"\"', '{}'", "key is empty"),
        ("'a', '1.5', '{}'", "neither an integer"),
        ("'a', 'true', '{}'", "neither an integer"),
        ("'a', '[[1]]', '{}'", "neither an integer"),
        (
            "'a', '170141183460469231731687303715884105728', '{}'",
            "128 bits",
        ),
        ("'a', '\"x\\u0000\"', '{}'", "NUL"),
        (
            &format!("'a', '\"{long}\"', '{{}}'"),
            "514 bytes long, the limit is 512",
        ),
        ("'a', '1'", "must be a JSON object"),
        ("'a', '1', '[]'", "must be a JSON object"),
        ("'a', '1', '{\"cqrs_updated\": 1}'", "reserved"),
        ("'a', '1', '{\"cqrs\\u005frevision\": 1}'", "reserved"),
        ("'a', '1', '{}', 'SAV'", "no signal SAV"),
        ("'a', '1', '{}', previous => '1'", "previous must be"),
        ("'a', '1', '{}', queue => 'q'", "only a sync"),
        ("'a', '1', '{}', forced => true", "only a sync"),
        ("'a', '1', '{}', 'SYNC', queue => 'q#'", "wildcard"),
        ("'a', '1', '{}', ttl => '0'", "time to live"),
        ("'a', '1', '{}', ttl => '101 years'", "time to live"),
        (
            "'a', '1', json_build_object('a', repeat('é', 67108864))",
            "the limit is 134217728",
        ),
    ] {
        let refusal = bed.refusal(&format!("select cqrs_record({call})")).await;
        assert!(refusal.contains(words), "{call}: {refusal}");
        assert!(refusal.contains("cannot record"), "{call}: {refusal}");
    }
    bed.script("select cqrs_record('a', '1', json_build_object('a', repeat('é', 67100000)))")
        .await;
}

/// Whatever the session's settings and its search path.
#[tokio::test]
async fn the_session_makes_no_difference() {
    let bed = Bed::empty().await;
    let mut session = bed.connection().await;
    session
        .execute(
            "set timezone = 'Asia/Kolkata'; set datestyle = 'german'; set search_path = pg_temp;
             create temp table cqrs_outbox (); create temp table cqrs_revision ();
             set standard_conforming_strings = on;
             select public.cqrs_record('account', '1', '{}', ttl => '1 day')",
        )
        .await
        .unwrap();
    let event = cqrs_core::wire::decode(bed.take().await[0].text.as_bytes()).unwrap();
    let age = bed
        .number(&format!(
            "select abs(extract(epoch from clock_timestamp() - '{}'))::bigint",
            event.updated.to_rfc3339()
        ))
        .await;
    assert!(age < 60, "{age}");
    let life = event.expires.unwrap() - event.updated;
    assert_eq!(life.num_hours(), 24);
}
