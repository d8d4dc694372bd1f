//! Forms on the wire of values that JSON has no form for, to be named in `#[serde(with = "…")]` and
//! `#[master(with = "…")]`.
//!
//! | module | of | on the wire | read by |
//! |---|---|---|---|
//! | [`bytes`] | `Vec<u8>`, `[u8; N]`, `bytes::Bytes` | base64 text | Django's `BinaryField`, a replica's `bytea` or `BLOB` column |
//! | [`duration`] | [`std::time::Duration`], `chrono::TimeDelta` | ISO 8601 text, `P1DT02H03M04S` | Django's `DurationField`, a replica's `interval` column |
//!
//! Each also takes an `Option` of these, whose `None` is null. A member that may be missing needs
//! serde's `default` besides.
//!
//! ```
//! use std::time::Duration;
//!
//! use cqrs_core::form;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Track {
//!     #[serde(with = "form::bytes")]
//!     cover: Vec<u8>,
//!     #[serde(with = "form::duration")]
//!     length: Duration,
//!     #[serde(with = "form::duration", default)]
//!     fade: Option<Duration>,
//! }
//!
//! let track = Track {
//!     cover: b"\x89PNG".to_vec(),
//!     length: Duration::from_millis(201_500),
//!     fade: None,
//! };
//! assert_eq!(
//!     serde_json::to_string(&track)?,
//!     r#"{"cover":"iVBORw==","length":"P0DT00H03M21.500000S","fade":null}"#
//! );
//! # Ok::<_, serde_json::Error>(())
//! ```

pub mod bytes;
pub mod duration;
