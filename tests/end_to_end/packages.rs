//! `examples/packages`: a table that is kept by plain SQL, captured and replicated by the stock
//! binaries, without any Rust.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

#[tokio::test]
async fn the_example_replicates_the_package_index() -> Result<()> {
    let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
    let test = std::env::current_exe()?;
    let binaries = test
        .ancestors()
        .nth(2)
        .context("not in a target directory")?;
    let output = Command::new(examples.join("packages/run"))
        .arg(examples.join("data/packages.sample"))
        .env("CQRS_BIN", binaries)
        .kill_on_drop(true)
        .output()
        .await?;
    let (said, problems) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{said}{problems}");
    // 300 packages, of which every third is changed and every tenth removed.
    for line in [
        "packages: loaded 300",
        "packages: updated 100",
        "packages: removed 30",
    ] {
        ensure!(said.contains(line), "{line:?} is missing in {said}");
    }
    let last = said.lines().last();
    ensure!(
        last == Some("packages: the replica equals the master, 270 packages"),
        "{said}"
    );
    Ok(())
}
