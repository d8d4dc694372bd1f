//! Products over HTTP.

use axum::{Json, extract::State};

use super::{Api, Problem};
use crate::{model::Product, queries::ListProducts};

/// All products, with their stock as far as has been heard.
#[utoipa::path(get, path = "/products",
    params(("Consistency-Token" = Option<String>, Header)),
    responses((status = 200, body = Vec<Product>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<Product>>, Problem> {
    Ok(Json(api.bus.ask(&ListProducts).await?))
}
