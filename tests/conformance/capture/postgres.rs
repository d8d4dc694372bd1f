//! Capture in PostgreSQL.

mod bed;
mod concurrency;
mod keys;
mod parts;
mod record;
mod rights;
mod scale;
mod traps;
mod writes;
