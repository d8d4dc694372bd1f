//! Relays that live and cannot do their work, beside one that can.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    ledger,
    link::{self, Link},
    process::Process,
    stack::Stack,
    wait::{Seen, until},
    writers::{self, Load},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
const LOAD: Load = Load {
    writers: 2,
    transactions: 10,
    rows: 30,
};

/// How many slots each relay holds, in rising order.
async fn shares(stack: &Stack) -> Result<Vec<usize>> {
    let status: Value =
        serde_json::from_str(&stack.run("cqrs-relay", &["status", "--json"]).await?)?;
    let relays = status["relays"].as_array().context("relays")?;
    let mut shares: Vec<_> = relays
        .iter()
        .map(|relay| relay["slots"].as_array().map_or(0, Vec::len))
        .collect();
    shares.sort_unstable();
    Ok(shares)
}

async fn shared_out(stack: &Stack, what: &str, wanted: &[usize]) -> Result<()> {
    until(what, PATIENCE, async || {
        Ok(Seen::equal(&shares(stack).await?.as_slice(), &wanted))
    })
    .await
}

/// A relay that goes to the broker by another address than the others.
fn relay_by(stack: &mut Stack, label: &str, broker: String) -> Result<Process> {
    stack
        .environment
        .push(("CQRS_BROKER_URL".to_owned(), broker));
    let relay = stack.relay(label);
    stack.environment.pop();
    relay
}

async fn everything_goes(stack: &Stack) -> Result<()> {
    writers::write(&stack.master, LOAD).await?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn one_cut_off_from_the_broker_leaves_its_slots_to_another_until_it_is_back() -> Result<()> {
    let mut stack = Stack::servers().await?;
    stack.prepare().await?;
    let link = Link::to(link::server(&stack.broker)?).await?;
    let (worker, able) = (stack.worker("worker")?, stack.relay("able")?);
    let broker = link.url(&stack.broker)?;
    let unable = relay_by(&mut stack, "unable", broker)?;
    shared_out(&stack, "both work", &[32, 32]).await?;
    link.cut();
    // A connection that nobody uses is not known to be lost.
    everything_goes(&stack).await?;
    shared_out(&stack, "the other takes over", &[0, 64]).await?;
    let status = stack.run("cqrs-relay", &["status"]).await?;
    ensure!(
        status.contains("alive, cannot publish, 0 slots") && status.contains("alive, 64 slots"),
        "{status}"
    );
    everything_goes(&stack).await?;
    link.mend();
    shared_out(&stack, "both work again", &[32, 32]).await?;
    everything_goes(&stack).await?;

    // One that cannot work takes nothing, even when it is alone.
    link.cut();
    everything_goes(&stack).await?;
    shared_out(&stack, "again", &[0, 64]).await?;
    able.terminate().await?;
    writers::write(&stack.master, LOAD).await?;
    link.mend();
    shared_out(&stack, "the one that is left", &[64]).await?;
    everything_goes(&stack).await?;
    unable.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn one_that_never_reaches_the_broker_takes_nothing() -> Result<()> {
    let mut stack = Stack::servers().await?;
    stack.prepare().await?;
    let (worker, able) = (stack.worker("worker")?, stack.relay("able")?);
    shared_out(&stack, "the first has all", &[64]).await?;
    let nowhere = "amqp://guest:guest@127.0.0.1:1/%2f".to_owned();
    let unable = relay_by(&mut stack, "unable", nowhere)?;
    // Both have looked around many times since the second came.
    let beats = "select cast(coalesce(min(beat), 0) as text) from cqrs_relay
        where (select count(*) from cqrs_relay) = 2";
    until("both beat", PATIENCE, async || {
        let held = stack
            .master
            .number("select cast(count(owner) as text) from cqrs_relay_lease")
            .await?;
        let holders = stack
            .master
            .number("select cast(count(distinct owner) as text) from cqrs_relay_lease")
            .await?;
        ensure!((held, holders) == (64, 1), "{held} slots, {holders} relays");
        let beat = stack.master.number(beats).await?;
        Ok(if beat < 10 {
            Seen::NotYet(format!("beat {beat}"))
        } else {
            Seen::Yes
        })
    })
    .await?;
    everything_goes(&stack).await?;
    unable.terminate().await?;
    able.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn one_that_gets_no_sessions_leaves_its_slots_to_another() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let (worker, unable) = (stack.worker("worker")?, stack.relay("unable")?);
    shared_out(&stack, "one has all", &[64]).await?;
    let Database::Postgres { pool, .. } = &stack.master else {
        anyhow::bail!("this is about PostgreSQL");
    };
    // All sessions of the first but the one in which its heart beats.
    let sessions: Vec<i32> = sqlx::query_scalar(
        "select pid from pg_stat_activity
         where datname = current_database() and application_name = 'cqrs-relay'
             and pid not in (select pid from pg_stat_activity where query ~ '(renew|census)')",
    )
    .fetch_all(pool)
    .await?;
    ensure!(sessions.len() == 2, "{sessions:?}");
    let able = stack.relay("able")?;
    shared_out(&stack, "both work", &[32, 32]).await?;
    // A newer program migrates, and this one's new sessions are refused from now on.
    sqlx::query(
        "insert into cqrs_outbox_migrations (version, description, success, checksum, execution_time)
         values (1000, 'newer', true, '', 0)",
    )
    .execute(pool)
    .await?;
    sqlx::query("select pg_terminate_backend(pid) from unnest($1) as pid")
        .bind(&sessions)
        .execute(pool)
        .await?;
    let most = "select cast(max(held) as text)
        from (select count(*) as held from cqrs_relay_lease group by owner) as share";
    until("the other has all", PATIENCE, async || {
        Ok(Seen::equal(&stack.master.number(most).await?, &64))
    })
    .await?;
    sqlx::query("delete from cqrs_outbox_migrations where version = 1000")
        .execute(pool)
        .await?;
    everything_goes(&stack).await?;
    shared_out(&stack, "both work again", &[32, 32]).await?;
    able.terminate().await?;
    unable.terminate().await?;
    worker.terminate().await
}
