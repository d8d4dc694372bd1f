//! Commands and queries through the bus, beside the same statements by hand.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cqrs_core::{
    SecretUrl,
    bus::{
        Command, CommandBus, CommandHandler, Context, Failure, Query, QueryBus, QueryHandler,
        postgres::PostgresQueries,
    },
};
use cqrs_outbox::{self as outbox, Change, OpenTransaction, Signal, postgres::PostgresCommands};
use cqrs_tests::postgres::TestDatabase;
use futures_util::future::try_join_all;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::show;

/// How many callers at once; each has rows of its own.
const CALLERS: [u32; 2] = [1, 8];

const ROWS: u32 = 1_000;

#[derive(serde::Serialize)]
struct Raise {
    id: i64,
}

impl Command for Raise {
    const NAME: &'static str = "raise";
    type Output = i64;
}

#[derive(serde::Serialize)]
struct Balance {
    id: i64,
}

impl Query for Balance {
    const NAME: &'static str = "balance";
    type Output = i64;
}

struct Handlers;

impl CommandHandler<Raise, PostgresCommands> for Handlers {
    type Error = std::convert::Infallible;

    async fn handle(
        &self,
        command: &Raise,
        context: &mut Context<'_, PostgresCommands>,
    ) -> Result<i64, Failure<Self::Error>> {
        let balance = raise(&mut *context.transaction, command.id).await?;
        outbox::record(context.transaction, state(command.id, balance)).await?;
        Ok(balance)
    }
}

impl QueryHandler<Balance, PostgresQueries> for Handlers {
    type Error = std::convert::Infallible;

    async fn handle(
        &self,
        query: &Balance,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<i64, Failure<Self::Error>> {
        Ok(balance(transaction, query.id).await?)
    }
}

async fn raise(connection: &mut PgConnection, id: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("update account set balance = balance + 1 where id = $1 returning balance")
        .bind(id)
        .fetch_one(connection)
        .await
}

async fn balance(connection: &mut PgConnection, id: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select balance from account where id = $1")
        .bind(id)
        .fetch_one(connection)
        .await
}

fn state(id: i64, balance: i64) -> Change {
    let data = json!({"id": id, "balance": balance});
    Change::json("account", id, Signal::Save, data)
}

async fn by_hand<T>(mut transaction: T, id: i64) -> Result<T>
where
    T: OpenTransaction + std::ops::DerefMut<Target = PgConnection>,
{
    let balance = raise(&mut transaction, id).await?;
    outbox::record(&mut transaction, state(id, balance)).await?;
    Ok(transaction)
}

pub(crate) async fn measure(calls: u32) -> Result<()> {
    let database = TestDatabase::create().await?;
    outbox::migrate(&SecretUrl::new(database.url().to_owned())).await?;
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .min_connections(8)
        .connect(database.url())
        .await?;
    sqlx::query("create table account (id bigint primary key, balance bigint not null)")
        .execute(&pool)
        .await?;
    sqlx::query("insert into account select id, 0 from generate_series(0, $1 - 1) as id")
        .bind(i64::from(ROWS))
        .execute(&pool)
        .await?;
    let commands = CommandBus::new(PostgresCommands::new(pool.clone()), Handlers);
    let queries = QueryBus::new(PostgresQueries::new(pool.clone()), Handlers);
    for callers in CALLERS {
        let raw = timed(callers, calls, async |_, id| {
            let transaction = by_hand(outbox::begin(&pool).await?, id).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        show(
            &format!("transaction by hand, {callers} at once"),
            calls,
            raw,
            None,
        );
        let base = u128::from(callers) << 64;
        let bus = timed(callers, calls, async |call, id| {
            let number = Uuid::from_u128(base + u128::from(call));
            let done = commands.execute(number, &Raise { id }).await?;
            ensure!(!done.repeated && !done.token.is_empty(), "it was not new");
            Ok(())
        })
        .await?;
        let beside = Some(("by hand", raw));
        show(&format!("command, {callers} at once"), calls, bus, beside);
        let raw = timed(callers, calls, async |_, id| {
            balance(&mut *pool.acquire().await?, id).await?;
            Ok(())
        })
        .await?;
        show(
            &format!("SELECT by hand, {callers} at once"),
            calls,
            raw,
            None,
        );
        let bus = timed(callers, calls, async |_, id| {
            queries.ask(&Balance { id }).await?;
            Ok(())
        })
        .await?;
        let beside = Some(("by hand", raw));
        show(&format!("query, {callers} at once"), calls, bus, beside);
    }
    let total = sqlx::query_scalar::<_, i64>("select sum(balance)::bigint from account")
        .fetch_one(&pool)
        .await?;
    let expected = i64::from(calls) * 2 * i64::try_from(CALLERS.len())?;
    ensure!(total == expected, "{total} instead of {expected}");
    Ok(())
}

/// Makes so many calls by so many callers: each is told the number of the call and a row of its own.
async fn timed<F>(callers: u32, calls: u32, call: F) -> Result<Duration>
where
    F: AsyncFn(u32, i64) -> Result<()>,
{
    let started = Instant::now();
    let call = &call;
    try_join_all((0..callers).map(|caller| async move {
        for number in (caller..calls).step_by(usize::try_from(callers)?) {
            let row = number / callers % (ROWS / callers) * callers + caller;
            call(number, i64::from(row)).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    Ok(started.elapsed())
}
