//! Orders over HTTP.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Api, Problem, accounts::key, problem::Parameters};
use crate::{
    model::OrderView,
    queries::{GetOrder, ListOrders, OrderList},
};

/// Which orders. All conditions hold at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of this account.
    account: Option<Uuid>,
    /// `placed`, `cancelled` or `shipped`.
    status: Option<String>,
    /// A part of the account's or of a product's name.
    search: Option<String>,
    /// What the page before said in `next`.
    after: Option<String>,
    /// How many; 50 by default, 200 at most.
    limit: Option<i64>,
}

/// Orders, newest first.
#[utoipa::path(get, path = "/orders",
    params(Which, ("Consistency-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = OrderList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(
    State(api): State<Api>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<OrderList>, Problem> {
    let query = ListOrders {
        account: which.account.map(|id| id.to_string()),
        status: which.status,
        search: which.search.filter(|text| !text.is_empty()),
        after: which.after,
        limit: which.limit.unwrap_or(50),
    };
    Ok(Json(api.bus.ask(&query).await?))
}

/// One order.
#[utoipa::path(get, path = "/orders/{id}",
    params(("id" = Uuid, Path), ("Consistency-Token" = Option<String>, Header)),
    responses(
        (status = 200, body = OrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<OrderView>, Problem> {
    Ok(Json(api.bus.ask(&GetOrder { id: key(&id)? }).await?))
}
