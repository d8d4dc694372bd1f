//! `insert into cqrs_record`: recording from any language.

use cqrs_core::Signal;
use cqrs_outbox::{Change, InstanceKey, KeyPart, begin, record};
use serde_json::{Value, json};
use sqlx::Executor;

use super::bed::Bed;

/// Both forms of the same key, as `record` has it.
#[tokio::test]
async fn keys_are_those_of_the_golden_file() {
    let golden: Vec<Value> =
        serde_json::from_str(include_str!("../../../../cqrs-core/tests/golden/keys.json")).unwrap();
    let bed = Bed::new().await;
    for case in &golden {
        let (cqrs_id, key) = (case["cqrs_id"].as_str().unwrap(), &case["key"]);
        let sql = "insert into cqrs_record (cqrs_id, key_json, data) values (?1, ?2, '{}')";
        let done = sqlx::query(sql)
            .bind(cqrs_id)
            .bind(key.to_string())
            .execute(&bed.pool)
            .await;
        if key.is_number() && key.as_i64().is_none() {
            // Beyond SQLite's integers: its tables hold it as text.
            assert!(done.unwrap_err().to_string().contains("key_json"));
            continue;
        }
        done.unwrap();
        let line = bed.lines().await.pop().unwrap();
        assert_eq!(line.instance_pk, case["canonical"]);
        assert_eq!(&line.body["instance_pk"], key);
        let sql = "insert into cqrs_record (cqrs_id, key, data) values (?1, ?2, '{}')";
        let plain = sqlx::query(sql).bind(cqrs_id);
        let plain = match key {
            Value::String(text) => plain.bind(text),
            Value::Number(number) => plain.bind(number.as_i64()),
            _ => continue,
        };
        plain.execute(&bed.pool).await.unwrap();
        let again = bed.lines().await.pop().unwrap();
        assert_eq!((again.instance_pk, again.revision), (line.instance_pk, 1));
        assert_eq!(&again.body["instance_pk"], key);
    }
}

#[tokio::test]
async fn every_member_is_as_record_writes_it() {
    let (here, there, elsewhere) = (Bed::new().await, Bed::new().await, Bed::new().await);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let key = || InstanceKey::Composite(vec![KeyPart::from("a\"b"), KeyPart::from(2_i64)]);
    let script = format!(
        "insert into cqrs_record (cqrs_id, key_json, data, previous, ttl, traceparent)
             values ('line', json_array('a\"b', 2), '{{\"n\": 1.10, \"t\":\"\\u00e9\"}}', '{{\"n\":2,\"t\":\"\\u00e9\",\"old.x\":[1.50],\"q\\\"\":true}}', 60, '{trace}');
         insert into cqrs_record (cqrs_id, key_json, signal, data, queue)
             values ('line', json_array('a\"b', 2), 'SYNC', '{{}}', 'audit');
         insert into cqrs_record (cqrs_id, key_json, signal, data, forced)
             values ('line', json_array('a\"b', 2), 'SYNC', '{{}}', 1);
         insert into cqrs_record (cqrs_id, key_json, signal, data)
             values ('line', json_array('a\"b', 2), 'DELETE', '{{\"by\":[\"x\"]}}');
         insert into cqrs_record (cqrs_id, key_json, signal, data)
             values ('line', json_array('a\"b', 2), 'SYNC', '{{\"a\":1}}')",
    );
    here.execute(&script).await;
    // With the SQLite that Python has, which may be older.
    elsewhere.python(&format!("db.executescript({script:?})\n"));
    let data: Box<serde_json::value::RawValue> =
        serde_json::from_str("{\"n\":1.10,\"t\":\"\\u00e9\"}").unwrap();
    let before: Box<serde_json::value::RawValue> =
        serde_json::from_str("{\"n\":2,\"t\":\"\\u00e9\",\"old.x\":[1.50],\"q\\\"\":true}")
            .unwrap();
    let mut tx = there.pool.begin().await.unwrap();
    for change in [
        Change::json("line", key(), Signal::Save, data)
            .previous_json(before)
            .expires_in(std::time::Duration::from_mins(1))
            .trace(trace),
        Change::json("line", key(), Signal::Sync, json!({})).to_queue("audit"),
        Change::json("line", key(), Signal::Sync, json!({})).forced(),
        Change::json("line", key(), Signal::Delete, json!({"by": ["x"]})),
        Change::json("line", key(), Signal::Sync, json!({"a": 1})),
    ] {
        record(&mut tx, change).await.unwrap();
    }
    tx.commit().await.unwrap();

    assert_eq!(here.lines().await.len(), 5);
    assert_eq!(said(&here).await, said(&there).await);
    assert_eq!(said(&here).await, said(&elsewhere).await);
}

