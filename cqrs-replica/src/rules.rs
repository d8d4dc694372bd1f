//! Whether a message says anything new: the apply rules, as pure functions.
//!
//! Between messages of masters that count revisions (`cqrs-counted` on the message and on the
//! state) the revision alone decides:
//!
//! | incoming | known live | known deleted | nothing known |
//! |---|---|---|---|
//! | SAVE | applies if higher | applies if higher | applies |
//! | DELETE | applies if higher | raises the tombstone, a duplicate | applies |
//! | SYNC | applies if equal or higher, one message id only once; lower only when forced: by the message (`cqrs-forced`) or the model (`sync_downgrade`) | applies if higher | applies |
//!
//! For other masters the revision may restart at 0 after a delete, and a delete may carry too low a
//! revision, so time decides as well, with a tolerance t between clocks: a SAVE on a live instance
//! applies if its revision is higher, or equal with a newer time, or 0 and newer by more than t (a
//! restart); a DELETE applies unless it is older by more than t; a SAVE on a tombstone applies only if
//! newer than that, a SYNC if not older; a SYNC on a live instance applies if its revision is equal or
//! higher, or its time newer. A SAVE or SYNC from before the end of an earlier life, which is remembered
//! when the instance comes to life again, is stale whatever its revision. (A DELETE that was overtaken
//! by the SAVE of a second life leaves a tombstone with the time of that SAVE. The SYNC that is to
//! repair it has this very time.) What a comparison removes leaves such a tombstone too, at the time of
//! the state that was removed: a SYNC, or the SAVE of a dump, brings this state back, and a late SAVE
//! does not.
//!
//! A DELETE of which nothing is known takes effect like any other (there may be rows from before
//! the worker's bookkeeping) and leaves a tombstone. Tombstones keep the highest revision and time
//! seen.
//!
//! **In step**, a message that would apply waits while the revision before it has not come. Where
//! nothing is known, the revision before 0 counts as having come: revision 0 applies, a later one
//! waits for its turn. With competing workers the first two events of a new instance may well come
//! in the wrong order, and applying the second would lose the first for good. The price is that a
//! replica that joins late waits `gap_wait` once per instance, unless a SYNC comes first: that
//! states where the instance stands and waits for nothing when nothing is known.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_core::Signal;
use uuid::Uuid;

use crate::SkipReason;

/// What is known of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub(crate) revision: i64,
    /// The master's time of that state.
    pub(crate) updated: DateTime<Utc>,
    pub(crate) deleted: bool,
    /// Whether the master counts revisions.
    pub(crate) counted: bool,
    /// The last sync applied.
    pub(crate) sync_id: Option<Uuid>,
    /// The master's time of the end of the life before this one, where it had one.
    pub(crate) ended: Option<DateTime<Utc>>,
}

/// What a message says, as far as the rules are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) signal: Signal,
    pub(crate) revision: i64,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) counted: bool,
    /// Whether the message says that it is to be applied over a later revision.
    pub(crate) forced: bool,
    pub(crate) message_id: Option<Uuid>,
}

/// How a model wants its messages judged.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "rules that are independent of each other"
)]
pub(crate) struct Terms {
    /// How far the clocks of other masters may differ.
    pub(crate) tolerance: TimeDelta,
    /// Whether a sync may put an older state over a newer one.
    pub(crate) sync_downgrade: bool,
    /// Whether a save is that of a dump, which brings back what a comparison has removed.
    pub(crate) restores: bool,
    /// Whether every revision has to be seen in its turn.
    pub(crate) in_step: bool,
    /// Whether the message has waited for its turn as long as it may.
    pub(crate) waited: bool,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It takes effect.
    Apply {
        /// How many revisions it passes over.
        gap: u64,
    },
    /// Only the tombstone is raised; otherwise it is a duplicate.
    Tombstone,
    /// It says nothing new.
    Skip(SkipReason),
    /// It has to wait for the revision before it.
    Wait,
}

/// Judges a message.
pub(crate) fn judge(known: Option<&Known>, facts: &Facts, terms: &Terms) -> Decision {
    let gap = passed_over(known, facts, terms.in_step);
    let wait = gap > 0 && terms.in_step && !terms.waited;
    if let Some(known) = known {
        let decided = match (known.deleted, facts.signal) {
            _ if is_same_sync(known, facts) => Some(Decision::Skip(SkipReason::Duplicate)),
            (true, Signal::Delete) => Some(second_delete(known, facts)),
            _ if known.counted && facts.counted => by_revision(known, facts, terms),
            _ => by_revision_and_time(known, facts, terms),
        };
        match decided {
            // The save between two deletes is still to come.
            Some(Decision::Tombstone) if wait => return Decision::Wait,
            Some(decision) => return decision,
            None => {}
        }
    }
    if wait {
        Decision::Wait
    } else {
        Decision::Apply { gap }
    }
}

