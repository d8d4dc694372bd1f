//! Orders over HTTP.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Api, Problem,
    accounts::Seen,
    problem::{Body, Id},
    request_id::{CommandId, Executed},
};
use crate::{
    commands::{AddLine, CancelOrder, NewLine, PlaceOrder, ShipOrder},
    model::Order,
    queries::GetOrder,
};

/// Places an order.
#[utoipa::path(post, path = "/orders", request_body = PlaceOrder,
    params(("Idempotency-Key" = Option<Uuid>, Header, description = "The command's id")),
    responses(
        (status = 201, body = Order),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn place(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Body(command): Body<PlaceOrder>,
) -> Result<Executed<Order>, Problem> {
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::CREATED;
    Ok(Executed { status, id, done })
}

/// An order as it is now.
#[utoipa::path(get, path = "/orders/{id}", params(("id" = Uuid, Path)), responses(
    (status = 200, body = Order),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(api): State<Api>, Id(id): Id) -> Result<Json<Order>, Problem> {
    Ok(Json(api.buses.ask(&GetOrder { id }).await?))
}

/// So many of one product, for the version of the order that the caller has seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Addition {
    product_id: Uuid,
    quantity: i64,
    version: i64,
}

/// Adds a line to an order that has not left yet.
#[utoipa::path(post, path = "/orders/{id}/lines", request_body = Addition,
    params(("id" = Uuid, Path),
           ("Idempotency-Key" = Option<Uuid>, Header, description = "The command's id")),
    responses(
        (status = 200, body = Order),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn add_line(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Id(order_id): Id,
    Body(addition): Body<Addition>,
) -> Result<Executed<Order>, Problem> {
    let command = AddLine {
        order_id,
        version: addition.version,
        line: NewLine {
            product_id: addition.product_id,
            quantity: addition.quantity,
        },
    };
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::OK;
    Ok(Executed { status, id, done })
}

/// Cancels an order that has not left yet.
#[utoipa::path(post, path = "/orders/{id}/cancel", request_body = Seen,
    params(("id" = Uuid, Path),
           ("Idempotency-Key" = Option<Uuid>, Header, description = "The command's id")),
    responses(
        (status = 200, body = Order),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn cancel(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Id(order_id): Id,
    Body(Seen { version }): Body<Seen>,
) -> Result<Executed<Order>, Problem> {
    let command = CancelOrder { order_id, version };
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::OK;
    Ok(Executed { status, id, done })
}

/// Ships an order.
#[utoipa::path(post, path = "/orders/{id}/ship", request_body = Seen,
    params(("id" = Uuid, Path),
           ("Idempotency-Key" = Option<Uuid>, Header, description = "The command's id")),
    responses(
        (status = 200, body = Order),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn ship(
    State(api): State<Api>,
    CommandId(id): CommandId,
    Id(order_id): Id,
    Body(Seen { version }): Body<Seen>,
) -> Result<Executed<Order>, Problem> {
    let command = ShipOrder { order_id, version };
    let done = api.buses.execute(id, &command).await?;
    let status = StatusCode::OK;
    Ok(Executed { status, id, done })
}
