//! Shows users their own changes: a request with the token of a command waits until this replica has applied
//! what the command recorded.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cqrs_core::Token;
use cqrs_replica::{Freshness, NotFresh};

use super::Problem;

const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const BEHIND: HeaderName = HeaderName::from_static("behind");

/// How long a view waits. What has not arrived by then is not in it.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn wait(
    State(freshness): State<Freshness>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = request.headers().get(&CONSISTENCY_TOKEN) else {
        return next.run(request).await;
    };
    let token = token
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Token>().ok());
    let Some(token) = token else {
        return Problem::bad_request(
            "the header Consistency-Token is none that a command has returned",
        )
        .into_response();
    };
    let waited = freshness.wait_for(&token, PATIENCE).await;
    let mut response = next.run(request).await;
    match waited {
        Ok(()) => {}
        Err(error @ NotFresh::TimedOut { .. }) => {
            tracing::warn!("{error}");
            let behind = HeaderValue::from_static("what the command recorded has not arrived yet");
            response.headers_mut().insert(BEHIND, behind);
        }
        Err(error) => {
            tracing::error!("{error}");
            return Problem::unavailable().into_response();
        }
    }
    response
}
