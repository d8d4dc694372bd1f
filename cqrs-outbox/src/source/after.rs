//! A place in the order of keys.

use std::fmt;

use cqrs_core::InstanceKey;
use serde_json::value::RawValue;

use super::RowFault;

/// The key of a row, behind which reading goes on. Made of the key's JSON, fit for messages or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    json: String,
    parts: Vec<KeyValue>,
}

/// One column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyValue {
    /// An integer's digits.
    Number(String),
    /// Any other value's text.
    Text(String),
}

impl KeyValue {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    fn read(json: &RawValue) -> Result<Self, RowFault> {
        let json = json.get();
        match json.as_bytes().first() {
            Some(b'"') => Ok(Self::Text(serde_json::from_str(json)?)),
            Some(b'-' | b'0'..=b'9') => Ok(Self::Number(json.to_owned())),
            _ => Err(format!("{json} is no part of a key: give a number or a text").into()),
        }
    }
}

/// The columns of a key.
pub(crate) fn key_values(json: &str) -> Result<Vec<KeyValue>, RowFault> {
    if json.trim_start().starts_with('[') {
        let parts: Vec<Box<RawValue>> = serde_json::from_str(json)?;
        parts.iter().map(|part| KeyValue::read(part)).collect()
    } else {
        let part: Box<RawValue> = serde_json::from_str(json)?;
        Ok(vec![KeyValue::read(&part)?])
    }
}

impl After {
    /// Reads a key's JSON: `42`, `"ab"`, `[1,"ab"]`.
    ///
    /// # Errors
    /// It is none.
    pub fn from_json(json: &str) -> Result<Self, RowFault> {
        Ok(Self {
            parts: key_values(json)?,
            json: json.to_owned(),
        })
    }

    /// Behind this instance.
    ///
    /// # Errors
    /// None that a key which passes its check can cause.
    pub fn key(key: &InstanceKey) -> Result<Self, RowFault> {
        Self::from_json(&key.to_json())
    }

    /// The key's JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    pub(crate) fn parts(&self) -> &[KeyValue] {
        &self.parts
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}
