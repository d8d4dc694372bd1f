//! The thread that reads a dump: lines become messages, and those of an instance go the same way.

use std::{io::BufRead, str, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::{
    CqrsId, Event, Revision, Signal, Slot,
    stream::{DumpEnd, parse_dump_row},
    transport::{Headers, Routing},
    wire,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    LoadError, LoadOptions,
    keys::KeyMembers,
    lane::Batch,
    lines::{Line, Lines},
    position::Position,
    report::{Incomplete, Report},
};
use crate::{Incoming, Models, ReplicaStore, broker_letters::identity};

/// How many bytes of rows a batch holds, unless a single one is larger.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

pub(super) struct Reader<S: ReplicaStore> {
    pub(super) models: Models<S>,
    pub(super) options: LoadOptions,
    pub(super) ways: Vec<mpsc::Sender<Batch>>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) position: Arc<Position>,
    pub(super) stop: CancellationToken,
}

/// How rows of one dump become messages.
#[derive(Debug)]
struct Form {
    cqrs_id: CqrsId,
    keys: KeyMembers,
    routing_key: String,
    /// Whether rows state where instances stand, rather than what has changed.
    as_sync: bool,
    /// What makes the identities of this load's rows its own.
    load: Option<Uuid>,
}

/// What was read of a dump.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) cqrs_id: CqrsId,
    /// The latest time of a change.
    pub(super) latest: Option<DateTime<Utc>>,
    /// How many rows it has, loaded or not.
    pub(super) rows: u64,
    /// What its last line says of it.
    pub(super) end: Option<DumpEnd>,
}

impl Read {
    /// Why this is not the whole of what was to be dumped.
    pub(super) fn incomplete(&self) -> Option<Incomplete> {
        let rows = self.rows;
        match self.end {
            None => Some(Incomplete::NoMark { rows }),
            Some(end) if end.rows != rows => Some(Incomplete::OtherCount {
                rows,
                marked: end.rows,
            }),
            Some(end) if end.failed > 0 => Some(Incomplete::FailedRows(end.failed)),
            Some(_) => None,
        }
    }
}

impl<S: ReplicaStore> Reader<S> {
    /// Reads to the end, or until nobody wants more. Answers what it was.
    pub(super) fn run(self, input: impl BufRead) -> Result<Option<Read>, LoadError> {
        let mut lines = Lines::new(input);
        let form = match lines.next().map_err(LoadError::Input)? {
            Some((_, Line::Text(line))) => self.form(line)?,
            Some((_, Line::TooLong)) | None => self.form(b"")?,
        };
        let mut latest = None;
        let mut rows = 0;
        let mut end = None;
        let mut batches: Vec<Batch> = self.ways.iter().map(|_| Batch::default()).collect();
        self.position.read(self.options.from_line.max(2));
        while !self.stop.is_cancelled()
            && let Some((number, line)) = lines.next().map_err(LoadError::Input)?
        {
            let read = match line {
                Line::Text(b"") => continue,
                Line::Text(line) if let Some(mark) = DumpEnd::parse(line) => match mark {
                    Ok(mark) => {
                        end = Some(mark);
                        continue;
                    }
                    Err(error) => Err(error.to_string()),
                },
                _ if number < self.options.from_line => {
                    rows += 1;
                    continue;
                }
                Line::Text(line) => form.message(line),
                Line::TooLong => Err("it is longer than a message may be".to_owned()),
            };
            rows += 1;
            match read {
                Ok(message) => {
                    latest = latest.max(message.event.as_ref().map(|event| event.updated));
                    let lane = lane_of(&message, batches.len());
                    if batches[lane].is_empty() {
                        self.position.begin(lane, number);
                    }
                    batches[lane].add(number, message);
                    let full = batches[lane].len() >= self.options.batch.max(1)
                        || batches[lane].bytes() >= MAX_BATCH_BYTES;
                    if full && !self.send(lane, &mut batches[lane]) {
                        break;
                    }
                }
                Err(error) => {
                    let report = Report::unparsable(number, error);
                    if self.reports.blocking_send(report).is_err() {
                        break;
                    }
                }
            }
            self.position.read(number + 1);
        }
        if !self.stop.is_cancelled() {
            for (lane, batch) in batches.iter_mut().enumerate() {
                if !batch.is_empty() && !self.send(lane, batch) {
                    break;
                }
            }
        }
        Ok(Some(Read {
            cqrs_id: form.cqrs_id,
            latest,
            rows,
            end,
        }))
    }

