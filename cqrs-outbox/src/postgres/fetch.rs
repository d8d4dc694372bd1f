//! Finding rows to send.

use std::{collections::BTreeSet, time::Duration};

use cqrs_core::{Slot, StoreError};
use sqlx::postgres::PgRow;

use super::{
    PostgresSession,
    rows::{get, instance, limit, outbox_row, slot_numbers},
    sql,
};
use crate::{
    Backlog, Due, Fetched, Instance, OutboxRow, Position,
    store::{FETCH_BYTES, FETCH_SCAN, LateRows, ReadRows, Unreadable},
};

impl PostgresSession {
    pub(super) async fn fetch_after(
        &mut self,
        slots: &[Slot],
        after: &Position,
        rows: usize,
    ) -> Result<Fetched, StoreError> {
        let rows = rows.max(1);
        let late = after.late.as_ref();
        let statement = sqlx::query(sql::FETCH)
            .bind(slot_numbers(slots))
            .bind(after.id)
            .bind(after.snapshot.as_deref())
            .bind(late.map(|late| late.until.as_str()))
            .bind(late.map_or(i64::MIN, |late| late.after))
            .bind(limit(rows))
            .bind(limit(FETCH_BYTES))
            .bind(limit(FETCH_SCAN));
        let answer = Answer::read(&self.rows(statement).await?)?;
        self.set_aside(&answer.read.unreadable).await?;
        Ok(answer.fetched(after, rows))
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
                return Ok(read.rows);
            }
            // They took the place of others.
            self.set_aside(&read.unreadable).await?;
        }
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
        let row = self.row(sqlx::query(sql::BACKLOG)).await?;
        let census = self.look_around().await?;
        Ok(Backlog {
            rows: get::<i64>(&row, 0)?.unsigned_abs(),
            retrying: get::<i64>(&row, 1)?.unsigned_abs(),
            oldest: duration(get(&row, 2)?),
            dead: get::<i64>(&row, 3)?.unsigned_abs(),
            census,
        })
    }
}

/// What the statement answered.
struct Answer {
    read: ReadRows,
    /// How many rows and bytes of bodies there were, whether they can be read or not, and the highest
    /// of their ids.
    found: usize,
    bytes: usize,
    last: Option<i64>,
    snapshot: String,
    last_id: i64,
    cut_at: Option<i64>,
}

impl Answer {
    fn read(answered: &[PgRow]) -> Result<Self, StoreError> {
        let mut answer = Self {
            read: ReadRows::default(),
            found: 0,
            bytes: 0,
            last: None,
            snapshot: String::new(),
            last_id: 0,
            cut_at: None,
        };
        answer.read.rows.reserve(answered.len());
        for row in answered {
            if let Some(id) = event_id(row)? {
                answer.found += 1;
                answer.bytes += get::<&[u8]>(row, 8)?.len();
                answer.last = answer.last.max(Some(id));
                answer.read.push(id, outbox_row(row))?;
            } else {
                answer.snapshot = get(row, 14)?;
                answer.last_id = get(row, 15)?;
                answer.cut_at = get(row, 16)?;
            }
        }
        // All late rows have lower ids than all fresh ones.
        answer.read.rows.sort_unstable_by_key(|row| row.id);
        Ok(answer)
    }

    /// The statement stops at the row that makes it full, so a full answer is one that may have been
    /// cut there.
    fn fetched(self, after: &Position, limit: usize) -> Fetched {
        let full = self.found >= limit || self.bytes >= FETCH_BYTES;
        let last = self.last;
        let position = match (last, &after.late) {
            (Some(last), Some(late)) if full => Position {
                late: Some(LateRows {
                    after: last,
                    until: late.until.clone(),
                }),
                ..after.clone()
            },
            // The late rows are through; what came since is for the next call.
            (_, Some(late)) => Position {
                id: after.id,
                snapshot: Some(late.until.clone()),
                late: None,
            },
            (Some(last), None) if full && last <= after.id => Position {
                late: Some(LateRows {
                    after: last,
                    until: self.snapshot,
                }),
                ..after.clone()
            },
            (Some(last), None) if full => Position {
                id: last,
                snapshot: Some(self.snapshot),
                late: None,
            },
            (_, None) => {
                let id = self
                    .cut_at
                    .unwrap_or_else(|| self.last_id.max(after.id).max(last.unwrap_or_default()));
                Position {
                    id,
                    snapshot: Some(self.snapshot),
                    late: None,
                }
            }
        };
        let more = full || after.late.is_some() || self.cut_at.is_some();
        Fetched {
            rows: self.read.rows,
            position,
            more,
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
