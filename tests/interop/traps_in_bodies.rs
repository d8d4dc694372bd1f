//! Bodies that some version of django-cqrs sends, or that somebody else's program does.

use anyhow::{Result, ensure};
use cqrs_tests::{
    process::Process,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};

use crate::{compare::PATIENCE, shop};

/// Our worker alone.
async fn replica() -> Result<(Stack, Process)> {
    let stack = shop::open().await?;
    let worker = shop::our_replica(&stack).await?;
    Ok((stack, worker))
}

/// A message as django-cqrs 3.1.0 sends it.
fn body(signal: &str, code: &str, revision: i64, updated: &str, name: &str) -> Value {
    json!({
        "signal_type": signal,
        "cqrs_id": "country",
        "instance_data": {"code": code, "cqrs_revision": revision, "cqrs_updated": updated, "name": name},
        "previous_data": null,
        "instance_pk": code,
        "correlation_id": null,
        "retries": 0,
        "expires": "2026-11-22T01:06:16+00:00",
        "meta": {}
    })
}

async fn publish(stack: &Stack, bodies: &[Value]) -> Result<()> {
    for body in bodies {
        shop::publish(stack, "country", &body.to_string()).await?;
    }
    Ok(())
}

/// Waits until the countries are these, ends the worker, which finishes what it has in hand, and looks
/// again, and at the letters' reasons.
async fn ends_with(
    stack: &Stack,
    worker: Process,
    countries: &[(&str, &str)],
    letters: &[&str],
) -> Result<()> {
    const COUNTRIES: &str = "select code, name from country order by code collate \"C\"";
    const LETTERS: &str = "select reason from cqrs_dead_letter order by reason";
    let text = |text: &str| Some(text.to_owned());
    let expected: Vec<Vec<Option<String>>> = countries
        .iter()
        .map(|(code, name)| vec![text(code), text(name)])
        .collect();
    until("the countries are there", PATIENCE, async || {
        Ok(Seen::equal(
            &stack.replica.rows(COUNTRIES).await?,
            &expected,
        ))
    })
    .await?;
    until("the queue is empty", PATIENCE, async || {
        Ok(Seen::equal(&shop::ready(&stack.queue).await?, &0))
    })
    .await?;
    worker.terminate().await?;
    let left = shop::drain(&stack.queue).await?;
    ensure!(left.is_empty(), "the worker has left {left:?}");
    let rows = stack.replica.rows(COUNTRIES).await?;
    ensure!(rows == expected, "in the end there were {rows:?}");
    let reasons = stack.replica.rows(LETTERS).await?;
    let expected: Vec<_> = letters.iter().map(|reason| vec![text(reason)]).collect();
    ensure!(reasons == expected, "letters for {reasons:?}");
    Ok(())
}

const EARLIER: &str = "2026-01-02 03:04:05+00:00";
const LATER: &str = "2026-01-02 03:04:05.000001+00:00";

