//! The page.

use axum::{Router, response::Html, routing::get};

/// The page's routes.
pub fn router() -> Router {
    Router::new().route("/", get(async || Html("")))
}
