//! What is wrong with a configuration, where it stands, and what to do about it.

use std::{fmt, io, path::PathBuf};

/// Where a value was set, or should have been.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// A line of the file, counted from 1.
    Line(PathBuf, usize),
    /// The file as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag, as it was typed.
    Flag(String),
    /// No file was read.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// One thing that is wrong. It never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The key it is about, with its section: `relay.batch_size`. Empty when no key is to blame.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.key.is_empty() { "" } else { " " };
        write!(
            f,
            "{}: {}{space}{}; {}",
            self.place, self.key, self.what, self.remedy
        )
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration file {}; {}",
        path.display(),
        unreadable(source)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// What was read has these problems, all of them. One line each when displayed.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// The problems, where the sources could be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid(problems) => problems,
        }
    }
}

fn unreadable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::IsADirectory => "it is a directory: name the file in it",
        io::ErrorKind::InvalidData => "it is not UTF-8: save it as UTF-8",
        io::ErrorKind::PermissionDenied => "let the user of this program read it",
        _ => "name an existing one, or create it (docs/configuration.md has an example)",
    }
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
