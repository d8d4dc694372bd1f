//! The pipes of django-cqrs's tools with each stage replaced in turn by ours: one master's database that
//! both sides' commands read and send from, and two replicas with the same rows, one of either side.

use std::{fmt, process::Stdio};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    process::{Process, binary},
    rabbitmq,
    stack::Stack,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    compare::{self, CUSTOMER},
    django::{Consumer, Django},
    shop,
};

/// Whose command a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Python,
    Rust,
}

const SIDES: [Side; 2] = [Side::Python, Side::Rust];

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "Python's",
            Self::Rust => "ours",
        })
    }
}

/// A master that both know, with a replica of either side.
struct World {
    /// The master and our replica.
    stack: Stack,
    django_master: Django,
    /// Django's replica.
    theirs: Database,
    django_replica: Django,
    processes: Vec<Process>,
    consumer: Consumer,
}

/// The master's tables are Django's; our outbox beside them has taken over the revisions.
const SEED: &str = "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted)
    select 'customer', id::text, cqrs_revision, cqrs_updated, false from customer";

const MODEL: &str = r#"
[[master.model]]
cqrs_id = "customer"
table = "customer"
key = "id"

[master.model.columns]
id = "id"
name = "name"
status = "status"
balance = "balance"
ratio = "ratio"
active = "active"
born = "born"
seen = "seen"
extra = "extra"
parent = "parent_id"
"#;

const CUSTOMERS: i64 = 40;

impl World {
    async fn open() -> Result<Self> {
        let stack = shop::open().await?;
        let toml = std::fs::read_to_string(stack.config())?;
        std::fs::write(stack.config(), toml + MODEL)?;
        let django_master = Django::master(&stack, &stack.master);
        let mut operator = django_master.open().await?;
        let theirs = Database::postgres().await?;
        let queue = rabbitmq::unique_queue("theirs");
        let django_replica = Django::replica(&stack, &theirs, queue.as_str());
        django_replica.migrate().await?;
        let consumer = django_replica.consumer("django", 1)?;
        shop::attended(queue.as_str()).await?;
        let mut processes = vec![shop::our_replica(&stack).await?];
        let customers: Vec<_> = (1..=CUSTOMERS)
            .map(|id| {
                json!(["create", "customer", {"id": id, "name": format!("n {id} \"☃\""),
                    "balance": "12.50", "born": "2020-02-29", "seen": "2026-01-02T03:04:05.678901Z",
                    "extra": {"k": [1, null]}, "ratio": 0.5, "parent": 1}])
            })
            .collect();
        operator.operate(&customers).await?;
        let some: Vec<i64> = (1..=CUSTOMERS).filter(|id| id % 3 == 0).collect();
        operator
            .operate(&[json!(["bulk_update", "customer", some, {"status": "moved"}])])
            .await?;
        stack.run("cqrs-relay", &["migrate"]).await?;
        stack.master.execute(SEED).await?;
        processes.push(stack.relay("relay")?);
        let world = Self {
            stack,
            django_master,
            theirs,
            django_replica,
            processes,
            consumer,
        };
        world.equal(Side::Python).await?;
        world.equal(Side::Rust).await?;
        Ok(world)
    }

    /// The replica of a side.
    fn replica(&self, side: Side) -> &Database {
        match side {
            Side::Python => &self.theirs,
            Side::Rust => &self.stack.replica,
        }
    }

    /// Waits until a side's replica has the master's rows.
    async fn equal(&self, side: Side) -> Result<()> {
        compare::copied(&[CUSTOMER], &self.stack.master, self.replica(side)).await
    }

    /// Runs a stage at the master.
    async fn at_master(
        &self,
        side: Side,
        theirs: &[&str],
        ours: &[&str],
        input: &str,
    ) -> Result<String> {
        match side {
            Side::Python => self.django_master.piped(theirs, input).await,
            Side::Rust => self.ours("cqrs-relay", ours, input).await,
        }
    }

    /// Runs a stage at the replica of that side.
    async fn at_replica(
        &self,
        side: Side,
        theirs: &[&str],
        ours: &[&str],
        input: &str,
    ) -> Result<String> {
        match side {
            Side::Python => self.django_replica.piped(theirs, input).await,
            Side::Rust => self.ours("cqrs-replica", ours, input).await,
        }
    }

    async fn ours(&self, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(binary(program)?);
        command
            .arg("--config")
            .arg(self.stack.config())
            .args(arguments);
        piped(command, input).await
    }

    async fn close(self) -> Result<()> {
        self.consumer.terminate().await?;
        for process in self.processes {
            process.terminate().await?;
        }
        Ok(())
    }
}

