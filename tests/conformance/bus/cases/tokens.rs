//! What a command recorded.

use cqrs_core::{Revision, bus::CommandBus};

use crate::{
    bed::Bed,
    handlers::{End, Purses, id, put},
};

pub(crate) async fn a_token_names_what_replicas_get(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let done = bus.execute(id(1), &put(7, 5, End::Direct)).await.unwrap();
    // Not the event that goes to one queue only.
    let events: Vec<_> = done.token.events().collect();
    assert_eq!(events, [("purse", "7", Revision(0))]);
    let done = bus.execute(id(2), &put(7, 5, End::Well)).await.unwrap();
    let events: Vec<_> = done.token.events().collect();
    assert_eq!(events, [("purse", "7", Revision(1))]);
}

pub(crate) async fn a_command_that_records_nothing_has_an_empty_token(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    let done = bus.execute(id(2), &put(7, 5, End::Silent)).await.unwrap();
    assert!(done.token.is_empty(), "{:?}", done.token);
    let again = bus.execute(id(2), &put(7, 5, End::Silent)).await.unwrap();
    assert!(again.repeated && again.token.is_empty(), "{again:?}");
}

pub(crate) async fn changes_of_one_instance_are_one_event_of_the_token(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let done = bus.execute(id(1), &put(7, 5, End::Twice)).await.unwrap();
    let events: Vec<_> = done.token.events().collect();
    assert_eq!(events, [("purse", "7", Revision(0))]);
    let rows = "select cast(count(*) as text) from cqrs_outbox";
    assert_eq!(bed.number(rows).await, 1);
}
