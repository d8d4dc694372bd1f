//! Names of tables and columns inside SQL text.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// A table's name as configured: its schema before the first dot, if it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableName<'n> {
    pub(crate) schema: Option<&'n str>,
    pub(crate) table: &'n str,
}

impl<'n> TableName<'n> {
    pub(crate) fn new(name: &'n str) -> Self {
        match name.split_once('.') {
            Some((schema, table)) => Self {
                schema: Some(schema),
                table,
            },
            None => Self {
                schema: None,
                table: name,
            },
        }
    }

    /// The name as SQL.
    pub(crate) fn quoted(self) -> String {
        match self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(self.table)),
            None => quoted(self.table),
        }
    }
}

/// A name as SQL, whatever characters it has.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Statements on the user's tables are put together from quoted names that the catalog knows, and
/// from nothing else: values are always bound.
pub(crate) fn checked(sql: &Arc<str>) -> AssertSqlSafe<Arc<str>> {
    AssertSqlSafe(Arc::clone(sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_part_by_part() {
        assert_eq!(TableName::new("account").quoted(), "\"account\"");
        assert_eq!(
            TableName::new("billing.my table").quoted(),
            "\"billing\".\"my table\""
        );
        assert_eq!(
            quoted("a\"; drop table b; --"),
            "\"a\"\"; drop table b; --\""
        );
    }
}
