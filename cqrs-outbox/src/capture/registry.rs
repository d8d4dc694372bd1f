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
