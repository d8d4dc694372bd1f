//! Cancels an order, and puts its lines back on the shelves.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Commands;
use crate::model::{Order, OrderStatus, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelOrder {
    pub order_id: Uuid,
    pub version: i64,
}

impl Command for CancelOrder {
    const NAME: &'static str = "cancel_order";
    type Output = Order;
}

impl<S: Store> CommandHandler<CancelOrder, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &CancelOrder,
        context: &mut Context<'_, S>,
    ) -> Result<Order, Failure<ShopError>> {
        let tables = &mut **context.transaction;
        let order = tables.lock_order(command.order_id).await?;
        let mut order = order.ok_or(ShopError::unknown("order", command.order_id))?;
        order.expect_placed(command.version)?;
        let mut lines = order.lines.clone();
        lines.sort_by_key(|line| line.product_id);
        let mut products = Vec::with_capacity(lines.len());
        for line in lines {
            let product = tables.lock_product(line.product_id).await?;
            let mut product = product.ok_or(ShopError::unknown("product", line.product_id))?;
            product.stock += line.quantity;
            tables.update_product(&product).await?;
            products.push(product);
        }
        order.status = OrderStatus::Cancelled;
        order.version += 1;
        tables.update_order(&order).await?;
        let changes = products.iter().map(Change::saved);
        let changes = changes.chain([Change::saved(&order)]);
        outbox::record_all(context.transaction, changes.collect::<Vec<_>>()).await?;
        Ok(order)
    }
}
