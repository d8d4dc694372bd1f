//! Fields whose old values are told.

use toml::de::DeValue;

use super::kind::{Kind, Raw, quoted};

/// The fields whose old values travel with a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackedFields {
    /// All that are published.
    All,
    /// These.
    Fields(Vec<String>),
}

impl Default for TrackedFields {
    fn default() -> Self {
        Self::Fields(Vec::new())
    }
}

/// `"all"` or a list of names.
pub(super) struct TrackedNames;

impl Kind for TrackedNames {
    type Out = TrackedFields;

    fn read(&self, raw: Raw<'_>) -> Result<TrackedFields, String> {
        match raw {
            Raw::Toml(DeValue::Array(items)) => {
                let mut fields: Vec<String> = Vec::with_capacity(items.len());
                for item in items {
                    let field = item.get_ref().as_str();
                    let field = field.ok_or("is a list of other things than strings")?;
                    if fields.iter().any(|known| known == field) {
                        return Err(format!("names {} twice", quoted(field)));
                    }
                    fields.push(field.to_owned());
                }
                Ok(TrackedFields::Fields(fields))
            }
            _ if raw.text() == Some("all") => Ok(TrackedFields::All),
            _ => Err(raw.found()),
        }
    }

    fn expected(&self) -> String {
        "\"all\" or a list of fields".to_owned()
    }

    fn show(&self, value: &TrackedFields) -> String {
        match value {
            TrackedFields::All => "\"all\"".to_owned(),
            TrackedFields::Fields(fields) => format!("{fields:?}"),
        }
    }

    fn type_name(&self) -> &'static str {
        "string or list of strings"
    }
}
