//! What the worker counts at its own edge; `src/docs/metrics.md` is the table.

use std::time::Duration;

use crate::{LetterState, supervisor::Side};

/// A message has come.
pub(crate) fn received(redelivered: bool) {
    metrics::counter!("cqrs_replica_received_total").increment(1);
    if redelivered {
        metrics::counter!("cqrs_replica_redelivered_total").increment(1);
    }
}

/// Messages were acknowledged with one word to the broker.
pub(crate) fn acked(messages: usize) {
    metrics::counter!("cqrs_replica_acked_total").increment(messages as u64);
    metrics::counter!("cqrs_replica_acks_total").increment(1);
}

/// How many messages the worker holds.
pub(crate) fn in_hand(messages: usize) {
    let messages = u32::try_from(messages).unwrap_or(u32::MAX);
    metrics::gauge!("cqrs_replica_in_hand").set(f64::from(messages));
}

/// A task has its connection again.
pub(crate) fn reconnected(side: Side) {
    metrics::counter!("cqrs_replica_reconnects_total", "side" => side.as_str()).increment(1);
}

/// A transaction lost against a concurrent one.
pub(crate) fn conflicts() {
    metrics::counter!("cqrs_replica_conflicts_total").increment(1);
}

/// A message could be neither applied nor kept.
pub(crate) fn not_kept() {
    metrics::counter!("cqrs_replica_not_kept_total").increment(1);
}

/// The queue was deleted under the worker.
pub(crate) fn queue_gone() {
    metrics::counter!("cqrs_replica_queue_gone_total").increment(1);
}

/// A batch was applied.
pub(crate) fn batch(messages: usize, took: Duration) {
    let messages = u32::try_from(messages).unwrap_or(u32::MAX);
    metrics::histogram!("cqrs_replica_batch_messages").record(f64::from(messages));
    metrics::histogram!("cqrs_replica_apply_seconds").record(took.as_secs_f64());
}

/// The time from the master's change to its being applied here, on two machines' clocks.
pub(crate) fn lag(lag: Duration) {
    metrics::histogram!("cqrs_replica_lag_seconds").record(lag.as_secs_f64());
}

/// Dead letters are in the broker's queue of dead letters.
pub(crate) fn dead_letters_published(count: usize) {
    metrics::counter!("cqrs_replica_dead_letters_published_total").increment(count as u64);
}

/// Tombstones were forgotten.
pub(crate) fn tombstones_pruned(count: u64) {
    metrics::counter!("cqrs_replica_tombstones_pruned_total").increment(count);
}

/// Letters were forgotten that had been in this state for long.
pub(crate) fn letters_pruned(state: LetterState, count: u64) {
    metrics::counter!("cqrs_replica_letters_pruned_total", "state" => state.as_str())
        .increment(count);
}
