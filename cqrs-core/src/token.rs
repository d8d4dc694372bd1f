//! What a transaction recorded, so that a replica can be asked for it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Revision;

/// The events of a transaction: which instances it brought to which revision. A replica's `wait_for`
/// returns once it has applied all of them, or later ones of the same instances.
///
/// Its text (`Display`, `FromStr`) is made for a header, a cookie or a form: JSON in printable ASCII without
/// spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token {
    events: Vec<(String, String, Revision)>,
}

/// A text that is no token.
#[derive(Debug, thiserror::Error)]
#[error("this is not a token that a command has returned")]
pub struct TokenError(#[source] serde_json::Error);

impl Token {
    /// A token of these events: model, canonical key, revision.
    #[must_use]
    pub fn new(events: impl IntoIterator<Item = (String, String, Revision)>) -> Self {
        let mut events: Vec<_> = events.into_iter().collect();
        events.sort_unstable_by(|left, right| {
            (&left.0, &left.1, right.2.0).cmp(&(&right.0, &right.1, left.2.0))
        });
        // The highest revision of each instance comes first.
        events.dedup_by(|later, first| (&later.0, &later.1) == (&first.0, &first.1));
        Self { events }
    }

    /// The events, one of each instance: model, canonical key, revision.
    #[must_use]
    pub fn events(&self) -> impl ExactSizeIterator<Item = (&str, &str, Revision)> {
        self.events
            .iter()
            .map(|(cqrs_id, instance_pk, revision)| (&**cqrs_id, &**instance_pk, *revision))
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        // Headers are ASCII, and inside JSON only strings hold anything else.
        for character in json.chars() {
            match character {
                ' '..='~' => write!(f, "{character}")?,
                other => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        write!(f, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let read: Self = serde_json::from_str(text).map_err(TokenError)?;
        Ok(Self::new(read.events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cqrs_id: &str, key: &str, revision: i64) -> (String, String, Revision) {
        (cqrs_id.to_owned(), key.to_owned(), Revision(revision))
    }

    #[test]
    fn the_highest_revision_of_each_instance_counts() {
        let token = Token::new([
            event("b", "1", 0),
            event("a", "2", 3),
            event("a", "1", 7),
            event("a", "2", 5),
        ]);
        let events: Vec<_> = token.events().collect();
        let expected = [("a", "1", 7), ("a", "2", 5), ("b", "1", 0)];
        assert_eq!(
            events,
            expected.map(|(model, key, n)| (model, key, Revision(n)))
        );
    }

    #[test]
    fn its_text_is_ascii_and_comes_back() {
        let token = Token::new([event("account", "né 😀\n\"", 4), event("account", "7", 0)]);
        let text = token.to_string();
        assert_eq!(
            text,
            r#"[["account","7",0],["account","n\u00e9 \ud83d\ude00\n\"",4]]"#
        );
        assert_eq!(text.parse::<Token>().unwrap(), token);
        assert!("[[1]]".parse::<Token>().is_err());
        assert!("".parse::<Token>().is_err());
    }
}
