//! The options that all commands take.

use std::{convert::Infallible, path::PathBuf};

use clap::{Args, ValueEnum};

use crate::SecretUrl;

/// What all commands of both binaries take.
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct Options {
    /// The configuration file [default: cqrs.toml, if there is one].
    #[arg(long, value_name = "FILE", env = "CQRS_CONFIG", global = true)]
    pub config: Option<PathBuf>,

    /// The database, instead of that of the configuration.
    #[arg(long, value_name = "URL", value_parser = url, global = true)]
    pub database: Option<SecretUrl>,

    /// The broker, instead of broker.url; visible in the list of processes, so that a password is better
    /// kept in the file or in the environment.
    #[arg(long, value_name = "URL", value_parser = url, global = true)]
    pub broker: Option<SecretUrl>,

    /// The exchange, instead of broker.exchange.
    #[arg(long, value_name = "NAME", global = true)]
    pub exchange: Option<String>,

    /// How log lines look, on stderr.
    #[arg(
        long,
        value_enum,
        env = "CQRS_LOG_FORMAT",
        default_value_t,
        global = true
    )]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Not parsed here: the configuration says what is wrong with it, without showing it.
#[expect(clippy::unnecessary_wraps, reason = "the signature that clap asks for")]
fn url(text: &str) -> Result<SecretUrl, Infallible> {
    Ok(SecretUrl::new(text))
}