/// What is known once a message has taken effect or has raised a tombstone.
pub(crate) fn after(known: Option<&Known>, facts: &Facts) -> Known {
    let sync_id = known.and_then(|known| known.sync_id);
    let next = Known {
        revision: facts.revision,
        updated: facts.updated,
        deleted: false,
        counted: facts.counted,
        sync_id,
        ended: known.and_then(|known| ended(known, facts)),
    };
    match facts.signal {
        Signal::Save => next,
        Signal::Sync => Known {
            sync_id: facts.message_id.or(sync_id),
            ..next
        },
        Signal::Delete => Known {
            revision: known.map_or(facts.revision, |known| known.revision.max(facts.revision)),
            updated: known.map_or(facts.updated, |known| known.updated.max(facts.updated)),
            deleted: true,
            ended: None,
            ..next
        },
    }
}

/// When the life before the one that a save or sync belongs to has ended.
fn ended(known: &Known, facts: &Facts) -> Option<DateTime<Utc>> {
    let restarts = !(known.counted && facts.counted)
        && facts.signal == Signal::Save
        && facts.revision == 0
        && known.revision > 0;
    if known.deleted || restarts {
        Some(known.updated)
    } else {
        known.ended
    }
}

fn is_same_sync(known: &Known, facts: &Facts) -> bool {
    facts.signal == Signal::Sync
        && facts.message_id.is_some()
        && facts.message_id == known.sync_id
        // An id may have been given twice.
        && facts.revision <= known.revision
}

fn second_delete(known: &Known, facts: &Facts) -> Decision {
    if facts.revision > known.revision || facts.updated > known.updated {
        Decision::Tombstone
    } else {
        Decision::Skip(SkipReason::Duplicate)
    }
}

/// Both sides count: `None` if the message is new.
fn by_revision(known: &Known, facts: &Facts, terms: &Terms) -> Option<Decision> {
    let downgrade = facts.forced || terms.sync_downgrade;
    let is_new = match (facts.signal, known.deleted) {
        (Signal::Sync, false) => facts.revision >= known.revision || downgrade,
        _ => facts.revision > known.revision,
    };
    (!is_new).then(|| Decision::Skip(old(known, facts)))
}

/// One side does not count: `None` if the message is new.
fn by_revision_and_time(known: &Known, facts: &Facts, terms: &Terms) -> Option<Decision> {
    let newer_by = facts.updated - known.updated;
    let newer = newer_by > TimeDelta::zero();
    let downgrade = facts.forced || terms.sync_downgrade;
    let of_this_life = match (known.ended, facts.signal) {
        (None, _) => true,
        // It may have brought this life to light with the very time of the tombstone.
        (Some(ended), Signal::Sync) => facts.updated >= ended,
        (Some(ended), _) => facts.updated > ended,
    };
    let is_new = match (facts.signal, known.deleted) {
        (Signal::Save, false) => {
            of_this_life
                && (facts.revision > known.revision
                    || (facts.revision == known.revision && newer)
                    || (facts.revision == 0 && newer_by > terms.tolerance))
        }
        (Signal::Delete, _) => newer_by >= -terms.tolerance,
        (Signal::Sync, false) => {
            downgrade || (of_this_life && (facts.revision >= known.revision || newer))
        }
        (Signal::Sync, true) => newer_by >= TimeDelta::zero(),
        (Signal::Save, true) if terms.restores => newer_by >= TimeDelta::zero(),
        (_, true) => newer,
    };
    (!is_new).then(|| Decision::Skip(old(known, facts)))
}

/// Why a message is not new.
fn old(known: &Known, facts: &Facts) -> SkipReason {
    if known.deleted {
        SkipReason::Deleted
    } else if facts.revision == known.revision {
        SkipReason::Duplicate
    } else {
        SkipReason::Stale
    }
}

/// How many revisions lie between what is known and a message that is new.
fn passed_over(known: Option<&Known>, facts: &Facts, in_step: bool) -> u64 {
    let before = match known {
        // A table or a `latest` handler that joins late has missed nothing.
        None if !in_step || facts.signal == Signal::Sync => return 0,
        None => -1,
        Some(known) if facts.revision > known.revision => known.revision,
        // The very state that a comparison has removed.
        Some(known) if (facts.revision, facts.updated) == (known.revision, known.updated) => {
            return 0;
        }
        // A second life that started again at 0.
        Some(known) if known.deleted && facts.signal == Signal::Save => -1,
        Some(_) => return 0,
    };
    u64::try_from(facts.revision.saturating_sub(before).saturating_sub(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
