//! Rows that keep others from being written or deleted.

use super::{Reference, Row, TablePlan, quoted};
use crate::letter::{Fault, Reason};

/// Rows that a row must not meet in the database.
#[derive(Debug)]
pub struct Obstructing<'p> {
    /// Their table, as SQL.
    pub(crate) table: &'p str,
    /// Columns of the row to write or delete, and theirs with the same values.
    pub(crate) equal: Vec<(&'p str, &'p str)>,
    /// Whether the row is to be deleted: its values are those in its table.
    pub(crate) to_delete: bool,
}

impl<'p> Obstructing<'p> {
    /// Those that refer to a row that is to be deleted.
    pub(crate) fn referring(reference: &'p Reference) -> Self {
        let pairs = reference.referenced.iter().zip(&reference.columns);
        Self {
            table: &reference.table,
            equal: pairs
                .map(|(own, other)| (own.as_str(), other.as_str()))
                .collect(),
            to_delete: true,
        }
    }

    /// Those that have the values which the row is to have alone.
    pub(crate) fn with_values(plan: &'p TablePlan, unique: &[usize]) -> Self {
        let name = |&column: &usize| plan.columns[column].name.as_str();
        Self {
            table: &plan.table,
            equal: unique.iter().map(name).map(|name| (name, name)).collect(),
            to_delete: false,
        }
    }

    /// Whether a row has what it takes to look for them.
    pub(crate) fn concern(&self, plan: &TablePlan, row: &Row<'_>) -> bool {
        let columns = plan.columns_of(row);
        let has = |name: &str| columns.iter().any(|&at| plan.columns[at].name == name);
        self.to_delete || self.equal.iter().all(|(own, _)| has(own))
    }

    /// What they are in the way of.
    pub(crate) fn fault(&self) -> Fault {
        let columns: Vec<String> = self.equal.iter().map(|(_, name)| quoted(name)).collect();
        let columns = columns.join(", ");
        if self.to_delete {
            return Fault::reference(format!(
                "rows still refer to the one to delete: those of {} by ({columns})",
                self.table
            ));
        }
        let error = format!("another row has the values of ({columns}), which must be unique");
        Fault {
            unique: true,
            ..Fault::new(Reason::Constraint, error)
        }
    }
}
