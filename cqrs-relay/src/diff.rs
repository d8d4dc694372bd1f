//! A table's keys and revisions for replicas to compare theirs with: `cqrs-relay diff`, and which of a
//! replica's keys are no more: `cqrs-relay deleted-diff`.

use std::{
    fmt,
    io::{self, Write},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use cqrs_core::{
    InstanceKey,
    content::ContentHasher,
    filter::Filter,
    stream::{END_OF_KEYS, StreamHeader, StreamQueue, StreamRow, keys_line, rows_line},
};
use cqrs_outbox::source::{
    FailedRow, Scan, SourceReader, SourceRow, SourceSnapshot, SourceStore, SourceTable,
};
use futures_util::Stream;
use serde::Serialize;

use crate::{KeyLines, TableError, Watch};

/// What is compared and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Which rows, of those that replicas are to have.
    pub filter: Filter,
    /// How many instances a line has.
    pub batch: usize,
    /// Whether the hash of each instance's content is written too.
    pub content: bool,
}

impl Default for DiffOptions {
    /// All, 10,000 a line, revisions only.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            batch: 10_000,
            content: false,
        }
    }
}

/// What a diff has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diffed {
    /// Instances written.
    pub rows: u64,
    /// Rows that could not be written.
    pub failed: u64,
    /// Rows that the model's own code keeps from replicas.
    pub filtered: u64,
    /// Instances that were being recorded for the first time: they come by the broker.
    pub recording: u64,
}

impl fmt::Display for Diffed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instances written", self.rows)?;
        for (count, what) in [
            (self.failed, "failed"),
            (self.filtered, "not for replicas"),
            (self.recording, "on their way by the broker"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Writes keys and revisions of one consistent snapshot, as `cqrs_diff_master` does. A table without rows
/// is a header alone. The last line is [`END_OF_KEYS`], unless rows have failed: then the stream is not
/// whole.
///
/// # Errors
/// See [`TableError`].
///
/// # Cancel safety
/// What has been written is not whole.
pub async fn diff<S: SourceStore>(
    store: &S,
    table: &Arc<SourceTable<S::Row>>,
    options: &DiffOptions,
    now: DateTime<Utc>,
    output: &mut (impl Write + Send),
    watch: &mut impl Watch,
) -> Result<Diffed, TableError> {
    let mut scan = Scan::new().filtered(options.filter.clone());
    scan.content = options.content;
    let mut snapshot = store.snapshot(table, scan).await?;
    watch.expects(snapshot.estimate().await?);
    let header = StreamHeader {
        cqrs_id: table.source().cqrs_id().clone(),
        time: now,
        queue: StreamQueue::Unsaid,
    };
    writeln!(output, "{header}").map_err(TableError::Output)?;
    let mut done = Diffed::default();
    let mut hasher = ContentHasher::new();
    while let Some(page) = snapshot.next(options.batch.max(1)).await? {
        let mut rows = Vec::with_capacity(page.rows.len());
        let read = page.rows.len() + page.failed.len() + page.filtered + page.recording;
        let mut failed = page.failed;
        for row in page.rows {
            match stream_row(row, options.content.then_some(&mut hasher)) {
                Ok(row) => rows.push(row),
                Err(row) => failed.push(row),
            }
        }
        if !rows.is_empty() {
            writeln!(output, "{}", rows_line(&rows)).map_err(TableError::Output)?;
        }
        for row in &failed {
            watch.failed(row);
        }
        watch.advanced(read as u64);
        done.rows += rows.len() as u64;
        done.failed += failed.len() as u64;
        done.filtered += page.filtered as u64;
        done.recording += page.recording as u64;
    }
    if done.failed == 0 {
        writeln!(output, "{END_OF_KEYS}").map_err(TableError::Output)?;
    }
    output.flush().map_err(TableError::Output)?;
    snapshot.close().await;
    Ok(done)
}

fn stream_row(row: SourceRow, hasher: Option<&mut ContentHasher>) -> Result<StreamRow, FailedRow> {
    let data = row.data.as_deref().unwrap_or("{}");
    let content = match hasher.map(|hasher| hasher.hash(data)).transpose() {
        Ok(hash) => hash.map(|hash| hash.to_string()),
        Err(error) => {
            return Err(FailedRow {
                key: row.key.to_json(),
                fault: error.into(),
            });
        }
    };
    Ok(StreamRow {
        key: row.key,
        revision: row.revision.0,
        content,
    })
}

/// What a deleted diff has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeletedDiffed {
    /// Keys read.
    pub keys: u64,
    /// Keys that replicas are to delete.
    pub deleted: u64,
}

impl fmt::Display for DeletedDiffed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, deleted } = self;
        write!(f, "{keys} keys read, {deleted} to delete")
    }
}

/// Reads a replica's keys and writes those that replicas should not have: the row is not there, or
/// is none for replicas. As `cqrs_deleted_diff_master` does; the header is passed on, and the last line
/// is [`END_OF_KEYS`].
///
/// # Errors
/// See [`TableError`].
///
/// # Cancel safety
/// What has been written is not whole.
pub async fn deleted_diff<S: SourceStore>(
    store: &S,
    table: &Arc<SourceTable<S::Row>>,
    batch: usize,
    input: &mut KeyLines<impl Stream<Item = io::Result<String>> + Unpin + Send>,
    output: &mut (impl Write + Send),
    watch: &mut impl Watch,
) -> Result<DeletedDiffed, TableError> {
    input.expect(table.source().cqrs_id())?;
    let mut reader = store.reader(table).await?;
    writeln!(output, "{}", input.header()).map_err(TableError::Output)?;
    let mut done = DeletedDiffed::default();
    while let Some(keys) = input.next().await? {
        for keys in keys.chunks(batch.max(1)) {
            let found = reader.find(keys).await?;
            let missing: Vec<InstanceKey> = keys
                .iter()
                .zip(found)
                .filter(|(_, found)| found.is_none())
                .map(|(key, _)| key.clone())
                .collect();
            done.keys += keys.len() as u64;
            done.deleted += missing.len() as u64;
            watch.advanced(keys.len() as u64);
            if !missing.is_empty() {
                writeln!(output, "{}", keys_line(&missing)).map_err(TableError::Output)?;
                watch.note(&named("PK to delete", &missing));
            }
        }
    }
    writeln!(output, "{END_OF_KEYS}").map_err(TableError::Output)?;
    output.flush().map_err(TableError::Output)?;
    reader.close().await;
    Ok(done)
}

/// Keys for people, not all of many.
pub(crate) fn named(what: &str, keys: &[InstanceKey]) -> String {
    const SHOWN: usize = 20;
    let shown = keys_line(&keys[..keys.len().min(SHOWN)]);
    match keys.len().saturating_sub(SHOWN) {
        0 => format!("{what}: {shown}"),
        more => format!("{what}: {shown} and {more} more"),
    }
}
