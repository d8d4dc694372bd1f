//! The page: files that ask both services, from the browser.

use axum::{
    Router,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

/// Nothing from anywhere else, and no script in the page itself.
const POLICY: &str = "default-src 'self'";

/// The page's routes.
pub fn router() -> Router {
    Router::new()
        .route(
            "/",
            get(async || file("text/html; charset=utf-8", include_str!("page/index.html"))),
        )
        .route(
            "/page.js",
            get(async || file("text/javascript", include_str!("page/page.js"))),
        )
        .route(
            "/page.css",
            get(async || file("text/css", include_str!("page/page.css"))),
        )
        .route(
            "/icon.svg",
            get(async || file("image/svg+xml", include_str!("page/icon.svg"))),
        )
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)],
        text,
    )
}
