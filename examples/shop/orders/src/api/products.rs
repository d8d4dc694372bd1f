//! Products over HTTP.

use axum::{Json, extract::State};

use super::{Api, Problem};
use crate::{model::Product, queries::ListProducts};

/// What is on the shelves.
#[utoipa::path(get, path = "/products", responses((status = 200, body = Vec<Product>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<Product>>, Problem> {
    Ok(Json(api.buses.ask(&ListProducts).await?))
}
