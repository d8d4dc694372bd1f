//! Connection strings whose password is never printed.

#[cfg(any(feature = "postgres", feature = "rabbitmq"))]
mod parameters;

use std::fmt;

/// A URL that may hold a password. `Debug` and `Display` show `***` in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps a URL as it is.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL with its password: for the driver, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before `:`, in lower case: `postgres`, `sqlite`, `amqp`, `embedded`, …
    #[must_use]
    pub fn scheme(&self) -> String {
        self.0
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    }

    fn redacted(&self) -> String {
        // The last `@` of all: a password may hold any character, a `?` included.
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let at = self.0.rfind('@').filter(|at| *at >= start);
        let (login, rest) = at.map_or((None, start), |at| (Some(&self.0[start..at]), at));
        let mut shown = self.0[..start].to_owned();
        match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => {}
            // Whether this is a login at all, or an `@` further on, cannot be told: hide it.
            Some((user, secret)) if user.contains(['?', '/']) || secret.contains(['?', '/']) => {
                shown.push_str("***");
            }
            Some((user, "")) => shown.push_str(user),
            Some((user, _)) => {
                shown.push_str(user);
                shown.push_str(":***");
            }
        }
        let (path, query) = match self.0[rest..].split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&self.0[rest..], None),
        };
        shown.push_str(path);
        if let Some(query) = query {
            // A name with a mistake in it may be that of a password.
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if !SHOWN.contains(&name) => format!("{name}=***"),
                _ => pair.to_owned(),
            });
            shown.push('?');
            shown.push_str(&pairs.collect::<Vec<_>>().join("&"));
        }
        shown
    }
}

/// Parameters whose values may be seen by anyone.
const SHOWN: &[&str] = &[
    "application_name",
    "cache",
    "channel_max",
    "connection_timeout",
    "dbname",
    "frame_max",
    "heartbeat",
    "host",
    "hostaddr",
    "immutable",
    "mode",
    "port",
    "ssl-mode",
    "sslmode",
    "statement-cache-capacity",
    "user",
    "vfs",
];

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({})", self.redacted())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_passwords_wherever_a_url_may_hold_them() {
        for (url, shown) in [
            ("postgres://u:p@ss@h/db", "postgres://u:***@h/db"),
            ("amqp://guest@h:5672/%2f", "amqp://guest@h:5672/%2f"),
            (
                "postgres://h/db?user=u&password=p&x=1",
                "postgres://h/db?user=u&password=***&x=***",
            ),
            (
                "postgres://h/db?passwrd=p&sslmode=require",
                "postgres://h/db?passwrd=***&sslmode=require",
            ),
            ("sqlite://shop.db", "sqlite://shop.db"),
            ("postgres://u:p?x@h/db", "postgres://***@h/db"),
            ("postgres://h/db?password=p@x", "postgres://***@x"),
            ("amqp://h/%2f?heartbeat=5", "amqp://h/%2f?heartbeat=5"),
        ] {
            assert_eq!(SecretUrl::new(url).to_string(), shown);
            assert!(!format!("{:?}", SecretUrl::new(url)).contains("p@ss"));
        }
    }
}
