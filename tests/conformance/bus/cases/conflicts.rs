//! Commands in each other's way.

use std::{sync::Arc, time::Duration};

use cqrs_core::{
    RetryPolicy, StoreError,
    bus::{BusError, CommandBus},
};
use futures_util::future::join_all;

use crate::{
    bed::Bed,
    handlers::{Contested, End, Purses, id, put},
};

pub(crate) async fn commands_that_add_at_once_all_count(bed: impl Bed) {
    let bus = CommandBus::new(bed.commands(), Purses::default());
    let command = put(7, 1, End::Well);
    let all = join_all((1..=20).map(|number| bus.execute(id(number), &command))).await;
    let mut amounts: Vec<_> = all
        .into_iter()
        .map(|done| done.unwrap().output.amount)
        .collect();
    amounts.sort_unstable();
    assert_eq!(amounts, (1..=20).collect::<Vec<_>>());
}

pub(crate) async fn a_conflict_is_tried_so_often_and_no_more(bed: impl Bed) {
    let purses = Purses::default();
    let calls = Arc::clone(&purses.calls);
    let retry = RetryPolicy {
        initial: Duration::from_millis(1),
        max_attempts: Some(3),
        ..RetryPolicy::default()
    };
    let bus = CommandBus::new(bed.commands(), purses).with_retry(retry);
    let error = bus.execute(id(1), &Contested).await.unwrap_err();
    assert!(
        matches!(error, BusError::Store(StoreError::Conflict(_))),
        "{error:?}"
    );
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 3);
    bed.expect_untouched().await;
}