/// Absent in old versions, null for ever, without an offset from `USE_TZ=False`, in the past: a table
/// takes the state all the same, since nothing newer is known.
#[tokio::test]
async fn an_expiry_of_any_form_is_read() -> Result<()> {
    let (stack, worker) = replica().await?;
    let mut bodies = Vec::new();
    for (code, expires) in [
        ("a", json!(null)),
        ("b", json!("2100-01-01T00:00:00+00:00")),
        ("c", json!("2100-01-01T00:00:00")),
        ("d", json!("2020-01-01T00:00:00+02:00")),
    ] {
        let mut body = body("SAVE", code, 0, EARLIER, code);
        body["expires"] = expires;
        bodies.push(body);
    }
    let mut oldest = body("SAVE", "e", 0, EARLIER, "e");
    if let Some(members) = oldest.as_object_mut() {
        // All that version 1.3.1 sent.
        members.retain(|key, _| {
            ["signal_type", "cqrs_id", "instance_data", "instance_pk"].contains(&key.as_str())
        });
    }
    bodies.push(oldest);
    publish(&stack, &bodies).await?;
    ends_with(
        &stack,
        worker,
        &["a", "b", "c", "d", "e"].map(|code| (code, code)),
        &[],
    )
    .await
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_kills_nobody() -> Result<()> {
    let (stack, worker) = replica().await?;
    let mut text_revision = body("SAVE", "a", 0, EARLIER, "a");
    text_revision["instance_data"]["cqrs_revision"] = json!("0");
    let mut no_updated = body("SAVE", "a", 0, EARLIER, "a");
    no_updated["instance_data"]["cqrs_updated"] = json!(null);
    let mut expires = body("SAVE", "a", 0, EARLIER, "a");
    expires["expires"] = json!("tomorrow");
    let mut signal = body("SAVE", "a", 0, EARLIER, "a");
    signal["signal_type"] = json!("save");
    let mut nobody = body("SAVE", "a", 0, EARLIER, "a");
    nobody["instance_pk"] = json!(null);
    let mut bodies = vec![
        json!(5),
        json!(null),
        json!(true),
        json!([]),
        text_revision,
        no_updated,
        expires,
        signal,
        nobody,
    ];
    for key in ["signal_type", "cqrs_id", "instance_data", "instance_pk"] {
        let mut incomplete = body("SAVE", "a", 0, EARLIER, "a");
        if let Some(members) = incomplete.as_object_mut() {
            members.remove(key);
        }
        bodies.push(incomplete);
    }
    let unreadable = bodies.len();
    publish(&stack, &bodies).await?;
    shop::publish(&stack, "country", "{'python': None}").await?;
    publish(&stack, &[body("SAVE", "z", 0, EARLIER, "last")]).await?;
    ends_with(
        &stack,
        worker,
        &[("z", "last")],
        &vec!["unreadable"; unreadable + 1],
    )
    .await
}

/// Two writers at once: the later state counts, whichever comes first.
#[tokio::test]
async fn of_two_states_with_one_revision_the_later_counts() -> Result<()> {
    let (stack, worker) = replica().await?;
    publish(
        &stack,
        &[
            body("SAVE", "a", 2, EARLIER, "earlier"),
            body("SAVE", "a", 2, LATER, "later"),
            body("SAVE", "b", 2, LATER, "later"),
            body("SAVE", "b", 2, EARLIER, "earlier"),
            body("SAVE", "c", 0, EARLIER, "last"),
        ],
    )
    .await?;
    ends_with(
        &stack,
        worker,
        &[("a", "later"), ("b", "later"), ("c", "last")],
        &[],
    )
    .await
}

/// A sync states what the master has, also when that is a lower revision.
#[tokio::test]
async fn a_later_sync_may_take_a_row_back() -> Result<()> {
    let (stack, worker) = replica().await?;
    publish(
        &stack,
        &[
            body("SAVE", "a", 5, EARLIER, "five"),
            body("SYNC", "a", 1, LATER, "restored from a backup"),
            body("SAVE", "b", 5, LATER, "five"),
            body("SYNC", "b", 1, EARLIER, "a sync that was overtaken"),
        ],
    )
    .await?;
    ends_with(
        &stack,
        worker,
        &[("a", "restored from a backup"), ("b", "five")],
        &[],
    )
    .await
}

/// The limit that `docs/guarantees.md` states: within the tolerance, a delete that was overtaken by the
/// save after it looks like one of a row that was saved just before.
#[tokio::test]
async fn a_delete_that_was_overtaken_hides_a_row_until_it_is_sent_again() -> Result<()> {
    let (stack, worker) = replica().await?;
    let overtaken = |code: &str| {
        [
            body("SAVE", code, 0, LATER, "came back"),
            body("DELETE", code, 3, EARLIER, "went"),
        ]
    };
    for code in ["a", "b", "c"] {
        publish(&stack, &overtaken(code)).await?;
    }
    let syncs = [
        body("SYNC", "a", 0, EARLIER, "was there before"),
        body("SYNC", "c", 0, LATER, "is there"),
    ];
    publish(&stack, &syncs).await?;
    let saved = "2026-01-02 03:04:05.000002+00:00";
    publish(&stack, &[body("SAVE", "b", 1, saved, "was saved again")]).await?;
    ends_with(
        &stack,
        worker,
        &[("b", "was saved again"), ("c", "is there")],
        &[],
    )
    .await
}

/// A direct sync and a requeue come by a routing key of the queue's own.
#[tokio::test]
async fn the_queues_own_routing_key_is_bound() -> Result<()> {
    let (stack, worker) = replica().await?;
    let direct = format!("cqrs.{}.country", stack.queue);
    let mut requeued = body("SAVE", "b", 0, EARLIER, "requeued");
    requeued["retries"] = json!(7);
    for body in [body("SYNC", "a", 3, EARLIER, "direct"), requeued] {
        shop::publish(&stack, &direct, &body.to_string()).await?;
    }
    let other = body("SYNC", "c", 3, EARLIER, "for another queue");
    shop::publish(&stack, "cqrs.another.country", &other.to_string()).await?;
    ends_with(&stack, worker, &[("a", "direct"), ("b", "requeued")], &[]).await
}

/// What ujson and Python's json write, and serde would not.
#[tokio::test]
async fn python_json_is_read() -> Result<()> {
    const BODY: &str = r#"{"signal_type":"SAVE","cqrs_id":"customer","instance_data":{"id":1,"id":7,
        "cqrs_revision":0,"cqrs_updated":"2026-01-02 03:04:05+00:00","name":"n\/a \u00e9 \ud83d\ude00 \ud83d",
        "status":"new","active":true,"ratio":NaN,"balance":-12345678.9,"seen":"2026-01-02T03:04:05Z",
        "extra":{"big":1208925819614629174706176,"\u2603":[-Infinity,"Infinity"]},"unknown":[{}]},
        "previous_data":null,"instance_pk":7,"correlation_id":null,"retries":"many","expires":null,"new":1}"#;
    const CUSTOMERS: &str =
        "select cast(id as text), name, cast(ratio as text), cast(balance as text),
        cast(seen as text), cast(extra as text) from customer";
    let (stack, worker) = replica().await?;
    shop::publish(&stack, "customer", BODY).await?;
    let expected = [
        "7",
        "n/a é 😀 \u{fffd}",
        "NaN",
        "-12345678.90",
        "2026-01-02 03:04:05+00",
        "{\"big\": 1208925819614629174706176, \"☃\": [\"-Infinity\", \"Infinity\"]}",
    ]
    .map(|text| Some(text.to_owned()));
    until("the customer is there", PATIENCE, async || {
        let rows = stack.replica.rows(CUSTOMERS).await?;
        Ok(Seen::equal(&rows, &vec![expected.to_vec()]))
    })
    .await?;
    ends_with(&stack, worker, &[], &[]).await
}
