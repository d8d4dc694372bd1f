//! Events that go wrong, each in its own way, and what becomes of the others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use chrono::Utc;
use cqrs_core::{
    SecretUrl, Signal,
    transport::{
        Headers, Message, Outcome, Publisher, Routing, Transport,
        embedded::{Embedded, EmbeddedConfig},
        rabbitmq::{RabbitMq, RabbitMqConfig},
    },
};
use cqrs_outbox::{self as outbox, Change};
use cqrs_tests::{
    database::Database,
    ledger,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(1);

/// Writes a row and records it, with whatever else `finish` says of the change.
async fn save(stack: &Stack, id: i64, finish: impl Fn(Change) -> Change) -> Result<()> {
    const INSERT: &str = "insert into account (id, name, version) values ($1, 'one', 1)
        on conflict (id) do update set version = account.version + 1 returning version";
    let change = |version: i64| {
        let data = json!({"id": id, "name": "one", "version": version, "note": null});
        finish(Change::json("account", id, Signal::Save, data))
    };
    match &stack.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            let version = sqlx::query_scalar(INSERT)
                .bind(id)
                .fetch_one(&mut *tx)
                .await?;
            outbox::record(&mut tx, change(version)).await?;
            tx.commit().await?;
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            let version = sqlx::query_scalar(INSERT)
                .bind(id)
                .fetch_one(&mut *tx)
                .await?;
            outbox::record(&mut tx, change(version)).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Records a change without touching a row.
async fn record(stack: &Stack, change: Change) -> Result<()> {
    match &stack.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            outbox::record(&mut tx, change).await?;
            Ok(tx.commit().await?)
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            outbox::record(&mut tx, change).await?;
            Ok(tx.commit().await?)
        }
    }
}

async fn status(stack: &Stack, program: &str) -> Result<Value> {
    Ok(serde_json::from_str(
        &stack.run(program, &["status", "--json"]).await?,
    )?)
}

async fn dead(stack: &Stack, program: &str) -> Result<Vec<Value>> {
    Ok(serde_json::from_str(
        &stack.run(program, &["dead", "list", "--json"]).await?,
    )?)
}

async fn wait_for(database: &Database, what: &str, count: &'static str, value: i64) -> Result<()> {
    until(what, PATIENCE, async || {
        Ok(Seen::equal(&database.number(count).await?, &value))
    })
    .await
}

const COPIES: &str = "select cast(count(*) as text) from account_copy";
const VERSION: &str = "select cast(version as text) from account_copy";
const DEAD_LETTERS: &str =
    "select cast(count(*) as text) from cqrs_dead_letter where state = 'dead'";
const DEAD_ROWS: &str = "select cast(count(*) as text) from cqrs_outbox_dead";
const OUTBOX: &str = "select cast(count(*) as text) from cqrs_outbox";

/// Puts a body into the replica's queue, as a program without manners would.
#[expect(clippy::disallowed_methods, reason = "a message of the test's own")]
async fn publish(stack: &Stack, body: &'static [u8]) -> Result<()> {
    let message = Message {
        message_id: Uuid::now_v7(),
        routing: Routing::Broadcast("account".parse()?),
        body: Bytes::from_static(body),
        headers: Headers::default(),
        timestamp: Utc::now(),
    };
    let outcomes = if stack.broker.starts_with("embedded") {
        let mut config = EmbeddedConfig::from_url(&SecretUrl::new(&stack.broker))?;
        config.exchange.clone_from(&stack.exchange);
        Embedded::new(config)
            .publisher()
            .await?
            .publish(&[message])
            .await?
    } else {
        let mut config = RabbitMqConfig::new(SecretUrl::new(&stack.broker));
        config.exchange.clone_from(&stack.exchange);
        RabbitMq::new(config)
            .publisher()
            .await?
            .publish(&[message])
            .await?
    };
    ensure!(outcomes == [Outcome::Confirmed], "{outcomes:?}");
    Ok(())
}

