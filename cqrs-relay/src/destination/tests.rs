use std::time::Duration;

use cqrs_core::QueueName;

use super::*;
use crate::window::tests::row;

const FIRST: Duration = Duration::from_millis(100);

fn destinations() -> Destinations {
    let retry = RetryPolicy {
        jitter: 0.0,
        ..RetryPolicy::reconnect(Duration::from_secs(1))
    };
    Destinations::new(retry)
}

fn direct(id: i64, key: u16) -> OutboxRow {
    OutboxRow {
        queue: Some(QueueName::new("audit").unwrap()),
        ..row(id, key)
    }
}

#[test]
fn is_probed_with_its_first_row_after_growing_pauses_until_it_takes_it() {
    let (mut all, start) = (destinations(), Instant::now());
    assert!(matches!(all.refused(row(1, 7), start), Refusal::WentDown));
    assert!(matches!(all.refused(row(2, 8), start), Refusal::Another(row) if row.id == 2));
    assert!(all.hold(&row(3, 9)));
    assert!(all.due_probes(start).is_empty());

    let due = all.next_due().unwrap();
    assert_eq!(due - start, FIRST);
    let probe = all.due_probes(due).pop().unwrap();
    assert_eq!(probe.id, 1);
    assert!(!all.hold(&probe), "the probe itself may go");
    assert!(all.next_due().is_none(), "one at a time");
    assert!(matches!(all.refused(probe, due), Refusal::StillDown));

    let due_again = all.next_due().unwrap();
    assert_eq!(due_again - due, FIRST * 2);
    let probe = all.due_probes(due_again).pop().unwrap();
    assert!(!all.took(&row(2, 8)), "a straggler proves nothing");
    assert!(all.took(&probe));
    assert!(!all.hold(&row(3, 9)));
    assert_eq!(all.down(), 0);
}

#[test]
fn a_probe_that_was_not_sent_waits_without_a_longer_pause() {
    let (mut all, start) = (destinations(), Instant::now());
    all.refused(row(1, 7), start);
    let probe = all.due_probes(start + FIRST).pop().unwrap();
    assert!(all.unsent(probe).is_none());
    assert!(
        all.unsent(row(2, 8)).is_some(),
        "another row is not its business"
    );
    assert_eq!(all.due_probes(start + FIRST).len(), 1);
}

#[test]
fn a_direct_destination_holds_back_its_own_rows_and_their_instances_alone() {
    let (mut all, start) = (destinations(), Instant::now());
    all.refused(direct(1, 7), start);
    assert!(all.hold(&direct(2, 8)));
    assert!(
        all.hold(&row(3, 7)) && all.hold(&row(4, 8)),
        "order within an instance"
    );
    assert!(!all.hold(&row(5, 9)));
}

#[test]
fn without_its_probe_it_is_tried_with_whatever_comes() {
    let (mut all, start) = (destinations(), Instant::now());
    all.refused(row(1, 7), start);
    let slot = row(1, 7).slot;
    assert_eq!(all.leave(|left| left == slot).len(), 1);
    assert!(!all.try_probeless(start) && all.hold(&row(2, 8)));
    assert!(all.try_probeless(start + FIRST) && !all.hold(&row(2, 8)));
    // Still down: the pause goes on growing.
    assert!(matches!(all.refused(row(2, 8), start), Refusal::WentDown));
    assert_eq!(all.next_due(), Some(start + FIRST * 2));

    all.leave(|_| true);
    all.try_probeless(start + FIRST * 2);
    assert!(!all.took(&row(3, 9)));
    assert_eq!(all.down(), 0);
}

#[test]
fn one_that_has_come_up_gets_a_few_rows_and_two_for_each_that_it_takes() {
    let (mut all, start) = (destinations(), Instant::now());
    assert!(all.admits(&row(9, 9)));
    all.refused(row(1, 7), start);
    let probe = all.due_probes(start + FIRST).pop().unwrap();
    assert!(all.took(&probe));
    let admitted = |all: &mut Destinations| (0..100).take_while(|_| all.admits(&row(2, 8))).count();
    assert_eq!(admitted(&mut all), 2);
    all.took(&row(2, 8));
    assert_eq!(admitted(&mut all), 2);
    assert!(all.unsent(row(3, 9)).is_some());
    assert_eq!(admitted(&mut all), 1);
    all.forget();
    assert_eq!(admitted(&mut all), 2, "what was on its way is forgotten");
    assert!(matches!(all.refused(row(4, 10), start), Refusal::WentDown));
    assert!(
        all.admits(&row(5, 11)),
        "it is down now, and holds its rows by itself"
    );
}
