//! The broker's queue of dead letters, between the tools of both sides.

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};

use crate::{compare::PATIENCE, django::Django, shop};

/// A country without its name, which neither side can store.
fn nameless(code: &str) -> String {
    json!({
        "signal_type": "SAVE", "cqrs_id": "country", "instance_pk": code,
        "instance_data": {
            "code": code, "cqrs_revision": 0, "cqrs_updated": "2026-01-02 03:04:05+00:00"
        },
        "previous_data": null, "correlation_id": "c", "retries": 0, "expires": null, "meta": {},
    })
    .to_string()
}

/// Waits until the broker has one dead letter of ours or theirs.
async fn one_is_dead(stack: &Stack) -> Result<()> {
    let queue = format!("dead_letter_{}", stack.queue);
    until("there is a dead letter", PATIENCE, async || {
        Ok(Seen::equal(&shop::ready(&queue).await?, &1))
    })
    .await
}

/// Waits until the country is there, under the name that the table gives it now.
async fn mended(stack: &Stack, code: &str) -> Result<()> {
    until("the country is there", PATIENCE, async || {
        let rows = stack.replica.rows("select code, name from country").await?;
        let expected = vec![vec![Some(code.to_owned()), Some("unnamed".to_owned())]];
        Ok(Seen::equal(&rows, &expected))
    })
    .await
}

const MEND: &str = "alter table country alter name set default 'unnamed'";

#[tokio::test]
async fn what_djangos_worker_gave_up_is_taken_over() -> Result<()> {
    let stack = shop::open().await?;
    let django =
        Django::replica(&stack, &stack.replica, &stack.queue).with("INTEROP_MAX_RETRIES", "0");
    django.migrate().await?;
    let consumer = django.consumer("django", 1)?;
    shop::attended(&stack.queue).await?;
    shop::publish(&stack, "country", &nameless("a")).await?;
    one_is_dead(&stack).await?;
    consumer.terminate().await?;

    // Ours goes on with Django's table.
    shop::configure(
        &stack,
        "[[replica.model]]\ncqrs_id = \"country\"\ntable = \"country\"\nkey = \"code\"\n",
    )?;
    stack.run("cqrs-replica", &["migrate"]).await?;
    let listed = ["dead", "broker", "list", "--json"];
    let listed: Value = serde_json::from_str(&stack.run("cqrs-replica", &listed).await?)?;
    ensure!(
        listed[0]["cqrs_id"] == "country" && listed[0]["instance_pk"] == "a",
        "{listed}"
    );
    stack.replica.execute(MEND).await?;
    let worker = stack.start("cqrs-replica", "worker")?;
    let import = ["dead", "broker", "import", "--retry"];
    stack.run("cqrs-replica", &import).await?;
    mended(&stack, "a").await?;
    worker.terminate().await
}

#[tokio::test]
async fn what_ours_gave_up_is_seen_and_retried_by_djangos_tools() -> Result<()> {
    let stack = shop::open().await?;
    let text = std::fs::read_to_string(stack.config())?;
    let model = "cqrs_id = \"country\"\n";
    ensure!(text.contains(model), "{text}");
    let gives_up = format!("{model}max_attempts = 1\npublish_dead_letters = true\n");
    std::fs::write(stack.config(), text.replace(model, &gives_up))?;
    let worker = shop::our_replica(&stack).await?;
    shop::publish(&stack, "country", &nameless("b")).await?;
    one_is_dead(&stack).await?;

    let django = Django::replica(&stack, &stack.replica, &stack.queue);
    let dumped = django.manage(&["cqrs_dead_letters", "dump"]).await?;
    let line = dumped.lines().find(|line| line.starts_with('{'));
    let letter: Value = serde_json::from_str(line.with_context(|| dumped.clone())?)?;
    ensure!(
        letter["cqrs_id"] == "country" && letter["retries"] == 1 && letter["correlation_id"] == "c",
        "{letter}"
    );
    stack.replica.execute(MEND).await?;
    django.manage(&["cqrs_dead_letters", "retry"]).await?;
    mended(&stack, "b").await?;
    worker.terminate().await
}
