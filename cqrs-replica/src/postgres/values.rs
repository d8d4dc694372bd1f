//! JSON values as columns take them that would misread their text.
//!
//! | column | string | given |
//! |---|---|---|
//! | `bytea` | base64 | the bytes; what is in its own `\x` form as it is |
//! | `bytea[]` | base64 | the same for each element |
//! | `hstore` | (an object) | its pairs |
//! | `interval` | `-P1D` | `-1 days`, since `PostgreSQL` knows no sign before the `P` |

use std::{borrow::Cow, collections::BTreeMap};

use cqrs_core::form;
use serde_json::{Value, value::RawValue};

use crate::table::Column;

/// A JSON value for a column; if the column takes none such, what is wrong.
pub(super) fn given<'j>(column: &Column, json: &'j str) -> Result<Cow<'j, str>, String> {
    match (&*column.base, json.as_bytes().first()) {
        ("bytea", Some(b'"')) => {
            let text: String = serde_json::from_str(json).unwrap_or_default();
            Ok(bytes(column, &text)?.map_or_else(|| json.into(), |hex| quoted(&hex).into()))
        }
        ("bytea[]", Some(b'[')) => {
            let parts = serde_json::from_str(json).map_err(|error| error.to_string())?;
            Ok(elements(column, parts)?.to_string().into())
        }
        ("interval", Some(b'"')) => {
            Ok(signed_interval(json).map_or_else(|| json.into(), Cow::from))
        }
        (name, Some(b'{')) if name == "hstore" || name.ends_with(".hstore") => {
            let pairs = serde_json::from_str(json).map_err(|error| error.to_string())?;
            Ok(quoted(&hstore(&pairs)).into())
        }
        _ => Ok(json.into()),
    }
}

/// An object as the type of that name, whatever schema its extension is in, reads it.
fn hstore(pairs: &BTreeMap<String, Box<RawValue>>) -> String {
    let text = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    };
    let pairs = pairs.iter().map(|(key, value)| {
        let value = match value.get() {
            "null" => "NULL".to_owned(),
            json => match serde_json::from_str::<String>(json) {
                Ok(string) => text(&string),
                Err(_) => text(json),
            },
        };
        format!("{}=>{value}", text(key))
    });
    pairs.collect::<Vec<_>>().join(",")
}

/// The bytes of base64 text in the form of the database; `None` if the text has that already.
fn bytes(column: &Column, text: &str) -> Result<Option<String>, String> {
    if text.starts_with("\\x") {
        return Ok(None);
    }
    let bytes = form::bytes::decode(text).map_err(|_| {
        format!(
            "column {:?} of type {} takes bytes as base64 text, which this string is not",
            column.name, column.type_name
        )
    })?;
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(format!("\\x{}", digits.concat())))
}

/// The same of each text in an array, of however many dimensions.
fn elements(column: &Column, value: Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(bytes(column, &text)?.unwrap_or(text).into()),
        Value::Array(parts) => {
            let parts = parts.into_iter().map(|part| elements(column, part));
            Ok(Value::Array(parts.collect::<Result<_, _>>()?))
        }
        other => Ok(other),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn signed_interval(json: &str) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    let signed = text.starts_with("-P") || text.starts_with("+P");
    let length = form::duration::parse(&text).filter(|_| signed)?;
    Some(format!("\"{}\"", form::duration::format(length)))
}
