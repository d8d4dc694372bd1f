//! Tables that are kept equal to a model's state: what is known of them, and the rows for them.

mod description;
mod obstructing;
mod plan;
mod reference;
mod row;

pub(crate) use cqrs_core::database::{TableName, checked, quoted};
pub(crate) use description::{Column, Description};
pub(crate) use obstructing::Obstructing;
pub(crate) use plan::TablePlan;
pub(crate) use reference::Reference;
pub(crate) use row::{Row, TableWrites, key_parts, kind};
