//! Why the shop refuses a command.

use cqrs_core::bus::Rejection;
use uuid::Uuid;

/// A rule of the shop.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    #[error("there is no {what} {id}")]
    Unknown { what: &'static str, id: Uuid },
    #[error("account {0} is closed")]
    AccountClosed(Uuid),
    #[error("account {0} has orders that are neither shipped nor cancelled")]
    OrdersPlaced(Uuid),
    #[error("of {name} there are {stock} left, not {wanted}")]
    OutOfStock {
        name: String,
        stock: i64,
        wanted: i64,
    },
    #[error("order {0} is {1} already")]
    NotPlaced(Uuid, &'static str),
    #[error(
        "{what} {id} has been changed: it is version {version} now, and {seen} was seen. Look at it again"
    )]
    Stale {
        what: &'static str,
        id: Uuid,
        seen: i64,
        version: i64,
    },
}

impl Rejection for ShopError {}

impl ShopError {
    pub const fn unknown(what: &'static str, id: Uuid) -> Self {
        Self::Unknown { what, id }
    }
}
