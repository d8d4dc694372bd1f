//! A model of how two relays share a slot: leases, epochs, take-over and settlement. All the states that
//! it can reach are looked at, whatever is delayed, lost, paused or killed, and in whatever order.
//!
//! The rules are those of the relay and of its statements (`acquire.sql`, `renew.sql`, `settle.sql`; the
//! picture is in `docs/state-machine.md`). For each of them there is a test that breaks the rule and sees the
//! checker find out why the rule is there.

#![cfg(test)]

mod promises;
mod relay;
mod slot;
mod table;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{promises::Rule, slot::Slot};

/// Whether a promise is broken where one rule is.
fn breaks(rule: Rule, promise: &'static str) -> bool {
    Slot::without(rule)
        .checker()
        .finish_when(HasDiscoveries::AnyOf([promise].into()))
        .spawn_bfs()
        .join()
        .discovery(promise)
        .is_some()
}

#[test]
fn with_all_rules_every_promise_holds_in_every_state() {
    let checker = Slot::new().checker().spawn_bfs().join();
    assert!(checker.is_done());
    checker.assert_properties();
}

#[test]
fn a_row_that_is_deleted_before_its_confirm_may_be_lost() {
    assert!(breaks(Rule::DeleteAfterConfirm, promises::NOTHING_IS_LOST));
}

#[test]
fn two_rows_of_an_instance_at_once_may_come_in_the_wrong_order() {
    assert!(breaks(Rule::OneRowAtOnce, promises::IN_ORDER));
}

#[test]
fn who_takes_a_slot_over_without_its_blocked_instances_sends_what_has_to_wait() {
    assert!(breaks(Rule::LoadBlocked, promises::IN_ORDER));
}

#[test]
fn a_row_that_is_put_off_under_an_old_epoch_is_overtaken() {
    assert!(breaks(Rule::PutOffUnderEpoch, promises::IN_ORDER));
}

#[test]
fn without_new_epochs_an_old_holder_passes_for_the_new_one() {
    assert!(breaks(Rule::NewEpoch, promises::IN_ORDER));
}

#[test]
fn a_holder_that_has_beaten_meanwhile_must_not_lose_its_slot() {
    assert!(breaks(Rule::BeatAsSeen, promises::ONE_AT_A_TIME));
}

#[test]
fn a_time_to_write_that_begins_with_the_answer_outlasts_the_lease() {
    assert!(breaks(Rule::CountFromSending, promises::ONE_AT_A_TIME));
}

#[test]
fn a_time_to_write_that_is_renewed_before_the_slot_is_agreed_is_one_of_a_lost_slot() {
    assert!(breaks(Rule::AgreeFirst, promises::ONE_AT_A_TIME));
}

#[test]
fn a_slot_that_is_given_back_with_a_row_on_its_way_costs_a_duplicate() {
    assert!(breaks(Rule::LeaveEmpty, promises::DUPLICATES_FROM_FAULTS));
}
