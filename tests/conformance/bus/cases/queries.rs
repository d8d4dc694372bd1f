//! Queries.

use std::{error::Error, sync::Arc, time::Duration};

use cqrs_core::bus::{BusError, QueryBus};
use tokio::sync::{Barrier, Notify};

use crate::{
    bed::Bed,
    handlers::{Amount, End, Purses},
};

async fn with_a_purse(bed: &impl Bed) {
    let insert = "insert into purse values (7, 5)";
    bed.database().execute(insert).await.unwrap();
}

pub(crate) async fn a_query_is_answered_from_one_view(bed: impl Bed) {
    with_a_purse(&bed).await;
    let (hanging, meet) = (Arc::new(Notify::new()), Arc::new(Barrier::new(2)));
    let purses = Purses {
        hanging: Arc::clone(&hanging),
        meet: Some(Arc::clone(&meet)),
        ..Purses::default()
    };
    let bus = QueryBus::new(bed.queries(), purses);
    let amount = Amount {
        id: 7,
        end: End::Twice,
    };
    // The handler reads, then this writes, then the handler reads again and expects the same.
    let writing = async {
        hanging.notified().await;
        let update = "update purse set amount = 9 where id = 7";
        bed.database().execute(update).await.unwrap();
        meet.wait().await;
    };
    let (answer, ()) = tokio::join!(bus.ask(&amount), writing);
    assert_eq!(answer.unwrap(), Some(5));
    let after = Amount {
        id: 7,
        end: End::Well,
    };
    assert_eq!(bus.ask(&after).await.unwrap(), Some(9));
}

pub(crate) async fn a_query_cannot_write(bed: impl Bed) {
    with_a_purse(&bed).await;
    let bus = QueryBus::new(bed.queries(), Purses::default());
    let writes = Amount {
        id: 7,
        end: End::Failed,
    };
    let error = bus.ask(&writes).await.unwrap_err();
    let BusError::Store(store) = &error else {
        panic!("{error:?}");
    };
    let mut said = store.to_string();
    let mut source = store.source();
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    assert!(
        said.contains("read-only") || said.contains("readonly"),
        "{said}"
    );
    let amount = "select cast(amount as text) from purse where id = 7";
    assert_eq!(bed.number(amount).await, 5);
}

pub(crate) async fn a_query_that_panics_or_is_refused_says_so(bed: impl Bed) {
    let bus = QueryBus::new(bed.queries(), Purses::default());
    let ends = |end| Amount { id: 7, end };
    let error = bus.ask(&ends(End::Panic)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the handler of amount panicked: nobody knows"
    );
    let error = bus.ask(&ends(End::Refused)).await.unwrap_err();
    assert!(matches!(error, BusError::Rejected(_)), "{error:?}");
    assert_eq!(bus.ask(&ends(End::Well)).await.unwrap(), None);
}

pub(crate) async fn a_query_that_takes_too_long_is_given_up(bed: impl Bed) {
    let bus = QueryBus::new(bed.queries(), Purses::default());
    let hasty = bus.clone().with_deadline(Duration::from_millis(200));
    let hangs = Amount {
        id: 7,
        end: End::Hang,
    };
    let error = hasty.ask(&hangs).await.unwrap_err();
    assert!(matches!(error, BusError::Deadline { .. }), "{error:?}");
    let well = Amount {
        id: 7,
        end: End::Well,
    };
    assert_eq!(bus.ask(&well).await.unwrap(), None);
}

pub(crate) async fn an_invalid_query_is_told_all_that_is_wrong(bed: impl Bed) {
    let bus = QueryBus::new(bed.queries(), Purses::default());
    let wrong = Amount {
        id: 0,
        end: End::Well,
    };
    let error = bus.ask(&wrong).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "amount is not valid: id must be positive"
    );
}
