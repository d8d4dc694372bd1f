//! Answers that are no success: problem details (RFC 9457).

use axum::{
    Json,
    extract::{FromRequestParts, Query, rejection::QueryRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use cqrs_core::bus::{BusError, Violation};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::queries::ReportError;

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

    pub(super) fn unavailable() -> Self {
        let detail = "the database cannot be asked at the moment: try again";
        let (kind, title) = ("/problems/unavailable", "Not now");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail)
    }
}

impl From<BusError<ReportError>> for Problem {
    fn from(error: BusError<ReportError>) -> Self {
        let detail = error.to_string();
        match error {
            BusError::Invalid { violations, .. } => {
                let (kind, title) = ("/problems/invalid", "The query is not valid");
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let mut problem = Self::new(status, kind, title, detail);
                problem.violations = violations.as_slice().to_vec();
                problem
            }
            BusError::Rejected(ReportError::Unknown { .. }) => Self::not_found(detail),
            BusError::Deadline { .. } => {
                let (kind, title) = ("/problems/deadline", "It took too long");
                Self::new(StatusCode::GATEWAY_TIMEOUT, kind, title, detail)
            }
            BusError::Store(error) if error.is_transient() => Self::unavailable(),
            // Whose details are the log's, not the caller's.
            _ => {
                let (kind, title) = ("/problems/internal", "The service is at fault");
                let detail = "it has been logged; sending the request again may help or not";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, title, detail)
            }
        }
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

/// The parameters of a query; what is wrong with them is a [`Problem`].
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(Problem::bad_request(error.body_text()))
            }
            Err(other) => Err(Problem::bad_request(other.body_text())),
        }
    }
}
