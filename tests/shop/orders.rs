//! The service of orders over HTTP.

use reqwest::Method;
use serde_json::json;

use crate::bed::{Answer, Bed, new_id, product};

/// Hammers, of which there are 250 at 24.50, and workbenches, of which there are 3.
const HAMMER: u128 = 3;
const WORKBENCH: u128 = 12;

#[track_caller]
fn expect_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.kind, "application/problem+json", "{answer:?}");
    assert_eq!(answer.body["type"], format!("/problems/{kind}"));
    assert_eq!(answer.body["status"], status);
    assert!(answer.body["detail"].is_string() && answer.body["title"].is_string());
}

async fn stock(bed: &Bed, number: u128) -> i64 {
    let products = bed.ask_orders("/products").await.body;
    let found = products.as_array().unwrap().iter();
    let mut found = found.filter(|entry| entry["id"] == product(number));
    found.next().unwrap()["stock"].as_i64().unwrap()
}

async fn an_order_lives_from_its_placing_to_its_shipping(bed: Bed) {
    let account = bed.account("Ada").await;
    let lines = json!([{"product_id": product(HAMMER), "quantity": 2}]);
    let body = json!({"account_id": account, "lines": lines});
    let placed = bed.command(Method::POST, "/orders", body).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.body["total"], 4_900);
    assert_eq!(stock(&bed, HAMMER).await, 248);
    let path = format!("/orders/{}", placed.body["id"].as_str().unwrap());

    let line = json!({"product_id": product(HAMMER), "quantity": 1, "version": 0});
    let added = bed
        .command(Method::POST, &format!("{path}/lines"), line)
        .await;
    assert_eq!(
        (added.status.as_u16(), &added.body["total"]),
        (200, &json!(7_350))
    );
    assert_eq!(added.body["version"], 1);

    let version = json!({"version": 1});
    let shipped = bed
        .command(Method::POST, &format!("{path}/ship"), version)
        .await;
    assert_eq!(shipped.body["status"], "shipped", "{shipped:?}");
    assert_eq!(bed.ask_orders(&path).await.body, shipped.body);

    let version = json!({"version": 2});
    let again = bed
        .command(Method::POST, &format!("{path}/cancel"), version)
        .await;
    expect_problem(&again, 409, "rule");
    assert_eq!(stock(&bed, HAMMER).await, 247);
}

async fn a_cancelled_order_gives_its_lines_back(bed: Bed) {
    let account = bed.account("Ada").await;
    // One product in two lines: it is one event, and the stock is right.
    let lines = json!([
        {"product_id": product(WORKBENCH), "quantity": 1},
        {"product_id": product(HAMMER), "quantity": 5},
        {"product_id": product(WORKBENCH), "quantity": 2},
    ]);
    let body = json!({"account_id": account, "lines": lines});
    let placed = bed.command(Method::POST, "/orders", body).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(stock(&bed, WORKBENCH).await, 0);
    let path = format!("/orders/{}/cancel", placed.body["id"].as_str().unwrap());
    let cancelled = bed
        .command(Method::POST, &path, json!({"version": 0}))
        .await;
    assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");
    assert_eq!(
        (stock(&bed, WORKBENCH).await, stock(&bed, HAMMER).await),
        (3, 250)
    );
}

async fn rules_are_told_as_problems(bed: Bed) {
    let account = bed.account("Ada").await;
    let order = |account: &str, quantity: i64| {
        let lines = json!([{"product_id": product(WORKBENCH), "quantity": quantity}]);
        json!({"account_id": account, "lines": lines})
    };
    let too_many = bed
        .command(Method::POST, "/orders", order(&account, 4))
        .await;
    expect_problem(&too_many, 409, "rule");
    assert_eq!(
        too_many.body["detail"],
        "of Workbench there are 3 left, not 4"
    );

    let nobody = bed
        .command(Method::POST, "/orders", order(&new_id(), 1))
        .await;
    expect_problem(&nobody, 404, "not-found");

    let placed = bed
        .command(Method::POST, "/orders", order(&account, 1))
        .await;
    let close = format!("/accounts/{account}/close");
    let busy = bed
        .command(Method::POST, &close, json!({"version": 0}))
        .await;
    expect_problem(&busy, 409, "rule");
    let ship = format!("/orders/{}/ship", placed.body["id"].as_str().unwrap());
    let shipped = bed
        .command(Method::POST, &ship, json!({"version": 0}))
        .await;
    assert_eq!(shipped.status, 200);

    let closed = bed
        .command(Method::POST, &close, json!({"version": 0}))
        .await;
    assert_eq!(closed.body["status"], "closed", "{closed:?}");
    let late = bed
        .command(Method::POST, "/orders", order(&account, 1))
        .await;
    expect_problem(&late, 409, "rule");
    let rename = json!({"name": "Grace", "version": 1});
    let path = format!("/accounts/{account}");
    let renamed = bed.command(Method::PATCH, &path, rename).await;
    expect_problem(&renamed, 409, "rule");
}

