//! Names of tables and columns inside SQL text.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// A table's name as configured: its schema before the first dot, if it has one.
#[derive(Debug, Clone, Copy)]
pub struct TableName<'n> {
    /// The schema, if it has one.
    pub schema: Option<&'n str>,
    /// The table's own name.
    pub table: &'n str,
}

impl<'n> TableName<'n> {
    /// Takes a name apart.
    #[must_use]
    pub fn new(name: &'n str) -> Self {
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
    #[must_use]
    pub fn quoted(self) -> String {
        match self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(self.table)),
            None => quoted(self.table),
        }
    }
}

/// A name as SQL, whatever characters it has.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Statements on the user's tables are put together from quoted names and from nothing else: values are always bound.
#[must_use]
pub fn checked(sql: &Arc<str>) -> AssertSqlSafe<Arc<str>> {
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
