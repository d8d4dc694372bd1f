//! Capture in SQLite.

mod bed;
mod changed;
mod fetching;
mod fixture;
mod history;
mod installing;
mod keys;
mod migration;
mod record;
mod refused;
mod replace;
mod together;
mod writes;
