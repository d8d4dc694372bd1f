//! A [`Filter`] as a condition of SQL.

use crate::filter::{Filter, FilterError, LOOKUPS, Scalar, Test};

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `PostgreSQL`.
    Postgres,
    /// `SQLite`.
    Sqlite,
}

/// How values come into a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// As parameters, numbered from here on.
    Bound {
        /// The first one's number.
        first: usize,
    },
    /// As quoted literals: for the body of a trigger, which takes no parameters.
    Literal,
}

/// A column that a condition may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterColumn {
    /// The column as SQL, quoted, after its table's alias.
    pub sql: String,
    /// Its type as SQL, without a length: what bound values are cast to on `PostgreSQL`.
    pub type_name: String,
}

/// A condition and the values to bind, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// An expression; `true` for all.
    pub sql: String,
    /// The values.
    pub bound: Vec<Bound>,
}

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// On `SQLite`.
    Integer(i64),
    /// On `SQLite`.
    Real(f64),
    /// On either.
    Text(String),
    /// On `PostgreSQL`.
    Texts(Vec<String>),
}

/// Makes a condition. `column` finds the column of a field, or of `pk`.
///
/// Comparisons are those of the column's type. A field that is null meets none but `isnull` and
/// `ne`. Values that the type does not take are the database's to refuse, on `PostgreSQL`.
///
/// # Errors
/// A field is not known.
pub fn condition(
    filter: &Filter,
    dialect: Dialect,
    values: Values,
    column: impl Fn(&str) -> Option<FilterColumn>,
) -> Result<Condition, FilterError> {
    let mut writer = Writer {
        dialect,
        values,
        bound: Vec::new(),
        column: &column,
    };
    let sql = writer.filter(filter)?;
    Ok(Condition {
        sql,
        bound: writer.bound,
    })
}

struct Writer<'c> {
    dialect: Dialect,
    values: Values,
    bound: Vec<Bound>,
    column: &'c dyn Fn(&str) -> Option<FilterColumn>,
}

impl Writer<'_> {
    fn filter(&mut self, filter: &Filter) -> Result<String, FilterError> {
        match filter {
            Filter::All(filters) => self.join(filters, " and ", "true"),
            Filter::Any(filters) => self.join(filters, " or ", "false"),
            Filter::Field { name, test } => {
                let column = (self.column)(name).ok_or_else(|| {
                    FilterError(format!(
                        "uses an unknown field, {name:?}; lookups are {LOOKUPS}"
                    ))
                })?;
                Ok(self.tested(&column, test))
            }
        }
    }

    fn join(&mut self, filters: &[Filter], with: &str, none: &str) -> Result<String, FilterError> {
        let parts = filters
            .iter()
            .map(|filter| self.filter(filter))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(match parts.len() {
            0 => none.to_owned(),
            _ => format!("({})", parts.join(with)),
        })
    }

    fn tested(&mut self, column: &FilterColumn, test: &Test) -> String {
        let sql = &column.sql;
        match test {
            Test::Equal(value) => format!("{sql} = {}", self.one(column, value)),
            Test::NotEqual(value) => {
                let differs = match self.dialect {
                    Dialect::Postgres => "is distinct from",
                    Dialect::Sqlite => "is not",
                };
                format!("{sql} {differs} {}", self.one(column, value))
            }
            Test::Order(order, value) => format!("{sql} {order} {}", self.one(column, value)),
            Test::In(values) => self.one_of(column, values),
            Test::IsNull(true) => format!("{sql} is null"),
            Test::IsNull(false) => format!("{sql} is not null"),
            Test::Contains(part) => {
                let wanted = self.text(part);
                match self.dialect {
                    Dialect::Postgres => format!("strpos({sql}::text, {wanted}) > 0"),
                    Dialect::Sqlite => format!("instr({sql}, {wanted}) > 0"),
                }
            }
            Test::StartsWith(part) => match self.dialect {
                Dialect::Postgres => format!("starts_with({sql}::text, {})", self.text(part)),
                Dialect::Sqlite => {
                    let length = part.chars().count();
                    format!("substr({sql}, 1, {length}) = {}", self.text(part))
                }
            },
        }
    }

    /// A value of the column's type.
    fn one(&mut self, column: &FilterColumn, value: &Scalar) -> String {
        match self.dialect {
            // A literal takes the type of the column that it is compared with.
            Dialect::Postgres if self.values == Values::Literal => self.text(value.text()),
            Dialect::Postgres => format!("{}::{}", self.text(value.text()), column.type_name),
            Dialect::Sqlite => match self.values {
                Values::Literal => sqlite_literal(value),
                Values::Bound { .. } => self.bind(sqlite_bound(value)),
            },
        }
    }

    fn one_of(&mut self, column: &FilterColumn, values: &[Scalar]) -> String {
        let sql = &column.sql;
        if values.is_empty() {
            return "false".to_owned();
        }
        match (self.dialect, self.values) {
            (Dialect::Postgres, Values::Bound { .. }) => {
                let texts = values.iter().map(|value| value.text().to_owned());
                let bound = self.bind(Bound::Texts(texts.collect()));
                // A cast of the array would not do for a type that is an array itself.
                format!(
                    "{sql} in (select value::{} from unnest({bound}::text[]) as named (value))",
                    column.type_name
                )
            }
            (Dialect::Sqlite, Values::Bound { .. }) => {
                let items: Vec<_> = values.iter().map(json).collect();
                let bound = self.bind(Bound::Text(format!("[{}]", items.join(","))));
                format!("{sql} in (select value from json_each({bound}))")
            }
            (_, Values::Literal) => {
                let items: Vec<_> = values.iter().map(|value| self.one(column, value)).collect();
                format!("{sql} in ({})", items.join(", "))
            }
        }
    }

    fn text(&mut self, text: &str) -> String {
        match (self.values, self.dialect) {
            (Values::Literal, _) => literal(self.dialect, text),
            (Values::Bound { .. }, Dialect::Postgres) => {
                format!("{}::text", self.bind(Bound::Text(text.to_owned())))
            }
            (Values::Bound { .. }, Dialect::Sqlite) => self.bind(Bound::Text(text.to_owned())),
        }
    }

    fn bind(&mut self, value: Bound) -> String {
        let first = match self.values {
            Values::Bound { first } => first,
            Values::Literal => 1,
        };
        let number = first + self.bound.len();
        self.bound.push(value);
        match self.dialect {
            Dialect::Postgres => format!("${number}"),
            Dialect::Sqlite => format!("?{number}"),
        }
    }
}

