//! Which master.

use anyhow::bail;
#[cfg(feature = "reconcile")]
use cqrs_core::config;
use cqrs_core::config::Config;
#[cfg(feature = "reconcile")]
use cqrs_outbox::source::SourceModel;

use super::{Database, reconcile::Round};
#[cfg(feature = "reconcile")]
use crate::reconcile::DirectMaster;
use crate::reconcile::QueueLook;

/// Reconciles with the master that the configuration names.
pub(super) async fn with<S: Database>(
    config: &Config,
    round: Round<S>,
    look: QueueLook,
) -> anyhow::Result<()> {
    let master = config.require_master()?;
    let scheme = master.database.scheme();
    // The only place that names a master's databases, each there if its feature is.
    #[cfg(all(feature = "reconcile", feature = "postgres"))]
    if ["postgres", "postgresql"].contains(&scheme.as_str()) {
        use cqrs_core::database::postgres::PostgresConfig;
        let config = PostgresConfig::new(master.database.clone(), "cqrs-replica reconcile");
        let store = cqrs_outbox::postgres::PostgresStore::new(config);
        let rate = round.arguments.rate();
        let open = || DirectMaster::new(store.clone(), source_models(master), rate);
        return round.run(open, look).await;
    }
    #[cfg(all(feature = "reconcile", feature = "sqlite"))]
    if scheme == "sqlite" {
        use cqrs_core::database::sqlite::SqliteConfig;
        let config = SqliteConfig::new(master.database.clone());
        let store = cqrs_outbox::sqlite::SqliteStore::new(config);
        let rate = round.arguments.rate();
        let open = || DirectMaster::new(store.clone(), source_models(master), rate);
        return round.run(open, look).await;
    }
    drop((round, look));
    bail!(
        "the master's database is {}, but this program was built without support for reading \
         {scheme}:// masters: build it with the feature of that name and `reconcile`",
        master.database
    )
}

/// The models of `[[master.model]]`.
#[cfg(feature = "reconcile")]
fn source_models(master: &config::Master) -> Vec<SourceModel> {
    let models = master.models.iter();
    models.map(|model| source_model(master, model)).collect()
}

#[cfg(feature = "reconcile")]
fn source_model(master: &config::Master, model: &config::MasterModel) -> SourceModel {
    let (cqrs_id, table) = (model.cqrs_id.clone(), model.table.to_string());
    let source = SourceModel::new(cqrs_id, table, model.key.clone())
        .with_filter(model.filter.clone().unwrap_or_default())
        .with_ttl(model.ttl.or(master.message_ttl));
    match &model.columns {
        Some(columns) => source.with_fields(columns.clone().into_iter().collect()),
        None => source,
    }
}
