//! Eight writers, each with a session and a random number generator of its own.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use cqrs_core::Signal;
use cqrs_outbox::{self as outbox, Change, RecordError};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgTransaction};
use tokio::{
    sync::{Mutex, RwLock, watch},
    task::JoinSet,
    time::sleep,
};

use super::{
    ledger::{End, Step},
    world::{Side, World},
};

const WRITERS: u64 = 8;
const PARENTS: u64 = 60;
const CHILDREN: u64 = 200;
const STEPS: u64 = 40;
/// Of each of four tenants.
const ITEMS: u64 = 6_000;

/// The writers' control.
pub(super) struct Writers {
    /// Each transaction holds it for reading: who has it for writing knows that none is open.
    pub(super) quiet: Arc<RwLock<()>>,
    /// Whether commits wait for the disk.
    pub(super) asynchronous: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    running: Mutex<JoinSet<Result<()>>>,
}

impl Writers {
    pub(super) fn start(world: &Arc<World>, seed: u64) -> Self {
        Self::start_numbered(world, seed, 0)
    }

    /// Their names are those of no others that began with another number.
    pub(super) fn start_numbered(world: &Arc<World>, seed: u64, first: u64) -> Self {
        let quiet = Arc::new(RwLock::new(()));
        let (asynchronous, durability) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for number in 0..WRITERS {
            let writer = Writer {
                world: Arc::clone(world),
                number: first + number,
                holds_open: number == WRITERS - 1,
                chance: fastrand::Rng::with_seed(seed ^ (number + 1).wrapping_mul(0x9E37_79B9)),
                quiet: Arc::clone(&quiet),
                asynchronous: durability.clone(),
                stopped: stopped.clone(),
            };
            running.spawn(writer.run());
        }
        Self {
            quiet,
            asynchronous,
            stop,
            running: Mutex::new(running),
        }
    }

