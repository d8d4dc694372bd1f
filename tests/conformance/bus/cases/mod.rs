//! What holds on every database.

pub(crate) mod commands;
pub(crate) mod conflicts;
pub(crate) mod observation;
pub(crate) mod queries;
pub(crate) mod repetition;
pub(crate) mod tokens;