    /// `false`: the lane has ended.
    fn send(&self, lane: usize, batch: &mut Batch) -> bool {
        let batch = std::mem::take(batch);
        self.ways[lane].blocking_send(batch).is_ok()
    }

    fn form(&self, line: &[u8]) -> Result<Form, LoadError> {
        let name = str::from_utf8(line).unwrap_or("�").trim();
        if name.is_empty() {
            return Err(LoadError::Dump(
                "there is nothing to read: the dump is empty".to_owned(),
            ));
        }
        let no_dump = |error: &dyn std::fmt::Display| {
            LoadError::Dump(format!(
                "not a dump: its first line should be the name of a model: {error}"
            ))
        };
        let cqrs_id = CqrsId::new(name).map_err(|error| no_dump(&error))?;
        if let Some(wanted) = &self.options.cqrs_id
            && *wanted != cqrs_id
        {
            return Err(LoadError::Dump(format!(
                "the dump is of model {cqrs_id}, and not of {wanted}"
            )));
        }
        let Some(model) = self.models.get(&cqrs_id) else {
            let known: Vec<_> = self.models.iter().map(|m| m.cqrs_id.to_string()).collect();
            return Err(LoadError::Dump(format!(
                "the dump is of model {cqrs_id}, which is unknown here; known are: {}",
                known.join(", ")
            )));
        };
        if self.options.clear.is_some() && model.target.table().is_none() {
            return Err(LoadError::Dump(format!(
                "the events of model {cqrs_id} go to a handler, and there is no table to clear: load it \
                 without --clear"
            )));
        }
        let queue = self.options.policy.queue.clone();
        Ok(Form {
            keys: KeyMembers::of(model, self.options.key.as_deref()),
            routing_key: Routing::Direct {
                queue,
                cqrs_id: cqrs_id.clone(),
            }
            .key(),
            as_sync: model.target.in_step() || self.options.clear.is_some(),
            load: self.options.clear,
            cqrs_id,
        })
    }
}

impl Form {
    fn message(&self, line: &[u8]) -> Result<Incoming, String> {
        let line = str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let row = parse_dump_row(line).map_err(|error| error.to_string())?;
        if row.revision < 0 {
            return Err("its cqrs_revision is negative".to_owned());
        }
        let event = Event {
            signal: if self.as_sync {
                Signal::Sync
            } else {
                Signal::Save
            },
            cqrs_id: self.cqrs_id.clone(),
            key: self.keys.read(&row.data)?,
            revision: Revision(row.revision),
            updated: row.updated,
            data: row.data,
            previous: None,
            correlation_id: None,
            retries: 0,
            expires: None,
            meta: None,
        };
        let body = Bytes::from(wire::encode(&event));
        if body.len() > wire::MAX_BODY {
            return Err("it is longer than a message may be".to_owned());
        }
        let mut message = Incoming {
            message_id: None,
            routing_key: self.routing_key.clone(),
            body,
            headers: Headers {
                counted: true,
                ..Headers::default()
            },
            event: Some(Box::new(event)),
        };
        if self.as_sync {
            // The same row only once, but again by the next load that is to put things right.
            let load = self.load.map_or(0, |load| load.as_u128());
            let identity = identity(&message).as_u128() ^ load;
            message.message_id = Some(Uuid::from_u128(identity));
        }
        Ok(message)
    }
}

fn lane_of(message: &Incoming, lanes: usize) -> usize {
    let slot = message.event.as_ref().map_or(0, |event| {
        Slot::of(event.cqrs_id.as_str(), &event.key.canonical()).number()
    });
    usize::from(slot) % lanes.max(1)
}
