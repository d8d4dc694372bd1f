//! What the service can do: one file for each command, with the rules it obeys.

mod add_line;
mod cancel_order;
mod close_account;
mod open_account;
mod place_order;
mod rename_account;
mod ship_order;

use std::sync::Arc;

pub use add_line::AddLine;
pub use cancel_order::CancelOrder;
pub use close_account::CloseAccount;
use cqrs_core::{Clock, bus::Violations};
pub use open_account::OpenAccount;
pub use place_order::{NewLine, PlaceOrder};
pub use rename_account::RenameAccount;
pub use ship_order::ShipOrder;

/// The handlers of all commands, with what they need.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Says when an order was placed.
    pub clock: Arc<dyn Clock>,
}

/// What a name has to be.
fn check_name(name: &str, violations: &mut Violations) {
    violations.require(!name.trim().is_empty(), "name", "must not be empty");
    let length = name.chars().count();
    violations.require(
        length <= 100,
        "name",
        "must not be longer than 100 characters",
    );
    let printable = !name.chars().any(char::is_control);
    violations.require(
        printable,
        "name",
        "must be on one line, without control characters",
    );
}

/// What a quantity has to be. More than that is a mistake, or a warehouse.
fn check_quantity(quantity: i64, field: String, violations: &mut Violations) {
    violations.require(
        (1..=1_000).contains(&quantity),
        field,
        "must be from 1 to 1000",
    );
}
