//! Rows that cannot be read or sent cost only themselves.

use anyhow::{Result, ensure};

use super::fixture::World;

const MODEL: &str = "cqrs_id = \"note\"\ntable = \"note\"\nkey = \"id\"";

async fn notes<W: World>(world: &W) -> Result<()> {
    world.configure(MODEL)?;
    world
        .run(
            "create table note (id bigint primary key, body text);
             with recursive g (i) as (select 1 union all select i + 1 from g where i < 300)
             insert into note select i, 'n' || i from g",
        )
        .await?;
    // A byte that is no UTF-8, and a row that is longer than any event.
    world
        .run(world.choose(
            "update note set body = E'caf\\xe9' where id in (150, 151);
             update note set body = repeat('x', 135000000) where id = 200",
            "update note set body = cast(x'636166e9' as text) where id in (150, 151);
             update note set body = hex(zeroblob(67500000)) where id = 200",
        ))
        .await
}

async fn each_costs_only_itself<W: World>(world: W) -> Result<()> {
    notes(&world).await?;
    let dump = world
        .relay(&["dump", "-c", "note", "-o", "-"])
        .await?
        .says("3 rows failed")?;
    let lines: Vec<_> = dump.stdout.lines().collect();
    let end = r#"{"cqrs_end":{"rows":297,"failed":3,"filtered":false}}"#;
    ensure!(
        lines.len() == 299 && lines[298] == end,
        "{} lines",
        lines.len()
    );
    ensure!(lines[297].starts_with(r#"{"id":300,"#), "{}", lines[297]);
    for row in ["row 150: ", "row 151: ", "row 200: "] {
        ensure!(dump.stderr.contains(row), "{row}: {}", dump.stderr);
    }
    let diff = world.relay(&["diff", "-c", "note", "--content"]).await?;
    let diff = diff.says("2 rows failed")?;
    ensure!(!diff.stdout.ends_with("[]\n"), "it is not whole");
    let sync = world.relay(&["sync", "-c", "note", "--all"]).await?;
    let sync = sync.says("3 rows failed")?;
    ensure!(sync.stdout.starts_with("297 instances"), "{sync:?}");
    for row in ["row 150: ", "row 151: ", "row 200: "] {
        ensure!(sync.stderr.contains(row), "{row}: {}", sync.stderr);
    }
    // They are there, and no replica deletes them.
    let header = "note,2026-11-21 01:09:08.762627+00:00\n";
    let input = format!("{header}[149,150,151,200]\n[]\n");
    let deleted = world.relay_with(&["deleted-diff"], &input).await?.good()?;
    ensure!(deleted.stdout == format!("{header}[]\n"), "{deleted:?}");
    Ok(())
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn each_costs_only_itself_on_postgres() -> Result<()> {
    use cqrs_tests::{database::Database, postgres::TestDatabase};
    let database = TestDatabase::create_without_encoding().await?;
    let database = Database::on(database).await?;
    each_costs_only_itself(super::fixture::Postgres::on(database).await?).await
}

#[tokio::test]
async fn each_costs_only_itself_on_sqlite() -> Result<()> {
    each_costs_only_itself(super::fixture::Sqlite::create().await?).await
}