/// All that was recorded, but for times and identities: the outbox, bodies and all, and the revisions.
async fn said(bed: &Bed) -> Vec<String> {
    let columns =
        "select concat_ws('|', cqrs_id, instance_pk, signal, coalesce(queue, '-'), revision,
            coalesce(traceparent, '-'), forced, attempts, (expires_at - created_at) / 2000000, '')
         from cqrs_outbox order by id";
    let mut said: Vec<String> = sqlx::query_scalar(columns)
        .fetch_all(&bed.pool)
        .await
        .unwrap();
    for (row, line) in said.iter_mut().zip(bed.lines().await) {
        let text = &line.text;
        let at = text.find("\"cqrs_updated\":\"").unwrap() + 16;
        let to = at + text[at..].find('"').unwrap();
        let expires = text.rfind("\"expires\":").unwrap();
        let meta = text.rfind(",\"meta\"").unwrap();
        row.push_str(&text[..at]);
        row.push_str(&text[to..expires]);
        row.push_str(&text[meta..]);
    }
    let revisions = "select concat_ws('|', cqrs_id, instance_pk, revision, deleted, began)
         from cqrs_revision order by cqrs_id, instance_pk";
    let revisions: Vec<String> = sqlx::query_scalar(revisions)
        .fetch_all(&bed.pool)
        .await
        .unwrap();
    said.extend(revisions);
    said
}

