//! Where the broker's file is and how its consumers hold messages.

use std::{path::PathBuf, time::Duration};

use super::error;
use crate::{SecretUrl, transport::TransportError};

/// The settings of an [`Embedded`](super::Embedded).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// The `SQLite` file; made if it does not exist. On a local disk: `SQLite` shares memory between
    /// the processes that use it.
    pub path: PathBuf,
    /// The exchange. Default: `cqrs`.
    pub exchange: String,
    /// How long a consumer that gives no sign of life keeps its messages. It renews its lease four
    /// tenths of this into it. Default: 2.5 s, so that another one goes on within 3 s.
    pub lease: Duration,
    /// How often an idle subscriber looks for what other processes sent; within one process it is
    /// woken. Default: 50 ms. While messages come it looks more often.
    pub poll_interval: Duration,
    /// How long to wait for another process's write. Default: 5 s.
    pub busy_timeout: Duration,
}

impl EmbeddedConfig {
    /// The defaults, for this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            exchange: "cqrs".to_owned(),
            lease: Duration::from_millis(2500),
            poll_interval: Duration::from_millis(50),
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// The defaults, for the file of a URL: `embedded:///absolute/path.db`, `embedded://relative.db`.
    ///
    /// # Errors
    /// [`TransportError::Misconfigured`] for any other URL.
    pub fn from_url(url: &SecretUrl) -> Result<Self, TransportError> {
        match url.expose().split_once("://") {
            Some((scheme, path)) if scheme.eq_ignore_ascii_case("embedded") && !path.is_empty() => {
                Ok(Self::new(path))
            }
            _ => Err(error::misconfigured(
                format!("the broker's URL {url} is not one like embedded:///absolute/path.db"),
                error::Fault::Url,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        let path = |url: &str| EmbeddedConfig::from_url(&SecretUrl::new(url)).map(|c| c.path);
        assert_eq!(
            path("embedded:///var/lib/app/broker.db").unwrap(),
            PathBuf::from("/var/lib/app/broker.db")
        );
        assert_eq!(
            path("embedded://target/broker.db").unwrap(),
            PathBuf::from("target/broker.db")
        );
        for url in [
            "embedded://",
            "embedded:broker.db",
            "sqlite://broker.db",
            "",
        ] {
            assert!(
                matches!(path(url), Err(TransportError::Misconfigured { .. })),
                "{url}"
            );
        }
    }
}
