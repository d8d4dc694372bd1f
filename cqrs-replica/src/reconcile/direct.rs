//! A master that is read directly.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use cqrs_core::{
    CqrsId, InstanceKey, QueueName,
    reconcile::{Ranges, RowMark},
};
use cqrs_outbox::{
    reconcile::{Comparable, ReconcileSource},
    source::{ReadModel, SourceModel},
};

use super::{MasterFault, MasterInstance, MasterModel, MasterSide};

/// A master's database with the models that are declared of it.
pub struct DirectMaster<S: ReconcileSource> {
    store: S,
    models: Vec<SourceModel>,
    rate: Option<u32>,
    open: HashMap<CqrsId, Comparable<S>>,
}

impl<S: ReconcileSource> fmt::Debug for DirectMaster<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectMaster")
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

impl<S: ReconcileSource> DirectMaster<S> {
    /// The master in this database, of which at most so many rows a second are read. Nothing is
    /// connected yet.
    #[must_use]
    pub fn new(store: S, models: Vec<SourceModel>, rate: Option<u32>) -> Self {
        Self {
            store,
            models,
            rate,
            open: HashMap::new(),
        }
    }

    async fn comparable(&mut self, cqrs_id: &CqrsId) -> Result<&mut Comparable<S>, MasterFault> {
        if !self.open.contains_key(cqrs_id) {
            let model = self.models.iter().find(|model| model.cqrs_id == *cqrs_id);
            let model = model.ok_or_else(|| {
                format!(
                    "[[master.model]] of cqrs.toml has no model {cqrs_id}: add it as in the \
                     master's own file, with cqrs_id, table and key"
                )
            })?;
            let model = ReadModel::table(model.clone());
            let comparable = Comparable::open(self.store.clone(), model, self.rate).await?;
            self.open.insert(cqrs_id.clone(), comparable);
        }
        let open = self.open.get_mut(cqrs_id);
        open.ok_or_else(|| format!("the model {cqrs_id} is not open").into())
    }
}

impl<S: ReconcileSource> MasterSide for DirectMaster<S> {
    async fn model(&mut self, cqrs_id: &CqrsId) -> Result<MasterModel, MasterFault> {
        let comparable = self.comparable(cqrs_id).await?;
        Ok(MasterModel {
            fields: comparable.fields(),
            rows: comparable.estimate().await?,
        })
    }

    async fn ranges(
        &mut self,
        cqrs_id: &CqrsId,
        fields: &BTreeSet<String>,
        count: u32,
    ) -> Result<Ranges, MasterFault> {
        let comparable = self.comparable(cqrs_id).await?;
        Ok(comparable.ranges(fields, count).await?)
    }

    async fn rows(
        &mut self,
        cqrs_id: &CqrsId,
        fields: &BTreeSet<String>,
        count: u32,
        ranges: &BTreeSet<u32>,
    ) -> Result<HashMap<String, (InstanceKey, RowMark)>, MasterFault> {
        let comparable = self.comparable(cqrs_id).await?;
        Ok(comparable.rows(fields, count, ranges).await?)
    }

    async fn instances(
        &mut self,
        cqrs_id: &CqrsId,
        keys: &[InstanceKey],
    ) -> Result<HashMap<String, MasterInstance>, MasterFault> {
        let comparable = self.comparable(cqrs_id).await?;
        let found = comparable.instances(keys).await?.into_iter();
        let found = found.map(|(instance_pk, instance)| {
            let instance = MasterInstance {
                revision: instance.revision,
                data: instance.data,
                pending: instance.pending,
            };
            (instance_pk, instance)
        });
        Ok(found.collect())
    }

    async fn send_again(
        &mut self,
        cqrs_id: &CqrsId,
        queue: &QueueName,
        keys: Vec<InstanceKey>,
        forced: bool,
    ) -> Result<u64, MasterFault> {
        let comparable = self.comparable(cqrs_id).await?;
        Ok(comparable.send_again(queue, &keys, forced).await?)
    }
}
