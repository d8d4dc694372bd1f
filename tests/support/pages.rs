//! The pages of the documentation, and the commands that they tell their readers to run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A fenced block of shell commands.
#[derive(Debug)]
pub struct Block {
    /// ` ```console `: lines with `$ ` are commands, the others what they print. Otherwise a script.
    pub console: bool,
    /// ` ```sh no_run `: it is not run by the tests.
    pub no_run: bool,
    /// Without the indentation of the fence.
    pub lines: Vec<String>,
}

/// The directory of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page by its path in the workspace.
///
/// # Errors
/// The page cannot be read.
pub fn read(page: &str) -> Result<String> {
    std::fs::read_to_string(workspace().join(page)).with_context(|| page.to_owned())
}

/// README, `docs/` and the READMEs of the examples, by their paths in the workspace.
///
/// # Errors
/// A directory cannot be read.
pub fn all() -> Result<Vec<String>> {
    let root = workspace();
    let mut pages = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    let mut directories = vec![root.join("docs"), root.join("examples")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(&root)?.display().to_string());
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The text of a page in its fences, each with its info string and lines, and the text outside of them.
#[must_use]
pub fn fences(text: &str) -> (Vec<(String, Vec<String>)>, String) {
    let (mut fences, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(usize, String, Vec<String>)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((indent, info.to_owned(), Vec::new())),
            (Some(_), Some(_)) => {
                fences.extend(open.take().map(|(_, info, lines)| (info, lines)));
            }
            (None, Some((indent, _, lines))) => {
                lines.push(line.get(*indent..).unwrap_or_default().to_owned());
            }
            (None, None) => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    (fences, prose)
}

/// The blocks of shell commands of a page, in their order.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let (fences, _) = fences(text);
    let shell = fences.into_iter().filter_map(|(info, lines)| {
        let mut words = info.split_whitespace();
        let language = words.next()?;
        ["sh", "console"].contains(&language).then(|| Block {
            console: language == "console",
            no_run: words.any(|word| word == "no_run"),
            lines,
        })
    });
    shell.collect()
}

/// The first block of a language with this text in it.
#[must_use]
pub fn sample(text: &str, language: &str, with: &str) -> Option<String> {
    let (fences, _) = fences(text);
    let found = fences
        .into_iter()
        .map(|(info, lines)| (info, lines.join("\n")));
    let mut found = found.filter(|(info, text)| info == language && text.contains(with));
    found.next().map(|(_, text)| text + "\n")
}
