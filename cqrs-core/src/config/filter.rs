//! A filter as JSON text.

use super::kind::{Kind, Raw};
use crate::filter::Filter;

/// A JSON object of field lookups, in a string.
pub(super) struct FilterText;

impl Kind for FilterText {
    type Out = Filter;

    fn read(&self, raw: Raw<'_>) -> Result<Filter, String> {
        let text = raw.text().ok_or_else(|| raw.found())?;
        text.parse::<Filter>().map_err(|error| {
            let problem = error.to_string();
            let problem = problem.strip_prefix("the filter ").unwrap_or(&problem);
            problem.to_owned()
        })
    }

    fn expected(&self) -> String {
        "a JSON object of field lookups".to_owned()
    }

    fn show(&self, _: &Filter) -> String {
        // No key has a default of this kind.
        String::new()
    }

    fn type_name(&self) -> &'static str {
        "string"
    }

    fn range(&self) -> String {
        "a JSON object".to_owned()
    }
}
