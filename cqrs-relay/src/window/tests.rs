use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::DateTime;
use cqrs_core::{CqrsId, Revision, Signal};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

pub(crate) fn row(id: i64, key: u16) -> OutboxRow {
    let cqrs_id = CqrsId::new("account").unwrap();
    let instance_pk = key.to_string();
    OutboxRow {
        id,
        message_id: Uuid::from_u128(id.unsigned_abs().into()),
        slot: Slot::of(cqrs_id.as_str(), &instance_pk),
        instance: Instance {
            cqrs_id,
            instance_pk,
        },
        signal: Signal::Save,
        queue: None,
        revision: Revision(id),
        body: Bytes::from_static(b"{}"),
        trace: None,
        forced: false,
        created_at: DateTime::UNIX_EPOCH,
        expired: false,
        attempts: 0,
    }
}

fn ids(rows: &[OutboxRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[test]
fn only_one_row_of_an_instance_is_out_at_a_time() {
    let mut window = Window::new(1);
    for id in 1..=3 {
        window.admit(row(id, 7));
    }
    let first = window.take(0, 10, 1000, |_| true);
    assert_eq!(ids(&first), [1]);
    assert!(window.take(0, 10, 1000, |_| true).is_empty());
    window.done(&first[0]);
    assert_eq!(ids(&window.take(0, 10, 1000, |_| true)), [2]);
    assert_eq!((window.rows(), window.bytes()), (3, 4));
}

#[test]
fn a_batch_is_bounded_in_rows_and_bytes_but_never_empty() {
    let mut window = Window::new(1);
    for key in 0..9 {
        window.admit(row(i64::from(key), key));
    }
    assert_eq!(window.take(0, 2, 1000, |_| true).len(), 2);
    assert_eq!(window.take(0, 9, 5, |_| true).len(), 2);
    assert_eq!(window.take(0, 9, 1, |_| true).len(), 1);
}

#[test]
fn what_comes_back_unsent_goes_first_and_in_order() {
    let mut window = Window::new(1);
    for key in 0..4 {
        window.admit(row(i64::from(key), key));
    }
    let taken = window.take(0, 2, 1000, |_| true);
    window.put_back(taken);
    assert_eq!(ids(&window.take(0, 9, 1000, |_| true)), [0, 1, 2, 3]);
}

#[test]
fn dropping_a_row_drops_the_later_ones_of_its_instance_only() {
    let mut window = Window::new(1);
    for (id, key) in [(1, 7), (2, 8), (3, 7), (4, 8), (5, 7)] {
        window.admit(row(id, key));
    }
    let out = window.take(0, 1, 1000, |_| true);
    assert_eq!(window.drop_where(|row| row.id == 3), 2);
    window.done(&out[0]);
    assert_eq!(ids(&window.take(0, 9, 1000, |_| true)), [2]);
    assert!(window.knows(4) && !window.knows(5));
}

#[test]
fn forgetting_a_row_that_is_out_leaves_nothing_of_its_instance() {
    let mut window = Window::new(1);
    window.admit(row(1, 7));
    window.admit(row(2, 7));
    let out = window.take(0, 1, 1000, |_| true);
    assert_eq!(window.forget(&out[0]), 2);
    assert_eq!(
        (window.rows(), window.bytes(), window.busy_rows()),
        (0, 0, 0)
    );
    window.admit(row(1, 7));
    assert_eq!(ids(&window.take(0, 1, 1000, |_| true)), [1]);
}

proptest! {
    /// Whatever is lost, dropped and read again: the first confirmations of each instance come in
    /// order, none is left out, and the counts come out even.
    #[test]
    fn first_confirmations_come_in_order(
        keys in proptest::collection::vec(0_u16..5, 1..60),
        fates in proptest::collection::vec((1_usize..6, 0_u8..4), 0..200),
    ) {
        let outbox: Vec<_> = keys.iter().zip(1..).map(|(key, id)| row(id, *key)).collect();
        let mut window = Window::new(3);
        let mut confirmed: BTreeMap<Instance, Vec<i64>> = BTreeMap::new();
        let mut gone = HashSet::new();
        // All fates, then as many good ones as it takes.
        for (rows, fate) in fates.into_iter().chain(std::iter::repeat_n((6, 0), 200)) {
            for row in outbox.iter().filter(|row| !gone.contains(&row.id)) {
                // A series of fetches that begins anew.
                if !window.knows(row.id) {
                    window.admit(row.clone());
                }
            }
            for lane in 0..3 {
                let batch = window.take(lane, rows, 1000, |_| true);
                let distinct: HashSet<_> = batch.iter().map(|row| &row.instance).collect();
                prop_assert_eq!(distinct.len(), batch.len());
                match fate {
                    1 => window.put_back(batch),
                    2 => drop(batch.iter().map(|row| window.forget(row)).collect::<Vec<_>>()),
                    _ => for row in batch {
                        window.done(&row);
                        confirmed.entry(row.instance.clone()).or_default().push(row.id);
                        window.settled(row.id, row.slot);
                        gone.insert(row.id);
                    },
                }
            }
            if fate == 3 {
                window.drop_where(|row| row.id % 3 == 0);
            }
        }
        prop_assert_eq!(gone.len(), outbox.len());
        for ids in confirmed.values() {
            prop_assert!(ids.is_sorted());
        }
        prop_assert_eq!((window.rows(), window.bytes(), window.busy_rows()), (0, 0, 0));
    }
}

#[test]
fn rows_that_may_not_go_stay_in_their_places() {
    let mut window = Window::new(1);
    for key in 0..6 {
        window.admit(row(i64::from(key), key));
    }
    let even = window.take(0, 2, 1000, |row| row.id % 2 == 0);
    assert_eq!(ids(&even), [0, 2]);
    assert!(window.take(0, 9, 1000, |_| false).is_empty());
    assert_eq!(ids(&window.take(0, 9, 1000, |_| true)), [1, 3, 4, 5]);
}