    pub(super) async fn stop(&self) -> Result<()> {
        self.stop.send_replace(true);
        let mut running = self.running.lock().await;
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

struct Writer {
    world: Arc<World>,
    number: u64,
    holds_open: bool,
    chance: fastrand::Rng,
    quiet: Arc<RwLock<()>>,
    asynchronous: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
}

impl Writer {
    async fn run(mut self) -> Result<()> {
        let mut session = None;
        for turn in 0_u64.. {
            if *self.stopped.borrow() {
                break;
            }
            let quiet = Arc::clone(&self.quiet);
            let guard = quiet.read().await;
            // A writer whose database is away tries again, as a service does.
            let connected = match session.take() {
                Some(open) => Ok(open),
                None => PgConnection::connect(self.world.stack.master.url()).await,
            };
            let Ok(mut open) = connected else {
                drop(guard);
                sleep(Duration::from_millis(200)).await;
                continue;
            };
            let name = format!("{}-{turn}", self.number);
            let mut steps = Vec::new();
            let (end, usable) = match self.transaction(&mut open, &name, &mut steps).await {
                Ok(end) => (end, end != End::Unknown || *self.asynchronous.borrow()),
                Err(error) => {
                    let usable =
                        expected(&error).with_context(|| format!("writer {name}: {error:#}"))?;
                    (End::RolledBack, usable)
                }
            };
            self.world.ledger.enter(name, steps, end);
            if usable {
                session = Some(open);
            }
            drop(guard);
            sleep(Duration::from_millis(self.chance.u64(40..180))).await;
        }
        Ok(())
    }

    async fn transaction(
        &mut self,
        session: &mut PgConnection,
        name: &str,
        steps: &mut Vec<Step>,
    ) -> Result<End> {
        let asynchronous = *self.asynchronous.borrow();
        let mut tx = session.begin().await?;
        let commit = if asynchronous { "off" } else { "on" };
        tx.execute(AssertSqlSafe(format!(
            "set local synchronous_commit = {commit}; set local lock_timeout = '5s'"
        )))
        .await?;
        sqlx::query("insert into turn_done values ($1)")
            .bind(name)
            .execute(&mut *tx)
            .await?;
        for _ in 0..self.chance.u8(1..=3) {
            let taken_back = self.chance.u8(..8) == 0;
            if taken_back {
                let mut savepoint = tx.begin().await?;
                self.act(&mut savepoint, &format!("{name}-taken-back"))
                    .await?;
                self.record(&mut savepoint, &format!("{name}-taken-back"))
                    .await?;
                savepoint.rollback().await?;
            }
            self.act(&mut tx, name).await?;
        }
        *steps = self.record(&mut tx, name).await?;
        if self.holds_open && self.chance.u8(..6) == 0 {
            // A transaction that is held open, with what it has locked.
            sleep(Duration::from_millis(self.chance.u64(500..3_000))).await;
        }
        if self.chance.u8(..8) == 0 {
            tx.rollback().await?;
            return Ok(End::RolledBack);
        }
        Ok(match tx.commit().await {
            Ok(()) if asynchronous => End::Unknown,
            Ok(()) => End::Committed,
            Err(_) => End::Unknown,
        })
    }

    /// One write of any kind, of one row to 5,000.
    async fn act(&mut self, tx: &mut PgTransaction<'_>, turn: &str) -> Result<()> {
        let chance = &mut self.chance;
        let (parent, child) = (chance.u64(..PARENTS), chance.u64(..CHILDREN));
        let other = chance.u64(..PARENTS);
        let tenant = ["north", "süd", "東", "west 😀"][chance.usize(..4)];
        let from = chance.u64(..ITEMS);
        let length = match chance.u8(..40) {
            0 => chance.u64(1_000..=5_000),
            1..=6 => chance.u64(20..200),
            _ => chance.u64(1..20),
        };
        let to = (from + length - 1).min(ITEMS);
        let sql = match chance.u8(..100) {
            0..15 => format!(
                "insert into parent values ({parent}, 'é \\ \" {from}', 0, '{turn}')
                 on conflict (id) do update set name = excluded.name, turn = excluded.turn"
            ),
            // The hot row.
            15..30 => format!(
                "insert into parent values (0, null, 0, '{turn}')
                 on conflict (id) do update set counter = parent.counter + 1, turn = excluded.turn"
            ),
            30..36 => format!("delete from parent where id = {parent} and id > 0"),
            36..40 => format!(
                "with gone as (delete from parent where id = {parent} and id > 0 returning *)
                 insert into parent select id + 1000000 + {from}, name, counter, '{turn}' from gone"
            ),
            40..44 => format!(
                "update parent set id = {other}, turn = '{turn}' where id = {parent} and id > 0
                 and not exists (select from parent where id = {other})"
            ),
            44..60 => format!(
                "insert into child select {child}, id, 'n {from}', '{turn}' from parent
                 where id in ({parent}, {other}) order by id limit 1
                 on conflict (id) do update
                 set parent_id = excluded.parent_id, note = excluded.note, turn = excluded.turn"
            ),
            60..65 => format!("delete from child where id = {child}"),
            65..70 => format!(
                "update parent set counter = counter + 1, turn = '{turn}' where id % 10 = {}",
                parent % 10
            ),
            70..80 => format!(
                "insert into item select '{tenant}', n, 'p' || n, '{turn}'
                 from generate_series({from}, {to}) as n on conflict (tenant, number) do update
                 set payload = excluded.payload || '!', turn = excluded.turn"
            ),
            80..87 => format!(
                "update item set payload = null, turn = '{turn}'
                 where tenant = '{tenant}' and number between {from} and {to}"
            ),
            87..92 => format!(
                "delete from item where tenant = '{tenant}' and number between {from} and {to}"
            ),
            92..95 => format!(
                "update item set number = number + 1000000 + {to}, turn = '{turn}'
                 where tenant = '{tenant}' and number between {from} and {}",
                to.min(from + 20)
            ),
            95 if chance.u8(..4) == 0 => "truncate item".to_owned(),
            _ => return copy(tx, tenant, from, to.min(from + 300), turn).await,
        };
        tx.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }

    /// Events of the model that has a handler. Recorded last, each instance once.
    async fn record(&mut self, tx: &mut PgTransaction<'_>, turn: &str) -> Result<Vec<Step>> {
        let mut ids: Vec<_> = (0..self.chance.u8(..4))
            .map(|_| self.chance.u64(..STEPS))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let signals: Vec<_> = ids
            .iter()
            .map(|_| match self.chance.u8(..5) {
                0 => Signal::Delete,
                _ => Signal::Save,
            })
            .collect();
        let data: Value = json!({"turn": turn});
        let changes: Vec<_> = ids
            .iter()
            .zip(&signals)
            .map(|(id, signal)| Change::json("step", id.cast_signed(), *signal, data.clone()))
            .collect();
        let recorded = outbox::record_all(&mut **tx, changes).await?;
        ids.iter()
            .zip(signals)
            .zip(recorded)
            .map(|((id, signal), recorded)| {
                Ok(Step {
                    instance: id.to_string(),
                    revision: recorded.revision().context("it is an event")?.0,
                    signal,
                })
            })
            .collect()
    }
}

/// New rows only, or the transaction fails, which is as good.
async fn copy(
    tx: &mut PgTransaction<'_>,
    tenant: &str,
    from: u64,
    to: u64,
    turn: &str,
) -> Result<()> {
    sqlx::query("delete from item where tenant = $1 and number between $2 and $3")
        .bind(tenant)
        .bind(i32::try_from(from)?)
        .bind(i32::try_from(to)?)
        .execute(&mut **tx)
        .await?;
    let rows: Vec<_> = (from..=to)
        .map(|number| format!("{tenant}\t{number}\tcopied\t{turn}\n"))
        .collect();
    let mut copy = tx.copy_in_raw("copy item from stdin").await?;
    copy.send(rows.concat().into_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

/// What may happen to a writer: conflicts with the others, after which its session is usable, and faults,
/// after which it is not. Anything else is a failure of the campaign.
fn expected(error: &anyhow::Error) -> Result<bool> {
    for cause in error.chain() {
        match cause.downcast_ref::<RecordError>() {
            Some(
                RecordError::Invalid { .. }
                | RecordError::Together { .. }
                | RecordError::NotInTransaction,
            ) => break,
            Some(_) => return Ok(false),
            None => {}
        }
        match cause.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(refused)) => {
                let code = refused.code().unwrap_or_default();
                return match &*code {
                    // A deadlock, a key that is taken, a parent that is gone, a lock that took too long.
                    "40P01" | "23505" | "23503" | "55P03" => Ok(true),
                    // Shut down, starting, out of slots.
                    code if code.starts_with("57P") || code == "53300" => Ok(false),
                    other => anyhow::bail!("an error {other}"),
                };
            }
            Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => return Ok(false),
            _ => {}
        }
    }
    anyhow::bail!("an unexpected failure")
}

/// The names of all transactions that are committed.
pub(super) async fn committed(world: &World) -> Result<std::collections::HashSet<String>> {
    let rows = world
        .database(Side::Master)
        .rows("select turn from turn_done")
        .await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}
