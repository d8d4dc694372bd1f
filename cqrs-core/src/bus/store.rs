//! What the buses need of a database. The stores of commands are in `cqrs-outbox`, beside `record`.

use std::future::Future;

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Command;
use crate::{StoreError, Token};

/// A database that commands change.
pub trait CommandStore: Send + Sync {
    /// What handlers get.
    type Transaction: Send;

    /// Begins a transaction and takes the command's id in it. Waits while another transaction that has
    /// taken this id is open.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// Safe: what was begun is rolled back.
    fn begin(
        &self,
        command: &CommandRecord,
    ) -> impl Future<Output = Result<Begun<Self::Transaction>, StoreError>> + Send;

    /// Keeps the result (JSON) under the command's id and commits.
    ///
    /// # Errors
    /// A failure of the database; after [`StoreError::Conflict`] nothing has been changed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the transaction may have been committed or not.
    fn commit(
        &self,
        transaction: Self::Transaction,
        command: &CommandRecord,
        output: &str,
    ) -> impl Future<Output = Result<Token, StoreError>> + Send;

    /// Takes everything back. So does dropping the transaction, but later.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// Safe: it is rolled back in any case.
    fn rollback(
        &self,
        transaction: Self::Transaction,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A database that queries read.
pub trait QueryStore: Send + Sync {
    /// What handlers get. The database refuses writes in it.
    type Transaction: Send;

    /// Begins to read, from one consistent view.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// Safe.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// Ends it.
    ///
    /// # Errors
    /// A failure of the database.
    ///
    /// # Cancel safety
    /// Safe.
    fn end(
        &self,
        transaction: Self::Transaction,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a store is told of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRecord {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: &'static str,
    /// SHA-256 of its content as JSON with sorted keys, by which a repetition is told from another command.
    pub fingerprint: [u8; 32],
}

impl CommandRecord {
    pub(super) fn new<C: Command>(id: Uuid, command: &C) -> Result<Self, serde_json::Error> {
        // A map of the command's may give its entries in any order; `Value` sorts them.
        let content: Value = serde_json::to_value(command)?;
        Ok(Self {
            id,
            name: C::NAME,
            fingerprint: Sha256::digest(content.to_string()).into(),
        })
    }
}

/// What [`CommandStore::begin`] found.
#[derive(Debug)]
pub enum Begun<T> {
    /// A new command, and its transaction.
    New(T),
    /// A command with this id has been executed.
    Done(Kept),
}

/// What is kept of an executed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: Vec<u8>,
    /// Its result, as JSON.
    pub output: String,
    /// What it recorded.
    pub token: Token,
}
