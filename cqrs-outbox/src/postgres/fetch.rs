//! Finding rows to send.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use cqrs_core::{CqrsId, Slot, StoreError, database::postgres::is_statement_timeout};
use sqlx::postgres::PgRow;

use super::{
    PostgresSession,
    rows::{get, instance, limit, outbox_row, slot_numbers, time},
    sql,
};
use crate::{
    Backlog, Counted, Due, Fetched, Instance, OutboxRow, Position,
    store::{FETCH_AHEAD, FETCH_BYTES, FETCH_SCAN, MOST_COUNTED, Passed, ReadRows, Unreadable},
};

impl PostgresSession {
    pub(super) async fn fetch_after(
        &mut self,
        without: &[CqrsId],
        slots: &[Slot],
        after: &Position,
        rows: usize,
    ) -> Result<Fetched, StoreError> {
        let share = Share::of(after, rows.max(1));
        loop {
            let end = after.id.max(0).saturating_add(self.walk);
            match self.ask(without, slots, after, &share, end).await {
                Err(error) if is_statement_timeout(&error) && self.walk_less(after).await? => {}
                answered => {
                    let answer = Answer::read(&answered?)?;
                    self.set_aside(&answer.read.unreadable).await?;
                    self.durable(&answer.read.rows).await?;
                    return Ok(answer.fetched(after, &share, end));
                }
            }
        }
    }

    async fn ask(
        &mut self,
        without: &[CqrsId],
        slots: &[Slot],
        after: &Position,
        share: &Share,
        end: i64,
    ) -> Result<Vec<PgRow>, StoreError> {
        let (upto, seen): (Vec<i64>, Vec<&str>) = after
            .passed
            .iter()
            .map(|passed| (passed.upto, passed.snapshot.as_str()))
            .unzip();
        let without: Vec<&str> = without.iter().map(CqrsId::as_str).collect();
        let statement = sqlx::query(sql::FETCH)
            .bind(slot_numbers(slots))
            .bind(after.id)
            .bind(after.snapshot.as_deref())
            .bind(upto)
            .bind(seen)
            .bind(limit(share.rows))
            .bind(limit(share.bytes))
            .bind(limit(FETCH_SCAN))
            .bind(end)
            .bind(&after.ahead)
            .bind(after.looked)
            .bind(limit(share.ahead_rows))
            .bind(limit(share.ahead_bytes))
            .bind(without);
        self.rows(statement).await
    }

    /// Lets fetches walk over fewer ids from now on. Not if there are fewer anyway: it was not the walk
    /// that took so long.
    async fn walk_less(&mut self, after: &Position) -> Result<bool, StoreError> {
        let last: i64 = get(&self.row(sqlx::query(sql::LAST_ID)).await?, 0)?;
        let left = last.saturating_sub(after.id.max(0));
        let less = WALKS
            .into_iter()
            .find(|walk| *walk < self.walk && *walk < left);
        if let Some(walk) = less {
            tracing::warn!(
                ids = walk,
                "a look at the outbox took too long: deleted rows are still there, since a transaction \
                 or a standby may see them; it is read in parts"
            );
            self.walk = walk;
        }
        Ok(less.is_some())
    }

    pub(super) async fn blocked_instances(
        &mut self,
        slots: &[Slot],
    ) -> Result<Vec<Instance>, StoreError> {
        let rows = self
            .rows(sqlx::query(sql::BLOCKED).bind(slot_numbers(slots)))
            .await?;
        // One whose name cannot be read has no rows that could be sent.
        let instances: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| instance(row, 0).ok())
            .collect();
        Ok(instances.into_iter().collect())
    }

    pub(super) async fn due_rows(
        &mut self,
        slots: &[Slot],
        rows: usize,
    ) -> Result<Due, StoreError> {
        loop {
            let statement = sqlx::query(sql::DUE)
                .bind(slot_numbers(slots))
                .bind(limit(rows.max(1)));
            let mut read = ReadRows::default();
            let mut next = None;
            for row in self.rows(statement).await? {
                match event_id(&row)? {
                    Some(id) => read.push(id, outbox_row(&row))?,
                    None => next = duration(get(&row, 14)?),
                }
            }
            if read.unreadable.is_empty() {
                self.durable(&read.rows).await?;
                return Ok(Due {
                    rows: read.rows,
                    next,
                });
            }
            // They took the place of others.
            self.set_aside(&read.unreadable).await?;
        }
    }

    pub(super) async fn rows_of(
        &mut self,
        instances: &[Instance],
        rows: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let (ids, keys): (Vec<&str>, Vec<&str>) = instances
            .iter()
            .map(|instance| (instance.cqrs_id.as_str(), instance.instance_pk.as_str()))
            .unzip();
        loop {
            let statement = sqlx::query(sql::OF_INSTANCES)
                .bind(&ids)
                .bind(&keys)
                .bind(limit(rows));
            let mut read = ReadRows::default();
            for row in self.rows(statement).await? {
                read.push(get(&row, 0)?, outbox_row(&row))?;
            }
            if read.unreadable.is_empty() {
                self.durable(&read.rows).await?;
                return Ok(read.rows);
            }
            // They took the place of others.
            self.set_aside(&read.unreadable).await?;
        }
    }

    /// Sees to it that no crash takes these rows back: once published, they must not have never been.
    async fn durable(&mut self, rows: &[OutboxRow]) -> Result<(), StoreError> {
        if rows.is_empty() || get(&self.row(sqlx::query(sql::DURABLE)).await?, 0)? {
            return Ok(());
        }
        self.row(sqlx::query(sql::MAKE_DURABLE)).await.map(drop)
    }

    /// Moves rows that cannot be read to the dead ones. One that is gone has been moved by another relay.
    async fn set_aside(&mut self, rows: &[Unreadable]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (ids, problems): (Vec<i64>, Vec<&str>) = rows
            .iter()
            .map(|row| (row.id, row.problem.as_str()))
            .unzip();
        let statement = sqlx::query(sql::SET_ASIDE).bind(ids).bind(problems);
        self.execute(statement).await.map(drop)
    }

    pub(super) async fn count(&mut self) -> Result<Backlog, StoreError> {
        let most = i64::from(MOST_COUNTED);
        let counted = self.row(sqlx::query(sql::BACKLOG).bind(most)).await;
        let (row, backlog) = match counted {
            // Deleted rows that a held snapshot keeps are in the way.
            Err(error) if is_statement_timeout(&error) => {
                let row = self
                    .row(sqlx::query(sql::BACKLOG_ESTIMATE).bind(most))
                    .await?;
                let backlog = Backlog {
                    rows: get::<i64>(&row, 0)?.unsigned_abs(),
                    counted: Counted::About,
                    ..Backlog::default()
                };
                (row, backlog)
            }
            row => {
                let row = row?;
                let backlog = Backlog::of(get(&row, 0)?);
                (row, backlog)
            }
        };
        let census = self.look_around().await?;
        Ok(Backlog {
            retrying: get::<i64>(&row, 1)?.unsigned_abs(),
            oldest: duration(get(&row, 2)?),
            dead: get::<i64>(&row, 3)?.unsigned_abs(),
            census,
            ..backlog
        })
    }
}

