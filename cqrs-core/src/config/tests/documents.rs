//! The documents say what the code does.

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::{file, load};
use crate::config::{Config, load::read, reference};

const START: &str =
    "<!-- reference: generated from the code, see cqrs-core/src/config/tests/documents.rs -->\n";
const END: &str = "<!-- end of reference -->";

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The TOML blocks of a Markdown text.
fn samples(markdown: &str) -> Vec<&str> {
    let blocks = markdown.split("```toml\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_reference_in_the_docs_is_the_one_of_the_code() {
    let path = workspace().join("docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(START).expect("the start of the reference");
    let (found, after) = rest.split_once(END).expect("the end of the reference");
    let right = reference();
    if found != right {
        let corrected = workspace().join("target/configuration.md");
        fs::create_dir_all(workspace().join("target")).unwrap();
        fs::write(&corrected, format!("{before}{START}{right}{END}{after}")).unwrap();
        panic!("docs/configuration.md is out of date: cp target/configuration.md docs/");
    }
}

#[test]
fn every_key_is_in_the_reference_with_its_default_and_no_other() {
    let sources = file("[[master.model]]\n[[replica.model]]");
    let (_, _, keys) = read(&sources);
    let declared: BTreeSet<_> = keys
        .iter()
        .map(|key| {
            (
                format!("| `{}` | {} |", key.name, key.type_name),
                key.default.clone(),
            )
        })
        .collect();
    let text = fs::read_to_string(workspace().join("docs/configuration.md")).unwrap();
    let rows: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert_eq!(rows.len(), keys.len());
    for (start, default) in &declared {
        let row = rows
            .iter()
            .find(|row| row.starts_with(start) && row.contains(default.as_str()));
        assert!(row.is_some(), "{start} {default}");
    }
}

#[test]
fn defaults_in_the_reference_can_be_written() {
    let (_, _, keys) = read(&file(""));
    let mut found = 0;
    for key in keys.iter().filter(|key| key.env.is_some()) {
        let value = key.default.trim_matches('`');
        if value.starts_with(|c: char| c == '"' || c.is_ascii_digit()) && !value.contains(' ') {
            found += 1;
            load(&format!("{}.{} = {value}", key.section, key.name));
        }
    }
    assert!(found > 25, "{found}");
}

#[test]
fn every_toml_block_of_the_docs_loads() {
    let mut found = 0;
    for name in [
        "README.md",
        "docs/configuration.md",
        "docs/capture.md",
        "docs/guide/3-events.md",
        "docs/guide/4-replicas.md",
        "examples/shop/README.md",
    ] {
        let text = fs::read_to_string(workspace().join(name)).unwrap();
        for sample in samples(&text) {
            found += 1;
            if let Err(error) = Config::load(&file(sample)) {
                panic!("{name}: {error}\n{sample}");
            }
        }
    }
    assert!(found > 5);
}
