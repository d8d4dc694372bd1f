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

/// While workers are replaced, those of both versions share a migrated database.
pub(super) async fn a_newer_schema_that_only_adds_is_used<F: Fixture>() {
    let fixture = F::new().await;
    fixture
        .execute(
            "insert into cqrs_replica_migrations
                 (version, description, success, checksum, execution_time)
             select version + 900, 'more (additive)', success, checksum, execution_time
             from cqrs_replica_migrations",
        )
        .await;
    fixture.store().session().await.unwrap();
    fixture.migrate().await.unwrap();
    fixture
        .execute("update cqrs_replica_migrations set description = 'other' where version = 902")
        .await;
    assert!(fixture.migrate().await.is_err());
    let Err(error) = fixture.store().session().await else {
        panic!("it was accepted")
    };
    assert!(error.to_string().contains("at migration 902"), "{error}");
}
