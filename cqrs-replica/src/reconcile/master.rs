//! What reconciling asks of the master.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    future::Future,
};

use cqrs_core::{
    CqrsId, InstanceKey, QueueName,
    reconcile::{Ranges, RowMark},
};

/// Why a master cannot answer.
pub type MasterFault = Box<dyn Error + Send + Sync>;

/// The master as reconciling sees it: read directly, or asked by the broker.
///
/// Each call sees what is committed when it begins, an instance's data and its revision at one moment.
pub trait MasterSide: Send {
    /// What the master publishes of a model.
    ///
    /// # Errors
    /// It has no such model, or cannot be read.
    fn model(
        &mut self,
        cqrs_id: &CqrsId,
    ) -> impl Future<Output = Result<MasterModel, MasterFault>> + Send;

    /// The sums of all its rows in so many ranges, of these fields.
    ///
    /// # Errors
    /// It cannot be read.
    fn ranges(
        &mut self,
        cqrs_id: &CqrsId,
        fields: &BTreeSet<String>,
        count: u32,
    ) -> impl Future<Output = Result<Ranges, MasterFault>> + Send;

    /// The rows of some of so many ranges, by canonical key.
    ///
    /// # Errors
    /// It cannot be read.
    fn rows(
        &mut self,
        cqrs_id: &CqrsId,
        fields: &BTreeSet<String>,
        count: u32,
        ranges: &BTreeSet<u32>,
    ) -> impl Future<Output = Result<HashMap<String, (InstanceKey, RowMark)>, MasterFault>> + Send;

    /// What the master has of these instances, by canonical key.
    ///
    /// # Errors
    /// It cannot be read.
    fn instances(
        &mut self,
        cqrs_id: &CqrsId,
        keys: &[InstanceKey],
    ) -> impl Future<Output = Result<HashMap<String, MasterInstance>, MasterFault>> + Send;

    /// Records syncs of these instances for one queue. Answers how many; those that are gone, or that
    /// replicas are not to have, are left out.
    ///
    /// # Errors
    /// It cannot be written to.
    ///
    /// # Cancel safety
    /// Some may have been recorded.
    fn send_again(
        &mut self,
        cqrs_id: &CqrsId,
        queue: &QueueName,
        keys: Vec<InstanceKey>,
        forced: bool,
    ) -> impl Future<Output = Result<u64, MasterFault>> + Send;
}

/// What a master publishes of a model.
#[derive(Debug, Clone, Default)]
pub struct MasterModel {
    /// The fields.
    pub fields: BTreeSet<String>,
    /// About how many rows there are.
    pub rows: u64,
}

/// What a master has of an instance.
#[derive(Debug, Clone, Default)]
pub struct MasterInstance {
    /// Its revision, if any was ever recorded.
    pub revision: Option<i64>,
    /// What it publishes, as JSON; `None` if it is gone or kept from replicas.
    pub data: Option<String>,
    /// Whether an event of it waits in the outbox.
    pub pending: bool,
}
