//! README's "run it for real": an example master, the stock relay and the stock worker, on Debian's
//! own package index.

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_tests::{ledger::caught_up, stack::Stack};

const PATIENCE: Duration = Duration::from_mins(3);

const COPY: &str = "create table package_copy (name text collate \"C\", version text collate \"C\",
    section text, priority text, size bigint, contact text, summary text,
    primary key (name, version))";

const MODEL: &str = "
[[replica.model]]
cqrs_id = \"package\"
table = \"package_copy\"
key = [\"name\", \"version\"]
columns = { package = \"name\", version = \"version\", section = \"section\", priority = \"priority\",
            installed_size = \"size\", maintainer = \"contact\", description = \"summary\" }
";

async fn compare(stack: &Stack) -> Result<usize> {
    let rows = stack
        .master
        .rows(
            "select package, version, section, priority, installed_size::text, maintainer,
             description from packages order by package, version",
        )
        .await?;
    let copies = stack
        .replica
        .rows(
            "select name, version, section, priority, size::text, contact, summary
             from package_copy order by name, version",
        )
        .await?;
    for (row, copy) in rows.iter().zip(&copies) {
        ensure!(row == copy, "the master has {row:?}, the replica {copy:?}");
    }
    ensure!(
        rows.len() == copies.len(),
        "{} rows, {} copies",
        rows.len(),
        copies.len()
    );
    Ok(rows.len())
}

#[tokio::test]
async fn the_package_index_is_loaded_updated_and_partly_deleted() -> Result<()> {
    let stack = Stack::servers().await?;
    let mut toml = std::fs::read_to_string(stack.config())?;
    let models = toml.find("[[replica.model]]").unwrap_or(toml.len());
    toml.replace_range(models.., MODEL);
    std::fs::write(stack.config(), toml)?;
    stack.run("catalog", &["migrate"]).await?;
    stack.run("cqrs-replica", &["migrate"]).await?;
    stack.replica.execute(COPY).await?;
    let worker = stack.start("cqrs-replica", "worker")?;
    let relay = stack.start("cqrs-relay", "relay")?;

    stack.run("catalog", &["load"]).await?;
    caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    let loaded = compare(&stack).await?;
    ensure!(loaded >= 299, "only {loaded} packages");

    stack.run("catalog", &["update", "--every", "3"]).await?;
    stack.run("catalog", &["remove", "--every", "10"]).await?;
    let events = caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    let left = compare(&stack).await?;
    ensure!(left < loaded, "nothing was deleted");
    ensure!(events > i64::try_from(loaded)?, "nothing was updated");
    let moved = "select count(*)::text from package_copy where section like 'archive/%'";
    ensure!(stack.replica.number(moved).await? > 0, "no update arrived");

    relay.terminate().await?;
    worker.terminate().await
}
