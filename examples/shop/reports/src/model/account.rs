//! Copies of accounts.

use cqrs_replica::Replica;
use serde::Serialize;
use utoipa::ToSchema;

/// The table that the framework keeps: of an account's fields those that are of use here.
#[derive(Debug, Replica)]
#[replica(cqrs_id = "account", table = "account_ref")]
pub struct AccountRef {
    #[replica(key)]
    pub id: String,
    pub name: String,
    pub status: String,
}

/// An account, and what it has ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    pub id: String,
    pub name: String,
    pub status: String,
    /// Orders that are not cancelled.
    pub orders: i64,
    /// Their sum, in cents.
    pub spent: i64,
}