/// Runs a command to its end with this input, and answers with its output.
pub(crate) async fn piped(mut command: Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut pipe = child.stdin.take().context("its input is a pipe")?;
    let write = async {
        // Whoever reads no input closes it.
        let _ = pipe.write_all(input.as_bytes()).await;
        drop(pipe);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn each_stage_of_a_diff_may_be_either_sides() -> Result<()> {
    let world = World::open().await?;
    for (round, (first, second, third)) in stages().enumerate() {
        let pipe = format!("{first} | {second} | {third}");
        // Rows gone by hand, at the replica that is looked at.
        let broken = world
            .replica(second)
            .execute("delete from customer where id in (3, 17, 40)")
            .await?;
        ensure!(
            broken == 3,
            "round {round}, {pipe}: {broken} rows were there"
        );
        let diff = world
            .at_master(
                first,
                &["cqrs_diff_master", "--cqrs-id", "customer", "--batch", "7"],
                &["diff", "--model", "customer", "--batch", "7"],
                "",
            )
            .await
            .context(pipe.clone())?;
        ensure!(diff.starts_with("customer,"), "{pipe}: {diff}");
        let missing = world
            .at_replica(
                second,
                &["cqrs_diff_replica"],
                &reading(first, &["diff"]),
                &diff,
            )
            .await
            .context(pipe.clone())?;
        world
            .at_master(
                third,
                &["cqrs_diff_sync"],
                &reading(second, &["diff-sync"]),
                &missing,
            )
            .await
            .context(pipe.clone())?;
        world.equal(second).await.context(pipe)?;
    }
    world.close().await
}

#[tokio::test]
async fn each_stage_of_a_deleted_diff_may_be_either_sides() -> Result<()> {
    let world = World::open().await?;
    for (first, second, third) in stages() {
        let pipe = format!("{first} | {second} | {third}");
        for side in SIDES {
            extra_rows(&world, side).await?;
        }
        let kept = world
            .at_replica(
                first,
                &[
                    "cqrs_deleted_diff_replica",
                    "--cqrs-id",
                    "customer",
                    "--batch",
                    "7",
                ],
                &["deleted-diff", "--model", "customer", "--batch", "7"],
                "",
            )
            .await
            .context(pipe.clone())?;
        ensure!(kept.starts_with("customer,"), "{pipe}: {kept}");
        let extra = world
            .at_master(
                second,
                &["cqrs_deleted_diff_master"],
                &reading(first, &["deleted-diff"]),
                &kept,
            )
            .await
            .context(pipe.clone())?;
        world
            .at_replica(
                third,
                &["cqrs_deleted_sync_replica"],
                &reading(second, &["deleted-sync"]),
                &extra,
            )
            .await
            .context(pipe.clone())?;
        world.equal(third).await.context(pipe)?;
    }
    world.close().await
}

#[tokio::test]
async fn a_dump_of_either_side_is_loaded_by_either_side() -> Result<()> {
    let world = World::open().await?;
    for (dumped, loaded) in SIDES
        .into_iter()
        .flat_map(|one| SIDES.map(|other| (one, other)))
    {
        let pipe = format!("{dumped} | {loaded}");
        let dump = world
            .at_master(
                dumped,
                &["cqrs_bulk_dump", "--cqrs-id", "customer", "--output", "-"],
                &["dump", "--model", "customer", "--output", "-"],
                "",
            )
            .await
            .context(pipe.clone())?;
        let lines = match dumped {
            Side::Python => 41,
            Side::Rust => 42,
        };
        ensure!(dump.lines().count() == lines, "{pipe}: {dump}");
        world
            .replica(loaded)
            .execute("delete from customer")
            .await?;
        if loaded == Side::Rust {
            // As in a database that is new: what is known of rows decides, not the rows.
            world
                .stack
                .replica
                .execute("delete from cqrs_replica_state")
                .await?;
        }
        world
            .at_replica(
                loaded,
                &["cqrs_bulk_load", "--input", "-"],
                &reading(dumped, &["load", "--input", "-"]),
                &dump,
            )
            .await
            .context(pipe.clone())?;
        world.equal(loaded).await.context(pipe)?;
    }
    world.close().await
}

/// Our command that reads what this side has written: Django's streams have no end mark.
fn reading<'a>(from: Side, command: &[&'a str]) -> Vec<&'a str> {
    let mut command = command.to_vec();
    if from == Side::Python {
        command.push("--without-end-mark");
    }
    command
}

/// Whose the three stages are, in all ways.
fn stages() -> impl Iterator<Item = (Side, Side, Side)> {
    SIDES.into_iter().flat_map(|first| {
        SIDES
            .into_iter()
            .flat_map(move |second| SIDES.map(move |third| (first, second, third)))
    })
}

/// Rows that a replica should not have: of instances that the master has never had, or has no more.
async fn extra_rows(world: &World, side: Side) -> Result<()> {
    let replica = world.replica(side);
    match side {
        Side::Python => {
            replica
                .execute(
                    "insert into customer (id, name, status, active, cqrs_revision, cqrs_updated)
                     select id, 'extra', 'x', true, 0, now() - interval '1 minute'
                     from generate_series(1000, 1009) as id on conflict do nothing",
                )
                .await?;
        }
        Side::Rust => {
            replica
                .execute(
                    "insert into customer (id, name, status, active)
                     select id, 'extra', 'x', true from generate_series(1000, 1009) as id
                     on conflict do nothing",
                )
                .await?;
        }
    }
    Ok(())
}
