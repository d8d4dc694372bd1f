//! Foreign keys of the user's tables.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Row, TablePlan, quoted};

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name, where the catalog keeps one.
    pub(crate) name: Option<String>,
    /// The columns that refer.
    pub(crate) columns: Vec<String>,
    /// The table referred to, as SQL.
    pub(crate) table: String,
    /// The columns referred to, in the same order.
    pub(crate) referenced: Vec<String>,
}

impl Reference {
    /// What is demanded, in words.
    pub(crate) fn in_words(&self) -> String {
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            names.join(", ")
        };
        let s = if self.columns.len() == 1 { "" } else { "s" };
        let constraint = self
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!(" (constraint {name:?})"));
        format!(
            "column{s} {} must refer to a row of {} by ({}){constraint}, and it is not there",
            list(&self.columns),
            self.table,
            list(&self.referenced),
        )
    }

    /// The values of a row that refer, if the row has them all; one that is null refers to nothing.
    pub(crate) fn values<'r>(
        &self,
        plan: &TablePlan,
        row: &'r Row<'_>,
    ) -> Option<Vec<Cow<'r, RawValue>>> {
        let mut cells = plan.cells(row);
        let mut value = |name: &String| {
            let has = |(column, _): &(usize, _)| plan.columns[*column].name == *name;
            let at = cells.iter().position(has)?;
            let (_, value) = cells.swap_remove(at);
            (value.get() != "null").then_some(value)
        };
        self.columns.iter().map(&mut value).collect()
    }
}
