//! Spans, events and counters: the one place that tells the world what became of a message.
//!
//! | counter | labels |
//! |---|---|
//! | `cqrs_replica_applied_total` | `cqrs_id`, `signal` |
//! | `cqrs_replica_skipped_total` | `reason` |
//! | `cqrs_replica_letters_total` | `reason`, `state` |
//! | `cqrs_replica_stuck_total` | `cqrs_id`; failures of events that have failed 30 times before |
//! | `cqrs_replica_gaps_total` | none; counts revisions passed over |
//! | `cqrs_replica_expired_total` | `cqrs_id`; applied past their time to live |
//! | `cqrs_replica_rows_passed_over_total` | `write`: `upsert`, `delete`; rows that a trigger kept as they were |
//! | `cqrs_replica_batches_repeated_total` | `reason`; batches repeated |

use std::collections::BTreeMap;

use metrics::counter;
use tracing::{debug, error, info, warn};

use super::item::Done;
use crate::{
    Applied, LetterState, WaitReason,
    letter::{Fault, Reason},
    model::USUAL_ATTEMPTS,
};

/// One event per message, with the same fields whatever became of it.
macro_rules! event {
    ($level:ident, $done:expr, $($rest:tt)+) => {{
        let item = &$done.item;
        let event = item.event();
        $level!(
            cqrs_id = event.map(|event| event.cqrs_id.as_str()),
            instance_pk = event.map(|event| event.key.canonical()),
            revision = event.map(|event| event.revision.0),
            correlation_id = event.and_then(cqrs_core::Event::correlation),
            message_id = item.incoming().message_id.map(tracing::field::display),
            letter = item.letter().map(|letter| letter.id),
            $($rest)+
        );
    }};
}

/// Tells of each message and hands over the answers. Of those that failed in the same way the first one stands for
/// the others, which are counted.
pub(super) fn all(done: Vec<Done<'_>>) -> Vec<Applied> {
    let mut alike = BTreeMap::<_, u64>::new();
    let answers = done.into_iter().map(|done| {
        count(&done);
        let failures = failure(&done).map(|way| alike.entry(way).or_default());
        match failures {
            Some(failures @ 1..) => {
                *failures += 1;
                let error = done.error.as_deref();
                event!(debug, done, error, "failed like one before");
            }
            Some(first) => {
                *first = 1;
                tell(&done);
            }
            None => tell(&done),
        }
        done.applied
    });
    let answers = answers.collect();
    for ((cqrs_id, state, reason), count) in alike {
        if count > 1 {
            let more = count - 1;
            warn!(
                cqrs_id,
                state, reason, more, "more messages of this batch failed in the same way"
            );
        }
    }
    answers
}

/// In which way it failed, if it is worth a warning: its model, what comes next, and why.
fn failure(done: &Done<'_>) -> Option<(Option<String>, &'static str, &'static str)> {
    let (state, reason) = match &done.applied {
        _ if done.kept_before => return None,
        Applied::Retrying { attempts, reason } if *attempts < USUAL_ATTEMPTS => {
            ("retrying", *reason)
        }
        Applied::Dead { reason } => ("dead", *reason),
        _ => return None,
    };
    let cqrs_id = done.item.event().map(|event| event.cqrs_id.to_string());
    Some((cqrs_id, state, reason))
}

/// A batch failed for the sake of one of its messages.
pub(super) fn repeated(fault: &Fault, size: usize) {
    let reason = fault.reason.as_str();
    counter!("cqrs_replica_batches_repeated_total", "reason" => reason).increment(1);
    // That rows come before those they refer to is nothing special.
    if fault.reason == Reason::Reference {
        debug!(size, reason, "a batch failed and is repeated");
    } else if size > 1 {
        info!(size, reason, "a batch failed and is repeated");
    }
}

fn count(done: &Done<'_>) {
    if done.kept_before {
        counter!("cqrs_replica_skipped_total", "reason" => "kept").increment(1);
        return;
    }
    let letter = |reason, state| {
        counter!("cqrs_replica_letters_total", "reason" => reason, "state" => state).increment(1);
    };
    match &done.applied {
        Applied::Applied { gap, expired } => {
            if let Some(event) = done.item.event() {
                let cqrs_id = event.cqrs_id.to_string();
                if *expired {
                    counter!("cqrs_replica_expired_total", "cqrs_id" => cqrs_id.clone())
                        .increment(1);
                }
                counter!(
                    "cqrs_replica_applied_total",
                    "cqrs_id" => cqrs_id,
                    "signal" => event.signal.as_str()
                )
                .increment(1);
            }
            if *gap > 0 {
                counter!("cqrs_replica_gaps_total").increment(*gap);
            }
        }
        Applied::Skipped(reason) => {
            counter!("cqrs_replica_skipped_total", "reason" => reason.as_str()).increment(1);
        }
        Applied::Waiting(WaitReason::Reference) if waits_on(done) => {}
        Applied::Waiting(reason) => letter(reason.as_str(), "waiting"),
        Applied::Retrying { reason, attempts } => {
            letter(reason, "retrying");
            if let Some(event) = done.item.event().filter(|_| *attempts >= USUAL_ATTEMPTS) {
                let cqrs_id = event.cqrs_id.to_string();
                counter!("cqrs_replica_stuck_total", "cqrs_id" => cqrs_id).increment(1);
            }
        }
        Applied::Dead { reason } => letter(reason, "dead"),
    }
}

/// Whether it is a letter that was only looked at once more.
fn waits_on(done: &Done<'_>) -> bool {
    done.item.letter().is_some_and(|letter| {
        letter.state == LetterState::Waiting && letter.reason == Reason::Reference
    })
}

fn tell(done: &Done<'_>) {
    let error = done.error.as_deref();
    match &done.applied {
        _ if done.kept_before => event!(debug, done, "kept already"),
        Applied::Applied { gap: 0, expired } => event!(debug, done, expired, "applied"),
        Applied::Applied { gap, expired } if done.in_step => {
            event!(
                warn,
                done,
                gap,
                expired,
                "applied without the revisions before it, which no worker has"
            );
        }
        // Several workers overtake each other all the time, and the latest state is what counts.
        Applied::Applied { gap, expired } => {
            event!(
                debug,
                done,
                gap,
                expired,
                "applied; earlier revisions have not come"
            );
        }
        Applied::Skipped(reason) => {
            event!(debug, done, reason = reason.as_str(), "skipped");
        }
        Applied::Waiting(WaitReason::UnknownModel) => {
            event!(
                warn,
                done,
                reason = "unknown_model",
                "waits for a worker that knows the model; if none is to, `cqrs-replica unbind` ends its events"
            );
        }
        Applied::Waiting(WaitReason::Paused) => {
            event!(debug, done, reason = "paused", error, "its model is paused");
        }
        Applied::Waiting(WaitReason::Reference) => {
            event!(debug, done, reason = "reference", error, "waits for a row");
        }
        Applied::Waiting(reason) => {
            event!(
                debug,
                done,
                reason = reason.as_str(),
                "waits for the revision before it"
            );
        }
        Applied::Retrying { attempts, reason } if *attempts >= USUAL_ATTEMPTS => {
            event!(
                error,
                done,
                attempts,
                reason,
                error,
                "fails again and again, and later events of its instance may wait for it"
            );
        }
        Applied::Retrying { attempts, reason } => {
            event!(
                warn,
                done,
                attempts,
                reason,
                error,
                "failed; it will be tried again"
            );
        }
        Applied::Dead { reason } => {
            event!(warn, done, reason, error, "kept as a dead letter");
        }
    }
}
