//! What every database of the master side must do, and what is particular to one.

mod record;
mod store;
