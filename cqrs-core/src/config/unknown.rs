//! What nobody asked for: keys, variables and flags that mean nothing to us.

use super::{
    problem::{Place, Problem},
    reader::{KeyInfo, Reader},
    suggest,
};

/// A key of the file that nobody asked for.
pub(super) struct UnknownKey {
    pub(super) place: Place,
    /// The section's name. Empty at the top of the file.
    pub(super) section: &'static str,
    pub(super) name: String,
}

impl Reader<'_> {
    pub(super) fn unknown_key(&self, unknown: UnknownKey) -> Problem {
        let UnknownKey {
            place,
            section,
            name,
        } = unknown;
        let siblings: Vec<_> = if section.is_empty() {
            self.sections.clone()
        } else {
            self.keys
                .iter()
                .filter(|key| key.section == section)
                .map(|key| key.name)
                .collect()
        };
        let elsewhere = self
            .keys
            .iter()
            .find(|key| key.name == name && key.section != section);
        let (key, what) = if section.is_empty() {
            (name.clone(), "is not a known section")
        } else {
            (format!("{section}.{name}"), "is not a known key")
        };
        let remedy = match (suggest::closest(&name, &siblings), elsewhere) {
            (Some(close), _) if section.is_empty() => format!("did you mean [{close}]?"),
            (Some(close), _) => format!("did you mean {close}?"),
            (None, Some(known)) => format!("did you mean {name} in [{}]?", known.section),
            (None, None) => format!("remove it, or use one of {}", siblings.join(", ")),
        };
        Problem {
            place,
            key: shorten(&key),
            what: what.to_owned(),
            remedy,
        }
    }

    pub(super) fn unknown_variable(&self, name: &str, value: &str) -> Option<Problem> {
        const RESERVED: [&str; 3] = ["CQRS_CONFIG", "CQRS_LOG", "CQRS_LOG_FORMAT"];
        let rest = name.strip_prefix("CQRS_")?;
        if RESERVED.contains(&name) || rest.starts_with("TEST_") || is_service_link(name, value) {
            return None;
        }
        let known: Vec<_> = self
            .keys
            .iter()
            .filter_map(|key| key.env.as_deref())
            .collect();
        if known.contains(&name) {
            return None;
        }
        let ours = self.sections.iter().any(|section| {
            rest.strip_prefix(&section.to_ascii_uppercase())
                .is_some_and(|rest| rest.starts_with('_'))
        });
        let file_only = self
            .keys
            .iter()
            .filter(|key| key.env.is_none())
            .find(|key| {
                let path = key.path().replace('.', "_").to_ascii_uppercase();
                rest.strip_prefix(&path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            });
        let remedy = match (file_only, suggest::closest(name, &known)) {
            (Some(key), _) => format!("set it in the file, in [{}]", key.section),
            (None, Some(close)) => format!("did you mean {close}?"),
            (None, None) if ours => {
                "unset it, or see docs/configuration.md for the known names".to_owned()
            }
            // Another program's.
            (None, None) => return None,
        };
        let place = Place::Variable(shorten(name));
        let what = "is not a known variable".to_owned();
        Some(Problem {
            place,
            key: String::new(),
            what,
            remedy,
        })
    }

    pub(super) fn unknown_flag(&self, key: &str, name: &str) -> Option<Problem> {
        let known: Vec<_> = self
            .keys
            .iter()
            .filter(|key| key.env.is_some())
            .map(KeyInfo::path)
            .collect();
        if known.iter().any(|known| known == key) {
            return None;
        }
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let remedy = match suggest::closest(key, &known) {
            Some(close) => format!("did you mean {close}?"),
            None => "see docs/configuration.md for the known keys".to_owned(),
        };
        let place = Place::Flag(name.to_owned());
        Some(Problem {
            place,
            key: shorten(key),
            what: "is not a known key".to_owned(),
            remedy,
        })
    }
}

/// A name for a message, in case a whole value has slipped into its place.
fn shorten(name: &str) -> String {
    let end = name.find("://").unwrap_or(name.len());
    let mut short: String = name[..end]
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// Whether this is one of the variables that Kubernetes and Docker set in every container beside a
/// service named `cqrs-relay` or the like.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let numbered = name
        .split_once("_PORT_")
        .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && address)
        || numbered
}
