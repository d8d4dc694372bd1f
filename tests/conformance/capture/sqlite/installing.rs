//! Installing, upgrading, removing.

use cqrs_core::StoreError;
use cqrs_outbox::capture::{Capture, CaptureState, Installed};
use sqlx::{Connection, Executor, SqliteConnection};

use super::bed::{Bed, model};

const TABLE: &str = "create table account (id integer primary key, name text)";

#[tokio::test]
async fn installing_twice_changes_nothing() {
    let bed = Bed::new().await;
    bed.execute(TABLE).await;
    let declared = model("account", &["id"]);
    assert_eq!(bed.status(&declared).await, CaptureState::NotInstalled);
    assert_eq!(bed.install(&declared).await, Installed::New);
    let version = bed.number("pragma schema_version").await;
    assert_eq!(bed.install(&declared).await, Installed::Unchanged);
    assert_eq!(bed.number("pragma schema_version").await, version);
    assert_eq!(bed.status(&declared).await, CaptureState::Current);
    let captured = bed.connection().await.captured().await.unwrap();
    assert_eq!(captured, ["account".parse().unwrap()]);
}

#[tokio::test]
async fn what_has_changed_is_told_and_installed_anew() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    let declared = model("account", &["id"]).with_skip_unchanged(true);
    assert_eq!(bed.status(&declared).await, CaptureState::ModelChanged);
    assert_eq!(bed.install(&declared).await, Installed::Replaced);
    bed.execute("alter table account add column note text")
        .await;
    assert_eq!(bed.status(&declared).await, CaptureState::TableChanged);
    assert_eq!(bed.install(&declared).await, Installed::Replaced);
    bed.execute("insert into account values (1, 'a', 'n')")
        .await;
    assert_eq!(bed.lines().await[0].data()["note"], "n");
    bed.execute("create unique index other on account (name)")
        .await;
    assert_eq!(bed.status(&declared).await, CaptureState::TableChanged);
    bed.install(&declared).await;
    bed.execute("drop trigger \"cqrs_capture account before update\"")
        .await;
    assert_eq!(bed.status(&declared).await, CaptureState::Damaged);
    assert_eq!(bed.install(&declared).await, Installed::Replaced);
    bed.execute("update cqrs_capture set form = 0").await;
    assert_eq!(bed.status(&declared).await, CaptureState::OtherVersion);
    bed.install(&declared).await;
    bed.execute("delete from cqrs_capture").await;
    assert_eq!(bed.status(&declared).await, CaptureState::Damaged);
    bed.install(&declared).await;
    assert_eq!(bed.status(&declared).await, CaptureState::Current);
}

#[tokio::test]
async fn a_model_that_moves_to_another_table_leaves_the_old_one() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("create table other (id integer primary key)")
        .await;
    assert_eq!(
        bed.install(&model("other", &["id"])).await,
        Installed::Replaced
    );
    bed.execute("insert into account values (1, 'a'); insert into other values (2)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 2 0"]);
}

#[tokio::test]
async fn what_is_removed_is_not_captured() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    let mut other = model("account", &["id"]);
    other.cqrs_id = "account2".parse().unwrap();
    bed.install(&other).await;
    let mut connection = bed.connection().await;
    let account = "account".parse().unwrap();
    assert!(connection.remove(&account).await.unwrap());
    assert!(!connection.remove(&account).await.unwrap());
    bed.execute("insert into account values (1, 'a')").await;
    let lines = bed.lines().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].body["cqrs_id"], "account2");
    assert_eq!(
        bed.status(&model("account", &["id"])).await,
        CaptureState::NotInstalled
    );
    assert_eq!(bed.status(&other).await, CaptureState::Current);
}

#[tokio::test]
async fn what_is_printed_installs() {
    let bed = Bed::new().await;
    bed.execute(TABLE).await;
    let declared = model("account", &["id"]);
    let mut connection = bed.connection().await;
    let statements = connection.sql(&declared).await.unwrap();
    assert_eq!(bed.status(&declared).await, CaptureState::NotInstalled);
    let script = statements.join(";\n") + ";\n";
    bed.python(&format!("db.executescript({script:?})\n"));
    assert_eq!(bed.status(&declared).await, CaptureState::Current);
}

#[tokio::test]
async fn what_no_trigger_can_see_is_refused() {
    let bed = Bed::new().await;
    bed.execute(TABLE).await;
    bed.execute("create view seen as select * from account")
        .await;
    let mut connection = bed.connection().await;
    connection
        .execute("attach ':memory:' as aside; create table aside.account (id integer primary key)")
        .await
        .unwrap();
    for (table, word) in [
        ("seen", "seen"),
        ("aside.account", "another file"),
        ("nothing", "nothing"),
    ] {
        let error = connection
            .install(&model(table, &["id"]))
            .await
            .unwrap_err();
        let StoreError::Schema { problem, .. } = error else {
            panic!("{error}");
        };
        assert!(problem.contains(word), "{problem}");
    }
}

/// SQLite renames a column in the triggers as well: the event keeps the name of its field.
#[tokio::test]
async fn a_renamed_column_goes_on_under_its_old_name() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("alter table account rename column name to title")
        .await;
    bed.execute("insert into account values (1, 'a')").await;
    assert_eq!(bed.lines().await[0].data()["name"], "a");
    assert_eq!(
        bed.status(&model("account", &["id"])).await,
        CaptureState::TableChanged
    );
}

#[tokio::test]
async fn a_database_that_is_not_migrated_is_refused() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    connection.execute(TABLE).await.unwrap();
    let error = connection
        .install(&model("account", &["id"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cqrs-relay migrate"), "{error}");
}
