//! The key of an instance: one type on the wire, one canonical text in tables.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeSeq};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The primary key of an instance.
///
/// On the wire it keeps its JSON type; in tables, slots and logs it is its canonical text
/// ([`InstanceKey::canonical`]): integers in decimal, UUIDs hyphenated in lower case, text as it
/// is, composite keys as a JSON array without spaces.
///
/// A UUID is a JSON string, so a decoded key is never [`InstanceKey::Uuid`]; the canonical text is
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InstanceKey {
    /// An integer of any usual width.
    Integer(i128),
    /// Any text, compared byte by byte.
    Text(String),
    /// A UUID.
    Uuid(Uuid),
    /// Several columns together, in the order of the model.
    Composite(Vec<KeyPart>),
}

/// One column of a composite key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// An integer of any usual width.
    Integer(i128),
    /// Any text.
    Text(String),
    /// A UUID.
    Uuid(Uuid),
}

impl InstanceKey {
    /// The longest canonical text, in bytes: what every supported database can index.
    pub const MAX_LEN: usize = 512;

    /// The text by which tables and slots know the instance.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Uuid(uuid) => uuid.hyphenated().to_string(),
            Self::Composite(_) => self.to_json(),
        }
    }

    /// The key as JSON, the way it stands in a message.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "numbers and strings always serialise"
    )]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings always serialise")
    }

    /// Refuses what no table or message may hold.
    ///
    /// # Errors
    /// An empty text or list, a NUL character, or a canonical text over [`Self::MAX_LEN`].
    pub fn check(&self) -> Result<(), KeyError> {
        let empty = match self {
            Self::Text(text) => text.is_empty(),
            Self::Composite(parts) => parts.is_empty(),
            Self::Integer(_) | Self::Uuid(_) => false,
        };
        if empty {
            return Err(KeyError::Empty);
        }
        let has_nul = |text: &str| text.contains('\0');
        let nul = match self {
            Self::Text(text) => has_nul(text),
            Self::Composite(parts) => parts
                .iter()
                .any(|part| matches!(part, KeyPart::Text(text) if has_nul(text))),
            Self::Integer(_) | Self::Uuid(_) => false,
        };
        if nul {
            return Err(KeyError::Nul);
        }
        let len = self.canonical().len();
        if len > Self::MAX_LEN {
            Err(KeyError::TooLong { len })
        } else {
            Ok(())
        }
    }

    /// Reads a key from strict JSON.
    ///
    /// # Errors
    /// Anything but an integer, a string, or an array of these; and what [`Self::check`] refuses.
    pub fn from_json(json: &RawValue) -> Result<Self, KeyError> {
        let text = json.get();
        let key = if text.starts_with('[') {
            let items: Vec<Box<RawValue>> =
                serde_json::from_str(text).map_err(|_| KeyError::unsupported(text))?;
            let parts = items.iter().map(|item| KeyPart::from_json(item.get()));
            Self::Composite(parts.collect::<Result<_, _>>()?)
        } else {
            match KeyPart::from_json(text)? {
                KeyPart::Integer(number) => Self::Integer(number),
                KeyPart::Text(text) => Self::Text(text),
                KeyPart::Uuid(uuid) => Self::Uuid(uuid),
            }
        };
        key.check()?;
        Ok(key)
    }
}

impl KeyPart {
    fn from_json(text: &str) -> Result<Self, KeyError> {
        if text == "null" {
            return Err(KeyError::Null);
        }
        if text.starts_with('"') {
            return serde_json::from_str(text)
                .map(Self::Text)
                .map_err(|_| KeyError::unsupported(text));
        }
        text.parse()
            .map(Self::Integer)
            .map_err(|_| KeyError::unsupported(text))
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl Serialize for InstanceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => serializer.serialize_i128(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Uuid(uuid) => serializer.collect_str(&uuid.hyphenated()),
            Self::Composite(parts) => {
                let mut list = serializer.serialize_seq(Some(parts.len()))?;
                for part in parts {
                    list.serialize_element(part)?;
                }
                list.end()
            }
        }
    }
}

impl Serialize for KeyPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(number) => serializer.serialize_i128(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Uuid(uuid) => serializer.collect_str(&uuid.hyphenated()),
        }
    }
}

