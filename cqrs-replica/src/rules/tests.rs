//! Every cell of both tables, and convergence.

use proptest::prelude::*;

use super::*;

const T: i64 = 2;

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn live(revision: i64, at: i64) -> Known {
    Known {
        revision,
        updated: time(at),
        deleted: false,
        counted: true,
        sync_id: None,
        ended: None,
    }
}

fn deleted(revision: i64, at: i64) -> Known {
    Known {
        deleted: true,
        ..live(revision, at)
    }
}

fn facts(signal: Signal, revision: i64, at: i64) -> Facts {
    Facts {
        signal,
        revision,
        updated: time(at),
        counted: true,
        forced: false,
        message_id: None,
    }
}

fn terms() -> Terms {
    Terms {
        tolerance: TimeDelta::seconds(T),
        sync_downgrade: false,
        restores: false,
        in_step: false,
        waited: false,
    }
}

const APPLY: Decision = Decision::Apply { gap: 0 };
const DUPLICATE: Decision = Decision::Skip(SkipReason::Duplicate);
const STALE: Decision = Decision::Skip(SkipReason::Stale);
const GONE: Decision = Decision::Skip(SkipReason::Deleted);

#[track_caller]
fn counted(known: Option<Known>, message: Facts, expected: Decision) {
    assert_eq!(
        judge(known.as_ref(), &message, &terms()),
        expected,
        "{known:?} <- {message:?}"
    );
}

/// The same with a master that does not count, on either side.
#[track_caller]
fn timed(known: Known, message: Facts, expected: Decision) {
    for (state, header) in [(false, false), (false, true), (true, false)] {
        let known = Known {
            counted: state,
            ..known
        };
        let message = Facts {
            counted: header,
            ..message
        };
        assert_eq!(
            judge(Some(&known), &message, &terms()),
            expected,
            "{known:?} <- {message:?}"
        );
    }
}

#[test]
fn what_is_from_before_a_delete_is_of_an_earlier_life() {
    let reborn = after(
        Some(&Known {
            counted: false,
            ..deleted(1, 30)
        }),
        &Facts {
            counted: false,
            ..facts(Signal::Save, 0, 60)
        },
    );
    assert_eq!(reborn.ended, Some(time(30)));
    timed(reborn, facts(Signal::Save, 5, 20), STALE);
    timed(reborn, facts(Signal::Save, 5, 30), STALE);
    timed(reborn, facts(Signal::Sync, 5, 20), STALE);
    timed(reborn, facts(Signal::Sync, 1, 30), APPLY);
    timed(reborn, facts(Signal::Save, 1, 31), APPLY);
    // It is remembered for as long as this life lasts.
    let later = after(Some(&reborn), &facts(Signal::Save, 1, 61));
    assert_eq!(later.ended, Some(time(30)));
    // Revisions that begin again at 0 say that the delete is still to come.
    let known = Known {
        counted: false,
        ..live(5, 20)
    };
    let restarted = after(
        Some(&known),
        &Facts {
            counted: false,
            ..facts(Signal::Save, 0, 60)
        },
    );
    assert_eq!(restarted.ended, Some(time(20)));
    timed(restarted, facts(Signal::Save, 4, 19), STALE);
}

#[test]
fn nothing_known_takes_everything() {
    for signal in [Signal::Save, Signal::Delete, Signal::Sync] {
        counted(None, facts(signal, 0, 0), APPLY);
        counted(None, facts(signal, 7, 0), APPLY);
        let other = Facts {
            counted: false,
            ..facts(signal, 7, 0)
        };
        assert_eq!(judge(None, &other, &terms()), APPLY);
    }
}

#[test]
fn counted_save() {
    counted(Some(live(3, 0)), facts(Signal::Save, 4, -100), APPLY);
    counted(
        Some(live(3, 0)),
        facts(Signal::Save, 6, 0),
        Decision::Apply { gap: 2 },
    );
    counted(Some(live(3, 0)), facts(Signal::Save, 3, 100), DUPLICATE);
    counted(Some(live(3, 0)), facts(Signal::Save, 0, 100), STALE);
    counted(Some(deleted(3, 0)), facts(Signal::Save, 4, -100), APPLY);
    counted(Some(deleted(3, 0)), facts(Signal::Save, 3, 100), GONE);
    counted(Some(deleted(3, 0)), facts(Signal::Save, 0, 100), GONE);
}

