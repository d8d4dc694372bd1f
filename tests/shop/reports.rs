//! The service of reports over HTTP, filled by a worker.

use std::time::Duration;

use cqrs_outbox::{self as outbox, Change, Signal};
use cqrs_tests::{
    database::Database,
    wait::{Seen, until},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bed::{Bed, new_id, product};

/// Events as the orders' service would record them, in whatever order the test likes.
async fn record(bed: &Bed, change: Change) {
    match &bed.master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await.unwrap();
            outbox::record(&mut tx, change).await.unwrap();
            tx.commit().await.unwrap();
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await.unwrap();
            outbox::record(&mut tx, change).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

async fn place(bed: &Bed, account: &str, number: u128, quantity: i64) -> crate::bed::Answer {
    let lines = json!([{"product_id": product(number), "quantity": quantity}]);
    let body = json!({"account_id": account, "lines": lines});
    let placed = bed.command(Method::POST, "/orders", body).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    placed
}

async fn users_see_their_own_changes(bed: Bed) {
    bed.with_pipeline(async {
        let account = bed.account("Ada").await;
        let placed = place(&bed, &account, 3, 2).await;
        let path = format!("/orders/{}", placed.body["id"].as_str().unwrap());
        let token = placed.token.unwrap();
        let shown = bed.ask_reports_after(&token, &path).await;
        assert_eq!(
            (shown.status.as_u16(), shown.behind),
            (200, false),
            "{shown:?}"
        );
        assert_eq!(shown.body["total"], 4_900);
        let ship = bed
            .command(Method::POST, &format!("{path}/ship"), json!({"version": 0}))
            .await;
        let shown = bed.ask_reports_after(&ship.token.unwrap(), &path).await;
        assert_eq!(shown.body["status"], "shipped", "{shown:?}");
    })
    .await;
    // Without a worker nothing arrives, which is told and not hidden.
    let account = bed.account("Bob").await;
    let renamed = json!({"name": "Rob", "version": 0});
    let path = format!("/accounts/{account}");
    let renamed = bed.command(Method::PATCH, &path, renamed).await;
    let shown = bed.ask_reports_after(&renamed.token.unwrap(), &path).await;
    assert_eq!(
        (shown.status.as_u16(), shown.behind),
        (404, true),
        "{shown:?}"
    );
    let forged = bed.ask_reports_after("seven", &path).await;
    assert_eq!(forged.status, 400, "{forged:?}");
}

async fn the_view_follows_each_step(bed: Bed) {
    bed.with_pipeline(async {
        let account = bed.account("Ada").await;
        let placed = place(&bed, &account, 3, 2).await;
        let id = placed.body["id"].as_str().unwrap();
        let path = format!("/orders/{id}");
        bed.until_reported(&path, "/status", &json!("placed")).await;
        let line = json!({"product_id": product(9), "quantity": 10, "version": 0});
        bed.command(Method::POST, &format!("{path}/lines"), line)
            .await;
        bed.until_reported(&path, "/version", &json!(1)).await;
        // The copies of accounts and products come in an order of their own.
        let product = json!("Sandpaper, 10 sheets");
        bed.until_reported(&path, "/lines/1/product", &product)
            .await;
        bed.until_reported(&path, "/account", &json!("Ada")).await;
        assert_eq!(bed.ask_reports(&path).await.body["total"], 9_500);
        bed.until_reported(&format!("/accounts/{account}"), "/spent", &json!(9_500))
            .await;

        let today = placed.body["placed_at"].as_str().unwrap()[..10].to_owned();
        let revenue = format!("/revenue?from={today}&to={today}");
        bed.until_reported(&revenue, "/0/revenue", &json!(9_500))
            .await;
        let version = json!({"version": 1});
        bed.command(Method::POST, &format!("{path}/cancel"), version)
            .await;
        bed.until_reported(&path, "/status", &json!("cancelled"))
            .await;
        assert_eq!(bed.ask_reports(&revenue).await.body, json!([]));
        let page = bed.ask_reports(&format!("/accounts/{account}")).await.body;
        assert_eq!((&page["orders"], &page["spent"]), (&json!(0), &json!(0)));
    })
    .await;
}

async fn an_order_may_overtake_its_account_and_come_again(bed: Bed) {
    let (id, account) = (new_id(), new_id());
    let order = json!({
        "id": id, "account_id": account, "status": "placed", "placed_at": "2026-11-01T12:00:00Z",
        "lines": [{"product_id": product(1), "quantity": 2, "price": 100}], "total": 200, "version": 0,
    });
    bed.with_pipeline(async {
        record(
            &bed,
            Change::json("order", id.as_str(), Signal::Save, order.clone()),
        )
        .await;
        let path = format!("/orders/{id}");
        bed.until_reported(&path, "/total", &json!(200)).await;
        assert_eq!(bed.ask_reports(&path).await.body["account"], Value::Null);
        // The same state once more, as after a repair: it counts once.
        record(
            &bed,
            Change::json("order", id.as_str(), Signal::Sync, order.clone()),
        )
        .await;
        let name = json!({"id": account, "name": "Ada", "status": "open", "version": 0});
        record(
            &bed,
            Change::json("account", account.as_str(), Signal::Save, name),
        )
        .await;
        bed.until_reported(&path, "/account", &json!("Ada")).await;
        let outbox = async || {
            let rows = "select cast(count(*) as text) from cqrs_outbox";
            Ok(Seen::equal(&bed.master.number(rows).await?, &0))
        };
        until("all is sent", Duration::from_mins(1), outbox)
            .await
            .unwrap();
        let revenue = "/revenue?from=2026-11-01&to=2026-11-01";
        assert_eq!(
            bed.ask_reports(revenue).await.body,
            json!([{"day": "2026-11-01", "orders": 1, "revenue": 200}])
        );
        record(
            &bed,
            Change::json("order", id.as_str(), Signal::Delete, json!({})),
        )
        .await;
        bed.until_reported(&path, "/status", &json!(404)).await;
        assert_eq!(bed.ask_reports(revenue).await.body, json!([]));
    })
    .await;
}

async fn orders_are_listed_searched_and_paged(bed: Bed) {
    bed.with_pipeline(async {
        let ada = bed.account("Ada 100%_!").await;
        let bob = bed.account("Bob").await;
        let mut last = None;
        for number in 1..=7 {
            let account = if number % 2 == 0 { &bob } else { &ada };
            last = place(&bed, account, number, 1).await.token;
        }
        let all = bed.ask_reports_after(&last.unwrap(), "/orders").await.body;
        // Tokens name only their own command's events: wait for the others too.
        let everything = async || {
            let found = bed.ask_reports("/orders").await.body;
            Ok(Seen::equal(
                &found["orders"].as_array().map_or(0, Vec::len),
                &7,
            ))
        };
        until("all orders arrive", Duration::from_mins(1), everything)
            .await
            .unwrap();
        assert!(all["orders"].as_array().is_some(), "{all}");
        let all = bed.ask_reports("/orders").await.body;
        let ids = |list: &Value| -> Vec<Value> {
            let orders = list["orders"].as_array().unwrap().iter();
            orders.map(|order| order["id"].clone()).collect()
        };
        let mut paged = Vec::new();
        let mut path = "/orders?limit=3".to_owned();
        loop {
            let page = bed.ask_reports(&path).await.body;
            paged.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => path = format!("/orders?limit=3&after={next}"),
                None => break,
            }
        }
        assert_eq!(paged, ids(&all));

        let count = async |path: &str| {
            let answer = bed.ask_reports(path).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            ids(&answer.body).len()
        };
        for (path, expected) in [
            (format!("/orders?account={ada}"), 4),
            ("/orders?status=shipped".to_owned(), 0),
            ("/orders?status=placed".to_owned(), 7),
            ("/orders?search=BOB".to_owned(), 3),
            ("/orders?search=hammer".to_owned(), 1),
            // As they are, and not as wildcards.
            ("/orders?search=100%25_!".to_owned(), 4),
            ("/orders?search=%25".to_owned(), 4),
            ("/orders?search=_".to_owned(), 4),
            ("/orders?search='%20or%201=1%20--".to_owned(), 0),
        ] {
            assert_eq!(count(&path).await, expected, "{path}");
        }
        for path in [
            "/orders?limit=0",
            "/orders?status=lost",
            "/orders?after=x",
            "/orders?search=%00",
            "/revenue?from=2026-11-02&to=2026-11-01",
        ] {
            let answer = bed.ask_reports(path).await;
            assert_eq!(answer.status, 422, "{path}: {answer:?}");
        }
        for path in [
            "/orders?colour=red",
            "/orders?limit=many",
            "/revenue?from=today&to=today",
        ] {
            let answer = bed.ask_reports(path).await;
            assert_eq!(answer.status, 400, "{path}: {answer:?}");
        }
    })
    .await;
}

/// Each case on each database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bed::Bed::embedded().await).await;
            })+
        }

        #[cfg(feature = "servers")]
        mod servers {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::bed::Bed::servers().await).await;
            })+
        }
    };
}

on_both!(
    users_see_their_own_changes,
    the_view_follows_each_step,
    an_order_may_overtake_its_account_and_come_again,
    orders_are_listed_searched_and_paged,
);
