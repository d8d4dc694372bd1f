//! JSON values as `SQLite` stores them.
//!
//! | JSON | stored |
//! |---|---|
//! | integer of up to 64 bits | integer |
//! | any other number | its digits as text, which a column for reals converts |
//! | `true`, `false` | 1, 0 |
//! | string | text; `NaN` is null in a column for numbers, which knows none |
//! | string for a column whose type says `BLOB`, `BINARY` or `BYTEA` | the bytes of its base64 |
//! | object, array | its text |
//!
//! A column of type `STRING` is one for numbers to `SQLite`, which makes 7 of `007`; that is refused.
//!
//! A column of numeric type (`NUMERIC`, `DECIMAL`, `INTEGER`) would round a number of more digits
//! than a float has; that is refused. Declare such a column as text.

use std::borrow::Cow;

use sqlx::{Sqlite, query::Query, sqlite::SqliteArguments};

use crate::table::{Column, kind};
use cqrs_core::form;

/// A value to bind.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'j> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'j, str>),
    Bytes(Vec<u8>),
}

impl Value<'_> {
    pub(super) fn bind(
        self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Query<'_, Sqlite, SqliteArguments> {
        match self {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Real(number) => query.bind(number),
            Value::Text(text) => query.bind(text.into_owned()),
            Value::Bytes(bytes) => query.bind(bytes),
        }
    }
}

/// What a column's declared type makes of values (<https://www.sqlite.org/datatype3.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    /// Stores what it is given.
    None,
    /// The same, and is meant for bytes.
    Bytes,
    Real,
    Numeric,
    /// Numeric as well, though it is called `STRING`.
    MisnamedText,
}

fn affinity(column: &Column) -> Affinity {
    let declared = column.type_name.to_ascii_uppercase();
    let has = |word: &str| declared.contains(word);
    if has("INT") {
        Affinity::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if column.holds_bytes() {
        Affinity::Bytes
    } else if declared.is_empty() {
        Affinity::None
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Affinity::Real
    } else if has("STRING") {
        Affinity::MisnamedText
    } else {
        Affinity::Numeric
    }
}

/// The value of JSON text for a column; if the column would not keep it exactly, what is wrong.
pub(super) fn bindable<'j>(column: &Column, json: &'j str) -> Result<Value<'j>, String> {
    let problem = |problem: &str| {
        let Column {
            name, type_name, ..
        } = column;
        format!("column {name:?} of type {type_name} {problem}")
    };
    let rounded = || {
        problem(&format!(
            "would round this {}: declare it as text",
            kind(json)
        ))
    };
    let affinity = affinity(column);
    Ok(match json.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b't') => Value::Integer(1),
        Some(b'f') => Value::Integer(0),
        Some(b'{' | b'[') => Value::Text(json.into()),
        Some(b'"') => {
            let text: Cow<'j, str> = serde_json::from_str::<String>(json)
                .map_err(|_| problem("takes no text with half a character"))?
                .into();
            match (&*text, affinity) {
                (text, Affinity::Bytes) => form::bytes::decode(text)
                    .map(Value::Bytes)
                    .map_err(|_| problem("takes bytes as base64 text, which this string is not"))?,
                (number, Affinity::MisnamedText) if is_number(number.trim()) => {
                    match number.parse::<i64>() {
                        Ok(integer) if integer.to_string() == number => Value::Integer(integer),
                        _ => {
                            return Err(problem(
                                "makes a number of this string: declare it as text",
                            ));
                        }
                    }
                }
                (_, Affinity::Text | Affinity::None | Affinity::MisnamedText) => Value::Text(text),
                // What Python writes of floats, made strings by the wire codec.
                ("NaN", _) => Value::Null,
                ("Infinity", Affinity::Real) => Value::Real(f64::INFINITY),
                ("-Infinity", Affinity::Real) => Value::Real(f64::NEG_INFINITY),
                (number, Affinity::Numeric | Affinity::Integer)
                    if is_number(number) && !is_kept(number) =>
                {
                    return Err(rounded());
                }
                _ => Value::Text(text),
            }
        }
        _ => {
            if let Ok(integer) = json.parse() {
                return Ok(Value::Integer(integer));
            }
            let rounds = matches!(
                affinity,
                Affinity::Numeric | Affinity::MisnamedText | Affinity::Integer
            );
            if rounds && !is_kept(json) {
                return Err(rounded());
            }
            Value::Text(json.into())
        }
    })
}

