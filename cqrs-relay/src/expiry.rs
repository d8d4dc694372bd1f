//! Sending an expired row after all.

use bytes::Bytes;
use cqrs_core::json::Object;
use serde_json::value::RawValue;

/// The body with `expires` set to null and nothing else changed; `None` if it cannot be read.
pub(crate) fn without(body: &Bytes) -> Option<Bytes> {
    let mut object = Object::from_json(std::str::from_utf8(body).ok()?).ok()?;
    object.insert("expires", RawValue::NULL.to_owned());
    Some(object.to_json().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_one_member_and_keeps_all_else_to_the_digit() {
        let body = Bytes::from_static(
            br#"{"a":1.50,"expires":"2026-01-01T00:00:00+00:00","data":{"expires":1},"meta":null}"#,
        );
        assert_eq!(
            without(&body).unwrap(),
            br#"{"a":1.50,"expires":null,"data":{"expires":1},"meta":null}"#.as_slice()
        );
        assert_eq!(without(&Bytes::from_static(b"{")), None);
    }
}
