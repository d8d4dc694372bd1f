//! The table of all keys, from the declarations that read them.

use super::{Sources, load, reader::KeyInfo};

/// Every key with its type, default, range, variable and meaning, as Markdown: one table for each
/// section. `docs/configuration.md` holds the same text, and a test compares them.
#[must_use]
pub fn reference() -> String {
    // Rows make the keys of models known; what they lack does not matter here.
    let rows = Sources::text("", "[[master.model]]\n[[replica.model]]");
    let (_, _, keys) = load::read(&rows);
    let sections = [
        "broker",
        "master",
        "master.model",
        "relay",
        "replica",
        "replica.model",
    ];
    let tables = sections.map(|section| {
        let title = if section.contains('.') {
            format!("[[{section}]]")
        } else {
            format!("[{section}]")
        };
        let rows: Vec<_> = keys
            .iter()
            .filter(|key| key.section == section)
            .map(row)
            .collect();
        format!("### `{title}`\n\n{HEAD}\n{}\n", rows.join("\n"))
    });
    tables.join("\n")
}

const HEAD: &str =
    "| key | type | default | allowed | variable | meaning |\n|---|---|---|---|---|---|";

fn row(key: &KeyInfo) -> String {
    let env = key
        .env
        .as_ref()
        .map_or_else(|| "(file only)".to_owned(), |env| format!("`{env}`"));
    let KeyInfo {
        name,
        type_name,
        default,
        range,
        doc,
        ..
    } = key;
    format!("| `{name}` | {type_name} | {default} | {range} | {env} | {doc} |")
}
