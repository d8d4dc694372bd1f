//! Bytes as base64 text: the standard alphabet, padded, as Django's `BinaryField` has it.

use ::bytes::Bytes;
use base64::{DecodeError, Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Writes bytes as base64 text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<B: Binary, S: Serializer>(bytes: &B, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes.as_bytes() {
        Some(bytes) => serializer.serialize_str(&encode(bytes)),
        None => serializer.serialize_none(),
    }
}

/// Reads bytes from base64 text.
///
/// # Errors
/// Text that is not base64, or is of another length than an array's.
pub fn deserialize<'de, B: Binary, D: Deserializer<'de>>(deserializer: D) -> Result<B, D::Error> {
    let bytes = Option::<String>::deserialize(deserializer)?
        .map(|text| decode(&text))
        .transpose()
        .map_err(|error| D::Error::custom(format_args!("not base64: {error}")))?;
    B::from_bytes(bytes).map_err(D::Error::custom)
}

/// Bytes as base64 text.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 text.
///
/// # Errors
/// What is not base64 of the standard alphabet, with its padding.
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    STANDARD.decode(text)
}

/// What is written as bytes: `Vec<u8>`, `[u8; N]`, `bytes::Bytes`, and an `Option` of these. Sealed.
pub trait Binary: sealed::Binary {}

mod sealed {
    pub trait Binary: Sized {
        fn as_bytes(&self) -> Option<&[u8]>;
        fn from_bytes(bytes: Option<Vec<u8>>) -> Result<Self, String>;
    }
}

const NULL: &str = "null is not base64 text: make the field an Option";

impl Binary for Vec<u8> {}

impl sealed::Binary for Vec<u8> {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn from_bytes(bytes: Option<Vec<u8>>) -> Result<Self, String> {
        bytes.ok_or_else(|| NULL.to_owned())
    }
}

impl Binary for Bytes {}

impl sealed::Binary for Bytes {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn from_bytes(bytes: Option<Vec<u8>>) -> Result<Self, String> {
        <Vec<u8> as sealed::Binary>::from_bytes(bytes).map(Self::from)
    }
}

impl<const N: usize> Binary for [u8; N] {}

impl<const N: usize> sealed::Binary for [u8; N] {
    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn from_bytes(bytes: Option<Vec<u8>>) -> Result<Self, String> {
        let bytes = <Vec<u8> as sealed::Binary>::from_bytes(bytes)?;
        let found = bytes.len();
        bytes
            .try_into()
            .map_err(|_| format!("{found} bytes instead of {N}"))
    }
}

impl<B: Binary> Binary for Option<B> {}

impl<B: Binary> sealed::Binary for Option<B> {
    fn as_bytes(&self) -> Option<&[u8]> {
        self.as_ref().and_then(B::as_bytes)
    }

    fn from_bytes(bytes: Option<Vec<u8>>) -> Result<Self, String> {
        bytes.map(|bytes| B::from_bytes(Some(bytes))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Held<B: Binary>(#[serde(with = "super")] B);

    fn read<B: Binary>(json: &str) -> Result<B, String> {
        serde_json::from_str::<Held<B>>(json)
            .map(|held| held.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_that_of_django() {
        // base64.b64encode(bytes(range(0, 256, 51))).decode()
        let bytes = vec![0, 51, 102, 153, 204, 255];
        assert_eq!(
            serde_json::to_string(&Held(bytes)).unwrap(),
            r#""ADNmmcz/""#
        );
        assert_eq!(read::<Vec<u8>>(r#""ADNmmcz\/""#).unwrap().len(), 6);
    }

    #[test]
    fn null_is_for_options() {
        assert_eq!(read::<Option<Vec<u8>>>("null"), Ok(None));
        assert_eq!(
            serde_json::to_string(&Held(None::<Vec<u8>>)).unwrap(),
            "null"
        );
        assert!(read::<Vec<u8>>("null").unwrap_err().contains(NULL));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for json in [r#""a""#, r#""YQ""#, r#""Y Q==""#, r#""_-A=""#, "1", "[97]"] {
            assert!(read::<Vec<u8>>(json).is_err(), "{json}");
        }
        let error = read::<[u8; 2]>(r#""YQ==""#).unwrap_err();
        assert!(error.contains("1 bytes instead of 2"), "{error}");
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>, array: [u8; 16], maybe: Option<Vec<u8>>) {
            let json = serde_json::to_string(&Held(bytes.clone())).unwrap();
            prop_assert_eq!(read::<Vec<u8>>(&json), Ok(bytes.clone()));
            prop_assert_eq!(read::<Bytes>(&json), Ok(Bytes::from(bytes)));
            let json = serde_json::to_string(&Held(array)).unwrap();
            prop_assert_eq!(read::<[u8; 16]>(&json), Ok(array));
            let json = serde_json::to_string(&Held(maybe.clone())).unwrap();
            prop_assert_eq!(read::<Option<Vec<u8>>>(&json), Ok(maybe));
        }
    }
}
