//! What an operator sees.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use cqrs_core::bus::{CommandBus, QueryBus};
use cqrs_tests::wait::{Seen, until};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::Value;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    bed::Bed,
    handlers::{Amount, End, Purses, id, put},
};

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The spans of this name once so many have ended: sqlx's thread of `SQLite` may hold one for a
    /// moment longer.
    async fn spans(&self, name: &str, count: usize) -> Vec<Value> {
        let ended = async || Ok(Seen::equal(&self.ended(name).len(), &count));
        until("the spans end", Duration::from_secs(30), ended)
            .await
            .unwrap();
        let mut spans = self.ended(name);
        spans.sort_by_key(|span| span["outcome"].to_string());
        spans
    }

    fn ended(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["fields"]["message"] == "close" && line["span"]["name"] == name)
            .map(|line| line["span"].clone())
            .collect()
    }
}

/// A counter's value: its name, what it counts, the outcome.
fn counted(snapshotter: &Snapshotter) -> Vec<(String, String, u64)> {
    let mut counted: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let DebugValue::Counter(count) = value else {
                return None;
            };
            let labels: Vec<_> = key.key().labels().map(metrics::Label::value).collect();
            Some((key.key().name().to_owned(), labels.join(" "), count))
        })
        .filter(|(name, ..)| name == "cqrs_commands_total" || name == "cqrs_queries_total")
        .collect();
    counted.sort();
    counted
}

pub(crate) async fn outcomes_are_counted_and_shown_in_spans(bed: impl Bed) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .finish();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _log = tracing::subscriber::set_default(subscriber);
    let _metrics = metrics::set_default_local_recorder(&recorder);

    let commands = CommandBus::new(bed.commands(), Purses::default());
    for (number, end) in [
        (1, End::Well),
        (1, End::Well),
        (2, End::Refused),
        (3, End::Panic),
    ] {
        let _ = commands.execute(id(number), &put(7, 5, end)).await;
    }
    let _ = commands.execute(id(1), &put(7, 6, End::Well)).await;
    let _ = commands.execute(id(4), &put(-7, 6, End::Well)).await;
    let queries = QueryBus::new(bed.queries(), Purses::default());
    for end in [End::Well, End::Refused] {
        let _ = queries.ask(&Amount { id: 7, end }).await;
    }

    let command = |outcome: &str, count| {
        let name = "cqrs_commands_total".to_owned();
        (name, format!("put {outcome}"), count)
    };
    let query = |outcome: &str, count| {
        let name = "cqrs_queries_total".to_owned();
        (name, format!("amount {outcome}"), count)
    };
    let expected = [
        command("done", 1),
        command("id_reused", 1),
        command("invalid", 1),
        command("panicked", 1),
        command("rejected", 1),
        command("repeated", 1),
        query("done", 1),
        query("rejected", 1),
    ];
    assert_eq!(counted(&snapshotter), expected);

    let spans = lines.spans("command", 6).await;
    let outcomes: Vec<_> = spans
        .iter()
        .map(|span| span["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes,
        [
            "done",
            "id_reused",
            "invalid",
            "panicked",
            "rejected",
            "repeated"
        ]
    );
    let (first, invalid) = (&spans[0], &spans[2]);
    assert_eq!(first["command"], "put");
    assert_eq!(first["id"], id(1).to_string());
    assert_eq!(first["attempts"], 1);
    assert!(first["duration"].is_string(), "{first}");
    assert!(invalid["attempts"].is_null(), "{invalid}");
    let spans = lines.spans("query", 2).await;
    assert_eq!(
        (&spans[0]["query"], &spans[0]["outcome"]),
        (&"amount".into(), &"done".into())
    );
}
