//! Commands that are sent again.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    StoreError,
    bus::{BusError, CommandBus},
};
use futures_util::future::join_all;

use crate::{
    bed::Bed,
    handlers::{End, Move, Purses, id, put},
};

pub(crate) async fn a_repeated_command_has_the_first_result_and_changes_nothing(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let first = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    bus.execute(id(2), &put(7, 5, End::Well)).await.unwrap();
    let again = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    assert!(again.repeated);
    assert_eq!((&again.output, &again.token), (&first.output, &first.token));
    let amount = "select cast(amount as text) from purse where id = 7";
    assert_eq!(bed.number(amount).await, 10);
}

pub(crate) async fn of_many_at_once_with_one_id_one_is_executed(bed: impl Bed) {
    let purses = Purses::default();
    let calls = Arc::clone(&purses.calls);
    let bus = CommandBus::new(bed.commands(), purses);
    let command = put(7, 5, End::Well);
    let all = join_all((0..12).map(|_| bus.execute(id(1), &command))).await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.iter().filter(|done| !done.repeated).count(), 1);
    assert!(all.iter().all(|done| done.output == all[0].output));
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
    let amount = "select cast(amount as text) from purse where id = 7";
    assert_eq!(bed.number(amount).await, 5);
}

pub(crate) async fn an_id_is_for_one_command_only(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    let error = bus.execute(id(1), &put(7, 6, End::Well)).await.unwrap_err();
    assert!(matches!(error, BusError::IdReused { .. }), "{error:?}");
    let error = bus
        .execute(id(1), &Move { from: 7, to: 8 })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("(put)"), "{error}");
    let amount = "select cast(amount as text) from purse where id = 7";
    assert_eq!(bed.number(amount).await, 5);
}

pub(crate) async fn a_refused_command_may_be_sent_again(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let error = bus
        .execute(id(1), &Move { from: 7, to: 8 })
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::Rejected(_)), "{error:?}");
    bus.execute(id(2), &put(7, 1, End::Well)).await.unwrap();
    let done = bus.execute(id(1), &Move { from: 7, to: 8 }).await.unwrap();
    assert!(!done.repeated);
}

pub(crate) async fn what_is_forgotten_is_executed_again(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    assert_eq!(bed.forget(Duration::from_hours(1)).await.unwrap(), 0);
    assert_eq!(bed.forget(Duration::ZERO).await.unwrap(), 1);
    let again = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    assert_eq!((again.repeated, again.output.amount), (false, 10));
}

pub(crate) async fn a_result_that_cannot_be_read_any_more_is_named(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    let older = "update cqrs_command set output = '{\"sum\": 5}'";
    bed.database().execute(older).await.unwrap();
    let error = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap_err();
    assert!(
        matches!(
            error,
            BusError::Store(StoreError::Corrupt {
                column: "output",
                ..
            })
        ),
        "{error:?}"
    );
}
