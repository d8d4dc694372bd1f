//! Adds a line to an order that has not left yet.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure, Violations};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Commands, NewLine, check_quantity, place_order::reserve};
use crate::model::{Order, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddLine {
    pub order_id: Uuid,
    pub version: i64,
    pub line: NewLine,
}

impl Command for AddLine {
    const NAME: &'static str = "add_line";
    type Output = Order;

    fn validate(&self, violations: &mut Violations) {
        check_quantity(self.line.quantity, "quantity".to_owned(), violations);
    }
}

impl<S: Store> CommandHandler<AddLine, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &AddLine,
        context: &mut Context<'_, S>,
    ) -> Result<Order, Failure<ShopError>> {
        let tables = &mut **context.transaction;
        let order = tables.lock_order(command.order_id).await?;
        let mut order = order.ok_or(ShopError::unknown("order", command.order_id))?;
        order.expect_placed(command.version)?;
        let (product, line) = reserve(tables, &command.line).await?;
        order.add(line);
        order.version += 1;
        tables.update_order(&order).await?;
        let changes = [Change::saved(&product), Change::saved(&order)];
        outbox::record_all(context.transaction, changes).await?;
        Ok(order)
    }
}