/// A text as a literal of SQL.
#[must_use]
pub fn literal(dialect: Dialect, text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match dialect {
        // Whatever `standard_conforming_strings` says.
        Dialect::Postgres if text.contains('\\') => {
            format!("E'{}'", doubled.replace('\\', "\\\\"))
        }
        Dialect::Postgres | Dialect::Sqlite => format!("'{doubled}'"),
    }
}

fn sqlite_bound(value: &Scalar) -> Bound {
    match value {
        Scalar::Bool(truth) => Bound::Integer(i64::from(*truth)),
        Scalar::Text(text) => Bound::Text(text.clone()),
        Scalar::Number(digits) => match (digits.parse(), digits.parse()) {
            (Ok(number), _) => Bound::Integer(number),
            (_, Ok(number)) => Bound::Real(number),
            _ => Bound::Text(digits.clone()),
        },
    }
}

fn sqlite_literal(value: &Scalar) -> String {
    match value {
        Scalar::Bool(truth) => u8::from(*truth).to_string(),
        Scalar::Text(text) => literal(Dialect::Sqlite, text),
        Scalar::Number(digits) => digits.clone(),
    }
}

fn json(value: &Scalar) -> String {
    match value {
        Scalar::Bool(truth) => u8::from(*truth).to_string(),
        Scalar::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Scalar::Number(digits) => digits.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: &str, dialect: Dialect, values: Values) -> (String, Vec<Bound>) {
        let filter = json.parse().unwrap();
        let made = condition(&filter, dialect, values, |name| {
            (name != "nothing").then(|| FilterColumn {
                sql: format!("t.\"{name}\""),
                type_name: "bigint".to_owned(),
            })
        });
        let made = made.unwrap();
        (made.sql, made.bound)
    }

    #[test]
    fn values_are_bound() {
        let json = r#"{"a":1,"b__in":["x","y"]}"#;
        let (sql, bound) = made(json, Dialect::Postgres, Values::Bound { first: 3 });
        assert_eq!(
            sql,
            "(t.\"a\" = $3::text::bigint and \
             t.\"b\" in (select value::bigint from unnest($4::text[]) as named (value)))"
        );
        let texts = vec!["x".to_owned(), "y".to_owned()];
        assert_eq!(bound, [Bound::Text("1".to_owned()), Bound::Texts(texts)]);
        let (sql, bound) = made(json, Dialect::Sqlite, Values::Bound { first: 1 });
        assert_eq!(
            sql,
            "(t.\"a\" = ?1 and t.\"b\" in (select value from json_each(?2)))"
        );
        let list = Bound::Text(r#"["x","y"]"#.to_owned());
        assert_eq!(bound, [Bound::Integer(1), list]);
    }

    #[test]
    fn literals_are_quoted() {
        let json = r#"{"or":[{"a":"O'Hara\\"},{"b__startswith":"ü'"}]}"#;
        let (sql, bound) = made(json, Dialect::Postgres, Values::Literal);
        assert_eq!(
            sql,
            "(t.\"a\" = E'O''Hara\\\\' or starts_with(t.\"b\"::text, 'ü'''))"
        );
        assert_eq!(bound, []);
        let (sql, _) = made(json, Dialect::Sqlite, Values::Literal);
        assert_eq!(
            sql,
            "(t.\"a\" = 'O''Hara\\' or substr(t.\"b\", 1, 2) = 'ü''')"
        );
    }

    #[test]
    fn an_unknown_field_is_named() {
        let filter: Filter = r#"{"nothing__lt": 1}"#.parse().unwrap();
        let error = condition(&filter, Dialect::Sqlite, Values::Literal, |_| None).unwrap_err();
        assert!(error.to_string().contains("\"nothing\""), "{error}");
    }
}
