//! Accounts over HTTP.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Api, Problem,
    problem::{Body, Id},
    request_id::{CommandId, Executed},
};
use crate::{
    commands::{CloseAccount, OpenAccount, RenameAccount},
    model::Account,
    queries::GetAccount,
};

/// Opens an account.
#[utoipa::path(post, path = "/accounts", request_body = OpenAccount,
    params(("Idempotency-Key" = Option<uuid::Uuid>, Header, description = "The command's id")),
    responses(
        (status = 201, body = Account),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn open(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Body(command): Body<OpenAccount>,
) -> Result<Executed<Account>, Problem> {
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::CREATED;
    Ok(Executed { status, id, done })
}

/// An account as it is now.
#[utoipa::path(get, path = "/accounts/{id}", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = Account),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(api): State<Api>, Id(id): Id) -> Result<Json<Account>, Problem> {
    Ok(Json(api.buses.ask(&GetAccount { id }).await?))
}

/// Another name, for the version that the caller has seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    name: String,
    version: i64,
}

/// The version that the caller has seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    pub(super) version: i64,
}

/// Gives an account another name.
#[utoipa::path(patch, path = "/accounts/{id}", request_body = Rename,
    params(("id" = uuid::Uuid, Path),
           ("Idempotency-Key" = Option<uuid::Uuid>, Header, description = "The command's id")),
    responses(
        (status = 200, body = Account),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn rename(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Id(account_id): Id,
    Body(Rename { name, version }): Body<Rename>,
) -> Result<Executed<Account>, Problem> {
    let command = RenameAccount {
        account_id,
        version,
        name,
    };
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::OK;
    Ok(Executed { status, id, done })
}

/// Closes an account that has no open orders.
#[utoipa::path(post, path = "/accounts/{id}/close", request_body = Seen,
    params(("id" = uuid::Uuid, Path),
           ("Idempotency-Key" = Option<uuid::Uuid>, Header, description = "The command's id")),
    responses(
        (status = 200, body = Account),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn close(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Id(account_id): Id,
    Body(Seen { version }): Body<Seen>,
) -> Result<Executed<Account>, Problem> {
    let command = CloseAccount {
        account_id,
        version,
    };
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::OK;
    Ok(Executed { status, id, done })
}
