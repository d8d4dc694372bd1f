//! What holds on every database.

pub(crate) mod both;
pub(crate) mod drift;
pub(crate) mod histories;
