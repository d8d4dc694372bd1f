//! Orders.

use chrono::{DateTime, Utc};
use cqrs_outbox::Master;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ShopError;

/// What an account has ordered. It travels whole, with its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Master)]
#[master(cqrs_id = "order")]
pub struct Order {
    #[master(key)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub status: OrderStatus,
    pub placed_at: DateTime<Utc>,
    pub lines: Vec<Line>,
    /// In cents.
    pub total: i64,
    /// How often it was changed. Whoever changes it says which version they have seen.
    pub version: i64,
}

/// A number of one product, at the price it had then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    pub product_id: Uuid,
    pub quantity: i64,
    /// Of one, in cents.
    pub price: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    Placed,
    Cancelled,
    Shipped,
}

impl OrderStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Cancelled => "cancelled",
            Self::Shipped => "shipped",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        [Self::Placed, Self::Cancelled, Self::Shipped]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

impl Order {
    /// That it may still be changed, and is the version its user has seen.
    pub fn expect_placed(&self, seen: i64) -> Result<(), ShopError> {
        if self.version != seen {
            return Err(ShopError::Stale {
                what: "order",
                id: self.id,
                seen,
                version: self.version,
            });
        }
        match self.status {
            OrderStatus::Placed => Ok(()),
            over => Err(ShopError::NotPlaced(self.id, over.as_str())),
        }
    }

    pub fn add(&mut self, line: Line) {
        self.total += line.price * line.quantity;
        self.lines.push(line);
    }
}