#[test]
fn counted_delete() {
    counted(Some(live(3, 0)), facts(Signal::Delete, 4, -100), APPLY);
    counted(Some(live(3, 0)), facts(Signal::Delete, 3, 100), DUPLICATE);
    counted(Some(live(3, 0)), facts(Signal::Delete, 2, 100), STALE);
    counted(
        Some(deleted(3, 0)),
        facts(Signal::Delete, 4, 0),
        Decision::Tombstone,
    );
    counted(Some(deleted(3, 0)), facts(Signal::Delete, 3, 0), DUPLICATE);
    counted(Some(deleted(3, 0)), facts(Signal::Delete, 2, 0), DUPLICATE);
}

#[test]
fn counted_sync() {
    counted(Some(live(3, 0)), facts(Signal::Sync, 3, 0), APPLY);
    counted(
        Some(live(3, 0)),
        facts(Signal::Sync, 5, 0),
        Decision::Apply { gap: 1 },
    );
    counted(Some(live(3, 0)), facts(Signal::Sync, 2, 100), STALE);
    counted(Some(deleted(3, 0)), facts(Signal::Sync, 4, 0), APPLY);
    counted(Some(deleted(3, 0)), facts(Signal::Sync, 3, 100), GONE);
}

#[test]
fn the_same_sync_applies_once_even_if_downgrades_are_allowed() {
    let id = Some(Uuid::from_u128(7));
    let sync = Facts {
        message_id: id,
        ..facts(Signal::Sync, 3, 0)
    };
    let known = after(Some(&live(3, 0)), &sync);
    let allowed = Terms {
        sync_downgrade: true,
        ..terms()
    };
    assert_eq!(judge(Some(&known), &sync, &allowed), DUPLICATE);
    let later = after(Some(&known), &facts(Signal::Save, 4, 1));
    assert_eq!(judge(Some(&later), &sync, &allowed), DUPLICATE);
    let other = Facts {
        message_id: Some(Uuid::from_u128(8)),
        ..sync
    };
    assert_eq!(judge(Some(&later), &other, &allowed), APPLY);
    assert_eq!(judge(Some(&later), &other, &terms()), STALE);
    let forced = |facts| Facts {
        forced: true,
        ..facts
    };
    assert_eq!(judge(Some(&later), &forced(other), &terms()), APPLY);
    let django = Facts {
        counted: false,
        ..other
    };
    assert_eq!(judge(Some(&later), &django, &terms()), STALE);
    assert_eq!(judge(Some(&later), &forced(django), &terms()), APPLY);
    let tombstone = deleted(4, 1);
    assert_eq!(judge(Some(&tombstone), &forced(other), &terms()), GONE);
    assert_eq!(after(Some(&later), &other).revision, 3);
}

#[test]
fn timed_save() {
    timed(live(3, 0), facts(Signal::Save, 4, -100), APPLY);
    timed(live(3, 0), facts(Signal::Save, 3, 1), APPLY);
    timed(live(3, 0), facts(Signal::Save, 3, 0), DUPLICATE);
    timed(live(3, 0), facts(Signal::Save, 3, -1), DUPLICATE);
    timed(live(3, 0), facts(Signal::Save, 2, 100), STALE);
    timed(live(3, 0), facts(Signal::Save, 0, T), STALE);
    timed(live(3, 0), facts(Signal::Save, 0, T + 1), APPLY);
    timed(deleted(3, 0), facts(Signal::Save, 0, 1), APPLY);
    timed(deleted(3, 0), facts(Signal::Save, 0, 0), GONE);
    timed(deleted(3, 0), facts(Signal::Save, 9, -1), GONE);
}

