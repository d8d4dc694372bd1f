//! What the broker has confirmed is not sent again because a session was lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cqrs_core::{
    SecretUrl,
    database::postgres::{PostgresConfig, connect},
};
use cqrs_tests::{
    database::Database,
    rabbitmq::{self, Admin},
    stack::Stack,
    wait::{Seen, until},
};
use lapin::{ExchangeKind, types::FieldTable};
use sqlx::AssertSqlSafe;

const PATIENCE: Duration = Duration::from_mins(1);

/// Ends the sessions of a relay whose last statement is one of these.
const END: &str = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
    where datname = current_database() and application_name = 'cqrs-relay' and query ~ $1";

#[tokio::test]
async fn a_session_that_was_lost_costs_no_duplicates() -> Result<()> {
    let stack = Stack::servers().await?;
    stack.prepare().await?;
    let Database::Postgres { pool, .. } = &stack.master else {
        anyhow::bail!("this is about PostgreSQL");
    };
    let admin = Admin::connect(&rabbitmq::url()).await;
    let queue = rabbitmq::unique_queue("once");
    admin
        .declare_exchange(&stack.exchange, ExchangeKind::Topic)
        .await;
    admin.declare_queue(&queue, FieldTable::default()).await;
    admin.bind(&queue, &stack.exchange, "account").await;
    let relay = stack.relay("relay")?;
    for round in 0..6 {
        // The session that deletes, as a server ends one that idles; or the one that reads.
        let sessions = if round % 2 == 0 {
            "cqrs-outbox: (dead_ids|settle)"
        } else {
            "cqrs-outbox: (fetch|blocked|durable|make_durable)"
        };
        until("the session is ended", PATIENCE, async || {
            let ended: i64 = sqlx::query_scalar(END)
                .bind(sessions)
                .fetch_one(pool)
                .await?;
            Ok(if ended > 0 {
                Seen::Yes
            } else {
                Seen::NotYet("there is none".to_owned())
            })
        })
        .await?;
        sqlx::query(
            "select cqrs_record('account', to_json(n), json_build_object('id', n))
             from generate_series($1 * 20 + 1, $1 * 20 + 20) as n",
        )
        .bind(round)
        .execute(pool)
        .await?;
        until("the outbox becomes empty", PATIENCE, async || {
            let rows = stack
                .master
                .number("select cast(count(*) as text) from cqrs_outbox")
                .await?;
            Ok(Seen::equal(&rows, &0))
        })
        .await?;
    }
    relay.terminate().await?;
    let mut messages = 0;
    while admin.get(&queue).await.is_some() {
        messages += 1;
    }
    admin.delete_queue(&queue).await;
    admin.delete_exchange(&stack.exchange).await;
    admin.close().await;
    ensure!(messages == 120, "{messages} messages of 120 events");
    Ok(())
}

#[tokio::test]
async fn sessions_may_idle_whatever_the_database_is_set_to() -> Result<()> {
    let database = Database::postgres().await?;
    let Database::Postgres { pool, .. } = &database else {
        anyhow::bail!("this is about PostgreSQL");
    };
    let name = database.url().rsplit('/').next().context("a name")?;
    let name = name.split('?').next().unwrap_or(name);
    let set = format!("alter database \"{name}\" set idle_session_timeout = '1s'");
    sqlx::query(AssertSqlSafe(set)).execute(pool).await?;
    let config = PostgresConfig::new(SecretUrl::new(database.url()), "cqrs-relay");
    let mut session = connect(&config).await?;
    let limit: String = sqlx::query_scalar("select current_setting('idle_session_timeout')")
        .fetch_one(&mut session)
        .await?;
    ensure!(limit == "0", "{limit}");
    Ok(())
}