/// The conversions of one plain type into a key and into a part of one.
macro_rules! from_plain {
    ($($source:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$source> for InstanceKey {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        }
        impl From<$source> for KeyPart {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}
from_plain!(
    i16 => Integer, i32 => Integer, i64 => Integer, u16 => Integer, u32 => Integer, u64 => Integer,
    &str => Text, String => Text, &String => Text, Uuid => Uuid,
);

impl<A: Into<KeyPart>, B: Into<KeyPart>> From<(A, B)> for InstanceKey {
    fn from((a, b): (A, B)) -> Self {
        Self::Composite(vec![a.into(), b.into()])
    }
}

impl<A: Into<KeyPart>, B: Into<KeyPart>, C: Into<KeyPart>> From<(A, B, C)> for InstanceKey {
    fn from((a, b, c): (A, B, C)) -> Self {
        Self::Composite(vec![a.into(), b.into(), c.into()])
    }
}

impl From<Vec<KeyPart>> for InstanceKey {
    fn from(parts: Vec<KeyPart>) -> Self {
        Self::Composite(parts)
    }
}

/// Why a value cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key, or a part of it, is null.
    #[error("the key is null")]
    Null,
    /// An empty text or an empty list.
    #[error("the key is empty")]
    Empty,
    /// A NUL character, which no database stores in text.
    #[error("the key contains a NUL character")]
    Nul,
    /// Longer than databases can index.
    #[error("the key is {len} bytes long, the limit is {}", InstanceKey::MAX_LEN)]
    TooLong {
        /// Bytes of its canonical text.
        len: usize,
    },
    /// A float, a boolean, an object, or an integer beyond 128 bits.
    #[error(
        "the key {found} is neither an integer of up to 128 bits nor a string, nor a list of these"
    )]
    Unsupported {
        /// The start of the value.
        found: String,
    },
}

impl KeyError {
    fn unsupported(text: &str) -> Self {
        Self::Unsupported {
            found: text.chars().take(60).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Slot;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    /// `tests/golden/keys.json` is what each SQL dialect is compared with as well.
    #[test]
    fn keys_and_slots_are_those_of_the_golden_file() {
        #[derive(serde::Deserialize)]
        struct Golden {
            cqrs_id: String,
            key: Box<RawValue>,
            canonical: String,
            slot: u16,
        }
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../tests/golden/keys.json")).unwrap();
        assert!(golden.len() >= 12);
        for case in golden {
            let canonical = InstanceKey::from_json(&case.key).unwrap().canonical();
            assert_eq!(canonical, case.canonical);
            assert_eq!(
                Slot::of(&case.cqrs_id, &canonical).number(),
                case.slot,
                "{canonical}"
            );
        }
    }

    #[test]
    fn a_uuid_has_the_canonical_text_of_its_wire_form() {
        let uuid = Uuid::from_u128(0x0189_d2f0_7a5e_7cc2_98ab_3f0f_6e3b_2a11);
        let key = InstanceKey::from(uuid);
        let decoded = InstanceKey::from_json(&raw(&key.to_json())).unwrap();
        assert_eq!(decoded.canonical(), key.canonical());
    }

    #[test]
    fn refuses_what_is_not_a_key() {
        for (json, error) in [
            ("null", KeyError::Null),
            ("[1,null]", KeyError::Null),
            ("\"\"", KeyError::Empty),
            ("[]", KeyError::Empty),
            ("\"a\\u0000\"", KeyError::Nul),
            ("1.5", KeyError::unsupported("1.5")),
            ("true", KeyError::unsupported("true")),
            ("{\"a\":1}", KeyError::unsupported("{\"a\":1}")),
            ("[[1]]", KeyError::unsupported("[1]")),
        ] {
            assert_eq!(InstanceKey::from_json(&raw(json)), Err(error), "{json}");
        }
        let long = InstanceKey::from("x".repeat(513));
        assert_eq!(long.check(), Err(KeyError::TooLong { len: 513 }));
    }

    proptest! {
        #[test]
        fn json_round_trips(number: i128, text in "[^\0]{1,40}") {
            for key in [
                InstanceKey::Integer(number),
                InstanceKey::Text(text.clone()),
                InstanceKey::Composite(vec![KeyPart::Text(text), KeyPart::Integer(number)]),
            ] {
                prop_assert_eq!(InstanceKey::from_json(&raw(&key.to_json())).unwrap(), key);
            }
        }
    }
}