#[test]
fn timed_delete() {
    timed(live(3, 0), facts(Signal::Delete, 1, 1), APPLY);
    timed(live(3, 0), facts(Signal::Delete, 1, -T), APPLY);
    timed(live(3, 0), facts(Signal::Delete, 1, -T - 1), STALE);
    timed(live(3, 0), facts(Signal::Delete, 9, -T - 1), STALE);
    timed(
        deleted(3, 0),
        facts(Signal::Delete, 1, 1),
        Decision::Tombstone,
    );
    timed(
        deleted(3, 0),
        facts(Signal::Delete, 4, 0),
        Decision::Tombstone,
    );
    timed(deleted(3, 0), facts(Signal::Delete, 3, 0), DUPLICATE);
}

#[test]
fn timed_sync() {
    timed(live(3, 0), facts(Signal::Sync, 3, -100), APPLY);
    timed(live(3, 0), facts(Signal::Sync, 4, -100), APPLY);
    timed(live(3, 0), facts(Signal::Sync, 2, 1), APPLY);
    timed(live(3, 0), facts(Signal::Sync, 2, 0), STALE);
    timed(deleted(3, 0), facts(Signal::Sync, 0, 1), APPLY);
    timed(deleted(3, 0), facts(Signal::Sync, 0, 0), APPLY);
    timed(deleted(3, 0), facts(Signal::Sync, 9, -1), GONE);
}

/// A removal by comparison leaves a tombstone that does not count, of the state that it has removed.
#[test]
fn a_dump_brings_back_the_very_state_that_was_removed() {
    let removed = Known {
        counted: false,
        ..deleted(3, 0)
    };
    let loads = Terms {
        restores: true,
        ..terms()
    };
    let save = |revision, at| facts(Signal::Save, revision, at);
    let judged = |known: &Known, message: Facts| judge(Some(known), &message, &loads);
    assert_eq!(judged(&removed, save(3, 0)), APPLY);
    assert_eq!(judged(&removed, save(3, -1)), GONE);
    // A late message does not, and what the master has deleted stays deleted.
    assert_eq!(judge(Some(&removed), &save(3, 0), &terms()), GONE);
    assert_eq!(judged(&deleted(4, 1), save(3, 0)), GONE);
    assert_eq!(judged(&deleted(3, 0), save(3, 0)), GONE);
}

#[test]
fn a_tombstone_keeps_the_highest_revision_and_time() {
    let known = after(Some(&live(7, 10)), &facts(Signal::Delete, 1, 9));
    assert_eq!(
        (known.revision, known.updated, known.deleted),
        (7, time(10), true)
    );
    let raised = after(Some(&known), &facts(Signal::Delete, 9, 1));
    assert_eq!(
        (raised.revision, raised.updated, raised.deleted),
        (9, time(10), true)
    );
}

#[test]
fn in_step_waits_for_the_revision_before() {
    let step = Terms {
        in_step: true,
        ..terms()
    };
    let over = Terms {
        waited: true,
        ..step
    };
    assert_eq!(
        judge(Some(&live(3, 0)), &facts(Signal::Save, 4, 0), &step),
        APPLY
    );
    for signal in [Signal::Save, Signal::Delete, Signal::Sync] {
        let ahead = facts(signal, 6, 0);
        assert_eq!(judge(Some(&live(3, 0)), &ahead, &step), Decision::Wait);
        assert_eq!(
            judge(Some(&live(3, 0)), &ahead, &over),
            Decision::Apply { gap: 2 }
        );
    }
    // Nothing known: the first revision is 0, unless a sync says where the instance stands.
    assert_eq!(judge(None, &facts(Signal::Save, 0, 0), &step), APPLY);
    assert_eq!(
        judge(None, &facts(Signal::Save, 2, 0), &step),
        Decision::Wait
    );
    assert_eq!(
        judge(None, &facts(Signal::Delete, 1, 0), &step),
        Decision::Wait
    );
    assert_eq!(
        judge(None, &facts(Signal::Save, 2, 0), &over),
        Decision::Apply { gap: 2 }
    );
    assert_eq!(judge(None, &facts(Signal::Sync, 9, 0), &step), APPLY);
    // A second life of a Django instance starts again at 0.
    let gone = Known {
        counted: false,
        ..deleted(3, 0)
    };
    assert_eq!(judge(Some(&gone), &facts(Signal::Save, 0, 9), &step), APPLY);
    assert_eq!(
        judge(Some(&gone), &facts(Signal::Save, 1, 9), &step),
        Decision::Wait
    );
    // The save between two deletes is still to come.
    assert_eq!(
        judge(Some(&deleted(3, 0)), &facts(Signal::Delete, 5, 9), &step),
        Decision::Wait
    );
    assert_eq!(
        judge(Some(&deleted(3, 0)), &facts(Signal::Delete, 5, 9), &over),
        Decision::Tombstone
    );
    // What is not new never waits.
    assert_eq!(
        judge(Some(&live(3, 0)), &facts(Signal::Save, 2, 0), &step),
        STALE
    );
}

