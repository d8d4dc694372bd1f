//! The views: from HTTP to a command or a query, and from its result to HTTP. There is no rule of the shop
//! in here.

mod accounts;
mod orders;
mod problem;
mod products;
mod request_id;

use axum::{Json, Router, routing::get};
pub use problem::Problem;
pub use request_id::IdSource;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::buses::Buses;

/// What the views need.
#[derive(Debug, Clone)]
pub struct Api {
    pub buses: Buses,
    /// Makes the ids of commands that come without one.
    pub ids: IdSource,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shop: orders",
        description = "Opens accounts and takes orders. Each command has an id, the header \
                       `Idempotency-Key`: sent again with it, it changes nothing and has the first answer. \
                       What it recorded is named by `Consistency-Token`, which the reports take."
    ),
    components(schemas(Problem))
)]
struct Document;

/// The service's routes, and its document at `/openapi.json`.
pub fn router(api: Api) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(accounts::open))
        .routes(routes!(accounts::show, accounts::rename))
        .routes(routes!(accounts::close))
        .routes(routes!(orders::place))
        .routes(routes!(orders::show))
        .routes(routes!(orders::add_line))
        .routes(routes!(orders::cancel))
        .routes(routes!(orders::ship))
        .routes(routes!(products::list))
        .routes(routes!(health))
        .with_state(api)
        .split_for_parts();
    router
        .route("/openapi.json", get(async || Json(document)))
        .fallback(async || Problem::not_found("there is no such resource"))
        .method_not_allowed_fallback(async || Problem::method())
}

/// Whether the service runs.
#[utoipa::path(get, path = "/health", responses((status = 204, description = "It runs")))]
async fn health() -> axum::http::StatusCode {
    axum::http::StatusCode::NO_CONTENT
}
