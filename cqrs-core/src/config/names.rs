//! Kinds of values that name something: a URL, a queue, an exchange.

use std::{fmt::Display, marker::PhantomData, str::FromStr};

use super::kind::{Kind, Raw, quoted};
use crate::SecretUrl;

/// A URL of one of these schemes. Its value is never shown.
pub(super) struct Url(pub(super) &'static [&'static str]);

/// The schemes a message may repeat. Any other text before a colon may be part of a secret.
const KNOWN: [&str; 13] = [
    "amqp",
    "amqps",
    "embedded",
    "http",
    "https",
    "kafka",
    "mariadb",
    "mysql",
    "nats",
    "postgres",
    "postgresql",
    "redis",
    "sqlite",
];

impl Kind for Url {
    type Out = SecretUrl;

    fn read(&self, raw: Raw<'_>) -> Result<SecretUrl, String> {
        let Some(text) = raw.text() else {
            return Err(format!("is {}", raw.type_name()));
        };
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("is not a URL".to_owned());
        };
        let scheme = scheme.to_ascii_lowercase();
        if rest.is_empty() {
            return Err("is a URL with nothing after ://".to_owned());
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("is a URL with white space in it".to_owned());
        }
        if has_bad_port(rest) {
            let hint = "in a password, / ? # are written %2F %3F %23";
            return Err(format!("is a URL whose port is not a number ({hint})"));
        }
        if self.0.contains(&scheme.as_str()) {
            Ok(SecretUrl::new(text))
        } else if KNOWN.contains(&scheme.as_str()) {
            Err(format!("is a URL that starts with {scheme}://"))
        } else {
            Err("is a URL of an unknown scheme".to_owned())
        }
    }

    fn expected(&self) -> String {
        format!("a URL that starts with {}", self.range())
    }

    fn show(&self, value: &SecretUrl) -> String {
        format!("{:?}", value.to_string())
    }

    fn type_name(&self) -> &'static str {
        "URL"
    }

    fn range(&self) -> String {
        let schemes: Vec<_> = self.0.iter().map(|scheme| format!("{scheme}://")).collect();
        schemes.join(", ")
    }
}

/// Whether the text after `://` names a host with a port that is none. Mostly it is a password cut
/// off by a character that ends the host, and what comes after it would be taken for no secret.
fn has_bad_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit(['@', ']']).next().unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.is_empty() || port.bytes().any(|b| !b.is_ascii_digit()))
}

/// A name with rules of its own, such as a queue's.
pub(super) struct Name<T> {
    what: &'static str,
    rule: &'static str,
    out: PhantomData<T>,
}

impl<T> Name<T> {
    /// `what` it names, and the rule that a name must follow.
    pub(super) fn new(what: &'static str, rule: &'static str) -> Self {
        Self {
            what,
            rule,
            out: PhantomData,
        }
    }
}

impl<T: FromStr + Display> Kind for Name<T> {
    type Out = T;

    fn read(&self, raw: Raw<'_>) -> Result<T, String> {
        let name = raw.text().and_then(|text| text.parse().ok());
        name.ok_or_else(|| raw.found())
    }

    fn expected(&self) -> String {
        format!("{} of {}", self.what, self.rule)
    }

    fn show(&self, value: &T) -> String {
        format!("{:?}", value.to_string())
    }

    fn type_name(&self) -> &'static str {
        "string"
    }

    fn range(&self) -> String {
        self.rule.to_owned()
    }
}

/// Text of at most this many bytes.
pub(super) struct Text(pub(super) usize);

impl Kind for Text {
    type Out = String;

    fn read(&self, raw: Raw<'_>) -> Result<String, String> {
        let text = raw.text().ok_or_else(|| raw.found())?;
        if text.is_empty() || text.len() > self.0 || text.chars().any(char::is_control) {
            return Err(format!("is {}", quoted(text)));
        }
        Ok(text.to_owned())
    }

    fn expected(&self) -> String {
        format!("a name of {}", self.range())
    }

    fn show(&self, value: &String) -> String {
        format!("{value:?}")
    }

    fn type_name(&self) -> &'static str {
        "string"
    }

    fn range(&self) -> String {
        format!("1 to {} bytes, no control characters", self.0)
    }
}