async fn of_two_who_have_seen_the_same_version_one_is_late(bed: Bed) {
    let account = bed.account("Ada").await;
    let path = format!("/accounts/{account}");
    let rename = |name: &str| json!({"name": name, "version": 0});
    let (one, two) = tokio::join!(
        bed.command(Method::PATCH, &path, rename("Grace")),
        bed.command(Method::PATCH, &path, rename("Mary")),
    );
    let (first, late) = if one.status == 200 {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!(first.status, 200, "{first:?}");
    expect_problem(&late, 412, "stale");
    assert_eq!(bed.ask_orders(&path).await.body, first.body);
}

async fn what_cannot_be_meant_is_told_field_by_field(bed: Bed) {
    let empty = bed
        .command(Method::POST, "/accounts", json!({"name": " "}))
        .await;
    expect_problem(&empty, 422, "invalid");
    assert_eq!(empty.body["violations"][0]["field"], "name");
    let lines = json!([{"product_id": product(1), "quantity": 0}, {"product_id": product(2), "quantity": 1001}]);
    let body = json!({"account_id": new_id(), "lines": lines});
    let wrong = bed.command(Method::POST, "/orders", body).await;
    expect_problem(&wrong, 422, "invalid");
    let fields = wrong.body["violations"].as_array().unwrap().iter();
    let fields: Vec<_> = fields.map(|violation| violation["field"].clone()).collect();
    assert_eq!(fields, ["lines.0.quantity", "lines.1.quantity"]);

    let unknown = json!({"name": "Ada", "colour": "red"});
    let unknown = bed.command(Method::POST, "/accounts", unknown).await;
    expect_problem(&unknown, 422, "invalid");
    let url = format!("{}/accounts", bed.orders);
    let broken = bed
        .raw(|http| {
            http.post(&url)
                .header("content-type", "application/json")
                .body("{")
        })
        .await;
    expect_problem(&broken, 400, "bad-request");
    let text = bed.raw(|http| http.post(&url).body("name=Ada")).await;
    expect_problem(&text, 415, "bad-request");
    let key = bed
        .command_as("seven", Method::POST, "/accounts", json!({"name": "Ada"}))
        .await;
    expect_problem(&key, 400, "bad-request");
    expect_problem(&bed.ask_orders("/orders/seven").await, 404, "not-found");
    expect_problem(&bed.ask_orders("/nowhere").await, 404, "not-found");
    let method = bed.raw(|http| http.delete(&url)).await;
    expect_problem(&method, 405, "method");
    let large = json!({"name": "x".repeat(3_000_000)});
    let large = bed.command(Method::POST, "/accounts", large).await;
    expect_problem(&large, 413, "bad-request");
}

async fn a_command_sent_twice_is_executed_once(bed: Bed) {
    let id = new_id();
    let body = json!({"name": "Ada"});
    let first = bed
        .command_as(&id, Method::POST, "/accounts", body.clone())
        .await;
    let again = bed.command_as(&id, Method::POST, "/accounts", body).await;
    assert_eq!((&first.body, &first.token), (&again.body, &again.token));
    assert_eq!(again.status, 201);
    let rows = "select cast(count(*) as text) from account";
    assert_eq!(bed.master.number(rows).await.unwrap(), 1);
    let other = bed
        .command_as(&id, Method::POST, "/accounts", json!({"name": "Bob"}))
        .await;
    expect_problem(&other, 422, "id-reused");
}

/// Each case on each database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::bed::Bed::embedded().await).await;
            })+
        }

        #[cfg(feature = "servers")]
        mod servers {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::bed::Bed::servers().await).await;
            })+
        }
    };
}

on_both!(
    an_order_lives_from_its_placing_to_its_shipping,
    a_cancelled_order_gives_its_lines_back,
    rules_are_told_as_problems,
    of_two_who_have_seen_the_same_version_one_is_late,
    what_cannot_be_meant_is_told_field_by_field,
    a_command_sent_twice_is_executed_once,
);
