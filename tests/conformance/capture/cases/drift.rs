//! What is installed, and what should be.

use cqrs_outbox::{
    capture::{Capture, CaptureState, Installed},
    source::TrackedFields,
};

use crate::fixture::{Fixture, account, model};

pub(crate) async fn installing_is_idempotent_and_follows_the_model<F: Fixture>(fixture: F) {
    let plain = account();
    assert_eq!(fixture.status(&plain).await, CaptureState::NotInstalled);
    let printed = fixture.connection().await.sql(&plain).await.unwrap();
    assert!(printed.len() > 3, "{printed:?}");
    assert_eq!(fixture.status(&plain).await, CaptureState::NotInstalled);
    assert_eq!(fixture.install(&plain).await, Installed::New);
    assert_eq!(fixture.status(&plain).await, CaptureState::Current);
    assert_eq!(fixture.install(&plain).await, Installed::Unchanged);
    let tracking = plain.clone().with_tracked(TrackedFields::All);
    assert_eq!(fixture.status(&tracking).await, CaptureState::ModelChanged);
    assert_eq!(fixture.install(&tracking).await, Installed::Replaced);
    assert_eq!(fixture.status(&tracking).await, CaptureState::Current);
    fixture
        .execute("insert into account values (1, 'a', null, true)")
        .await;
    fixture.execute("update account set name = 'b'").await;
    let lines = fixture.take().await;
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1].json()["previous_data"],
        serde_json::json!({"name": "a"})
    );
}

pub(crate) async fn a_changed_table_is_told<F: Fixture>(fixture: F) {
    fixture.install(&account()).await;
    fixture
        .execute("alter table account add column more text")
        .await;
    assert_eq!(fixture.status(&account()).await, CaptureState::TableChanged);
    assert_eq!(fixture.install(&account()).await, Installed::Replaced);
    fixture
        .execute("insert into account values (1, 'a', null, true, 'm')")
        .await;
    let lines = fixture.take().await;
    assert_eq!(lines[0].json()["instance_data"]["more"], "m");
}

pub(crate) async fn what_is_removed_captures_nothing<F: Fixture>(fixture: F) {
    fixture.install(&account()).await;
    let mut connection = fixture.connection().await;
    let name = "account".parse().unwrap();
    assert_eq!(connection.captured().await.unwrap(), [name]);
    let name = "account".parse().unwrap();
    assert!(connection.remove(&name).await.unwrap());
    assert!(!connection.remove(&name).await.unwrap());
    assert!(connection.captured().await.unwrap().is_empty());
    assert_eq!(fixture.status(&account()).await, CaptureState::NotInstalled);
    fixture
        .execute("insert into account values (1, 'a', null, true)")
        .await;
    assert!(fixture.news().await.is_empty());
}

pub(crate) async fn what_does_not_fit_is_refused_with_its_remedy<F: Fixture>(fixture: F) {
    for (model, word) in [
        (model("nowhere", &["id"]), "no table"),
        (model("account", &["name"]), "unique index"),
        (
            account().with_filter(r#"{"other": 1}"#.parse().unwrap()),
            "other",
        ),
    ] {
        let error = fixture
            .connection()
            .await
            .install(&model)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(
        fixture
            .connection()
            .await
            .captured()
            .await
            .unwrap()
            .is_empty()
    );
}
