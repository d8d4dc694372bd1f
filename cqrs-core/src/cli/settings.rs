//! From flags, environment and file to what a configuration is read from.

use std::path::Path;

use super::Options;
use crate::{
    SecretUrl,
    config::{ConfigError, Sources},
};

/// Read where no other file is named.
const USUAL_FILE: &str = "cqrs.toml";

/// A flag: the key that it sets, its name as typed, its value if it was given.
pub type Flag<'a> = (&'a str, &'a str, Option<&'a str>);

/// The file, the environment, the flags of `options`, and a program's own. `--database` sets the key
/// `database`.
///
/// # Errors
/// The file cannot be read.
pub fn sources<'a>(
    options: &Options,
    database: &str,
    own: impl IntoIterator<Item = Flag<'a>>,
) -> Result<Sources, ConfigError> {
    let file = match &options.config {
        Some(path) => Sources::read(path)?,
        None if Path::new(USUAL_FILE).exists() => Sources::read(Path::new(USUAL_FILE))?,
        None => Sources::default(),
    };
    let database_url = options.database.as_ref().map(SecretUrl::expose);
    let broker_url = options.broker.as_ref().map(SecretUrl::expose);
    let common: [Flag<'_>; 3] = [
        (database, "--database", database_url),
        ("broker.url", "--broker", broker_url),
        ("broker.exchange", "--exchange", options.exchange.as_deref()),
    ];
    let sources = with(file.with_env(std::env::vars_os()), common);
    Ok(with(sources, own))
}

fn with<'a>(sources: Sources, flags: impl IntoIterator<Item = Flag<'a>>) -> Sources {
    flags
        .into_iter()
        .fold(sources, |sources, (key, name, value)| match value {
            Some(value) => sources.with_flag(key, name, value),
            None => sources,
        })
}
