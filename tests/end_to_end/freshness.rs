//! Read your writes: who waits for a command's token sees the command's change in the replica.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cqrs_core::{Signal, Token};
use cqrs_outbox::{self as outbox, Change, Recorded};
use cqrs_replica::{Freshness, LetterState, NotFresh};
use cqrs_tests::{
    database::Database,
    ledger,
    stack::Stack,
    wait::{Seen, until},
    writers::{STEP_MODEL, TABLE_MODEL},
};
use serde_json::json;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_mins(1);

/// How many clients there are, each with a row of its own; all share one more.
const CLIENTS: i64 = 8;
const SHARED: i64 = 1_000;

const SAVE: &str = "insert into account (id, name, version) values ($1, 'one', 1)
    on conflict (id) do update set version = account.version + 1 returning version";
const DELETE: &str = "delete from account where id = $1 returning version";

/// Of a replica that keeps the table and the ledger of the tests' own worker.
fn freshness(stack: &Stack) -> Result<Freshness> {
    let queue = stack.queue.parse()?;
    let kept = [TABLE_MODEL.parse()?, STEP_MODEL.parse()?];
    Ok(match &stack.replica {
        Database::Postgres { pool, .. } => Freshness::postgres(pool.clone(), queue, kept),
        Database::Sqlite { pool, .. } => Freshness::sqlite(pool.clone(), queue, kept),
    })
}

/// The events of a save or a delete, for the table, for the handler, and for nobody here.
fn changes(id: i64, signal: Signal, version: i64) -> Vec<Change> {
    let data = json!({"id": id, "name": "one", "version": version, "note": null});
    let change = |cqrs_id: &str| Change::json(cqrs_id, id, signal, data.clone());
    [TABLE_MODEL, STEP_MODEL, "elsewhere"].map(change).into()
}

/// A command: writes a row and the shared one. Answers with its token and both versions.
async fn command(
    master: &Database,
    id: i64,
    delete: bool,
) -> Result<(Token, Option<i64>, Option<i64>)> {
    let (sql, signal) = if delete {
        (DELETE, Signal::Delete)
    } else {
        (SAVE, Signal::Save)
    };
    let (version, shared, recorded) = match master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            let version: i64 = sqlx::query_scalar(sql).bind(id).fetch_one(&mut *tx).await?;
            let save = sqlx::query_scalar(SAVE).bind(SHARED);
            let shared: i64 = save.fetch_one(&mut *tx).await?;
            let recorded = outbox::record_all(&mut tx, both(id, signal, version, shared)).await?;
            tx.commit().await?;
            (version, shared, recorded)
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            let version: i64 = sqlx::query_scalar(sql).bind(id).fetch_one(&mut *tx).await?;
            let save = sqlx::query_scalar(SAVE).bind(SHARED);
            let shared: i64 = save.fetch_one(&mut *tx).await?;
            let recorded = outbox::record_all(&mut tx, both(id, signal, version, shared)).await?;
            tx.commit().await?;
            (version, shared, recorded)
        }
    };
    let token = token(&[id, SHARED], &recorded);
    Ok((token, (!delete).then_some(version), Some(shared)))
}

fn both(id: i64, signal: Signal, version: i64, shared: i64) -> Vec<Change> {
    let mut all = changes(id, signal, version);
    all.extend(changes(SHARED, Signal::Save, shared));
    all
}

/// The token of the changes of these rows.
fn token(ids: &[i64], recorded: &[Recorded]) -> Token {
    let names = ids.iter().flat_map(|id| {
        [TABLE_MODEL, STEP_MODEL, "elsewhere"].map(|cqrs_id| (cqrs_id.to_owned(), id.to_string()))
    });
    let events = names
        .zip(recorded)
        .filter_map(|((cqrs_id, key), recorded)| Some((cqrs_id, key, recorded.revision()?)));
    Token::new(events)
}

/// What a view shows of a row.
async fn shown(replica: &Database, id: i64) -> Result<Option<i64>> {
    const SQL: &str = "select version from account_copy where id = $1";
    Ok(match replica {
        Database::Postgres { pool, .. } => {
            let select = sqlx::query_scalar(SQL).bind(id);
            select.fetch_optional(pool).await?
        }
        Database::Sqlite { pool, .. } => {
            let select = sqlx::query_scalar(SQL).bind(id);
            select.fetch_optional(pool).await?
        }
    })
}

/// How often the handler has seen a row's events.
async fn seen(replica: &Database, id: i64) -> Result<i64> {
    const SQL: &str = "select count(*) from ledger where instance_pk = $1";
    let id = id.to_string();
    Ok(match replica {
        Database::Postgres { pool, .. } => {
            let select = sqlx::query_scalar(SQL).bind(id);
            select.fetch_one(pool).await?
        }
        Database::Sqlite { pool, .. } => {
            let select = sqlx::query_scalar(SQL).bind(id);
            select.fetch_one(pool).await?
        }
    })
}

/// Sends the commands of one client, and looks at the replica after each.
async fn client(stack: &Stack, freshness: &Freshness, id: i64, turns: i64) -> Result<()> {
    let before = seen(&stack.replica, id).await?;
    for turn in 1..=turns {
        let (token, own, shared) = command(&stack.master, id, turn % 4 == 0).await?;
        freshness.wait_for(&token, PATIENCE).await?;
        let found = shown(&stack.replica, id).await?;
        ensure!(found == own, "client {id} wrote {own:?} and sees {found:?}");
        let found = shown(&stack.replica, SHARED).await?;
        ensure!(
            found >= shared,
            "client {id} wrote {shared:?} and sees {found:?}"
        );
        let found = seen(&stack.replica, id).await? - before;
        ensure!(found == turn, "the handler has seen {found} of {turn}");
    }
    Ok(())
}

