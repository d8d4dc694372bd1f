//! Where a configuration comes from.

use std::{
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

use super::ConfigError;

/// What [`Config::load`](super::Config::load) reads. Nothing else is looked at.
///
/// A flag wins over a variable, a variable over the file, the file over the default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file's path, for messages, and its text.
    pub file: Option<(PathBuf, String)>,
    /// Environment variables: name and value. Those of others are passed over.
    pub env: Vec<(String, String)>,
    /// Flags: the key (`relay.batch_size`), the flag as typed (`--batch-size`), the value.
    pub flags: Vec<(String, String, String)>,
}

impl Sources {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when there is none, or it may not be read, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::text(path, text))
    }

    /// Takes `text` for the content of the file at `path`.
    #[must_use]
    pub fn text(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            file: Some((path.into(), text.into())),
            ..Self::default()
        }
    }

    /// Adds the environment, such as `std::env::vars_os()`. Only `CQRS_…` is kept.
    #[must_use]
    pub fn with_env<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        // What is not Unicode comes out with a replacement character, which the reader refuses.
        let text = |os: OsString| os.to_string_lossy().into_owned();
        let pairs = variables
            .into_iter()
            .map(|(name, value)| (text(name.into()), value.into()));
        let ours = pairs.filter(|(name, _)| name.starts_with("CQRS_"));
        self.env
            .extend(ours.map(|(name, value)| (name, text(value))));
        self
    }

    /// Adds a flag: the key it sets (`relay.batch_size`), its name as typed, its value.
    #[must_use]
    pub fn with_flag(
        mut self,
        key: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.flags.push((key.into(), name.into(), value.into()));
        self
    }
}

/// Names only: any value may be a secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file.as_ref().map(|(path, _)| path))
            .field(
                "env",
                &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .field(
                "flags",
                &self
                    .flags
                    .iter()
                    .map(|(_, name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .finish()
    }
}
