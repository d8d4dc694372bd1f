//! Some instances compared by key, on both sides and with all that is on its way.

use std::collections::HashMap;

use cqrs_core::{
    CqrsId, InstanceKey,
    content::ContentHasher,
    json::Object,
    reconcile::{Difference, RowMark},
};

use super::{
    KnownState, MasterInstance, MasterSide, ReconcileError, ReconcileTable, ReplicaReader,
    look::{Suspect, hash, mark},
};

/// How many instances are compared at a time.
const BATCH: usize = 500;

/// An instance as both sides have it.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) instance_pk: String,
    pub(super) key: InstanceKey,
    pub(super) master: Option<RowMark>,
    pub(super) replica: Option<RowMark>,
    pub(super) difference: Option<Difference>,
    /// Whether an event of it waits in the outbox.
    pub(super) in_outbox: bool,
    /// Whether a letter of it waits or is tried again.
    pub(super) has_letter: bool,
    pub(super) dead_letters: Vec<i64>,
    pub(super) known: Option<KnownState>,
}

impl Compared {
    /// Whether something of it is still on its way.
    pub(super) const fn is_late(&self) -> bool {
        self.in_outbox || self.has_letter
    }
}

/// Compares instances.
pub(super) struct Comparer<'r, R, M> {
    pub(super) master: &'r mut M,
    pub(super) reader: &'r mut R,
    pub(super) table: &'r ReconcileTable,
    pub(super) cqrs_id: &'r CqrsId,
    pub(super) hasher: ContentHasher,
}

impl<R: ReplicaReader, M: MasterSide> Comparer<'_, R, M> {
    /// Compares all of these, in their order.
    pub(super) async fn compare(
        &mut self,
        suspects: impl ExactSizeIterator<Item = Suspect>,
    ) -> Result<Vec<Compared>, ReconcileError> {
        let mut compared = Vec::with_capacity(suspects.len());
        let suspects: Vec<_> = suspects.collect();
        for batch in suspects.chunks(BATCH) {
            compared.extend(self.batch(batch).await?);
        }
        Ok(compared)
    }

    async fn batch(&mut self, batch: &[Suspect]) -> Result<Vec<Compared>, ReconcileError> {
        let keys: Vec<_> = batch.iter().map(|suspect| suspect.key.clone()).collect();
        let pks: Vec<_> = batch
            .iter()
            .map(|suspect| suspect.instance_pk.clone())
            .collect();
        let theirs = self.master.instances(self.cqrs_id, &keys).await;
        let mut theirs = theirs.map_err(ReconcileError::Master)?;
        let rows = self.reader.rows(self.table, &keys).await?;
        let mut ours: HashMap<String, RowMark> = HashMap::new();
        for row in rows {
            let mark = mark(&row, &mut self.hasher);
            ours.insert(row.instance_pk, mark);
        }
        let states = self
            .reader
            .states(&self.table.queue, self.cqrs_id, &pks)
            .await?
            .into_iter();
        let mut states: HashMap<_, _> = states
            .map(|state| (state.instance_pk.clone(), state))
            .collect();
        let mut letters: HashMap<String, (bool, Vec<i64>)> = HashMap::new();
        for letter in self.reader.letters(self.table, &pks).await? {
            let (open, dead) = letters.entry(letter.instance_pk).or_default();
            if letter.open {
                *open = true;
            } else {
                dead.push(letter.id);
            }
        }
        let mut compared = Vec::with_capacity(batch.len());
        let mut by_value = Vec::new();
        for Suspect { instance_pk, key } in batch.iter().cloned() {
            let instance = theirs.remove(&instance_pk).unwrap_or_default();
            let master = self.master_mark(&instance);
            let replica = ours.remove(&instance_pk);
            let difference = Difference::between(master, replica);
            let (has_letter, dead_letters) = letters.remove(&instance_pk).unwrap_or_default();
            if difference == Some(Difference::Content)
                && let Some(data) = instance.data
            {
                by_value.push((compared.len(), data));
            }
            compared.push(Compared {
                known: states.remove(&instance_pk),
                instance_pk,
                key,
                master,
                replica,
                difference,
                in_outbox: instance.pending,
                has_letter,
                dead_letters,
            });
        }
        self.on_its_own_terms(by_value, &mut compared).await?;
        Ok(compared)
    }

    fn master_mark(&mut self, instance: &MasterInstance) -> Option<RowMark> {
        let data = instance.data.as_deref()?;
        Some(RowMark {
            revision: instance.revision.unwrap_or(0),
            content: hash(data, &mut self.hasher),
        })
    }

    /// Values that differ only by what the replica's columns make of them are no difference.
    async fn on_its_own_terms(
        &mut self,
        by_value: Vec<(usize, String)>,
        compared: &mut [Compared],
    ) -> Result<(), ReconcileError> {
        let mut rows = Vec::with_capacity(by_value.len());
        let mut places = Vec::with_capacity(by_value.len());
        for (place, data) in by_value {
            if let Ok(members) = Object::from_json(&data) {
                rows.push(self.table.plan.mapped_members(&members));
                places.push(place);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let stored = self.reader.stored(self.table, &rows).await?;
        for (place, stored) in places.into_iter().zip(stored) {
            let stored = stored.map(|stored| hash(&stored, &mut self.hasher));
            let ours = compared[place].replica.map(|mark| mark.content);
            if stored.is_some() && stored == ours {
                compared[place].difference = None;
            }
        }
        Ok(())
    }
}