/// A history of a counting master: each step saves or deletes, revisions are dense.
fn history() -> impl Strategy<Value = Vec<Facts>> {
    proptest::collection::vec((any::<bool>(), -50_i64..50), 1..12).prop_map(|steps| {
        let signals = steps.into_iter().scan(true, |was_gone, (delete, at)| {
            let signal = if delete && !*was_gone {
                Signal::Delete
            } else {
                Signal::Save
            };
            *was_gone = signal == Signal::Delete;
            Some((signal, at))
        });
        (0..)
            .zip(signals)
            .map(|(revision, (signal, at))| facts(signal, revision, at))
            .collect()
    })
}

/// A history with any duplicates, in any order; each message at least once.
fn deliveries() -> impl Strategy<Value = (Vec<Facts>, Vec<Facts>)> {
    history().prop_flat_map(|history| {
        let again = proptest::sample::subsequence(history.clone(), 0..=history.len());
        again.prop_flat_map(move |again| {
            let all: Vec<_> = history.iter().chain(&again).copied().collect();
            (Just(history.clone()), Just(all).prop_shuffle())
        })
    })
}

proptest! {
    #[test]
    fn a_table_converges_to_the_last_state((history, deliveries) in deliveries()) {
        let mut known = None;
        let mut row = None;
        for message in &deliveries {
            match judge(known.as_ref(), message, &terms()) {
                Decision::Apply { .. } => {
                    row = (message.signal != Signal::Delete).then_some(message.revision);
                    known = Some(after(known.as_ref(), message));
                }
                Decision::Tombstone => known = Some(after(known.as_ref(), message)),
                Decision::Skip(_) => {}
                Decision::Wait => prop_assert!(false, "a table never waits"),
            }
        }
        let last = history.last().unwrap();
        prop_assert_eq!(row, (last.signal != Signal::Delete).then_some(last.revision));
        prop_assert_eq!(known.unwrap().revision, last.revision);
    }

    #[test]
    fn an_in_step_handler_sees_every_revision_once_in_order((history, deliveries) in deliveries()) {
        let step = Terms { in_step: true, ..terms() };
        let mut known = None;
        let mut seen = Vec::new();
        let mut waiting: Vec<Facts> = Vec::new();
        for message in deliveries {
            waiting.push(message);
            // A wait is looked at again whenever something was applied.
            while let Some(at) = waiting.iter().position(|message| {
                judge(known.as_ref(), message, &step) != Decision::Wait
            }) {
                let message = waiting.remove(at);
                if matches!(judge(known.as_ref(), &message, &step), Decision::Apply { .. }) {
                    seen.push(message.revision);
                    known = Some(after(known.as_ref(), &message));
                }
            }
        }
        prop_assert_eq!(seen, history.iter().map(|m| m.revision).collect::<Vec<_>>());
        prop_assert!(waiting.is_empty());
    }

    #[test]
    fn a_redelivery_changes_nothing(
        (_, deliveries) in deliveries(),
        other in any::<bool>(),
    ) {
        let mut known: Option<Known> = None;
        for message in deliveries {
            let message = Facts { counted: !other, ..message };
            if matches!(
                judge(known.as_ref(), &message, &terms()),
                Decision::Apply { .. } | Decision::Tombstone
            ) {
                known = Some(after(known.as_ref(), &message));
            }
            let repeated = judge(known.as_ref(), &message, &terms());
            prop_assert!(matches!(repeated, Decision::Skip(_)), "{repeated:?}");
        }
    }
}
