//! Capture in PostgreSQL.

mod any_types;
mod bed;
mod changed;
mod concurrency;
mod keys;
mod parts;
mod record;
mod refused;
mod rights;
mod scale;
mod traps;
mod writes;