#[tokio::test]
async fn random_sequences_are_those_of_record() {
    let (here, there) = (Bed::new().await, Bed::new().await);
    let mut random = fastrand::Rng::with_seed(7);
    let mut ours = here.pool.begin().await.unwrap();
    let mut theirs = there.pool.begin().await.unwrap();
    for turn in 0..400 {
        let key = random.i64(0..4);
        let signal = random.choice([Signal::Save, Signal::Save, Signal::Delete, Signal::Sync]);
        let signal = signal.unwrap();
        let data = match (signal, random.bool()) {
            (Signal::Delete, false) => Value::Null,
            _ => json!({"n": turn, "t": "é\"\u{1}\u{7f}\\/\n", "l": [null, true, 1.5]}),
        };
        let before = (signal == Signal::Save && random.bool())
            .then(|| json!({"n": turn - 1, "l": [null, true, 1.5], "gone.\"x": {"a": 1}}));
        let (queue, forced) = match signal {
            Signal::Sync => (random.bool().then_some("audit"), random.bool()),
            _ => (None, false),
        };
        let ttl = random.bool().then_some(90_i64);
        sqlx::query(
            "insert into cqrs_record (cqrs_id, key, signal, data, previous, queue, forced, ttl)
             values ('account', ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(key)
        .bind(signal.as_str())
        .bind(data.to_string())
        .bind(before.as_ref().map(Value::to_string))
        .bind(queue)
        .bind(forced)
        .bind(ttl)
        .execute(&mut *ours)
        .await
        .unwrap();
        let mut change = Change::json("account", key, signal, data);
        if let Some(before) = before {
            change = change.previous_json(before);
        }
        if let Some(queue) = queue {
            change = change.to_queue(queue);
        }
        if forced {
            change = change.forced();
        }
        if let Some(seconds) = ttl {
            change = change.expires_in(std::time::Duration::from_secs(seconds.unsigned_abs()));
        }
        record(&mut theirs, change).await.unwrap();
    }
    ours.commit().await.unwrap();
    theirs.commit().await.unwrap();
    let (ours, theirs) = (said(&here).await, said(&there).await);
    assert_eq!(ours.len(), 404);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
}

#[tokio::test]
async fn meta_and_correlation_are_passed_on() {
    let bed = Bed::new().await;
    bed.execute(
        "insert into cqrs_record (cqrs_id, key, data, meta, correlation_id, traceparent, message_id)
         values ('account', 1, '{}', json_object('by', 'job'), json_quote('c-1'), 'nonsense',
                 '0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11')",
    )
    .await;
    let line = bed.lines().await.pop().unwrap();
    assert_eq!(line.body["meta"], json!({"by": "job"}));
    assert_eq!(line.body["correlation_id"], "c-1");
    assert_eq!(
        bed.number("select count(*) from cqrs_outbox where traceparent is null and message_id like '0189d2f0%'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_rollback_takes_the_event_with_it() {
    let bed = Bed::new().await;
    let mut tx = begin(&bed.pool).await.unwrap();
    tx.execute("insert into cqrs_record (cqrs_id, key, data) values ('account', 1, '{}')")
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert!(bed.lines().await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_the_remedy() {
    let bed = Bed::new().await;
    for (columns, values, words) in [
        ("key, data", "1, '{}'", "give the name of the model"),
        ("cqrs_id, key, data", "'a b', 1, '{}'", "white space"),
        (
            "cqrs_id, key, data",
            "'a' || char(160), 1, '{}'",
            "white space",
        ),
        ("cqrs_id, key, data", "'a' || char(0), 1, '{}'", "control"),
        ("cqrs_id, key, data", "'a#', 1, '{}'", "choose another name"),
        (
            "cqrs_id, key, data",
            "'cqrs.x', 1, '{}'",
            "choose another name",
        ),
        (
            "cqrs_id, key, data",
            "printf('%.101c', 'x'), 1, '{}'",
            "1 to 100 bytes",
        ),
        ("cqrs_id, data", "'a', '{}'", "give the key"),
        (
            "cqrs_id, key, key_json, data",
            "'a', 1, '1', '{}'",
            "one of the two",
        ),
        ("cqrs_id, key, data", "'a', 1.5, '{}'", "integer or a text"),
        (
            "cqrs_id, key, data",
            "'a', x'00', '{}'",
            "integer or a text",
        ),
        ("cqrs_id, key, data", "'a', '', '{}'", "empty"),
        ("cqrs_id, key, data", "'a', char(65, 0), '{}'", "NUL"),
        (
            "cqrs_id, key, data",
            "'a', printf('%.513c', 'x'), '{}'",
            "512 bytes",
        ),
        ("cqrs_id, key_json, data", "'a', 'x', '{}'", "json_array"),
        (
            "cqrs_id, key_json, data",
            "'a', '{}', '{}'",
            "a list of these",
        ),
        (
            "cqrs_id, key_json, data",
            "'a', '[]', '{}'",
            "a list of these",
        ),
        ("cqrs_id, key_json, data", "'a', '[1,null]', '{}'", "a part"),
        ("cqrs_id, key_json, data", "'a', '[[1]]', '{}'", "a part"),
        ("cqrs_id, key_json, data", "'a', '[true]', '{}'", "a part"),
        (
            "cqrs_id, key, signal, data",
            "'a', 1, 'save', '{}'",
            "SAVE, DELETE or SYNC",
        ),
        ("cqrs_id, key", "'a', 1", "needs data"),
        ("cqrs_id, key, data", "'a', 1, '{x}'", "json_object()"),
        ("cqrs_id, key, data", "'a', 1, '[1]'", "a JSON object"),
        (
            "cqrs_id, key, data",
            "'a', 1, '{\"cqrs_revision\":1}'",
            "leave them out",
        ),
        (
            "cqrs_id, key, data",
            "'a', 1, '{\"cqrs_\\u0075pdated\":1}'",
            "leave them out",
        ),
        (
            "cqrs_id, key, data",
            "'a', 1, json_object('x', hex(zeroblob(67108864)))",
            "128 MiB",
        ),
        (
            "cqrs_id, key, signal, data",
            "'a', 1, 'DELETE', 'why'",
            "json_quote()",
        ),
        (
            "cqrs_id, key, data, previous",
            "'a', 1, '{}', '[]'",
            "a JSON object",
        ),
        (
            "cqrs_id, key, data, message_id",
            "'a', 1, '{}', 'x'",
            "a UUID",
        ),
        (
            "cqrs_id, key, data, queue",
            "'a', 1, '{}', 'q'",
            "for a SYNC",
        ),
        (
            "cqrs_id, key, data, forced",
            "'a', 1, '{}', 1",
            "for a SYNC",
        ),
        (
            "cqrs_id, key, signal, data, queue",
            "'a', 1, 'SYNC', '{}', 'a*'",
            "1 to 120 bytes",
        ),
        ("cqrs_id, key, data, ttl", "'a', 1, '{}', 0", "seconds"),
        ("cqrs_id, key, data, ttl", "'a', 1, '{}', '1h'", "seconds"),
        (
            "cqrs_id, key, data, meta",
            "'a', 1, '{}', 'x'",
            "meta is not JSON",
        ),
        (
            "cqrs_id, key, data, correlation_id",
            "'a', 1, '{}', 'x'",
            "json_quote()",
        ),
        (
            "cqrs_id, key, signal, data, forced",
            "'a', 1, 'SYNC', '{}', 2",
            "0 or 1",
        ),
    ] {
        for verb in ["insert", "insert or ignore"] {
            let sql = format!("{verb} into cqrs_record ({columns}) values ({values})");
            let error = bed.try_execute(&sql).await.unwrap_err();
            assert!(
                error.contains("cqrs_record: ") && error.contains(words),
                "{sql}: {error}"
            );
        }
    }
    assert!(bed.lines().await.is_empty());
    assert_eq!(bed.number("select count(*) from cqrs_revision").await, 0);
}