async fn poison_becomes_a_dead_letter_and_the_rest_goes_on(stack: Stack) -> Result<()> {
    stack.prepare().await?;
    let (mut worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    save(&stack, 1, |change| change).await?;
    wait_for(&stack.replica, "the first row arrives", COPIES, 1).await?;
    let bodies: [&[u8]; 4] = [
        b"\xff\xfe not even text",
        b"5",
        b"{\"signal_type\":\"SAVE\",\"cqrs_id\":\"account\"}",
        b"{\"signal_type\":\"SAVE\",\"cqrs_id\":\"account\",\"instance_pk\":null,\"instance_data\":{}}",
    ];
    for body in bodies {
        publish(&stack, body).await?;
    }
    save(&stack, 2, |change| change).await?;
    wait_for(&stack.replica, "the second row arrives", COPIES, 2).await?;
    wait_for(&stack.replica, "the letters are there", DEAD_LETTERS, 4).await?;
    worker.expect_running()?;

    let letters = dead(&stack, "cqrs-replica").await?;
    ensure!(
        letters.len() == 4 && letters.iter().all(|l| l["reason"] == "unreadable"),
        "{letters:?}"
    );
    let not_text = letters
        .iter()
        .find(|letter| letter.to_string().contains("UTF-8"));
    let id = not_text
        .and_then(|letter| letter["id"].as_i64())
        .context("a letter names UTF-8")?;
    let shown = stack
        .run("cqrs-replica", &["dead", "show", &id.to_string()])
        .await?;
    ensure!(shown.contains("unreadable"), "{shown}");
    stack
        .run("cqrs-replica", &["dead", "discard", "--all", "--yes"])
        .await?;
    ensure!(
        dead(&stack, "cqrs-replica").await?.is_empty(),
        "discarded letters are still listed"
    );
    ledger::verify_rows(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

async fn expired_rows_are_dropped_or_kept_and_never_sent(stack: Stack) -> Result<()> {
    stack.prepare().await?;
    let worker = stack.worker("worker")?;
    // Row 1 has a later revision, row 2 has none.
    let brief = |change: Change| change.expires_in(Duration::from_millis(1));
    save(&stack, 1, brief).await?;
    save(&stack, 1, |change| change).await?;
    save(&stack, 2, brief).await?;
    let now = match &stack.master {
        Database::Postgres { .. } => {
            "select cast(count(*) as text) from cqrs_outbox where expires_at < clock_timestamp()"
        }
        Database::Sqlite { .. } => {
            "select cast(count(*) as text) from cqrs_outbox
             where expires_at < unixepoch('subsec') * 1000000"
        }
    };
    wait_for(&stack.master, "both have expired", now, 2).await?;
    let relay = stack.relay("relay")?;
    wait_for(&stack.master, "the outbox becomes empty", OUTBOX, 0).await?;
    wait_for(&stack.replica, "row 1 arrives", COPIES, 1).await?;
    let rows = dead(&stack, "cqrs-relay").await?;
    ensure!(
        rows.len() == 1 && rows[0]["reason"] == "expired",
        "{rows:?}"
    );
    ensure!(rows[0]["instance_pk"] == "2", "{rows:?}");
    ensure!(
        status(&stack, "cqrs-relay").await?["dead"] == 1,
        "status does not show it"
    );

    stack.run("cqrs-relay", &["dead", "retry", "--all"]).await?;
    wait_for(&stack.replica, "row 2 arrives after all", COPIES, 2).await?;
    ledger::verify_rows(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

async fn what_cannot_be_routed_waits_and_a_lost_direct_sync_holds_nothing(
    stack: Stack,
) -> Result<()> {
    stack.prepare().await?;
    let relay = stack.relay("relay")?;
    // Nobody is bound to the model yet.
    save(&stack, 1, |change| change).await?;
    let sync = json!({"id": 1, "name": "one", "version": 1, "note": null});
    let direct = Change::json("account", 1, Signal::Sync, sync);
    record(&stack, direct.to_queue("no_such_queue")).await?;
    save(&stack, 1, |change| change).await?;
    // The first save is at the head of its instance, so the sync is tried once it has gone.
    let worker = stack.worker("worker")?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    wait_for(&stack.master, "the sync is given up", DEAD_ROWS, 1).await?;
    let rows = dead(&stack, "cqrs-relay").await?;
    ensure!(
        rows[0]["reason"] == "no_queue" && rows[0]["queue"] == "no_such_queue",
        "{rows:?}"
    );
    ledger::verify_rows(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

async fn a_table_that_does_not_fit_is_named_and_can_be_mended(stack: Stack) -> Result<()> {
    const STRICT: &str = "create table account_copy (id bigint primary key, name text not null,
        version bigint not null, remark text, region text not null)";
    stack.prepare().await?;
    // A failed event stays in backoff until someone hurries it.
    let toml = std::fs::read_to_string(stack.config())?.replace("\"100ms\"", "\"1m\"");
    let configure = |from: &str, to: &str| std::fs::write(stack.config(), toml.replace(from, to));

    // A column that is mapped but not there: the worker says so and does not start.
    configure("\"remark\"", "\"remarks\"")?;
    let refused = stack.run("cqrs-replica", &["run"]).await.err();
    let refused = refused.context("the worker started")?.to_string();
    ensure!(
        refused.contains("account_copy") && refused.contains("remarks"),
        "{refused}"
    );

    // A column that must have a value but gets none: a dead letter, until it is mended.
    stack.replica.execute("drop table account_copy").await?;
    stack.replica.execute(STRICT).await?;
    let toml = toml.replace(
        "[[replica.model]]",
        "[[replica.model]]\noptional = \"region\"",
    );
    let mapped = toml.replace(
        "version = \"version\"",
        "version = \"version\", region = \"region\"",
    );
    std::fs::write(stack.config(), mapped)?;
    let worker = stack.start("cqrs-replica", "worker")?;
    let relay = stack.relay("relay")?;
    save(&stack, 1, |change| change).await?;
    let failed = "select cast(count(*) as text) from cqrs_dead_letter
        where reason = 'missing_column' and error like '%region%'";
    wait_for(&stack.replica, "the letter names the column", failed, 1).await?;
    stack.replica.execute("drop table account_copy").await?;
    stack.replica.execute(ledger::TABLES[0]).await?;
    stack
        .replica
        .execute("alter table account_copy add region text")
        .await?;
    let id = stack
        .replica
        .number("select cast(id as text) from cqrs_dead_letter")
        .await?;
    stack
        .run("cqrs-replica", &["dead", "retry", &id.to_string()])
        .await?;
    wait_for(&stack.replica, "the row arrives after all", COPIES, 1).await?;
    ledger::verify_rows(&stack.master, &stack.replica).await?;
    eprintln!("LOG {}", worker.log());
    relay.terminate().await?;
    worker.terminate().await
}

async fn a_forced_sync_takes_a_replica_back(stack: Stack) -> Result<()> {
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    for _ in 0..3 {
        save(&stack, 1, |change| change).await?;
    }
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    // The master comes back from a backup of its first revision.
    for restore in [
        "update account set version = 1",
        "update cqrs_revision set revision = 0",
    ] {
        stack.master.execute(restore).await?;
    }
    let restored = || {
        let data = json!({"id": 1, "name": "one", "version": 1, "note": null});
        Change::json("account", 1, Signal::Sync, data)
    };
    record(&stack, restored()).await?;
    wait_for(&stack.master, "the sync is sent", OUTBOX, 0).await?;
    record(&stack, restored().forced()).await?;
    wait_for(&stack.replica, "the replica goes back", VERSION, 1).await?;
    save(&stack, 1, |change| change).await?;
    wait_for(&stack.replica, "and forth again", VERSION, 2).await?;
    ledger::verify_rows(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

async fn a_rolled_back_transaction_leaves_nothing(stack: Stack) -> Result<()> {
    stack.prepare().await?;
    let change = || Change::json("account", 1, Signal::Save, json!({"id": 1}));
    match &stack.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            outbox::record(&mut tx, change()).await?;
            tx.rollback().await?;
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            outbox::record(&mut tx, change()).await?;
            tx.rollback().await?;
        }
    }
    let left = "select cast((select count(*) from cqrs_outbox) +
        (select count(*) from cqrs_revision) as text)";
    ensure!(stack.master.number(left).await? == 0, "something is left");
    Ok(())
}

mod embedded {
    use super::*;

    #[tokio::test]
    async fn poison_becomes_a_dead_letter_and_the_rest_goes_on() -> Result<()> {
        super::poison_becomes_a_dead_letter_and_the_rest_goes_on(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn expired_rows_are_dropped_or_kept_and_never_sent() -> Result<()> {
        super::expired_rows_are_dropped_or_kept_and_never_sent(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn what_cannot_be_routed_waits_and_a_lost_direct_sync_holds_nothing() -> Result<()> {
        let stack = Stack::embedded().await?;
        super::what_cannot_be_routed_waits_and_a_lost_direct_sync_holds_nothing(stack).await
    }

    #[tokio::test]
    async fn a_table_that_does_not_fit_is_named_and_can_be_mended() -> Result<()> {
        super::a_table_that_does_not_fit_is_named_and_can_be_mended(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn a_forced_sync_takes_a_replica_back() -> Result<()> {
        super::a_forced_sync_takes_a_replica_back(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn a_rolled_back_transaction_leaves_nothing() -> Result<()> {
        super::a_rolled_back_transaction_leaves_nothing(Stack::embedded().await?).await
    }
}

#[cfg(feature = "servers")]
mod servers {
    use super::*;

    #[tokio::test]
    async fn poison_becomes_a_dead_letter_and_the_rest_goes_on() -> Result<()> {
        super::poison_becomes_a_dead_letter_and_the_rest_goes_on(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn expired_rows_are_dropped_or_kept_and_never_sent() -> Result<()> {
        super::expired_rows_are_dropped_or_kept_and_never_sent(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn what_cannot_be_routed_waits_and_a_lost_direct_sync_holds_nothing() -> Result<()> {
        let stack = Stack::servers().await?;
        super::what_cannot_be_routed_waits_and_a_lost_direct_sync_holds_nothing(stack).await
    }

    #[tokio::test]
    async fn a_table_that_does_not_fit_is_named_and_can_be_mended() -> Result<()> {
        super::a_table_that_does_not_fit_is_named_and_can_be_mended(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn a_forced_sync_takes_a_replica_back() -> Result<()> {
        super::a_forced_sync_takes_a_replica_back(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn a_rolled_back_transaction_leaves_nothing() -> Result<()> {
        super::a_rolled_back_transaction_leaves_nothing(Stack::servers().await?).await
    }
}
