//! JSON values as columns take them that would misread their text.
//!
//! | column | string | given |
//! |---|---|---|
//! | `bytea` | base64 | the bytes; what is in its own `\x` form as it is |
//! | `interval` | `-P1D` | `-1 days`, since `PostgreSQL` knows no sign before the `P` |

use std::borrow::Cow;

use cqrs_core::form;

use crate::table::Column;

/// A JSON value for a column; if the column takes none such, what is wrong.
pub(super) fn given<'j>(column: &Column, json: &'j str) -> Result<Cow<'j, str>, String> {
    if !json.starts_with('"') {
        return Ok(json.into());
    }
    match &*column.type_name {
        "bytea" => bytea(column, json),
        // With a precision, or fields, but not an array.
        interval if interval.starts_with("interval") && !interval.ends_with(']') => {
            Ok(signed_interval(json).map_or_else(|| json.into(), Cow::from))
        }
        _ => Ok(json.into()),
    }
}

fn bytea<'j>(column: &Column, json: &'j str) -> Result<Cow<'j, str>, String> {
    let text: String = serde_json::from_str(json).unwrap_or_default();
    if text.starts_with("\\x") {
        return Ok(json.into());
    }
    let bytes = form::bytes::decode(&text).map_err(|_| {
        format!(
            "column {:?} of type bytea takes bytes as base64 text, which this string is not",
            column.name
        )
    })?;
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("\"\\\\x{}\"", digits.concat()).into())
}

fn signed_interval(json: &str) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    let signed = text.starts_with("-P") || text.starts_with("+P");
    let length = form::duration::parse(&text).filter(|_| signed)?;
    Some(format!("\"{}\"", form::duration::format(length)))
}
