//! The view of orders, and the revenue of each day.

use chrono::{DateTime, Utc};
use cqrs_core::{Event, Signal};
use cqrs_replica::{Failure, Handler, ReplicaStore};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Tables;

/// An order as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderView {
    pub id: String,
    pub account_id: String,
    /// Not known as long as the account has not arrived here, which an order may overtake.
    pub account: Option<String>,
    pub status: String,
    pub placed_at: DateTime<Utc>,
    pub lines: Vec<OrderLine>,
    /// In cents.
    pub total: i64,
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderLine {
    pub product_id: String,
    /// Not known as long as the product has not arrived here.
    pub product: Option<String>,
    pub quantity: i64,
    /// Of one, in cents.
    pub price: i64,
}

/// What was sold on one day (UTC), without what was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RevenueDay {
    pub day: String,
    pub orders: i64,
    /// In cents.
    pub revenue: i64,
}

/// An order as its event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OrderState {
    pub id: String,
    pub account_id: String,
    pub status: String,
    pub placed_at: DateTime<Utc>,
    pub lines: Vec<LineState>,
    pub total: i64,
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LineState {
    pub product_id: String,
    pub quantity: i64,
    pub price: i64,
}

/// What an order adds to a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub day: String,
    pub orders: i64,
    pub revenue: i64,
}

impl Share {
    pub fn of(status: &str, placed_at: DateTime<Utc>, total: i64) -> Self {
        let counts = status != "cancelled";
        Self {
            day: placed_at.format("%Y-%m-%d").to_string(),
            orders: i64::from(counts),
            revenue: if counts { total } else { 0 },
        }
    }

    /// The same, taken away.
    fn undone(self) -> Self {
        Self {
            orders: -self.orders,
            revenue: -self.revenue,
            ..self
        }
    }
}

/// Keeps the view of orders and the revenue: all of it in the transaction in which the worker remembers
/// the event's revision, so each takes effect once.
#[derive(Debug, Clone, Copy)]
pub struct OrderHandler;

impl<S> Handler<S> for OrderHandler
where
    S: ReplicaStore<Connection: Tables>,
{
    async fn apply(&self, tx: &mut S::Connection, event: &Event) -> Result<(), Failure> {
        let id = event.key.canonical();
        // What the order has added before is what the view says, whichever events have been seen.
        if let Some(before) = tx.share(&id).await? {
            tx.add_to_day(&before.undone()).await?;
        }
        match event.signal {
            Signal::Delete => tx.remove_order(&id).await?,
            Signal::Save | Signal::Sync => {
                let order: OrderState = event.parse().map_err(Failure::park)?;
                let share = Share::of(&order.status, order.placed_at, order.total);
                tx.add_to_day(&share).await?;
                tx.write_order(&order).await?;
            }
        }
        tracing::info!("order {id} is shown");
        Ok(())
    }
}
