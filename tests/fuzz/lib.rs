//! What reads text from outside, as functions of bytes.
//!
//! Whatever the bytes are, none of them may panic, overflow the stack, or take memory out of proportion; and
//! what has been read is read the same once more after it is written. The tests here run them on the corpus and
//! on changed copies of it; the fuzzers in `libfuzzer/` run them for as long as wanted.

use cqrs_core::{
    TraceContext,
    config::{Config, Sources},
    filter::Filter,
    json::{Object, normalise},
    reconcile::protocol::{Answer, Question},
    stream::{self, DumpEnd, StreamHeader},
    wire,
};

/// A body, as the broker delivers it.
///
/// # Panics
/// What is written of an event is not read as that event.
pub fn body(input: &[u8]) {
    let Ok(event) = wire::decode(input) else {
        return;
    };
    let written = wire::encode(&event);
    let again = wire::decode(written.as_bytes()).expect("what is encoded decodes");
    assert_eq!(wire::encode(&again), written);
    let strict = normalise(input).expect("what decodes is JSON");
    serde_json::from_str::<&serde_json::value::RawValue>(&strict).expect("it is strict JSON now");
}

/// A line of a stream of keys, or its header.
///
/// # Panics
/// What is written of a line is not read as that line.
pub fn key_stream(input: &[u8]) {
    let Ok(line) = str::from_utf8(input) else {
        return;
    };
    if let Ok(header) = StreamHeader::parse(line) {
        let written = header.to_string();
        let again = StreamHeader::parse(&written).expect("a written header is read");
        assert_eq!(again.to_string(), written);
    }
    if let Ok(keys) = stream::parse_keys(line) {
        let written = stream::keys_line(&keys);
        assert_eq!(
            stream::parse_keys(&written).as_ref(),
            Ok(&keys),
            "{written}"
        );
    }
    if let Ok(rows) = stream::parse_rows(line) {
        let written = stream::rows_line(&rows);
        assert_eq!(
            stream::parse_rows(&written).as_ref(),
            Ok(&rows),
            "{written}"
        );
    }
}

/// A line of a dump.
///
/// # Panics
/// What is written of a line is not read as that line.
pub fn dump(input: &[u8]) {
    if let Some(Ok(end)) = DumpEnd::parse(input) {
        assert_eq!(DumpEnd::parse(end.to_string().as_bytes()), Some(Ok(end)));
    }
    let Ok(line) = str::from_utf8(input) else {
        return;
    };
    if let Ok(row) = stream::parse_dump_row(line) {
        let again = Object::from_json(&row.data.to_json()).expect("a written object is read");
        assert_eq!(again.len(), row.data.len());
    }
}

/// A configuration file.
pub fn config(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input)
        && let Err(error) = Config::load(&Sources::text("cqrs.toml", text))
    {
        // What is said to people is part of it.
        drop(error.to_string());
    }
}

/// A filter, as an operator types it.
pub fn filter(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input)
        && let Err(error) = text.parse::<Filter>()
    {
        drop(error.to_string());
    }
}

/// A question or an answer of reconcile, and what comes in a message's headers.
///
/// # Panics
/// What is written of a question or answer is not read.
pub fn reconcile(input: &[u8]) {
    if let Ok(question) = serde_json::from_slice::<Question>(input) {
        let written = serde_json::to_string(&question).expect("a question is written");
        serde_json::from_str::<Question>(&written).expect("a written question is read");
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(input) {
        let written = serde_json::to_string(&answer).expect("an answer is written");
        serde_json::from_str::<Answer>(&written).expect("a written answer is read");
    }
    if let Ok(text) = str::from_utf8(input)
        && let Ok(context) = text.parse::<TraceContext>()
    {
        assert_eq!(context.as_str(), text);
    }
}
