//! The shell commands of the documentation do what the pages say, on PostgreSQL and RabbitMQ.
//!
//! All blocks of `sh` and `console` in a page are run as one script in a new directory with a `cqrs.toml`, but for those
//! that are marked as `no_run`. Addresses are replaced by those of the tests' servers. What a `console` block
//! prints below a command is what the command prints. Programs that serve run until the end of the page, and must end
//! well then.

use std::{collections::BTreeSet, fmt::Write as _, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    pages::{self, Block},
    process::binary,
    stack::Stack,
    wait::{Seen, until},
};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(3);

/// The pages whose commands are run by a test of this file.
const RUN: [&str; 9] = [
    "README.md",
    "docs/bootstrap.md",
    "docs/capture.md",
    "docs/guide/3-events.md",
    "docs/guide/4-replicas.md",
    "docs/guide/replica.md",
    "docs/reconcile.md",
    "docs/synchronising.md",
    "examples/packages/README.md",
];

const MASTER: &str = "create table accounts (id bigint primary key, full_name text, status text)";
const REPLICA: &str =
    "create table account_ref (id bigint primary key, full_name text, status text)";
const ROWS: &str = "insert into accounts
    select id, 'name ' || id, case when id % 2 = 0 then 'active' else 'closed' end
    from generate_series(1, 2000) id";
const MODELS: &str = "
[[master.model]]
cqrs_id = 'account'
table = 'accounts'
key = 'id'

[[replica.model]]
cqrs_id = 'account'
table = 'account_ref'
key = 'id'
";

/// A master and a replica of their own, and what the page calls them.
struct Site {
    stack: Stack,
    replaced: Vec<(String, String)>,
}

impl Site {
    async fn new() -> Result<Self> {
        let stack = Stack::servers().await?;
        let (master, replica) = (stack.master.url(), stack.replica.url());
        let replaced = [
            ("postgres://postgres:postgres@localhost/shop", master),
            ("postgres://postgres:postgres@localhost/billing", replica),
            ("postgres://reader@shop.internal/shop", master),
            ("postgres://localhost/shop", master),
            ("amqp://guest:guest@localhost:5672/%2f", &stack.broker),
            ("--queue billing", &format!("--queue {}", stack.queue)),
            (
                "queue = \"billing\"",
                &format!("queue = \"{}\"", stack.queue),
            ),
            ("$CQRS_REPLICA_DATABASE", replica),
            // Of the package index only a sample.
            (
                "packages load master.db ",
                "packages load master.db $example/../data/packages.sample ",
            ),
            (
                "packages csv >",
                "packages csv $example/../data/packages.sample >",
            ),
        ]
        .map(|(page, ours)| (page.to_owned(), ours.to_owned()));
        Ok(Self {
            replaced: replaced.to_vec(),
            stack,
        })
    }

    /// With the tables `accounts`, with rows, and `account_ref`, which are declared on both sides.
    async fn accounts() -> Result<Self> {
        let site = Self::new().await?;
        site.declare(MODELS)?;
        site.stack.master.execute(MASTER).await?;
        site.stack.master.execute(ROWS).await?;
        site.stack.replica.execute(REPLICA).await?;
        Ok(site)
    }

    /// These models instead of the stack's own.
    fn declare(&self, models: &str) -> Result<()> {
        let config = self.stack.config();
        let mut toml = std::fs::read_to_string(&config)?;
        toml.truncate(toml.find("[[").unwrap_or(toml.len()));
        Ok(std::fs::write(config, toml + models)?)
    }

    fn ours(&self, text: &str) -> String {
        let all = self.replaced.iter();
        all.fold(text.to_owned(), |text, (page, ours)| {
            text.replace(page, ours)
        })
    }

    /// Runs the commands of a page; what each printed.
    async fn run(&self, page: &str) -> Result<()> {
        let blocks = pages::blocks(&pages::read(page)?);
        let mut script = SETUP.to_owned();
        let mut expected = Vec::new();
        let mut logs = Vec::new();
        for block in blocks.iter().filter(|block| !block.no_run) {
            for (command, prints) in steps(block) {
                let served = self.served(&command, &mut logs);
                writeln!(script, "\necho '{MARK}'\n{served}")?;
                expected.push((command, prints));
            }
        }
        for log in logs {
            // What has written to its log hears a SIGTERM.
            writeln!(script, "until [[ -s {log} ]]; do sleep 0.1; done")?;
        }
        script += TEARDOWN;
        let directory = self.stack.directory.path();
        let programs = binary("cqrs-relay")?;
        let programs = programs.parent().context("a file is in a directory")?;
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(directory)
            .env("PROGRAMS", programs)
            .env("CQRS_CONFIG", self.stack.config())
            .env("CQRS_BROKER_EXCHANGE", &self.stack.exchange)
            .env("CQRS_REPLICA_QUEUE", &self.stack.queue)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE * 2, shell.output()).await?;
        let output = output.context("bash")?;
        let said = String::from_utf8(output.stdout)?;
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{page}: {}\n{said}\n{problems}",
            output.status
        );
        let mut printed = said.split(MARK).skip(1);
        for (command, lines) in expected {
            let printed = printed.next().context("each command has its part")?;
            for line in lines {
                let line = self.ours(&line);
                ensure!(
                    printed.lines().any(|l| l.trim() == line.trim()),
                    "{page}: $ {command}\nno line {line:?} in:\n{printed}"
                );
            }
        }
        Ok(())
    }

    /// A command with our addresses; one that serves is put into the background.
    fn served(&self, command: &str, logs: &mut Vec<String>) -> String {
        let command = self.ours(command);
        let bare = command
            .split('#')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_end_matches('&')
            .trim();
        let mut words = bare.split_whitespace();
        let serves = words
            .next()
            .is_some_and(|program| program.starts_with("cqrs-"))
            && words.any(|word| word == "run" || word == "--watch");
        if !serves {
            return command;
        }
        let log = format!("\"$place\"/serving.{}.log", logs.len());
        let started = format!("{bare} >{log} 2>&1 &");
        logs.push(log);
        started
    }
}

