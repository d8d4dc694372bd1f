use std::path::Path;

use cqrs_core::InstanceKey;
use cqrs_outbox::{StoreError, migrate};
use serde_json::value::RawValue;

use super::fixture::Fixture;

pub(crate) async fn migrating_twice_changes_nothing<F: Fixture>(db: F) {
    let applied = |tx| async move {
        let mut tx: F::Tx = tx;
        let sql = "select cast(count(*) as text) || ' ' || cast(min(installed_on) as text)
                   from cqrs_outbox_migrations";
        F::text(&mut tx, sql).await.unwrap()
    };
    let before = applied(db.begin().await).await;
    migrate(&db.url()).await.unwrap();
    migrate(&db.url()).await.unwrap();
    assert_eq!(applied(db.begin().await).await, before);
}

pub(crate) async fn a_newer_schema_is_refused<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let newer = "insert into cqrs_outbox_migrations
                 select 999, 'of the future', installed_on, success, checksum, execution_time
                 from cqrs_outbox_migrations where version = 1";
    F::execute(&mut tx, newer).await;
    F::commit(tx).await;
    let error = migrate(&db.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema { .. }), "{error:?}");
    assert!(error.to_string().contains("999"), "{error}");
}

/// While programs are replaced, those of both versions share a migrated database.
pub(crate) async fn a_newer_schema_that_only_adds_is_used<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let newer = "insert into cqrs_outbox_migrations
                 select 999, 'of the future (additive)', installed_on, success, checksum,
                        execution_time
                 from cqrs_outbox_migrations where version = 1";
    F::execute(&mut tx, newer).await;
    F::commit(tx).await;
    migrate(&db.url()).await.unwrap();
}

/// Syntax, tables, columns and types of every statement of the crate.
pub(crate) async fn every_statement_prepares<F: Fixture>(db: F) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cqrs-outbox/src");
    let mut prepared = 0;
    for file in std::fs::read_dir(directory.join(F::STATEMENTS)).unwrap() {
        let path = file.unwrap().path();
        let sql = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy();
        assert_eq!(
            sql.lines().next(),
            Some(format!("-- cqrs-outbox: {name}").as_str())
        );
        db.prepare(&sql)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        prepared += 1;
    }
    assert!(prepared >= 4);
}

#[derive(serde::Deserialize)]
struct Golden {
    cqrs_id: String,
    key: Box<RawValue>,
    canonical: String,
    slot: u16,
}

/// What triggers will make in SQL is what we make in Rust.
pub(crate) async fn keys_and_slots_are_those_the_database_makes<F: Fixture>(db: F) {
    let golden = include_str!("../../../../cqrs-core/tests/golden/keys.json");
    for case in serde_json::from_str::<Vec<Golden>>(golden).unwrap() {
        let (canonical, slot) = db.key(&case.cqrs_id, &case.key).await;
        assert_eq!(canonical, case.canonical);
        assert_eq!(
            canonical,
            InstanceKey::from_json(&case.key).unwrap().canonical()
        );
        if let Some(slot) = slot {
            assert_eq!(slot, case.slot, "{canonical}");
        }
    }
}
