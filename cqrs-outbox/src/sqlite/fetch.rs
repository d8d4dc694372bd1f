//! Finding rows to send.

use std::time::Duration;

use cqrs_core::{CqrsId, Slot, StoreError, database::sqlite::classify};

use super::{
    SqliteSession,
    rows::{get, id_array, instance, limit, outbox_row, slot_array, slot_of, unreadable_array},
    session::Statement,
    sql,
};
use crate::{
    Backlog, Due, Fetched, Instance, OutboxRow, Position,
    store::{FETCH_BYTES, FETCH_SCAN, MOST_COUNTED, ReadRows, Unreadable},
};

impl SqliteSession {
    pub(super) async fn fetch_after(
        &mut self,
        without: &[CqrsId],
        slots: &[Slot],
        after: &Position,
        rows: usize,
    ) -> Result<Fetched, StoreError> {
        let rows = rows.max(1);
        let bounds = self.row(sqlx::query(sql::BOUNDS).bind(after.id)).await?;
        let (Some(oldest), Some(newest)) = (get::<Option<i64>>(&bounds, 0)?, get(&bounds, 1)?)
        else {
            return Ok(Fetched {
                rows: Vec::new(),
                position: after.clone(),
                more: false,
            });
        };
        // What is recorded from here on has higher ids than the newest.
        let mut bound = i64::min(newest, oldest.saturating_add(limit(FETCH_SCAN)));
        let without: Vec<_> = without.iter().map(CqrsId::as_str).collect();
        let without = serde_json::to_string(&without).expect("text serialises");
        let mut own = Vec::new();
        if get(&bounds, 2)? {
            (own, bound) = self
                .without_slot(&without, slots, after.id, bound, rows)
                .await?;
        }

        let statement = sqlx::query(sql::FETCH)
            .bind(slot_array(slots))
            .bind(after.id)
            .bind(bound)
            .bind(limit(rows))
            .bind(limit(FETCH_BYTES))
            .bind(id_array(&own))
            .bind(&without);
        let found = self.rows(statement).await?;
        let mut read = ReadRows::default();
        let mut bytes = 0;
        for row in &found {
            bytes += get::<&[u8]>(row, 8)?.len();
            read.push(get(row, 0)?, outbox_row(row))?;
        }
        self.set_aside(&read.unreadable).await?;

        // The statement stops at the row that makes the answer full, so a full answer is one that
        // may have been cut there.
        let (id, more) = match found.last() {
            Some(last) if found.len() >= rows || bytes >= FETCH_BYTES => (get(last, 0)?, true),
            _ => (bound, bound < newest),
        };
        Ok(Fetched {
            rows: read.rows,
            position: Position {
                id,
                ..Position::START
            },
            more,
        })
    }

    /// The ids of rows in these bounds that have no slot in the table, and are of these slots; and
    /// how far they are all known: a fetch must not go further.
    async fn without_slot(
        &mut self,
        without: &str,
        slots: &[Slot],
        after: i64,
        bound: i64,
        rows: usize,
    ) -> Result<(Vec<i64>, i64), StoreError> {
        let statement = sqlx::query(sql::UNASSIGNED)
            .bind(after)
            .bind(bound)
            .bind(limit(rows))
            .bind(without);
        let found = self.rows(statement).await?;
        let mut own = Vec::new();
        let mut known = bound;
        for (place, row) in found.iter().enumerate() {
            let id = get(row, 0)?;
            if slots.contains(&slot_of(row, 1)?) {
                own.push(id);
            }
            if place + 1 == rows {
                known = id;
            }
        }
        Ok((own, known))
    }

    pub(super) async fn blocked_instances(
        &mut self,
        slots: &[Slot],
    ) -> Result<Vec<Instance>, StoreError> {
        let rows = self
            .rows(sqlx::query(sql::BLOCKED).bind(slot_array(slots)))
            .await?;
        // One whose name cannot be read has no rows that could be sent.
        Ok(rows
            .iter()
            .filter_map(|row| instance(row, 0).ok())
            .collect())
    }

    pub(super) async fn due_rows(
        &mut self,
        slots: &[Slot],
        rows: usize,
    ) -> Result<Due, StoreError> {
        let rows = rows.max(1);
        let slots = slot_array(slots);
        let mut due = Due {
            rows: self
                .readable(|| sqlx::query(sql::DUE).bind(slots.clone()).bind(limit(rows)))
                .await?,
            next: None,
        };
        if due.rows.len() < rows {
            let next = self.rows(sqlx::query(sql::NEXT_DUE).bind(&slots)).await?;
            due.next = next
                .first()
                .map(|row| get(row, 0))
                .transpose()?
                .map(duration);
        }
        Ok(due)
    }

    pub(super) async fn rows_of(
        &mut self,
        instances: &[Instance],
        rows: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let named = instances
            .iter()
            .map(|instance| (instance.cqrs_id.as_str(), instance.instance_pk.as_str()))
            .collect::<Vec<_>>();
        let named = serde_json::to_string(&named).expect("text serialises");
        self.readable(|| {
            sqlx::query(sql::OF_INSTANCES)
                .bind(named.clone())
                .bind(limit(rows))
        })
        .await
    }

    /// The rows that a statement finds, once it finds none that cannot be read: such take the place of
    /// others.
    async fn readable(
        &mut self,
        statement: impl Fn() -> Statement<'static>,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        loop {
            let mut read = ReadRows::default();
            for row in self.rows(statement()).await? {
                read.push(get(&row, 0)?, outbox_row(&row))?;
            }
            if read.unreadable.is_empty() {
                return Ok(read.rows);
            }
            self.set_aside(&read.unreadable).await?;
        }
    }

    /// Moves rows that cannot be read to the dead ones. One that is gone has been moved by another relay.
    async fn set_aside(&mut self, rows: &[Unreadable]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = unreadable_array(rows);
        self.transaction(async |tx| {
            for text in [sql::SET_ASIDE, sql::SET_ASIDE_GONE] {
                let statement = sqlx::query(text).bind(&rows);
                statement.execute(&mut *tx).await.map_err(classify)?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn count(&mut self) -> Result<Backlog, StoreError> {
        let row = self
            .row(sqlx::query(sql::BACKLOG).bind(i64::from(MOST_COUNTED)))
            .await?;
        let census = self.look_around().await?;
        Ok(Backlog {
            retrying: get::<i64>(&row, 1)?.unsigned_abs(),
            oldest: get::<Option<i64>>(&row, 2)?.map(duration),
            dead: get::<i64>(&row, 3)?.unsigned_abs(),
            census,
            ..Backlog::of(get(&row, 0)?)
        })
    }
}

/// A span of the database's clock; a clock that was set back makes it nothing.
fn duration(microseconds: i64) -> Duration {
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
}
