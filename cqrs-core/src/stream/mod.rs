//! The files and streams of django-cqrs's commands, so that a pipe may mix Python's and ours.
//!
//! | written by | first line | further lines |
//! |---|---|---|
//! | `dump` | `account` | one `instance_data` object each |
//! | `diff` of the master | `account,2026-11-21 01:09:08.752663+00:00` | `[[1,0],[2,5]]`: keys and revisions |
//! | `diff` of the replica | the same and `,queue` (`None`: every queue) | `[1,2]`: keys to send again |
//! | `deleted-diff` of the replica | `account,…` | `[1,2]`: keys that it has |
//! | `deleted-diff` of the master | the same | `[2]`: keys to delete |
//!
//! With `--content`, a diff of the master has a third member in each pair, the hash of the row's
//! content: `[[1,0,"…"]]`. Django's commands do not read those.
//!
//! Lines hold a batch each and stand in key order. Django writes no new line after the last row of a
//! dump; either is read.
//!
//! A dump of ours ends with a [`DumpEnd`], a stream of ours with [`END_OF_KEYS`], so that its reader can
//! tell it from one whose writer died. Django's have neither.

mod end;
mod lines;

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::{
    CqrsId, InstanceKey, QueueName,
    json::{Object, normalise},
    wire,
};

pub use end::{DumpEnd, END_OF_KEYS, NO_END_OF_KEYS};
pub use lines::Lines;

/// The first line of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// The model.
    pub cqrs_id: CqrsId,
    /// When the stream began, on its writer's clock.
    pub time: DateTime<Utc>,
    /// Whose keys are to be sent again: of a replica's diff.
    pub queue: StreamQueue,
}

/// Where keys are to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamQueue {
    /// The stream does not say.
    Unsaid,
    /// To every queue.
    Every,
    /// To this one.
    One(QueueName),
}

/// A row of a master's diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRow {
    /// Which instance.
    pub key: InstanceKey,
    /// Its revision.
    pub revision: i64,
    /// The hash of its content, if the stream has them.
    pub content: Option<String>,
}

/// What is wrong with a line, without its number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StreamError(String);

impl fmt::Display for StreamHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.cqrs_id, wire::format_updated(self.time))?;
        match &self.queue {
            StreamQueue::Unsaid => Ok(()),
            StreamQueue::Every => f.write_str(",None"),
            StreamQueue::One(queue) => write!(f, ",{}", queue.as_str()),
        }
    }
}

impl StreamHeader {
    /// Reads a first line.
    ///
    /// # Errors
    /// It is empty, as when the command before has found nothing or has failed, or it is no header.
    pub fn parse(line: &str) -> Result<Self, StreamError> {
        let line = line.trim();
        if line.is_empty() {
            return Err(StreamError(
                "there is nothing to read: the command before found no rows, or failed".to_owned(),
            ));
        }
        let problem = |what: &str| {
            StreamError(format!(
                "{what}; the first line must be like \"account,2026-11-21 01:09:08+00:00\""
            ))
        };
        let mut parts = line.splitn(3, ',');
        let cqrs_id = parts.next().unwrap_or_default();
        let cqrs_id = CqrsId::new(cqrs_id).map_err(|error| problem(&error.to_string()))?;
        let time = parts.next().ok_or_else(|| problem("it names no time"))?;
        let time = wire::parse_timestamp(time).ok_or_else(|| problem("its time cannot be read"))?;
        let queue = match parts.next() {
            None => StreamQueue::Unsaid,
            Some("None") => StreamQueue::Every,
            Some(queue) => StreamQueue::One(
                QueueName::new(queue).map_err(|error| problem(&error.to_string()))?,
            ),
        };
        Ok(Self {
            cqrs_id,
            time,
            queue,
        })
    }
}

/// A line of keys: `[1,"a",[2,"b"]]`.
#[must_use]
pub fn keys_line(keys: &[InstanceKey]) -> String {
    let keys: Vec<_> = keys.iter().map(InstanceKey::to_json).collect();
    format!("[{}]", keys.join(","))
}

/// A line of keys and revisions: `[[1,0],[2,5]]`.
#[must_use]
pub fn rows_line(rows: &[StreamRow]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (key, revision) = (row.key.to_json(), row.revision);
            match &row.content {
                None => format!("[{key},{revision}]"),
                Some(hash) => format!("[{key},{revision},{}]", serde_json::Value::from(&**hash)),
            }
        })
        .collect();
    format!("[{}]", rows.join(","))
}

/// Reads a line of keys.
///
/// # Errors
/// It is none.
pub fn parse_keys(line: &str) -> Result<Vec<InstanceKey>, StreamError> {
    let items: Vec<Box<RawValue>> =
        serde_json::from_str(line).map_err(|_| no_line("keys, like [1,2]"))?;
    items.iter().map(|item| key(item)).collect()
}

