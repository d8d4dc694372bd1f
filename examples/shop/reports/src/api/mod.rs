//! The views: from HTTP to a query, and from its answer to HTTP.

mod accounts;
mod freshness;
mod orders;
mod problem;
mod products;
mod revenue;

use axum::{Json, Router, middleware::from_fn_with_state, routing::get};
use cqrs_replica::Freshness;
pub use problem::Problem;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Bus;

/// What the views need.
#[derive(Debug, Clone)]
pub struct Api {
    pub bus: Bus,
    pub freshness: Freshness,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shop: reports",
        description = "Shows orders, accounts and revenue as far as they have arrived. With the header \
                       `Consistency-Token` of a command an answer waits, up to 2 s, until what the \
                       command recorded is in it; if that is not enough, it has the header `Behind`."
    ),
    components(schemas(Problem))
)]
struct Document;

/// The service's routes, and its document at `/openapi.json`.
pub fn router(api: &Api) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(orders::list))
        .routes(routes!(orders::show))
        .routes(routes!(accounts::show))
        .routes(routes!(products::list))
        .routes(routes!(revenue::show))
        .routes(routes!(health))
        .with_state(api.clone())
        .split_for_parts();
    router
        .layer(from_fn_with_state(api.freshness.clone(), freshness::wait))
        .route("/openapi.json", get(async || Json(document)))
        .fallback(async || Problem::not_found("there is no such resource"))
        .method_not_allowed_fallback(async || Problem::method())
}

/// Whether the service runs.
#[utoipa::path(get, path = "/health", responses((status = 204, description = "It runs")))]
async fn health() -> axum::http::StatusCode {
    axum::http::StatusCode::NO_CONTENT
}
