//! The models of `[[master.model]]` as tables to read.

use anyhow::bail;
use cqrs_core::config::{self, Config, MasterModel};
use cqrs_outbox::source::{SourceModel, TrackedFields};

/// All models of the configuration.
pub(super) fn models(config: &Config) -> anyhow::Result<Vec<SourceModel>> {
    let master = config.require_master()?;
    Ok(master
        .models
        .iter()
        .map(|model| source_model(master, model))
        .collect())
}

/// The model of this name.
pub(super) fn model(config: &Config, cqrs_id: &str) -> anyhow::Result<SourceModel> {
    let models = models(config)?;
    let names: Vec<String> = models.iter().map(|m| m.cqrs_id.to_string()).collect();
    match models.into_iter().find(|m| m.cqrs_id.as_str() == cqrs_id) {
        Some(model) => Ok(model),
        None if names.is_empty() => bail!(
            "there is no model {cqrs_id:?}: cqrs.toml has no [[master.model]]; add one with cqrs_id, \
             table and key"
        ),
        None => bail!(
            "there is no model {cqrs_id:?} among [[master.model]] of cqrs.toml, which has {}",
            names.join(", ")
        ),
    }
}

fn source_model(master: &config::Master, model: &MasterModel) -> SourceModel {
    let source = SourceModel::new(
        model.cqrs_id.clone(),
        model.table.to_string(),
        model.key.clone(),
    )
    .with_filter(model.filter.clone().unwrap_or_default())
    .with_tracked(match &model.tracked {
        config::TrackedFields::All => TrackedFields::All,
        config::TrackedFields::Fields(names) => TrackedFields::Fields(names.clone()),
    })
    .with_ttl(model.ttl.or(master.message_ttl))
    .with_skip_unchanged(model.skip_unchanged);
    match &model.columns {
        Some(columns) => source.with_fields(columns.clone().into_iter().collect()),
        None => source,
    }
}
