//! Answers that are no success: problem details (RFC 9457).

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::JsonRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use cqrs_core::bus::{BusError, Violation};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::ShopError;

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem; always the same text for the same kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    pub status: u16,
    /// What exactly, and what to do.
    pub detail: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub violations: Vec<Violation>,
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            violations: Vec::new(),
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        let title = "Not found";
        Self::new(StatusCode::NOT_FOUND, "/problems/not-found", title, detail)
    }

    pub(super) fn method() -> Self {
        let detail = "this resource has no such method: see /openapi.json";
        let (kind, title) = ("/problems/method", "The method is not allowed");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, kind, title, detail)
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        let (kind, title) = ("/problems/bad-request", "The request cannot be read");
        Self::new(StatusCode::BAD_REQUEST, kind, title, detail)
    }
}

impl From<BusError<ShopError>> for Problem {
    fn from(error: BusError<ShopError>) -> Self {
        let detail = error.to_string();
        let (status, kind, title) = match &error {
            BusError::Invalid { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "/problems/invalid",
                "The command is not valid",
            ),
            BusError::Rejected(ShopError::Unknown { .. }) => return Self::not_found(detail),
            BusError::Rejected(ShopError::Stale { .. }) => (
                StatusCode::PRECONDITION_FAILED,
                "/problems/stale",
                "It has been changed meanwhile",
            ),
            BusError::Rejected(_) => (
                StatusCode::CONFLICT,
                "/problems/rule",
                "A rule of the shop forbids it",
            ),
            BusError::IdReused { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "/problems/id-reused",
                "The Idempotency-Key belongs to another command",
            ),
            BusError::Deadline { .. } => (
                StatusCode::GATEWAY_TIMEOUT,
                "/problems/deadline",
                "It took too long: send it again with the same Idempotency-Key",
            ),
            BusError::Store(error) if error.is_transient() => (
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/unavailable",
                "Not now: send it again with the same Idempotency-Key",
            ),
            // Whose details are the log's, not the caller's.
            _ => {
                let (kind, title) = ("/problems/internal", "The service is at fault");
                let detail = "it has been logged; sending the request again may help or not";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, title, detail);
            }
        };
        let mut problem = Self::new(status, kind, title, detail);
        if let BusError::Invalid { violations, .. } = error {
            problem.violations = violations.as_slice().to_vec();
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = (header::CONTENT_TYPE, "application/problem+json");
        let mut response =
            (status, [kind], Json(&self).into_response().into_body()).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = header::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

/// A body in JSON; what is wrong with it is a [`Problem`].
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => {
                let (kind, title) = ("/problems/invalid", "Invalid request body");
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Err(Problem::new(status, kind, title, error.body_text()))
            }
            Err(other) => {
                let (kind, title) = ("/problems/bad-request", "The body cannot be read");
                Err(Problem::new(other.status(), kind, title, other.body_text()))
            }
        }
    }
}

/// The id in a path.
pub(super) struct Id(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Problem::not_found("the id in the path is no UUID")),
        }
    }
}
