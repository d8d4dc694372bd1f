//! The store's own tables and statements.

use cqrs_core::StoreError;
use cqrs_replica::ReplicaStore;

use super::fixture::Fixture;

pub(super) async fn every_statement_prepares<F: Fixture>() {
    let fixture = F::new().await;
    for (name, sql) in F::statements() {
        assert!(
            sql.starts_with(&format!("-- cqrs-replica: {name}\n")),
            "{name} is not named"
        );
        if let Err(error) = fixture.prepare(sql).await {
            panic!("{name}: {error}");
        }
    }
}

pub(super) async fn migrating_again_changes_nothing<F: Fixture>() {
    let fixture = F::new().await;
    fixture.migrate().await.unwrap();
    fixture.session().await;
}

pub(super) async fn a_database_without_the_tables_is_refused<F: Fixture>() {
    let fixture = F::empty().await;
    let Err(error) = fixture.store().session().await else {
        panic!("it was accepted")
    };
    assert!(matches!(error, StoreError::Schema { .. }), "{error:?}");
    assert!(
        error.to_string().contains("cqrs-replica migrate"),
        "{error}"
    );
}

pub(super) async fn a_newer_schema_is_refused<F: Fixture>() {
    let fixture = F::new().await;
    fixture
        .execute("update cqrs_replica_migrations set version = 999 where version = 1")
        .await;
    let Err(error) = fixture.store().session().await else {
        panic!("it was accepted")
    };
    assert!(matches!(error, StoreError::Schema { .. }), "{error:?}");
    assert!(error.to_string().contains("newer"), "{error}");
}
