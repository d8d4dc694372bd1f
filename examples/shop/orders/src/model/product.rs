//! Products.

use cqrs_outbox::Master;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ShopError;

/// What the shop sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Master)]
#[master(cqrs_id = "product")]
pub struct Product {
    #[master(key)]
    pub id: Uuid,
    pub name: String,
    /// In cents.
    pub price: i64,
    /// What is left to be ordered.
    pub stock: i64,
}

impl Product {
    /// Sets some aside for an order.
    pub fn reserve(&mut self, quantity: i64) -> Result<(), ShopError> {
        if self.stock < quantity {
            return Err(ShopError::OutOfStock {
                name: self.name.clone(),
                stock: self.stock,
                wanted: quantity,
            });
        }
        self.stock -= quantity;
        Ok(())
    }
}
