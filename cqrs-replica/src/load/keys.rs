//! Which members of a row are its key: a dump does not say.

use cqrs_core::{InstanceKey, json::Object};
use serde_json::value::RawValue;

use crate::{Model, ReplicaStore, TableModel};

/// Members that may be the key, those that are tried first before the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyMembers(Vec<Vec<String>>);

impl KeyMembers {
    /// Those that were asked for; or those that the table's key is made of; or `id`.
    pub(super) fn of<S: ReplicaStore>(model: &Model<S>, asked: Option<&[String]>) -> Self {
        if let Some(asked) = asked {
            return Self(vec![asked.to_vec()]);
        }
        let id = vec!["id".to_owned()];
        let mut candidates = Vec::new();
        if let Some(table) = model.target.table() {
            candidates.push(of_table(table));
            if table.key.len() > 1 {
                return Self(candidates);
            }
        }
        if !candidates.contains(&id) {
            candidates.push(id);
        }
        Self(candidates)
    }

    /// The key of a row.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn read(&self, data: &Object) -> Result<InstanceKey, String> {
        let parts = |members: &Vec<String>| -> Option<Vec<Box<RawValue>>> {
            let parts = members.iter().map(|name| data.get(name));
            parts.map(|part| part.map(ToOwned::to_owned)).collect()
        };
        let Some(mut parts) = self.0.iter().find_map(parts) else {
            let tried: Vec<_> = self.0.iter().map(|members| members.join(", ")).collect();
            return Err(format!(
                "it has no {}: name the members that are its key with --key",
                tried.join(" or ")
            ));
        };
        let json = if parts.len() == 1 {
            parts.remove(0)
        } else {
            let texts: Vec<_> = parts.iter().map(|part| part.get()).collect();
            let list = format!("[{}]", texts.join(","));
            RawValue::from_string(list).map_err(|error| error.to_string())?
        };
        InstanceKey::from_json(&json).map_err(|error| error.to_string())
    }
}

fn of_table(table: &TableModel) -> Vec<String> {
    let member = |column: &String| {
        let mapping = table.columns.iter().flatten();
        let mut mapped = mapping.filter(|(_, to)| to == column);
        mapped.next().map_or(column, |(member, _)| member).clone()
    };
    table.key.iter().map(member).collect()
}