/// Over how many ids a fetch walks that takes too long otherwise.
const WALKS: [i64; 4] = [1 << 22, 1 << 18, 1 << 14, 1 << 10];

/// How much of an answer is for whom.
struct Share {
    rows: usize,
    bytes: usize,
    /// For rows ahead of a large transaction that is being read.
    ahead_rows: usize,
    ahead_bytes: usize,
}

impl Share {
    fn of(after: &Position, rows: usize) -> Self {
        let room = FETCH_AHEAD.saturating_sub(after.ahead.len());
        let (ahead_rows, ahead_bytes) = if after.passed.is_empty() {
            (0, 0)
        } else {
            ((rows / 4).min(room), FETCH_BYTES / 4)
        };
        Self {
            rows: rows - ahead_rows,
            bytes: FETCH_BYTES - ahead_bytes,
            ahead_rows,
            ahead_bytes,
        }
    }
}

/// What the statement answered.
#[derive(Default)]
struct Answer {
    read: ReadRows,
    /// How many rows and bytes of bodies there were in order, whether they can be read or not, and the
    /// highest of their ids.
    found: usize,
    bytes: usize,
    last: Option<i64>,
    /// Those that were returned ahead, of this answer and of earlier ones.
    ahead: Vec<i64>,
    looked: Option<i64>,
    snapshot: String,
    last_id: i64,
    cut_at: Option<i64>,
    server: Option<DateTime<Utc>>,
}

impl Answer {
    fn read(answered: &[PgRow]) -> Result<Self, StoreError> {
        let mut answer = Self::default();
        answer.read.rows.reserve(answered.len());
        for row in answered {
            let Some(id) = event_id(row)? else {
                answer.snapshot = get(row, 15)?;
                answer.last_id = get(row, 16)?;
                answer.cut_at = get(row, 17)?;
                answer.looked = get(row, 18)?;
                answer.ahead.extend(get::<Vec<i64>>(row, 19)?);
                answer.server = time(row, 20)?;
                continue;
            };
            if get(row, 14)? {
                answer.ahead.push(id);
            } else {
                answer.found += 1;
                answer.bytes += get::<&[u8]>(row, 8)?.len();
                answer.last = answer.last.max(Some(id));
            }
            answer.read.push(id, outbox_row(row))?;
        }
        // All late rows have lower ids than all fresh ones.
        answer.read.rows.sort_unstable_by_key(|row| row.id);
        Ok(answer)
    }

    /// The statement stops at the row that makes it full, so a full answer is one that may have been
    /// cut there.
    fn fetched(self, after: &Position, share: &Share, end: i64) -> Fetched {
        if after.server.is_some() && after.server != self.server {
            // What a crash took back is done again under the same transaction ids, and a proxy may
            // keep the session over it: the snapshot says nothing any more.
            return Fetched {
                rows: Vec::new(),
                position: Position::START,
                more: true,
            };
        }
        let full = self.found >= share.rows || self.bytes >= share.bytes;
        let walked = self.last_id.min(end).max(after.id);
        let end = self.cut_at.unwrap_or(walked);
        let id = match self.last {
            Some(last) if full => last,
            last => end.max(last.unwrap_or(end)),
        };
        let mut position = Position {
            id,
            snapshot: Some(self.snapshot),
            server: self.server,
            passed: after.passed.clone(),
            looked: self.looked.unwrap_or(after.looked),
            ahead: self.ahead,
        };
        if id < after.id {
            // There are more late rows: back to them.
            position.looked = position.looked.max(after.id);
            let seen = after.snapshot.clone();
            position.passed.extend(seen.map(|snapshot| Passed {
                upto: after.id,
                snapshot,
            }));
        }
        position.passed.retain(|passed| passed.upto > id);
        position.ahead.retain(|ahead| *ahead > id);
        Fetched {
            rows: self.read.rows,
            position,
            more: full || end < self.last_id,
        }
    }
}

/// The id, if this is a row of the outbox and not what the statement says besides.
fn event_id(row: &PgRow) -> Result<Option<i64>, StoreError> {
    get(row, 0)
}

/// A span of the database's clock; a clock that was set back makes it nothing.
fn duration(seconds: Option<f64>) -> Option<Duration> {
    seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