const MARK: &str = "=== next command ===";

const SETUP: &str = "
place=$PWD
PATH=$PROGRAMS:$PATH
finish() {
    status=$?
    ((status == 0)) || tail -n 30 \"$place\"/serving.*.log >&2 || true
    jobs -p | xargs -r kill -9 2>/dev/null || true
}
trap finish EXIT
cargo() { test \"$1\" = build; }
";

const TEARDOWN: &str = "
for job in $(jobs -pr); do kill -TERM \"$job\"; done
for job in $(jobs -p); do wait \"$job\"; done
";

/// The commands of a block, each with the lines that it prints. A script without output is one of several lines.
fn steps(block: &Block) -> Vec<(String, Vec<String>)> {
    let text = block.lines.join("\n");
    let text = without_cargo(&text);
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let command = if block.console {
            line.strip_prefix("$ ")
        } else {
            Some(line)
        };
        match (command, steps.last_mut()) {
            (Some(more), Some((command, _))) if goes_on => {
                command.push('\n');
                command.push_str(more);
            }
            (Some(command), _) => steps.push((command.to_owned(), Vec::new())),
            (None, Some((_, prints))) if !line.is_empty() => prints.push(line.to_owned()),
            (None, _) => {}
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

/// `cargo run -p cqrs-relay -- status` is `cqrs-relay status`: the programs are built.
fn without_cargo(text: &str) -> String {
    text.replace("cargo run -p ", "").replace(" -- ", " ")
}

#[test]
fn every_page_with_commands_is_run() -> Result<()> {
    let mut with_commands = BTreeSet::new();
    for page in pages::all()? {
        if pages::blocks(&pages::read(&page)?)
            .iter()
            .any(|block| !block.no_run)
        {
            with_commands.insert(page);
        }
    }
    ensure!(
        with_commands == RUN.map(str::to_owned).into(),
        "{with_commands:?}"
    );
    Ok(())
}

#[tokio::test]
async fn readme() -> Result<()> {
    let site = Site::new().await?;
    let page = pages::read("README.md")?;
    let toml = pages::sample(&page, "toml", "# cqrs.toml").context("its cqrs.toml")?;
    std::fs::write(site.stack.config(), site.ours(&toml))?;
    site.run("README.md").await
}

#[tokio::test]
async fn bootstrap() -> Result<()> {
    let site = Site::accounts().await?;
    let page = pages::read("docs/bootstrap.md")?;
    site.declare(&pages::sample(&page, "toml", "[[replica.model]]").context("its models")?)?;
    site.run("docs/bootstrap.md").await
}

#[tokio::test]
async fn capture() -> Result<()> {
    let site = Site::accounts().await?;
    let page = pages::read("docs/capture.md")?;
    site.declare(&pages::sample(&page, "toml", "[[master.model]]").context("its model")?)?;
    site.stack.migrate().await?;
    site.run("docs/capture.md").await
}

#[tokio::test]
async fn guide() -> Result<()> {
    for page in ["docs/guide/3-events.md", "docs/guide/4-replicas.md"] {
        Site::accounts().await?.run(page).await?;
    }
    Ok(())
}

#[tokio::test]
async fn synchronising_and_reconcile() -> Result<()> {
    for page in ["docs/synchronising.md", "docs/reconcile.md"] {
        let site = Site::accounts().await?;
        site.stack.migrate().await?;
        let relay = site.stack.start("cqrs-relay", "relay")?;
        let worker = site.stack.start("cqrs-replica", "worker")?;
        until("the worker runs", PATIENCE, async || {
            let status = site
                .stack
                .outcome("cqrs-replica", &["status", "--json"])
                .await?
                .1;
            Ok(if status.contains("\"worker\"") {
                Seen::Yes
            } else {
                Seen::NotYet(status)
            })
        })
        .await?;
        site.stack
            .run("cqrs-relay", &["sync", "--model", "account", "--all"])
            .await?;
        site.run(page).await?;
        relay.terminate().await?;
        worker.terminate().await?;
    }
    Ok(())
}

#[tokio::test]
async fn dead_letters() -> Result<()> {
    let site = Site::accounts().await?;
    site.declare(&format!("{MODELS}max_attempts = 1\n"))?;
    site.stack.migrate().await?;
    let relay = site.stack.start("cqrs-relay", "relay")?;
    let worker = site.stack.start("cqrs-replica", "worker")?;
    let strict = "alter table account_ref alter column status set not null";
    site.stack.replica.execute(strict).await?;
    let unknown = "update accounts set status = null where id <= 3";
    site.stack.master.execute(unknown).await?;
    let sync = ["sync", "--model", "account", "--all"];
    site.stack.run("cqrs-relay", &sync).await?;
    until("three letters are dead", PATIENCE, async || {
        let list = ["dead-letters", "list", "--group"];
        let groups = site.stack.run("cqrs-replica", &list).await?;
        Ok(if groups.contains("\n3        dead") {
            Seen::Yes
        } else {
            Seen::NotYet(groups)
        })
    })
    .await?;
    site.run("docs/guide/replica.md").await?;
    relay.terminate().await?;
    worker.terminate().await
}

#[tokio::test]
async fn packages() -> Result<()> {
    let site = Site::new().await?;
    let examples = site.stack.directory.path().join("examples");
    std::os::unix::fs::symlink(
        pages::workspace().canonicalize()?.join("examples"),
        examples,
    )?;
    site.run("examples/packages/README.md").await
}
