//! Capture and `record` on one table.

use cqrs_outbox::{Change, Signal, record};
use serde_json::json;

use crate::fixture::{Fixture, Line, account};

fn told() -> Change {
    Change::json(
        "account",
        1,
        Signal::Save,
        json!({"id": 1, "by": "application"}),
    )
}

pub(crate) async fn a_write_and_its_record_are_one_event<F: Fixture>(fixture: F) {
    fixture.install(&account()).await;
    let mut tx = fixture.begin().await;
    F::run(&mut tx, "insert into account values (1, 'a', null, true)").await;
    let recorded = record(&mut tx, told()).await.unwrap();
    F::commit(tx).await;
    let lines = fixture.take().await;
    assert_eq!(
        lines.iter().map(Line::short).collect::<Vec<_>>(),
        ["SAVE 1 0"]
    );
    assert_eq!(recorded.id(), Some(lines[0].id));
    assert_eq!(lines[0].json()["instance_data"]["by"], "application");
    if !F::TRIGGERS_FOLD {
        return;
    }

    let mut tx = fixture.begin().await;
    let recorded = record(&mut tx, told()).await.unwrap();
    F::run(&mut tx, "update account set name = 'b'").await;
    F::commit(tx).await;
    let lines = fixture.take().await;
    assert_eq!(
        lines.iter().map(Line::short).collect::<Vec<_>>(),
        ["SAVE 1 1"]
    );
    assert_eq!(recorded.id(), Some(lines[0].id));
    assert_eq!(lines[0].json()["instance_data"]["name"], "b");
}

pub(crate) async fn what_begins_and_ends_in_a_transaction_is_nothing_for_both<F: Fixture>(
    fixture: F,
) {
    fixture.install(&account()).await;
    let mut tx = fixture.begin().await;
    F::run(&mut tx, "insert into account values (1, 'a', null, true)").await;
    record(&mut tx, told()).await.unwrap();
    F::run(&mut tx, "delete from account").await;
    F::commit(tx).await;
    if F::TRIGGERS_FOLD {
        assert!(fixture.news().await.is_empty());
    } else {
        assert_eq!(fixture.news().await, ["SAVE 1 0", "DELETE 1 1"]);
    }
}
