//! `cargo run -p shop`, as its README says.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    process::{Process, run},
    wait::{Seen, until},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);

/// Starts it on ports of its own, with customers: the process, and where the reports are.
async fn start(label: &str, directory: &Path, place: [&str; 2]) -> Result<(Process, String)> {
    let any = "127.0.0.1:0";
    let [option, value] = place;
    let arguments = [
        option,
        value,
        "--traffic",
        "50/s",
        "--page",
        any,
        "--orders",
        any,
        "--reports",
        any,
    ];
    let shop = Process::start("shop", label, directory, &arguments, &[])?;
    let reports = || {
        let log = shop.log();
        let line = log.lines().find_map(|line| line.strip_prefix("reports"));
        line.map(|url| url.trim().trim_end_matches("/openapi.json").to_owned())
    };
    until("the shop says where it is", PATIENCE, async || {
        Ok(reports().map_or_else(|| Seen::NotYet(shop.log()), |_| Seen::Yes))
    })
    .await?;
    let reports = reports().context("the reports' address")?;
    Ok((shop, reports))
}

/// Customers come, and the reports show what they buy.
async fn customers_are_seen(reports: &str) -> Result<()> {
    let http = reqwest::Client::new();
    until("orders are in the reports", PATIENCE, async || {
        let list = http.get(format!("{reports}/orders")).send().await?;
        let list: Value = list.error_for_status()?.json().await?;
        let count = list["orders"].as_array().map_or(0, Vec::len);
        Ok(if count >= 10 {
            Seen::Yes
        } else {
            Seen::NotYet(format!("{count} orders"))
        })
    })
    .await
}

#[tokio::test]
async fn its_files_can_be_looked_at_and_opened_again() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let data = data.to_str().context("the path is UTF-8")?;
    let (shop, reports) = start("first", directory.path(), ["--data", data]).await?;
    customers_are_seen(&reports).await?;
    let config = format!("{data}/cqrs.toml");
    for program in ["cqrs-relay", "cqrs-replica"] {
        let status = ["status", "--config", &config, "--json"];
        let said = run(program, directory.path(), &status, &[]).await?;
        let status: Value = serde_json::from_str(&said)?;
        ensure!(status.is_object(), "{program}: {said}");
    }
    shop.terminate().await?;
    let (shop, reports) = start("again", directory.path(), ["--data", data]).await?;
    customers_are_seen(&reports).await?;
    shop.terminate().await
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn a_configuration_brings_it_to_servers() -> Result<()> {
    let stack = cqrs_tests::stack::Stack::servers().await?;
    let config = stack.config();
    let config = config.to_str().context("the path is UTF-8")?;
    let (shop, reports) = start("shop", stack.directory.path(), ["--config", config]).await?;
    customers_are_seen(&reports).await?;
    shop.terminate().await
}
