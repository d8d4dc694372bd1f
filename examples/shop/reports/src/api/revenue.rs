//! Revenue over HTTP.

use axum::{Json, extract::State};
use chrono::NaiveDate;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Api, Problem, problem::Parameters};
use crate::{model::RevenueDay, queries::Revenue};

/// Which days (UTC).
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Days {
    /// The first, as in 2026-11-01.
    from: NaiveDate,
    /// The last.
    to: NaiveDate,
}

/// The revenue of each day on which something was sold.
#[utoipa::path(get, path = "/revenue",
    params(Days, ("Consistency-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = Vec<RevenueDay>),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn show(
    State(api): State<Api>,
    Parameters(Days { from, to }): Parameters<Days>,
) -> Result<Json<Vec<RevenueDay>>, Problem> {
    Ok(Json(api.bus.ask(&Revenue { from, to }).await?))
}
