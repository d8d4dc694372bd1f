//! The wire against the real thing: django-cqrs 3.1.0 in processes of its own, as master and as replica,
//! with the real broker, real databases and the stock binaries in between, compared row by row.

#![cfg(feature = "servers")]

mod changes;
mod compare;
mod dead_letters;
mod django;
mod forms;
mod from_django;
mod kombu;
mod migration;
mod mixed;
mod our_master;
mod pipes;
mod shop;
mod to_django;
mod traps_from_django;
mod traps_in_bodies;
mod traps_to_django;
mod under_load;
