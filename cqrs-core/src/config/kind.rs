//! The kinds of values a key can have: how each is read and what it is called in messages.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use toml::de::DeValue;

use super::duration;

/// A value as its source has it.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    /// From a variable or a flag.
    Text(&'a str),
    /// From the file.
    Toml(&'a DeValue<'a>),
}

impl<'a> Raw<'a> {
    /// The text, if it is one.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Toml(value) => value.as_str(),
        }
    }

    /// "is …", as the first half of a problem with a value that is no secret.
    pub(super) fn found(self) -> String {
        match self {
            Self::Toml(DeValue::Integer(number)) => format!("is {number}"),
            Self::Toml(DeValue::Float(number)) => format!("is {number}"),
            Self::Toml(DeValue::Boolean(truth)) => format!("is {truth}"),
            _ => match self.text() {
                Some(text) => format!("is {}", quoted(text)),
                None => format!("is {}", self.type_name()),
            },
        }
    }

    /// What it is, without saying what it holds.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Text(_) | Self::Toml(DeValue::String(_)) => "a string",
            Self::Toml(DeValue::Integer(_)) => "an integer",
            Self::Toml(DeValue::Float(_)) => "a float",
            Self::Toml(DeValue::Boolean(_)) => "a boolean",
            Self::Toml(DeValue::Datetime(_)) => "a date or time",
            Self::Toml(DeValue::Array(_)) => "a list",
            Self::Toml(DeValue::Table(_)) => "a table",
        }
    }
}

/// The text for a message: short, and no URL, which might have slipped in with its password.
pub(super) fn quoted(text: &str) -> String {
    if text.contains("://") || text.contains('@') {
        "a text that looks like a URL".to_owned()
    } else if text.chars().count() > 60 {
        format!("{:?}…", text.chars().take(60).collect::<String>())
    } else {
        format!("{text:?}")
    }
}

/// A kind of value.
pub(super) trait Kind {
    /// What it is read as.
    type Out;

    /// Reads a value, or says what is wrong with it, after the key's name: "is 0".
    fn read(&self, raw: Raw<'_>) -> Result<Self::Out, String>;

    /// What to write, after "write": "a whole number from 1 to 9".
    fn expected(&self) -> String;

    /// The value as it stands in the file.
    fn show(&self, value: &Self::Out) -> String;

    /// The type's name in the reference.
    fn type_name(&self) -> &'static str;

    /// The allowed values in the reference.
    fn range(&self) -> String {
        String::new()
    }
}

/// A whole number.
pub(super) struct Integer<T>(pub(super) RangeInclusive<T>);

impl<T: TryFrom<i64> + PartialOrd + Display> Kind for Integer<T> {
    type Out = T;

    fn read(&self, raw: Raw<'_>) -> Result<T, String> {
        let number = match raw {
            Raw::Text(text) => text.parse::<i64>().ok(),
            Raw::Toml(DeValue::Integer(i)) => i64::from_str_radix(i.as_str(), i.radix()).ok(),
            Raw::Toml(_) => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        number
            .filter(|number| self.0.contains(number))
            .ok_or_else(|| raw.found())
    }

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }

    fn type_name(&self) -> &'static str {
        "integer"
    }

    fn range(&self) -> String {
        format!("{} to {}", self.0.start(), self.0.end())
    }
}

/// A number that need not be whole.
pub(super) struct Number(pub(super) RangeInclusive<f64>);

impl Kind for Number {
    type Out = f64;

    fn read(&self, raw: Raw<'_>) -> Result<f64, String> {
        let number = match raw {
            Raw::Text(text) => text.parse::<f64>().ok(),
            Raw::Toml(DeValue::Float(number)) => number.as_str().parse().ok(),
            Raw::Toml(DeValue::Integer(number)) => number.to_string().parse().ok(),
            Raw::Toml(_) => None,
        };
        number
            .filter(|number| self.0.contains(number))
            .ok_or_else(|| raw.found())
    }

    fn expected(&self) -> String {
        format!("a number from {}", self.range())
    }

    fn show(&self, value: &f64) -> String {
        format!("{value:?}")
    }

    fn type_name(&self) -> &'static str {
        "number"
    }

    fn range(&self) -> String {
        format!("{:?} to {:?}", self.0.start(), self.0.end())
    }
}

/// A length of time.
pub(super) struct Period(pub(super) RangeInclusive<Duration>);

impl Kind for Period {
    type Out = Duration;

    fn read(&self, raw: Raw<'_>) -> Result<Duration, String> {
        let length = raw.text().and_then(duration::parse);
        length
            .filter(|length| self.0.contains(length))
            .ok_or_else(|| raw.found())
    }

    fn expected(&self) -> String {
        format!(
            "a duration (a number with ms, s, m, h or d) from {}",
            self.range()
        )
    }

    fn show(&self, value: &Duration) -> String {
        format!("{:?}", duration::format(*value))
    }

    fn type_name(&self) -> &'static str {
        "duration"
    }

    fn range(&self) -> String {
        format!(
            "{} to {}",
            duration::format(*self.0.start()),
            duration::format(*self.0.end())
        )
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Kind for Switch {
    type Out = bool;

    fn read(&self, raw: Raw<'_>) -> Result<bool, String> {
        let truth = match raw {
            Raw::Text(text) => text.parse().ok(),
            Raw::Toml(value) => value.as_bool(),
        };
        truth.ok_or_else(|| raw.found())
    }

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }

    fn type_name(&self) -> &'static str {
        "boolean"
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Out = T;

    fn read(&self, raw: Raw<'_>) -> Result<T, String> {
        let entry = self.0.iter().find(|(word, _)| raw.text() == Some(word));
        entry.map(|(_, value)| *value).ok_or_else(|| raw.found())
    }

    fn expected(&self) -> String {
        self.range()
    }

    fn show(&self, value: &T) -> String {
        let entry = self.0.iter().find(|(_, known)| known == value);
        entry
            .map(|(word, _)| format!("{word:?}"))
            .unwrap_or_default()
    }

    fn type_name(&self) -> &'static str {
        "string"
    }

    fn range(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("{word:?}")).collect();
        words.join(" or ")
    }
}
