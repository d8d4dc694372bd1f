//! Which question to ask of the outbox next, and what to make of the answer.

use std::{collections::HashSet, time::Duration};

use cqrs_core::Slot;
use cqrs_outbox::{Due, Fetched, Instance, OutboxRow, Position};
use tokio::time::Instant;

use super::{Pump, SOON, rows::Origin};
use crate::{
    meter::{self, Dropped},
    reader::{Answer, Ask, Lost},
};

/// How many freed instances are read at once.
const FREED_AT_ONCE: usize = 100;

/// The question that is out.
#[derive(Debug)]
pub(super) struct Reading {
    about: About,
    asked: Instant,
    /// Whether the answer is to be ignored.
    stale: bool,
}

#[derive(Debug)]
enum About {
    /// The next rows.
    Next,
    /// The blocked instances of these slots.
    Blocked(Vec<Slot>),
    /// Rows whose retry is due, so many at most.
    Due(usize),
    /// The later rows of these instances, so many at most.
    Freed(Vec<Instance>, usize),
}

impl Pump {
    /// Asks, if no question is out and there is one to ask.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.reading.is_some() || self.stopping.is_some() {
            return;
        }
        let limit = self.config.batch_size;
        let unloaded = self.to_load();
        let fetch_is_due = self.may_fetch() && self.poll.is_due(now);
        let (ask, about) = if !unloaded.is_empty() {
            (
                Ask::Blocked {
                    slots: unloaded.clone(),
                },
                About::Blocked(unloaded),
            )
        } else if self.blocked.has_freed() && !(fetch_is_due && self.freed_last) {
            // Twice a line of each: as many may be confirmed and not deleted.
            let each = 2 * self.line_limit();
            let instances = self
                .blocked
                .take_freed((limit / each).clamp(1, FREED_AT_ONCE));
            let limit = instances.len() * each;
            (
                Ask::OfInstances {
                    instances: instances.clone(),
                    limit,
                },
                About::Freed(instances, limit),
            )
        } else if self.due_at.is_some_and(|due| due <= now) {
            self.due_at = None;
            (
                Ask::Due {
                    slots: self.share.working(),
                    limit,
                },
                About::Due(limit),
            )
        } else if fetch_is_due {
            let limit = self.room();
            let slots = self.share.working();
            (
                Ask::Fetch {
                    without: self.destinations.models_held(),
                    slots,
                    after: self.position.clone(),
                    limit,
                },
                About::Next,
            )
        } else {
            return;
        };
        self.freed_last = matches!(about, About::Freed(..));
        self.reading = Some(Reading {
            about,
            asked: now,
            stale: false,
        });
        // A reader that is gone ends the relay: the supervisor sees to it.
        drop(self.ends.asks.send(ask));
    }

    /// The slots whose blocked instances are to be read. Not while anything of an earlier tenure of
    /// theirs may still be put off: it would be missing in the answer. Nor while any of it is with a
    /// publisher or confirmed and not deleted: it would come again.
    fn to_load(&self) -> Vec<Slot> {
        if self.desk.is_haunted() {
            return Vec::new();
        }
        let mut slots = self.share.unloaded();
        slots.retain(|slot| self.window.busy(*slot) == 0 && !self.is_with_publisher(*slot));
        slots
    }

    /// Whether a fetch makes sense: there are slots, and room for a good part of a batch.
    pub(super) fn may_fetch(&self) -> bool {
        let worth_while = self.config.batch_size.min(self.config.window / 2).max(1);
        self.reading.is_none()
            && self.window.rows() + worth_while <= self.config.window
            && self.window.bytes() < self.config.window_bytes
            && !self.share.is_idle()
    }

    /// How many rows to fetch: as many as fit, in number and, by the size of those before, in bytes.
    fn room(&self) -> usize {
        let bytes = self.config.window_bytes.saturating_sub(self.window.bytes());
        let by_bytes = bytes / self.mean_len.max(1);
        let by_rows = self.config.window.saturating_sub(self.window.rows());
        self.config.batch_size.min(by_rows).min(by_bytes).max(1)
    }

    pub(super) fn hear_read(&mut self, answer: Result<Answer, Lost>) {
        let Some(Reading {
            about,
            asked,
            stale,
        }) = self.reading.take()
        else {
            return;
        };
        match (answer, about) {
            (Err(Lost), _) => self.reset("the database was lost"),
            (Ok(Answer::Fetched(fetched)), About::Next) => {
                meter::fetched(fetched.rows.len());
                if stale {
                    meter::dropped(Dropped::Stale, fetched.rows.len());
                } else {
                    self.take_on_next(fetched, asked);
                }
            }
            (Ok(_), _) if stale => {}
            (Ok(Answer::Blocked(instances)), About::Blocked(slots)) => {
                self.share.load(&slots);
                self.blocked.load(instances);
                self.due_at = Some(Instant::now());
                self.begin_series();
            }
            (Ok(Answer::Due(due)), About::Due(limit)) => self.take_on_due(due, limit),
            (Ok(Answer::OfInstances(rows)), About::Freed(instances, limit)) => {
                self.take_on_freed(&instances, rows, limit);
            }
            (Ok(answer), about) => {
                tracing::error!(?about, ?answer, "the reader answered another question");
                self.reset("the reader answered another question");
            }
        }
        self.settled_meanwhile.clear();
    }

    fn take_on_next(&mut self, fetched: Fetched, asked: Instant) {
        let rows = fetched.rows.len();
        let bytes: usize = fetched.rows.iter().map(|row| row.body.len()).sum();
        self.mean_len = bytes.checked_div(rows).unwrap_or(self.mean_len);
        self.position = fetched.position;
        let now = Instant::now();
        self.poll.found(rows, fetched.more, now);
        self.take_on_all(fetched.rows, Origin::Fetch);
        if !self.series_at_end {
            self.series_took += now - asked;
            self.series_at_end = !fetched.more;
        }
        if rows == 0 && !fetched.more {
            self.reread(now);
        }
    }

    /// Begins a new series if the last one is long ago, for rows that somebody has put back behind it.
    fn reread(&mut self, now: Instant) {
        let pause = self.config.reread_interval.max(self.series_took * 100);
        if now - self.series_began >= pause {
            self.begin_series();
        }
    }

    fn take_on_due(&mut self, due: Due, limit: usize) {
        let now = Instant::now();
        let full = due.rows.len() >= limit;
        let tally = self.take_on_all(due.rows, Origin::Retry);
        let again = if full && tally.taken > 0 {
            Some(now)
        } else if full || tally.held > 0 {
            // Due all the same, but they cannot go now, or are on their way and hide the others.
            Some(now + SOON)
        } else {
            due.next.map(|wait| now + wait)
        };
        self.due_at = [self.due_at, again].into_iter().flatten().min();
    }

    fn take_on_freed(&mut self, instances: &[Instance], rows: Vec<OutboxRow>, limit: usize) {
        self.blocked.unblock(instances);
        let full = rows.len() >= limit;
        let found: HashSet<_> = rows.iter().map(|row| row.instance.clone()).collect();
        self.take_on_all(rows, Origin::Fetch);
        if !full {
            return;
        }
        // The first rows of each have come, and there may be more.
        for instance in instances {
            let slot = Slot::of(instance.cqrs_id.as_str(), &instance.instance_pk);
            if !self.share.works_on(slot)
                || self.blocked.holds(instance)
                || self.destinations.hold_any_of(instance)
            {
                continue;
            }
            if found.contains(instance) {
                // In line, or confirmed and not deleted: read again after the next settlement.
                self.blocked.crowd(instance.clone());
            } else {
                self.blocked.free(instance.clone());
            }
        }
    }

    /// Begins a new series: everything that is in the outbox comes again.
    pub(super) fn begin_series(&mut self) {
        self.position = Position::START;
        self.series_began = Instant::now();
        self.series_took = Duration::ZERO;
        self.series_at_end = false;
        self.poll.hurry();
        if let Some(reading) = &mut self.reading
            && matches!(reading.about, About::Next)
        {
            reading.stale = true;
        }
    }

    /// Slots have gone: an answer about blocked instances that is on its way speaks of them too, so
    /// it is asked for again.
    pub(super) const fn reload(&mut self) {
        if let Some(reading) = &mut self.reading
            && matches!(reading.about, About::Blocked(_))
        {
            reading.stale = true;
        }
    }

    /// The answer to the question that is out, if any, belongs to another life.
    pub(super) const fn ignore_reading(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.stale = true;
        }
    }
}
