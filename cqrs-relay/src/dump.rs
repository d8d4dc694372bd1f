//! A table's instances as a file, for a replica to load: `cqrs-relay dump`.

use std::{fmt, io::Write, sync::Arc};

use cqrs_core::{filter::Filter, stream::DumpEnd, wire};
use cqrs_outbox::source::{FailedRow, Scan, SourceRow, SourceSnapshot, SourceStore, SourceTable};
use serde::Serialize;

use crate::{TableError, Watch};

/// What is dumped and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DumpOptions {
    /// Which rows, of those that replicas are to have.
    pub filter: Filter,
    /// How many rows are read at a time.
    pub batch: usize,
    /// Whether the last line is an end mark, by which `load` knows that the dump is whole.
    pub end_mark: bool,
}

impl Default for DumpOptions {
    /// All, 1,000 at a time, with an end mark.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            batch: 1_000,
            end_mark: true,
        }
    }
}

/// What a dump has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dumped {
    /// Instances written.
    pub rows: u64,
    /// Rows that could not be written.
    pub failed: u64,
    /// Rows that the model's own code keeps from replicas.
    pub filtered: u64,
    /// Instances that were being recorded for the first time: they come by the broker.
    pub recording: u64,
}

impl fmt::Display for Dumped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} instances dumped", self.rows)?;
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

/// Writes the instances of one consistent snapshot, as `cqrs_bulk_dump` does: the model's name, and
/// for each instance a line break and its state on one line; at last a line break and a [`DumpEnd`].
/// The last line has no line break.
///
/// Memory does not depend on the table, and no writer waits for this.
///
/// # Errors
/// See [`TableError`]. What has been written then is not whole.
///
/// # Cancel safety
/// What has been written is not whole.
pub async fn dump<S: SourceStore>(
    store: &S,
    table: &Arc<SourceTable<S::Row>>,
    options: &DumpOptions,
    output: &mut (impl Write + Send),
    watch: &mut impl Watch,
) -> Result<Dumped, TableError> {
    let scan = Scan::with_content().filtered(options.filter.clone());
    let mut snapshot = store.snapshot(table, scan).await?;
    watch.expects(snapshot.estimate().await?);
    let mut done = Dumped::default();
    let name = table.source().cqrs_id().as_str();
    output
        .write_all(name.as_bytes())
        .map_err(TableError::Output)?;
    while let Some(page) = snapshot.next(options.batch.max(1)).await? {
        let mut written = 0;
        let mut failed = page.failed;
        for row in &page.rows {
            let line = line(row);
            // An event of it could be recorded no more than loaded. Django has no such limit.
            if options.end_mark && line.len() > wire::MAX_BODY {
                failed.push(FailedRow {
                    key: row.key.to_json(),
                    fault: format!(
                        "it is longer than an event may be, {} bytes",
                        wire::MAX_BODY
                    )
                    .into(),
                });
                continue;
            }
            written += 1;
            output
                .write_all(line.as_bytes())
                .map_err(TableError::Output)?;
        }
        for row in &failed {
            watch.failed(row);
        }
        watch.advanced(written + (failed.len() + page.filtered + page.recording) as u64);
        done.rows += written;
        done.failed += failed.len() as u64;
        done.filtered += page.filtered as u64;
        done.recording += page.recording as u64;
    }
    if options.end_mark {
        let end = DumpEnd {
            rows: done.rows,
            failed: done.failed,
            filtered: options.filter != Filter::default(),
        };
        write!(output, "\n{end}").map_err(TableError::Output)?;
    }
    output.flush().map_err(TableError::Output)?;
    snapshot.close().await;
    Ok(done)
}

/// A line break and the instance's `instance_data`, its members in the order of our events.
fn line(row: &SourceRow) -> String {
    let data = row.data.as_deref().unwrap_or("{}").trim();
    let members = data.strip_suffix('}').unwrap_or(data).trim_end();
    let comma = if members == "{" { "" } else { "," };
    format!(
        "\n{members}{comma}\"cqrs_revision\":{},\"cqrs_updated\":\"{}\"}}",
        row.revision.0,
        wire::format_updated(row.updated)
    )
}

#[cfg(test)]
mod tests {
    use cqrs_core::{InstanceKey, Revision, stream::parse_dump_row, wire::parse_timestamp};

    use super::*;

    fn row(data: &str) -> SourceRow {
        SourceRow {
            key: InstanceKey::from(1),
            instance_pk: "1".to_owned(),
            revision: Revision(3),
            updated: parse_timestamp("2026-11-21 01:09:08.722970+00:00").unwrap(),
            data: Some(data.to_owned()),
        }
    }

    #[test]
    fn lines_are_those_of_django() {
        assert_eq!(
            line(&row(r#"{"id":1,"name":"n1"}"#)),
            "\n{\"id\":1,\"name\":\"n1\",\"cqrs_revision\":3,\
             \"cqrs_updated\":\"2026-11-21 01:09:08.722970+00:00\"}"
        );
        for data in ["{}", "{ }", r#"{"a":{}}"#, "{\"a\":{} } "] {
            let line = line(&row(data));
            assert_eq!(parse_dump_row(line.trim_start()).unwrap().revision, 3);
        }
    }
}
