//! The relay's metrics, all in one place; `docs/metrics.md` beside this file is their table.

use std::time::Duration;

use cqrs_outbox::Settled;

/// Why a row left memory before it was settled. It is still in the outbox and is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It is here already.
    Duplicate,
    /// An earlier row of its instance waits for a retry.
    Blocked,
    /// Its destination does not take messages at the moment.
    Destination,
    /// Its slot was lost or given back.
    Slot,
    /// The database could not be heard, or the tenure lapsed.
    Forgotten,
    /// The series of fetches it came from was begun anew.
    Stale,
    /// The relay is stopping.
    Stopping,
}

impl Dropped {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Blocked => "blocked",
            Self::Destination => "destination",
            Self::Slot => "slot",
            Self::Forgotten => "forgotten",
            Self::Stale => "stale",
            Self::Stopping => "stopping",
        }
    }
}

pub(crate) fn dropped(reason: Dropped, rows: usize) {
    if rows > 0 {
        metrics::counter!("cqrs_relay_dropped_total", "reason" => reason.as_str())
            .increment(count(rows));
    }
}

pub(crate) fn fetched(rows: usize) {
    metrics::counter!("cqrs_relay_fetched_total").increment(count(rows));
}

pub(crate) fn published(outcome: &'static str, rows: usize) {
    if rows > 0 {
        metrics::counter!("cqrs_relay_published_total", "outcome" => outcome)
            .increment(count(rows));
    }
}

pub(crate) fn publish_took(time: Duration) {
    metrics::histogram!("cqrs_relay_publish_seconds").record(time.as_secs_f64());
}

pub(crate) fn settled(settled: &Settled, time: Duration) {
    for (result, rows) in [
        ("confirmed", settled.confirmed),
        ("postponed", settled.postponed),
        ("dead", settled.dead),
        ("superseded", settled.superseded),
    ] {
        if rows > 0 {
            metrics::counter!("cqrs_relay_settled_total", "result" => result).increment(rows);
        }
    }
    metrics::histogram!("cqrs_relay_settle_seconds").record(time.as_secs_f64());
}

pub(crate) fn reconnected(side: &'static str) {
    metrics::counter!("cqrs_relay_reconnects_total", "side" => side).increment(1);
}

pub(crate) fn lapsed() {
    metrics::counter!("cqrs_relay_lapses_total").increment(1);
}

pub(crate) fn slots_held(slots: usize) {
    metrics::gauge!("cqrs_relay_slots_held").set(gauge(slots));
}

pub(crate) fn window(rows: usize) {
    metrics::gauge!("cqrs_relay_window_rows").set(gauge(rows));
}

pub(crate) fn destinations_down(destinations: usize) {
    metrics::gauge!("cqrs_relay_destinations_down").set(gauge(destinations));
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn gauge(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
