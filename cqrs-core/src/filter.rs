//! Which instances a command is about, in the form that django-cqrs takes: a JSON object of field
//! lookups, all of which must hold.
//!
//! ```json
//! {"id__in": [1, 2], "status": "active", "created__gte": "2026-01-01T00:00:00Z"}
//! ```
//!
//! | lookup | holds if the field |
//! |---|---|
//! | `status`, `status__exact` | equals the value; `null`: is null |
//! | `status__ne` | is another value, or null |
//! | `n__lt`, `n__lte`, `n__gt`, `n__gte` | is less, at most, more, at least |
//! | `id__in` | equals one of a list |
//! | `parent__isnull` | is null (`true`) or is not (`false`) |
//! | `name__contains`, `name__startswith` | holds the text, begins with it; case counts |
//! | `and`, `or` | all, or one, of a list of such objects hold |
//!
//! `pk` is the key, whatever its column is called. Here nothing is known of a schema yet: whether
//! there is such a field is found out where the condition is made.

use std::{fmt, str::FromStr};

use serde_json::value::RawValue;

use crate::json::Object;

/// A condition on the fields of an instance. The default holds for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Each of these holds.
    All(Vec<Filter>),
    /// One of these holds.
    Any(Vec<Filter>),
    /// A test of one field.
    Field {
        /// The field, or `pk`.
        name: String,
        /// What must hold of it.
        test: Test,
    },
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// What must hold of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It equals the value.
    Equal(Scalar),
    /// It does not, or is null.
    NotEqual(Scalar),
    /// It compares so with the value.
    Order(Order, Scalar),
    /// It equals one of the values.
    In(Vec<Scalar>),
    /// It is null, or it is not.
    IsNull(bool),
    /// Its text holds this one.
    Contains(String),
    /// Its text begins with this one.
    StartsWith(String),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A number, by its digits.
    Number(String),
    /// A text: whatever the field's type reads from it.
    Text(String),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// The value as text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
        }
    }
}

/// What is wrong with a filter, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the filter {0}")]
pub struct FilterError(pub String);

/// The lookups, for messages.
pub const LOOKUPS: &str =
    "exact, ne, lt, lte, gt, gte, in, isnull, contains, startswith, and `and`, `or`";

impl Filter {
    /// Whether it holds for all instances.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All(filters) if filters.iter().all(Self::is_all))
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.is_all() {
            return other;
        }
        if other.is_all() {
            return self;
        }
        Self::All(vec![self, other])
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Reads a JSON object.
    fn from_str(json: &str) -> Result<Self, FilterError> {
        let object = Object::from_json(json).map_err(|error| {
            FilterError(format!(
                "is no JSON object such as {{\"status\": \"active\"}}: {error}"
            ))
        })?;
        all(&object)
    }
}

fn all(object: &Object) -> Result<Filter, FilterError> {
    let mut filters = object
        .iter()
        .map(|(name, value)| member(name, value))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match filters.len() {
        1 => filters.remove(0),
        _ => Filter::All(filters),
    })
}

fn member(name: &str, value: &RawValue) -> Result<Filter, FilterError> {
    match name {
        "and" => return Ok(Filter::All(list_of_objects(name, value)?)),
        "or" => {
            let filters = list_of_objects(name, value)?;
            if filters.is_empty() {
                return Err(FilterError("has an empty list for `or`".to_owned()));
            }
            return Ok(Filter::Any(filters));
        }
        _ => {}
    }
    let (field, lookup) = match name.rsplit_once("__") {
        Some((field, lookup)) if !field.is_empty() && is_lookup(lookup) => (field, lookup),
        // Two underscores may be part of a column's name.
        _ => (name, "exact"),
    };
    Ok(Filter::Field {
        name: field.to_owned(),
        test: test(name, lookup, value)?,
    })
}

fn is_lookup(word: &str) -> bool {
    matches!(
        word,
        "exact" | "ne" | "lt" | "lte" | "gt" | "gte" | "in" | "isnull" | "contains" | "startswith"
    )
}