fn is_number(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
        && text.parse::<f64>().is_ok()
}

/// Whether a number survives in a numeric column: as a 64-bit integer, or with no more significant
/// digits than a float is sure to keep.
fn is_kept(number: &str) -> bool {
    if number.parse::<i64>().is_ok() {
        return true;
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let significant = digits.skip_while(|digit| *digit == b'0').count();
    significant <= 15 && number.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared: &str) -> Column {
        Column {
            name: "c".to_owned(),
            type_name: declared.to_owned(),
            base: declared.to_owned(),
            bytes_within: false,
            identity: false,
            not_null: false,
            has_default: false,
            writable: true,
            loose: false,
        }
    }

    fn stored(declared: &str, json: &'static str) -> Option<Value<'static>> {
        bindable(&column(declared), json).ok()
    }

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    #[test]
    fn numbers_keep_every_digit_or_are_refused() {
        assert_eq!(
            stored("text", "1234567890123456.1234567890"),
            Some(text("1234567890123456.1234567890"))
        );
        assert_eq!(
            stored("text", "1208925819614629174706176"),
            Some(text("1208925819614629174706176"))
        );
        assert_eq!(stored("", "1.10"), Some(text("1.10")));
        assert_eq!(
            stored("integer", "9223372036854775807"),
            Some(Value::Integer(i64::MAX))
        );
        assert_eq!(stored("integer", "9223372036854775808"), None);
        assert_eq!(
            stored("decimal(30,10)", "1234567890123456.1234567890"),
            None
        );
        assert_eq!(
            stored("decimal(30,10)", "\"1234567890123456.1234567890\""),
            None
        );
        assert_eq!(
            stored("decimal(10,2)", "1234567.25"),
            Some(text("1234567.25"))
        );
        assert_eq!(stored("double", "0.1"), Some(text("0.1")));
    }

    #[test]
    fn the_rest_is_stored_as_documented() {
        assert_eq!(stored("boolean", "true"), Some(Value::Integer(1)));
        assert_eq!(stored("text", "null"), Some(Value::Null));
        assert_eq!(stored("real", "\"NaN\""), Some(Value::Null));
        assert_eq!(stored("text", "\"NaN\""), Some(text("NaN")));
        assert_eq!(
            stored("real", "\"-Infinity\""),
            Some(Value::Real(f64::NEG_INFINITY))
        );
        assert_eq!(stored("text", r#"{"a":1.10}"#), Some(text(r#"{"a":1.10}"#)));
        assert_eq!(stored("integer", "\"12\""), Some(text("12")));
        // Not a type of texts.
        assert_eq!(stored("string", "\"007\""), None);
        assert_eq!(stored("string", "\"1.10\""), None);
        assert_eq!(stored("string", "\" 7\""), None);
        assert_eq!(stored("string", "\"12\""), Some(Value::Integer(12)));
        assert_eq!(stored("string", "\"NaN\""), Some(text("NaN")));
        assert_eq!(stored("string", "\"a7\""), Some(text("a7")));
        assert_eq!(
            stored("varbinary(9)", "\"aGk=\""),
            Some(Value::Bytes(b"hi".to_vec()))
        );
        assert_eq!(stored("", "\"aGk=\""), Some(text("aGk=")));
        assert_eq!(
            bindable(&column("blob"), "\"hi\""),
            Err(
                "column \"c\" of type blob takes bytes as base64 text, which this string is not"
                    .to_owned()
            )
        );
    }
}
