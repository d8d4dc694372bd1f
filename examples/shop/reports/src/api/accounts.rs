//! Accounts over HTTP.

use axum::{
    Json,
    extract::{Path, State},
};
use uuid::Uuid;

use super::{Api, Problem};
use crate::{model::Account, queries::AccountPage};

/// An account and what it has ordered.
#[utoipa::path(get, path = "/accounts/{id}",
    params(("id" = Uuid, Path), ("Consistency-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = Account),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Account>, Problem> {
    Ok(Json(api.bus.ask(&AccountPage { id: key(&id)? }).await?))
}

/// The canonical text of an id, by which rows are kept.
pub(super) fn key(id: &str) -> Result<String, Problem> {
    match id.parse::<Uuid>() {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Err(Problem::not_found("the id in the path is no UUID")),
    }
}
