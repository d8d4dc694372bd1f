//! A command's id, and what it answers with.

use std::{fmt, sync::Arc};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use cqrs_core::bus::Done;
use serde::Serialize;
use uuid::Uuid;

use super::{Api, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// Makes ids.
#[derive(Clone)]
pub struct IdSource(Arc<dyn Fn() -> Uuid + Send + Sync>);

impl IdSource {
    pub fn new(make: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for IdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSource")
    }
}

/// The id of the request's command: the client's, or a new one.
pub(super) struct CommandId(pub(super) Uuid);

impl FromRequestParts<Api> for CommandId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Some(given) = parts.headers.get(&IDEMPOTENCY_KEY) else {
            return Ok(Self((api.ids.0)()));
        };
        let id = given.to_str().ok().and_then(|text| text.parse().ok());
        id.map(Self)
            .ok_or_else(|| Problem::bad_request("the header Idempotency-Key is no UUID"))
    }
}

/// The answer to a command.
pub(super) struct Executed<T> {
    pub(super) status: StatusCode,
    pub(super) id: Uuid,
    pub(super) done: Done<T>,
}

impl<T: Serialize> IntoResponse for Executed<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.done.output)).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (IDEMPOTENCY_KEY, self.id.to_string()),
            (CONSISTENCY_TOKEN, self.done.token.to_string()),
        ] {
            // Both are printable ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
