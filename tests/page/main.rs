//! The page of `examples/shop`, in a real browser.
#![cfg(feature = "servers")]

mod browser;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use browser::Browser;
use cqrs_tests::{
    process::Process,
    wait::{Seen, until},
};

/// The shop, as `cargo run -p shop` starts it, on ports of its own.
async fn shop(directory: &std::path::Path) -> Result<(Process, String)> {
    let any = "127.0.0.1:0";
    let arguments = ["--page", any, "--orders", any, "--reports", any];
    let shop = Process::start("shop", "shop", directory, &arguments, &[])?;
    let page = || {
        let log = shop.log();
        let line = log.lines().find_map(|line| line.strip_prefix("page"));
        line.map(|address| address.trim().to_owned())
    };
    until(
        "the shop says where its page is",
        Duration::from_mins(1),
        async || Ok(page().map_or_else(|| Seen::NotYet(shop.log()), |_| Seen::Yes)),
    )
    .await?;
    let page = page();
    Ok((shop, page.context("the page's address")?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_placed_and_seen_to_arrive() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (shop, address) = shop(directory.path()).await?;
    let browser = Browser::open(&address).await?;
    browser
        .until("document.body.dataset.ready === 'true'")
        .await?;

    // What is not valid is told in an alert, field by field.
    browser.click("#open-account button").await?;
    browser
        .until("document.querySelector('#problem').checkVisibility()")
        .await?;
    let problem = browser.text("#problem").await?;
    ensure!(problem.contains("name must not be empty"), "{problem}");

    browser
        .fill("#open-account [name=name]", "Ada <b>Lovelace</b>")
        .await?;
    browser.click("#open-account button").await?;
    browser
        .until("!document.querySelector('#place-order button').disabled")
        .await?;
    let account = browser.text("#account").await?;
    ensure!(account == "You are Ada <b>Lovelace</b>.", "{account}");
    browser
        .until("document.querySelector('#problem').hidden")
        .await?;

    browser
        .choose("#place-order [name=product]", "Claw hammer, 24.50")
        .await?;
    browser.fill("#place-order [name=quantity]", "2").await?;
    browser.click("#place-order button").await?;
    browser
        .until("document.querySelectorAll('#orders tr').length === 1")
        .await?;
    let row = browser.text("#orders tr").await?;
    for part in [
        "Ada <b>Lovelace</b>",
        "2 × Claw hammer",
        "49.00",
        "placed",
        " ms",
    ] {
        ensure!(row.contains(part), "{part:?} is not in {row:?}");
    }
    browser
        .until("document.querySelector('#revenue').textContent === '49.00'")
        .await?;

    browser
        .choose("#place-order [name=product]", "Workbench, 189.00")
        .await?;
    browser.fill("#place-order [name=quantity]", "5").await?;
    browser.click("#place-order button").await?;
    browser
        .until("document.querySelector('#problem').checkVisibility()")
        .await?;
    let problem = browser.text("#problem").await?;
    ensure!(
        problem.contains("of Workbench there are 3 left, not 5"),
        "{problem}"
    );

    browser.click("#orders tr button").await?;
    browser
        .until("document.querySelector('#orders tr .shipped') !== null")
        .await?;
    let buttons = browser
        .number("document.querySelectorAll('#orders button').length")
        .await?;
    ensure!(buttons == 0, "a shipped order can still be changed");

    browser.close().await?;
    shop.terminate().await
}