fn test(name: &str, lookup: &str, value: &RawValue) -> Result<Test, FilterError> {
    let wrong = |wanted: &str| {
        let found = kind(value.get());
        Err(FilterError(format!(
            "has {found} for {name:?}, which takes {wanted}"
        )))
    };
    let json = value.get();
    let one = scalar(json);
    Ok(match (lookup, one) {
        ("exact", None) if json == "null" => Test::IsNull(true),
        ("ne", None) if json == "null" => Test::IsNull(false),
        ("exact", Some(value)) => Test::Equal(value),
        ("ne", Some(value)) => Test::NotEqual(value),
        ("lt", Some(value)) => Test::Order(Order::Less, value),
        ("lte", Some(value)) => Test::Order(Order::AtMost, value),
        ("gt", Some(value)) => Test::Order(Order::More, value),
        ("gte", Some(value)) => Test::Order(Order::AtLeast, value),
        ("isnull", Some(Scalar::Bool(truth))) => Test::IsNull(truth),
        ("isnull", _) => return wrong("true or false"),
        ("contains", Some(Scalar::Text(text))) => Test::Contains(text),
        ("startswith", Some(Scalar::Text(text))) => Test::StartsWith(text),
        ("contains" | "startswith", _) => return wrong("a text"),
        ("in", _) => {
            let Ok(items) = serde_json::from_str::<Vec<Box<RawValue>>>(json) else {
                return wrong("a list of numbers, texts and truth values");
            };
            let values = items.iter().map(|item| scalar(item.get()));
            match values.collect() {
                Some(values) => Test::In(values),
                None => return wrong("a list of numbers, texts and truth values"),
            }
        }
        _ => return wrong("a number, a text, or true or false"),
    })
}

fn scalar(json: &str) -> Option<Scalar> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok().map(Scalar::Text),
        b't' => Some(Scalar::Bool(true)),
        b'f' => Some(Scalar::Bool(false)),
        b'-' | b'0'..=b'9' => Some(Scalar::Number(json.to_owned())),
        _ => None,
    }
}

fn list_of_objects(name: &str, value: &RawValue) -> Result<Vec<Filter>, FilterError> {
    let objects: Vec<Object> = serde_json::from_str(value.get())
        .map_err(|_| FilterError(format!("has no list of objects for `{name}`")))?;
    objects.iter().map(all).collect()
}

fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a truth value",
        Some(b'n') => "null",
        _ => "a number",
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, test: Test) -> Filter {
        Filter::Field {
            name: name.to_owned(),
            test,
        }
    }

    fn number(text: &str) -> Scalar {
        Scalar::Number(text.to_owned())
    }

    #[test]
    fn lookups_are_those_of_django() {
        let parsed: Filter = r#"{"id__in":[1,2],"status":"active","n__gte":1.50,"parent":null}"#
            .parse()
            .unwrap();
        let expected = Filter::All(vec![
            field("id", Test::In(vec![number("1"), number("2")])),
            field("status", Test::Equal(Scalar::Text("active".to_owned()))),
            field("n", Test::Order(Order::AtLeast, number("1.50"))),
            field("parent", Test::IsNull(true)),
        ]);
        assert_eq!(parsed, expected);
        assert!("{}".parse::<Filter>().unwrap().is_all());
    }

    #[test]
    fn and_and_or_nest() {
        let parsed: Filter = r#"{"or":[{"a":1},{"and":[{"b__isnull":false},{"c__ne":"x"}]}]}"#
            .parse()
            .unwrap();
        let expected = Filter::Any(vec![
            field("a", Test::Equal(number("1"))),
            Filter::All(vec![
                field("b", Test::IsNull(false)),
                field("c", Test::NotEqual(Scalar::Text("x".to_owned()))),
            ]),
        ]);
        assert_eq!(parsed, expected);
    }

    #[test]
    fn two_underscores_may_be_part_of_a_name() {
        let parsed: Filter = r#"{"a__b":1,"a__b__lt":2}"#.parse().unwrap();
        let expected = Filter::All(vec![
            field("a__b", Test::Equal(number("1"))),
            field("a__b", Test::Order(Order::Less, number("2"))),
        ]);
        assert_eq!(parsed, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |json: &str| json.parse::<Filter>().unwrap_err().to_string();
        assert!(problem("[1]").contains("no JSON object"));
        assert_eq!(
            problem(r#"{"a__in": 3}"#),
            "the filter has a number for \"a__in\", which takes a list of numbers, texts and truth values"
        );
        assert!(problem(r#"{"a__isnull": 1}"#).contains("true or false"));
        assert!(problem(r#"{"a__contains": 1}"#).contains("takes a text"));
        assert!(problem(r#"{"a": {"b": 1}}"#).contains("an object"));
        assert!(problem(r#"{"or": []}"#).contains("empty"));
        assert!(problem(r#"{"or": {"a": 1}}"#).contains("list of objects"));
    }
}
