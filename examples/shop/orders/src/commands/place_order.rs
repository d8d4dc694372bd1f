//! Places an order: the one command that touches all three tables.

use cqrs_core::bus::{Command, CommandHandler, Context, Failure, Violations};
use cqrs_outbox::{self as outbox, Change};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Commands, check_quantity};
use crate::model::{Line, Order, OrderStatus, ShopError, Store, Tables};

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    pub account_id: Uuid,
    pub lines: Vec<NewLine>,
}

/// So many of one product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLine {
    pub product_id: Uuid,
    pub quantity: i64,
}

impl Command for PlaceOrder {
    const NAME: &'static str = "place_order";
    type Output = Order;

    fn validate(&self, violations: &mut Violations) {
        let number = self.lines.len();
        violations.require(
            (1..=50).contains(&number),
            "lines",
            "must have from 1 to 50 entries",
        );
        for (index, line) in self.lines.iter().enumerate() {
            check_quantity(line.quantity, format!("lines.{index}.quantity"), violations);
        }
    }
}

impl<S: Store> CommandHandler<PlaceOrder, S> for Commands {
    type Error = ShopError;

    async fn handle(
        &self,
        command: &PlaceOrder,
        context: &mut Context<'_, S>,
    ) -> Result<Order, Failure<ShopError>> {
        let tables = &mut **context.transaction;
        let account = tables.lock_account(command.account_id).await?;
        let account = account.ok_or(ShopError::unknown("account", command.account_id))?;
        account.expect_open()?;
        let mut order = Order {
            id: context.id,
            account_id: account.id,
            status: OrderStatus::Placed,
            placed_at: self.clock.now(),
            lines: Vec::new(),
            total: 0,
            version: 0,
        };
        // Always in the same order, so that two that want the same products wait for each other instead of
        // running into a deadlock. (The bus would run one of them again.)
        let mut lines = command.lines.clone();
        lines.sort_by_key(|line| line.product_id);
        let mut products = Vec::with_capacity(lines.len());
        for line in lines {
            let (product, line) = reserve(tables, &line).await?;
            products.push(product);
            order.add(line);
        }
        tables.insert_order(&order).await?;
        // A product that is in two lines has changed twice; it becomes one event.
        let changes = products.iter().map(Change::saved);
        let changes = changes.chain([Change::saved(&order)]);
        outbox::record_all(context.transaction, changes.collect::<Vec<_>>()).await?;
        Ok(order)
    }
}

/// Takes a line's quantity from the stock, at today's price.
pub(super) async fn reserve(
    tables: &mut (impl Tables + ?Sized),
    line: &NewLine,
) -> Result<(crate::model::Product, Line), Failure<ShopError>> {
    let id = line.product_id;
    let product = tables.lock_product(id).await?;
    let mut product = product.ok_or(ShopError::unknown("product", id))?;
    product.reserve(line.quantity)?;
    tables.update_product(&product).await?;
    let line = Line {
        product_id: id,
        quantity: line.quantity,
        price: product.price,
    };
    Ok((product, line))
}