/// Reads a line of keys and revisions.
///
/// # Errors
/// It is none.
pub fn parse_rows(line: &str) -> Result<Vec<StreamRow>, StreamError> {
    let wanted = "keys and revisions, like [[1,0],[2,5]]";
    let items: Vec<Vec<Box<RawValue>>> = serde_json::from_str(line).map_err(|_| no_line(wanted))?;
    items
        .iter()
        .map(|item| {
            let (key_json, revision, content) = match item.as_slice() {
                [key, revision] => (key, revision, None),
                [key, revision, content] => (key, revision, Some(content)),
                _ => return Err(no_line(wanted)),
            };
            let content = content
                .map(|hash| serde_json::from_str(hash.get()))
                .transpose();
            Ok(StreamRow {
                key: key(key_json)?,
                revision: revision.get().parse().map_err(|_| no_line(wanted))?,
                content: content.map_err(|_| no_line(wanted))?,
            })
        })
        .collect()
}

/// An instance of a dump.
#[derive(Debug)]
pub struct DumpRow {
    /// The whole `instance_data`, in strict JSON.
    pub data: Object,
    /// The revision.
    pub revision: i64,
    /// The time of the change that the revision is of.
    pub updated: DateTime<Utc>,
}

/// Reads a row of a dump, as leniently as a message's body.
///
/// # Errors
/// It is no JSON object, or has no `cqrs_revision` or `cqrs_updated`.
pub fn parse_dump_row(line: &str) -> Result<DumpRow, StreamError> {
    let strict = normalise(line.as_bytes()).map_err(|error| StreamError(error.to_string()))?;
    let data =
        Object::from_json(&strict).map_err(|_| StreamError("it is no JSON object".to_owned()))?;
    let lacks = |name: &str| StreamError(format!("it has no {name}, or one that cannot be read"));
    let revision = data
        .get("cqrs_revision")
        .and_then(|raw| raw.get().parse().ok());
    let updated = data
        .get("cqrs_updated")
        .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
        .and_then(|text| wire::parse_timestamp(&text));
    Ok(DumpRow {
        revision: revision.ok_or_else(|| lacks("cqrs_revision"))?,
        updated: updated.ok_or_else(|| lacks("cqrs_updated"))?,
        data,
    })
}

fn key(item: &RawValue) -> Result<InstanceKey, StreamError> {
    InstanceKey::from_json(item).map_err(|error| StreamError(error.to_string()))
}

fn no_line(wanted: &str) -> StreamError {
    StreamError(format!("it is no line of {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_django() {
        for line in [
            "acc,2026-11-21 01:09:08.752663+00:00",
            "acc,2026-11-21 01:09:08.752663+00:00,replica",
            "acc,2026-11-21 01:09:08+00:00,None",
        ] {
            assert_eq!(StreamHeader::parse(line).unwrap().to_string(), line);
        }
        // `USE_TZ = False`.
        let naive = StreamHeader::parse("acc,2026-11-21 01:09:08.752663\n").unwrap();
        assert_eq!(naive.queue, StreamQueue::Unsaid);
        let problem = |line: &str| StreamHeader::parse(line).unwrap_err().to_string();
        assert!(problem("\n").contains("nothing to read"));
        assert!(problem("acc").contains("no time"));
        assert!(problem("acc,yesterday").contains("cannot be read"));
    }

    #[test]
    fn lines_are_those_of_django() {
        let keys = "[1,\"a\",[2,\"b\"]]";
        assert_eq!(keys_line(&parse_keys(keys).unwrap()), keys);
        let rows = "[[1,0],[\"x\",5],[[2,\"b\"],7]]";
        assert_eq!(rows_line(&parse_rows(rows).unwrap()), rows);
        // Django writes blanks.
        assert_eq!(parse_rows("[[1, 0], [2, 5]]").unwrap().len(), 2);
        let content = "[[1,0,\"af\"]]";
        assert_eq!(rows_line(&parse_rows(content).unwrap()), content);
        assert!(parse_rows("[1,2]").is_err());
        assert!(parse_keys("[[1,0.5]]").is_err());
        assert!(parse_keys("{}").is_err());
    }

    #[test]
    fn rows_of_a_dump_are_read_leniently() {
        let line = r#"{"id":1,"cqrs_revision":3,"cqrs_updated":"2026-11-21 01:09:08.722970+00:00","f":NaN,"u":"a\/b"}"#;
        let row = parse_dump_row(line).unwrap();
        assert_eq!(row.revision, 3);
        assert_eq!(row.data.get("f").unwrap().get(), "\"NaN\"");
        let problem = |line: &str| parse_dump_row(line).unwrap_err().to_string();
        assert!(problem("[1]").contains("no JSON object"));
        assert!(problem(r#"{"id":1}"#).contains("cqrs_revision"));
        assert!(problem(r#"{"cqrs_revision":1}"#).contains("cqrs_updated"));
    }
}
