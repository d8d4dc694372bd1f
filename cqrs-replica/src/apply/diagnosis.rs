//! What the database does not say about a failure: which column or which row it is about.

use cqrs_core::{Event, Signal, StoreError};

use super::{
    alone::Source,
    backend::{Backend, Work},
    session::Session,
};
use crate::{
    ApplyPolicy, Incoming, Models,
    letter::{Fault, Reason},
    table::{Row, TablePlan, kind, quoted},
};

impl<B: Backend> Session<B> {
    /// Says more of a fault. Values are never named but for those that refer to another row.
    pub(super) async fn diagnose(
        &mut self,
        models: &Models<B::Store>,
        policy: &ApplyPolicy,
        source: Source<'_>,
        fault: Fault,
    ) -> Result<Fault, StoreError> {
        if !matches!(
            fault.reason,
            Reason::Type | Reason::TooLong | Reason::Constraint | Reason::Reference
        ) {
            return Ok(fault);
        }
        let taken;
        let incoming = match source {
            Source::Delivered(incoming) => incoming,
            Source::Letter(id) => {
                let mut work = self.backend.begin().await?;
                let Some(letter) = work.take_one(&policy.queue, id).await? else {
                    return Ok(fault);
                };
                taken = letter.incoming;
                &taken
            }
        };
        let Some(event) = incoming.event.as_deref() else {
            return Ok(fault);
        };
        let context = self
            .context(models, policy, std::iter::once(incoming), source.age())
            .await?;
        // Only table models have one.
        let Ok(plan) = context.plans.get(&event.cqrs_id) else {
            return Ok(fault);
        };
        match fault.reason {
            Reason::Reference => self.referring(models, source, incoming, event, fault).await,
            Reason::Constraint => {
                let fault = self.violating(plan, event, fault).await?;
                self.taken(models, source, incoming, fault).await
            }
            _ => self.refused(plan, event, fault).await,
        }
    }

    /// Names the row that is missing.
    async fn referring(
        &mut self,
        models: &Models<B::Store>,
        source: Source<'_>,
        incoming: &Incoming,
        event: &Event,
        fault: Fault,
    ) -> Result<Fault, StoreError> {
        let mut obstructed = self.obstructed(models, &[incoming], source.age()).await?;
        let found = obstructed.remove(&0).filter(|found| !found.unique);
        if event.signal == Signal::Delete {
            let error = format!("rows still refer to the one to delete: {}", fault.error);
            let waits_for = found.and_then(|found| found.waits_for);
            return Ok(Fault {
                error,
                waits_for,
                ..fault
            });
        }
        // It may have come just now.
        Ok(found.unwrap_or(fault))
    }

    /// Says whose row has a value that must be unique.
    async fn taken(
        &mut self,
        models: &Models<B::Store>,
        source: Source<'_>,
        incoming: &Incoming,
        fault: Fault,
    ) -> Result<Fault, StoreError> {
        if !fault.unique {
            return Ok(fault);
        }
        let mut obstructed = self.obstructed(models, &[incoming], source.age()).await?;
        let found = obstructed.remove(&0).filter(|found| found.unique);
        let waits_for = found.and_then(|found| found.waits_for);
        Ok(Fault { waits_for, ..fault })
    }

    /// Names the columns of a constraint.
    async fn violating(
        &mut self,
        plan: &TablePlan,
        event: &Event,
        fault: Fault,
    ) -> Result<Fault, StoreError> {
        let Some(violated) = &fault.constraint else {
            if fault.unique {
                return Ok(fault);
            }
            // A type may have constraints of its own.
            return self.refused(plan, event, fault).await;
        };
        let columns = self.backend.constraint_columns(violated).await?;
        if columns.is_empty() {
            return Ok(fault);
        }
        let columns: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let error = format!("{} on ({})", fault.error, columns.join(", "));
        Ok(Fault { error, ..fault })
    }

    /// Names the column whose type does not take its value.
    async fn refused(
        &mut self,
        plan: &TablePlan,
        event: &Event,
        fault: Fault,
    ) -> Result<Fault, StoreError> {
        let row = match event.signal {
            Signal::Delete => Row {
                key: &event.key,
                values: Vec::new(),
            },
            Signal::Save | Signal::Sync => match plan.row(event) {
                Ok(row) => row,
                Err(_) => return Ok(fault),
            },
        };
        for (column, value) in plan.cells(&row) {
            if !self.backend.takes(plan, column, &value).await? {
                let column = &plan.columns[column];
                let verb = match fault.reason {
                    Reason::TooLong => "is too short for",
                    _ => "does not take",
                };
                let remedy = if column.holds_bytes() {
                    ": bytes come as base64 text"
                } else {
                    ""
                };
                let error = format!(
                    "column {:?} of type {} {verb} this {}{remedy}",
                    column.name,
                    column.type_name,
                    kind(value.get())
                );
                return Ok(Fault { error, ..fault });
            }
        }
        Ok(fault)
    }
}
