//! Ships an order: from now on it stays as it is.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Commands;
use crate::model::{Order, OrderStatus, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShipOrder {
    pub order_id: Uuid,
    pub version: i64,
}

impl Command for ShipOrder {
    const NAME: &'static str = "ship_order";
    type Output = Order;
}

impl<S: Store> CommandHandler<ShipOrder, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &ShipOrder,
        context: &mut Context<'_, S>,
    ) -> Result<Order, Failure<ShopError>> {
        let id = command.order_id;
        let order = context.transaction.lock_order(id).await?;
        let mut order = order.ok_or(ShopError::unknown("order", id))?;
        order.expect_placed(command.version)?;
        order.status = OrderStatus::Shipped;
        order.version += 1;
        context.transaction.update_order(&order).await?;
        outbox::record(context.transaction, Change::saved(&order)).await?;
        Ok(order)
    }
}
