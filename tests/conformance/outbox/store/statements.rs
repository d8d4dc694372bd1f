//! The files with the store's statements.

use std::path::PathBuf;

/// Name and text of each statement for a database. Each file is one statement and says its name.
pub(super) fn statements(database: &str) -> Vec<(String, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../cqrs-outbox/src")
        .join(database)
        .join("sql");
    let mut statements: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    statements.sort();
    assert!(
        statements.len() > 15,
        "the statements of {database} are elsewhere"
    );
    for (name, text) in &statements {
        assert!(
            text.starts_with(&format!("-- cqrs-outbox: {name}\n")),
            "{database}/sql/{name}.sql does not begin with its name"
        );
    }
    statements
}

/// One of them.
#[cfg(feature = "servers")]
pub(super) fn statement(database: &str, name: &str) -> String {
    let found = statements(database)
        .into_iter()
        .find(|(known, _)| known == name);
    found.unwrap().1
}
