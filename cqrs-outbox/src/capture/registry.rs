//! The rows of `cqrs_capture`.

use serde_json::json;

use super::CaptureState;
use crate::source::{SourceModel, TrackedFields};

/// What was installed for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// [`declared`] of the model then.
    pub(crate) model: String,
    /// The number of the form of the triggers.
    pub(crate) form: i64,
    /// The statements, one after the other.
    pub(crate) statements: String,
    /// The columns of the table and their types, as JSON; empty if it is not known.
    pub(crate) columns: String,
}

/// What has become of the columns of the table, in words.
pub(crate) fn differences(found: Option<&Entry>, wanted: &Entry) -> Vec<String> {
    type Columns = Vec<(String, String)>;
    let read = |entry: &Entry| serde_json::from_str::<Columns>(&entry.columns).ok();
    let (Some(was), Some(now)) = (found.and_then(read), read(wanted)) else {
        return Vec::new();
    };
    let of = |columns: &Columns, name: &str| {
        let column = columns.iter().find(|(column, _)| column == name);
        column.map(|(_, type_name)| type_name.clone())
    };
    let gone = was.iter().filter(|(name, _)| of(&now, name).is_none());
    let gone = gone.map(|(name, _)| format!("{name} is gone"));
    let others = now
        .iter()
        .filter_map(|(name, type_name)| match of(&was, name) {
            None => Some(format!("{name} is new")),
            Some(before) if before != *type_name => {
                Some(format!("{name} was {before} and is {type_name}"))
            }
            Some(_) => None,
        });
    gone.chain(others).collect()
}

/// What a model says, as text that is equal if it says the same.
pub(crate) fn declared(model: &SourceModel) -> String {
    let tracked = match &model.tracked {
        TrackedFields::All => json!("all"),
        TrackedFields::Fields(names) => json!(names),
    };
    json!({
        "cqrs_id": model.cqrs_id.as_str(),
        "table": model.table,
        "key": model.key,
        "fields": model.fields,
        // Its form in Rust is as stable as the version of this crate, which is all it is compared in.
        "filter": format!("{:?}", model.filter),
        "tracked": tracked,
        "ttl": model.ttl.map(|ttl| ttl.as_micros().to_string()),
        "skip_unchanged": model.skip_unchanged,
    })
    .to_string()
}

/// What differs first between what was installed and what would be now, the catalog aside.
pub(crate) fn judge(found: Option<&Entry>, wanted: &Entry) -> CaptureState {
    match found {
        None => CaptureState::NotInstalled,
        Some(found) if found.form != wanted.form => CaptureState::OtherVersion,
        Some(found) if found.model != wanted.model => CaptureState::ModelChanged,
        Some(found) if found.statements != wanted.statements => CaptureState::TableChanged,
        Some(_) => CaptureState::Current,
    }
}
