//! One command: what it leaves behind, however it ends.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    StoreError,
    bus::{BusError, CommandBus, Violation},
};
use tokio::sync::Notify;

use crate::{
    bed::Bed,
    handlers::{End, PurseError, Purses, id, put},
};

pub(crate) async fn change_event_and_result_are_committed_together(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let done = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    assert_eq!((done.output.amount, done.repeated), (5, false));
    for (sql, expected) in [
        ("select cast(amount as text) from purse where id = 7", 5),
        ("select cast(count(*) as text) from cqrs_outbox", 1),
        (
            "select cast(count(*) as text) from cqrs_command where name = 'put' and output is not null",
            1,
        ),
    ] {
        assert_eq!(bed.number(sql).await, expected, "{sql}");
    }
}

pub(crate) async fn a_refusal_reaches_the_caller_and_leaves_nothing(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let error = bus
        .execute(id(1), &put(7, 5, End::Refused))
        .await
        .unwrap_err();
    let BusError::Rejected(refusal) = error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal, PurseError::TooLittle(7));
    bed.expect_untouched().await;
}

pub(crate) async fn a_failed_statement_leaves_nothing_and_is_not_tried_again(bed: impl Bed) {
    let purses = Purses::default();
    let calls = Arc::clone(&purses.calls);
    let bus = CommandBus::new(bed.commands(), purses);
    let error = bus
        .execute(id(1), &put(7, 5, End::Failed))
        .await
        .unwrap_err();
    assert!(
        matches!(error, BusError::Store(StoreError::Backend(_))),
        "{error:?}"
    );
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
    bed.expect_untouched().await;
}

pub(crate) async fn a_panic_is_rolled_back_and_the_bus_goes_on(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let error = bus
        .execute(id(1), &put(7, 5, End::Panic))
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::Panicked { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the handler of put panicked: purse 7 has burst"
    );
    bed.expect_untouched().await;
    let done = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap();
    assert_eq!(done.output.amount, 5);
}

pub(crate) async fn a_cancelled_command_is_rolled_back(bed: impl Bed) {
    let hanging = Arc::new(Notify::new());
    let purses = Purses {
        hanging: Arc::clone(&hanging),
        ..Purses::default()
    };
    let bus = CommandBus::new(bed.commands(), purses);
    let hangs = put(7, 5, End::Hang);
    tokio::select! {
        done = bus.execute(id(1), &hangs) => panic!("{done:?}"),
        () = hanging.notified() => {}
    }
    // Also the lock on its id is free: this would wait for ever otherwise.
    let done = bus.execute(id(1), &put(7, 6, End::Well)).await.unwrap();
    assert_eq!((done.output.amount, done.repeated), (6, false));
}

pub(crate) async fn a_command_that_takes_too_long_is_rolled_back(bed: impl Bed) {
    let limit = Duration::from_millis(300);
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let hasty = bus.clone().with_deadline(limit);
    let error = hasty
        .execute(id(1), &put(7, 5, End::Hang))
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::Deadline { .. }), "{error:?}");
    assert_eq!(error.to_string(), "put was not done within 300ms");
    let done = bus.execute(id(1), &put(7, 6, End::Well)).await.unwrap();
    assert_eq!((done.output.amount, done.repeated), (6, false));
}

pub(crate) async fn an_invalid_command_is_told_all_that_is_wrong_without_a_database(bed: impl Bed) {
    bed.database()
        .execute("drop table cqrs_command")
        .await
        .unwrap();
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let error = bus
        .execute(id(1), &put(-1, 2_000_000, End::Well))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "put is not valid: id must be positive; amount must be below a million"
    );
    let BusError::Invalid { violations, .. } = error else {
        panic!("{error:?}");
    };
    let fields: Vec<_> = violations
        .as_slice()
        .iter()
        .map(|Violation { field, .. }| field.as_ref())
        .collect();
    assert_eq!(fields, ["id", "amount"]);
    // What is valid gets as far as the database, which lacks a table now.
    let error = bus.execute(id(1), &put(7, 5, End::Well)).await.unwrap_err();
    assert!(
        matches!(error, BusError::Store(StoreError::Schema { .. })),
        "{error:?}"
    );
}

pub(crate) async fn events_carry_the_id_of_their_command(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    bus.execute(id(0xabc), &put(7, 5, End::Well)).await.unwrap();
    let body = match bed.database() {
        cqrs_tests::database::Database::Postgres { .. } => {
            "select convert_from(body, 'UTF8') from cqrs_outbox"
        }
        cqrs_tests::database::Database::Sqlite { .. } => "select body from cqrs_outbox",
    };
    let rows = bed.database().rows(body).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(rows[0][0].as_deref().unwrap()).unwrap();
    assert_eq!(body["correlation_id"], id(0xabc).to_string());
}
