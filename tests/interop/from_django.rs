//! A Django master and our worker.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    compare::{ARTICLE, COUNTRY, CUSTOMER, DEVICE, ORDER, copied},
    django::Django,
    shop,
};

const ALL: [crate::compare::Table; 5] = [CUSTOMER, DEVICE, COUNTRY, ORDER, ARTICLE];

#[tokio::test]
async fn rows_of_every_kind_arrive() -> Result<()> {
    let stack = shop::open().await?;
    let django = Django::master(&stack, &stack.master);
    django.migrate().await?;
    let worker = shop::our_replica(&stack).await?;
    let mut operator = django.operator()?;

    operator
        .operate(&[
            json!(["create", "customer", {
                "id": 1, "name": "Zoë ☃ \"q\" \\ n/a 😀 \u{7}", "balance": "1234567890.10",
                "ratio": 0.1, "born": "2020-02-29", "seen": "2026-01-02T03:04:05.678901Z",
                "extra": {"k": [1, null, true, {"😀": "\\u0041"}], "n": 1.5}
            }]),
            json!(["create", "customer", {"id": 2, "name": "", "ratio": "NaN", "parent": 1}]),
            json!(["create", "customer", {"id": 3, "name": "∞", "ratio": "-Infinity",
                "seen": "2026-01-02T03:04:05Z", "extra": []}]),
            json!(["update", "customer", 1, {"status": "gone", "balance": null, "extra": null}]),
            json!(["delete", "customer", 3]),
            json!(["create", "customer", {"id": 3, "name": "again", "ratio": "Infinity"}]),
            json!(["bulk_create", "customer", (10..60).map(|id| json!({"id": id, "name": "bulk"}))
                .collect::<Vec<_>>()]),
            json!(["bulk_update", "customer", (20..40).collect::<Vec<_>>(),
                {"status": "moved", "balance": "0.01"}]),
            json!(["create", "device", {"id": "00000000-0000-0000-0000-00000000000A",
                "label": "one", "serial": i64::MAX}]),
            json!(["create", "device", {"label": "two", "serial": i64::MIN}]),
            json!(["update", "device", "00000000-0000-0000-0000-00000000000A", {"serial": 1}]),
            json!(["create", "country", {"code": "cî 😀/\"", "name": "key"}]),
            json!(["create", "country", {"code": "de", "name": "gone"}]),
            json!(["update", "country", "cî 😀/\"", {"name": "other"}]),
            json!(["delete", "country", "de"]),
            json!(["create", "order", {"id": 1, "number": "A/1", "customer": 1,
                "total": "1234567890123456.1234", "placed": "2026-01-02T03:04:05.000001Z",
                "pickup": "03:04:05.678901", "lines": [
                    {"product": "tea", "quantity": 2, "price": "1.10"},
                    {"product": "☕", "quantity": 1, "price": "2.00"}]}]),
            json!(["create", "order", {"id": 2, "number": "A/2", "total": "0",
                "placed": "2026-01-02T03:04:05Z", "lines": []}]),
            json!(["update", "order", 1, {"lines": [
                {"product": "mate", "quantity": 3, "price": "3.30"}]}]),
            json!(["create", "article", {"id": 1, "title": "shown", "published": true}]),
        ])
        .await?;
    copied(&ALL, &stack.master, &stack.replica).await?;
    worker.terminate().await?;
    let left = shop::drain(&stack.queue).await?;
    ensure!(left.is_empty(), "{left:?}");
    copied(&ALL, &stack.master, &stack.replica).await
}
