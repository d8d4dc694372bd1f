//! Capture in SQLite.

mod bed;
mod fetching;
mod fixture;
mod history;
mod installing;
mod keys;
mod migration;
mod record;
mod replace;
mod together;
mod writes;