async fn clients(stack: &Stack, freshness: &Freshness, turns: i64) -> Result<()> {
    let all = (0..CLIENTS).map(|id| client(stack, freshness, id, turns));
    futures_util::future::try_join_all(all).await?;
    Ok(())
}

async fn a_view_shows_the_change_of_the_command_before_it(stack: Stack) -> Result<()> {
    const TURNS: i64 = 8;
    stack.prepare().await?;
    let (relay, worker) = (stack.relay("relay")?, stack.worker("worker")?);
    let freshness = freshness(&stack)?;
    clients(&stack, &freshness, TURNS).await?;
    // A worker that dies makes it take longer, and no less true.
    worker.kill().await?;
    let restart = async { stack.worker("second") };
    let ((), worker) = tokio::try_join!(clients(&stack, &freshness, TURNS), restart)?;
    ledger::verify_rows(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}

async fn many_wait_for_a_replica_that_is_behind(stack: Stack) -> Result<()> {
    const WAITS: i64 = 200;
    stack.prepare().await?;
    let mut tokens = Vec::new();
    for id in 0..WAITS {
        tokens.push(command(&stack.master, id, false).await?.0);
    }
    let freshness = freshness(&stack)?;
    let began = tokio::time::Instant::now();
    let mut waits = JoinSet::new();
    for token in tokens {
        let freshness = freshness.clone();
        waits.spawn(async move { freshness.wait_for(&token, PATIENCE).await });
    }
    until("all have looked", PATIENCE, async || {
        Ok(Seen::equal(&(freshness.looks() > 2), &true))
    })
    .await?;
    let (relay, worker) = (stack.relay("relay")?, stack.worker("worker")?);
    for answer in waits.join_all().await {
        answer?;
    }
    let (took, looks) = (began.elapsed(), freshness.looks());
    let last = shown(&stack.replica, SHARED).await?;
    ensure!(last == Some(WAITS), "{last:?}");
    // They wait for long, so they look together and seldom.
    let most = 40 + took.as_millis() / 25;
    ensure!(u128::from(looks) < most, "{looks} looks in {took:?}");
    relay.terminate().await?;
    worker.terminate().await
}

async fn a_wait_in_vain_says_what_is_missing(stack: Stack) -> Result<()> {
    stack.prepare().await?;
    let freshness = freshness(&stack)?;
    let relay = stack.relay("relay")?;
    let (token, ..) = command(&stack.master, 1, false).await?;
    let answer = freshness.wait_for(&token, Duration::from_millis(100)).await;
    let Err(NotFresh::TimedOut { missing, .. }) = answer else {
        anyhow::bail!("{answer:?}");
    };
    ensure!(missing.len() == 4, "{missing:?}");
    ensure!(missing.iter().all(|event| event.letter.is_none()));

    let worker = stack.worker("worker")?;
    freshness.wait_for(&token, PATIENCE).await?;
    // A row that the table refuses.
    let nameless = || Change::json(TABLE_MODEL, 2, Signal::Save, json!({"id": 2, "version": 1}));
    let recorded = match &stack.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            let recorded = outbox::record(&mut tx, nameless()).await?;
            tx.commit().await?;
            recorded
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            let recorded = outbox::record(&mut tx, nameless()).await?;
            tx.commit().await?;
            recorded
        }
    };
    let refused = self::token(&[2], &[recorded]);
    until("the letter is named", PATIENCE, async || {
        let answer = freshness.wait_for(&refused, Duration::from_millis(200));
        let error = answer.await.err().context("the row was taken")?;
        let NotFresh::TimedOut { missing, .. } = &error else {
            return Err(error.into());
        };
        let letter = missing.first().and_then(|event| event.letter.as_ref());
        Ok(match letter {
            Some(letter) => Seen::equal(
                &(letter.state, &*letter.reason),
                &(LetterState::Retrying, "missing_field"),
            ),
            None => Seen::NotYet(error.to_string()),
        })
    })
    .await?;
    // It holds back nobody else.
    let (token, ..) = command(&stack.master, 3, false).await?;
    freshness.wait_for(&token, PATIENCE).await?;
    relay.terminate().await?;
    worker.terminate().await
}

mod embedded {
    use super::*;

    #[tokio::test]
    async fn a_view_shows_the_change_of_the_command_before_it() -> Result<()> {
        super::a_view_shows_the_change_of_the_command_before_it(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn many_wait_for_a_replica_that_is_behind() -> Result<()> {
        super::many_wait_for_a_replica_that_is_behind(Stack::embedded().await?).await
    }

    #[tokio::test]
    async fn a_wait_in_vain_says_what_is_missing() -> Result<()> {
        super::a_wait_in_vain_says_what_is_missing(Stack::embedded().await?).await
    }
}

#[cfg(feature = "servers")]
mod servers {
    use super::*;

    #[tokio::test]
    async fn a_view_shows_the_change_of_the_command_before_it() -> Result<()> {
        super::a_view_shows_the_change_of_the_command_before_it(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn many_wait_for_a_replica_that_is_behind() -> Result<()> {
        super::many_wait_for_a_replica_that_is_behind(Stack::servers().await?).await
    }

    #[tokio::test]
    async fn a_wait_in_vain_says_what_is_missing() -> Result<()> {
        super::a_wait_in_vain_says_what_is_missing(Stack::servers().await?).await
    }
}
