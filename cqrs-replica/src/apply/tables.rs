//! The items of table models: judged one by one, written set by set.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cqrs_core::{CqrsId, InstanceKey, Signal};

use super::{
    backend::{Failed, Work},
    batch::{Batch, Ruling},
    item::Item,
    references::parents_first,
};
use crate::{
    letter::Fault,
    model::Target,
    table::{Row, TablePlan, TableWrites},
};

/// What a batch does to one row: only the last state is written.
struct Pending<'e> {
    table: usize,
    /// The item whose state it is.
    item: usize,
    key: &'e InstanceKey,
    deleted: bool,
    row: Option<Row<'e>>,
}

/// Applies the items of table models.
pub(super) async fn apply<W: Work>(
    work: &mut W,
    batch: &mut Batch<'_, W::Store>,
    items: &[Item<'_>],
) -> Result<(), Failed> {
    let mut tables: Vec<Arc<TablePlan>> = Vec::new();
    let mut timeouts: Vec<Option<Duration>> = Vec::new();
    let mut table_of: HashMap<&CqrsId, usize> = HashMap::new();
    let mut rows: Vec<Pending<'_>> = Vec::new();
    let mut row_of: HashMap<usize, usize> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let Some(model) = batch.model(item) else {
            continue;
        };
        let Target::Table(_) = model.target else {
            continue;
        };
        let (Some(event), Some(place)) = (item.event(), batch.slots[at].instance) else {
            continue;
        };
        let (gap, expired) = match batch.rule(at, item, model) {
            Ruling::Apply { gap, expired } => (gap, expired),
            Ruling::Fail(fault) => {
                batch.fail(at, item, fault);
                continue;
            }
            Ruling::Hold(why) => {
                batch.hold(at, item, why);
                continue;
            }
            Ruling::Wait | Ruling::Settled => continue,
        };
        let plan = match batch.context.plans.get(&event.cqrs_id) {
            Ok(plan) => plan,
            Err(problem) => {
                batch.fail(at, item, Fault::table(problem));
                continue;
            }
        };
        let row = match event.signal {
            Signal::Delete => plan.check_key(&event.key).map(|()| None),
            Signal::Save | Signal::Sync => plan.row(event).map(Some),
        };
        let row = match row {
            Ok(row) => row,
            // Nothing is written yet.
            Err(_) if !batch.context.plans.is_recent(&event.cqrs_id) => {
                return Err(Failed::Outdated);
            }
            Err(fault) => {
                batch.fail(at, item, fault);
                continue;
            }
        };
        let table = *table_of.entry(&event.cqrs_id).or_insert_with(|| {
            tables.push(Arc::clone(plan));
            timeouts.push(model.statement_timeout);
            tables.len() - 1
        });
        batch.applied(at, item, gap, expired);
        batch.supersedes(at, event);
        let pending = Pending {
            table,
            item: at,
            key: &event.key,
            deleted: row.is_none(),
            row,
        };
        if let Some(&earlier) = row_of.get(&place) {
            batch.overtaken(rows[earlier].item);
            rows[earlier].overtake(pending);
        } else {
            row_of.insert(place, rows.len());
            rows.push(pending);
        }
    }
    let empty = || -> Vec<TableWrites<'_>> {
        let writes = |&timeout| TableWrites {
            timeout,
            ..TableWrites::default()
        };
        timeouts.iter().map(writes).collect()
    };
    let (mut first, mut upserts, mut deletes) = (empty(), empty(), empty());
    for pending in rows {
        let plan = &tables[pending.table];
        if pending.deleted {
            // A row that comes again keeps nothing of the one before, and one whose key comes again in
            // another spelling makes room for it. Other deletes come last: what has moved away from
            // a row must not go with it, by a key that cascades.
            let makes_room = plan.loose && !plan.is_referenced;
            let writes = if pending.row.is_some() || makes_room {
                &mut first
            } else {
                &mut deletes
            };
            writes[pending.table].deletes.push(pending.key);
        }
        batch.arrived(pending.item, &items[pending.item], plan);
        upserts[pending.table].rows.extend(pending.row);
    }
    let order = parents_first(&tables);
    if batch.repeated {
        for &table in &order {
            let (rows, deletes) = (&upserts[table].rows, &deletes[table].deletes);
            work.make_room(&tables[table], rows, deletes).await?;
            upserts[table].every_row = true;
        }
    }
    for &table in order.iter().rev() {
        work.write(&tables[table], &first[table]).await?;
    }
    for &table in &order {
        work.write(&tables[table], &upserts[table]).await?;
    }
    for &table in order.iter().rev() {
        work.write(&tables[table], &deletes[table]).await?;
    }
    Ok(())
}

impl Pending<'_> {
    fn overtake(&mut self, later: Self) {
        self.item = later.item;
        self.deleted |= later.deleted;
        self.row = match (later.row, self.row.take()) {
            (Some(later), Some(earlier)) => Some(later.over(earlier)),
            (later, _) => later,
        };
    }
}
