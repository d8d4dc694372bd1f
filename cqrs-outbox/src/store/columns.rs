//! From the values of a table to those of the domain; what does not fit is corrupt.

use std::{error::Error, str::FromStr};

use cqrs_core::{CqrsId, QueueName, Signal, Slot, StoreError, TraceContext, json::Object};
use serde_json::value::RawValue;

use super::Instance;

/// The table a value is from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table(pub(crate) &'static str);

impl Table {
    pub(crate) const OUTBOX: Self = Self("cqrs_outbox");
    pub(crate) const DEAD: Self = Self("cqrs_outbox_dead");
    #[cfg(feature = "sqlite")]
    pub(crate) const RELAY: Self = Self("cqrs_relay");
    pub(crate) const LEASE: Self = Self("cqrs_relay_lease");
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const COMMAND: Self = Self("cqrs_command");

    /// A value that cannot be read.
    pub(crate) fn corrupt(
        self,
        column: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Corrupt {
            table: self.0,
            column,
            source: source.into(),
        }
    }

    /// A value that is null only inside the transaction that writes it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn filled(
        self,
        column: &'static str,
        value: Option<String>,
    ) -> Result<String, StoreError> {
        value.ok_or_else(|| self.corrupt(column, "it is missing"))
    }

    /// A text that must be of some form.
    pub(crate) fn parse<T>(self, column: &'static str, text: &str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        text.parse()
            .map_err(|error: T::Err| self.corrupt(column, error))
    }

    /// A text that must be of some form, if there is one.
    pub(crate) fn parse_option<T>(
        self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        text.map(|text| self.parse(column, text)).transpose()
    }

    pub(crate) fn instance(self, cqrs_id: &str, key: String) -> Result<Instance, StoreError> {
        let cqrs_id = self.parse::<CqrsId>("cqrs_id", cqrs_id)?;
        Ok(Instance {
            cqrs_id,
            instance_pk: key,
        })
    }

    pub(crate) fn signal(self, text: &str) -> Result<Signal, StoreError> {
        self.parse("signal", text)
    }

    pub(crate) fn queue(self, text: Option<&str>) -> Result<Option<QueueName>, StoreError> {
        self.parse_option("queue", text)
    }

    /// A trace that cannot be read is none: it is no reason to hold an event back.
    pub(crate) fn trace(text: Option<&str>) -> Option<TraceContext> {
        text.and_then(|text| text.parse().ok())
    }

    pub(crate) fn slot(self, number: i64) -> Result<Slot, StoreError> {
        u16::try_from(number)
            .ok()
            .and_then(Slot::new)
            .ok_or_else(|| self.corrupt("slot", format!("{number} is not a slot")))
    }
}

/// The body of an event whose time has run out, without its expiry.
pub(crate) fn without_expiry(body: &[u8]) -> Result<String, StoreError> {
    let corrupt = |error: Box<dyn Error + Send + Sync>| Table::DEAD.corrupt("body", error);
    let text = std::str::from_utf8(body).map_err(|error| corrupt(error.into()))?;
    let mut event = Object::from_json(text).map_err(|error| corrupt(error.into()))?;
    event.insert("expires", RawValue::NULL.to_owned());
    Ok(event.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expiry_of_the_event_itself_is_cleared() {
        let body =
            br#"{"instance_data":{"expires":"x","n":1.10},"expires":"2026-01-01","meta":{}}"#;
        assert_eq!(
            without_expiry(body).unwrap(),
            r#"{"instance_data":{"expires":"x","n":1.10},"expires":null,"meta":{}}"#
        );
    }

    #[test]
    fn says_which_column_is_corrupt() {
        let error = Table::OUTBOX.slot(64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cqrs_outbox.slot holds a value that cannot be read"
        );
        assert!(Table::OUTBOX.slot(-1).is_err());
        assert!(Table::DEAD.signal("save").is_err());
        assert!(Table::DEAD.queue(Some("")).is_err());
    }
}
