//! The commands on a large table, each beside what the database does without us, with their peak memory.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{database::Database, postgres::TestDatabase, rabbitmq};
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::interval,
};

/// A table of many rows on a master, and the same table, empty, on a replica.
struct Site {
    master: Database,
    replica: Database,
    directory: TempDir,
    rows: u32,
}

/// What a command took.
struct Cost {
    elapsed: Duration,
    /// In KiB.
    peak: u64,
}

pub(crate) async fn measure(rows: u32) -> Result<()> {
    let site = Site::create(rows).await?;
    let file = site.path("account.dump");
    let out = file.to_str().context("the path is UTF-8")?;

    let raw = site.copy_out().await?;
    tell("raw COPY of the rows as JSON", rows, raw, None, None);
    let dump = ["dump", "--model", "account", "--output", out, "--force"];
    let first = site.run("cqrs-relay", &dump).await?;
    show(
        "dump, of rows never recorded",
        rows,
        &first,
        Some(("raw COPY", raw)),
    );
    let again = site.run("cqrs-relay", &dump).await?;
    show("dump", rows, &again, Some(("raw COPY", raw)));

    let raw = site.copy_in().await?;
    tell("raw COPY into a table", rows, raw, None, None);
    let load = site.run("cqrs-replica", &["load", "--input", out]).await?;
    show("load", rows, &load, Some(("raw COPY", raw)));
    let load = site.run("cqrs-replica", &["load", "--input", out]).await?;
    show("load again: nothing is newer", rows, &load, None);

    for arguments in [&["diff"][..], &["diff", "--content"]] {
        let mut master = vec!["--model", "account"];
        master.splice(0..0, arguments.iter().copied());
        let [left, right] = site.pipe(&master, &["diff"]).await?;
        let what = arguments.join(" ");
        show(&format!("{what} of the master, piped"), rows, &left, None);
        show(&format!("{what} of the replica, piped"), rows, &right, None);
    }

    let master = site.master.url().to_owned();
    let reconcile = ["reconcile", "--model", "account", "--master", &master];
    let reconciled = site.run("cqrs-replica", &reconcile).await?;
    show("reconcile of equal tables", rows, &reconciled, None);

    let changed = rows / 10;
    let plain = site.update(changed).await?;
    show("UPDATE, not captured", changed, &plain, None);
    let install = ["capture", "install", "--model", "account"];
    site.run("cqrs-relay", &install).await?;
    let captured = site.update(changed).await?;
    let beside = Some(("not captured", plain.elapsed));
    show("UPDATE, captured", changed, &captured, beside);
    let events = "select count(*)::text from cqrs_outbox";
    let events = site.master.number(events).await?;
    ensure!(
        events == i64::from(changed),
        "{events} events for {changed} rows"
    );
    Ok(())
}

impl Site {
    async fn create(rows: u32) -> Result<Self> {
        let master = Database::on(TestDatabase::create().await?).await?;
        let replica = Database::on(TestDatabase::create().await?).await?;
        let site = Self {
            master,
            replica,
            directory: tempfile::tempdir()?,
            rows,
        };
        site.configure()?;
        site.run("cqrs-relay", &["migrate"]).await?;
        site.run("cqrs-replica", &["migrate"]).await?;
        let table = "(id bigint primary key, name text not null, status text not null,
                      balance numeric not null, created timestamptz not null)";
        let mut connection = site.connect(&site.master).await?;
        for statement in [
            format!("create table account {table}"),
            format!(
                "insert into account select id, 'Account number ' || id || ' of the bench, Zoë & sons',
                 'active', id + 0.25, '2026-01-01'::timestamptz + id * interval '1 second'
                 from generate_series(1, {rows}) as id"
            ),
            "vacuum analyze account".to_owned(),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        let mut connection = site.connect(&site.replica).await?;
        for name in ["account_copy", "account_raw"] {
            sqlx::query(AssertSqlSafe(format!("create table {name} {table}")))
                .execute(&mut connection)
                .await?;
        }
        Ok(site)
    }

    fn configure(&self) -> Result<()> {
        let toml = format!(
            "[broker]\nurl = \"{}\"\n\n[master]\ndatabase = \"{}\"\n\n\
             [[master.model]]\ncqrs_id = \"account\"\ntable = \"account\"\nkey = \"id\"\n\n\
             [replica]\ndatabase = \"{}\"\nqueue = \"{}\"\n\n\
             [[replica.model]]\ncqrs_id = \"account\"\ntable = \"account_copy\"\nkey = \"id\"\n",
            rabbitmq::url().expose(),
            self.master.url(),
            self.replica.url(),
            rabbitmq::unique_queue("bench"),
        );
        Ok(std::fs::write(self.path("cqrs.toml"), toml)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn connect(&self, database: &Database) -> Result<PgConnection> {
        let options: PgConnectOptions = database.url().parse()?;
        Ok(PgConnection::connect_with(&options).await?)
    }

    async fn copy_out(&self) -> Result<Duration> {
        let mut connection = self.connect(&self.master).await?;
        let started = Instant::now();
        let copy = "copy (select row_to_json(account) from account order by id) to stdout";
        let mut bytes = connection.copy_out_raw(copy).await?;
        while bytes.try_next().await?.is_some() {}
        drop(bytes);
        Ok(started.elapsed())
    }

    /// The rows as `COPY` writes them, into a table with the same columns and index.
    async fn copy_in(&self) -> Result<Duration> {
        let mut master = self.connect(&self.master).await?;
        let mut text = Vec::new();
        let mut bytes = master.copy_out_raw("copy account to stdout").await?;
        while let Some(chunk) = bytes.try_next().await? {
            text.extend_from_slice(&chunk);
        }
        drop(bytes);
        let mut replica = self.connect(&self.replica).await?;
        let started = Instant::now();
        let mut copy = replica.copy_in_raw("copy account_raw from stdin").await?;
        for chunk in text.chunks(1 << 20) {
            copy.send(chunk).await?;
        }
        let copied = copy.finish().await?;
        ensure!(copied == u64::from(self.rows), "{copied} rows");
        Ok(started.elapsed())
    }

    /// The peak is that of the server's process behind the connection, with what it touched of the
    /// shared buffers.
    async fn update(&self, rows: u32) -> Result<Cost> {
        let mut connection = self.connect(&self.master).await?;
        let server: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        let started = Instant::now();
        let done = sqlx::query("update account set balance = balance + 1 where id <= $1")
            .bind(i64::from(rows))
            .execute(&mut connection)
            .await?;
        let elapsed = started.elapsed();
        ensure!(done.rows_affected() == u64::from(rows), "rows are missing");
        let status = format!("/proc/{server}/status");
        let peak = high_water(Path::new(&status)).context("the server is on another machine")?;
        Ok(Cost { elapsed, peak })
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<Cost> {
        let mut command = self.command(program, arguments)?;
        watch(command.stdout(Stdio::null()).spawn()?, program).await
    }

    /// `cqrs-relay LEFT | cqrs-replica RIGHT`.
    async fn pipe(&self, left: &[&str], right: &[&str]) -> Result<[Cost; 2]> {
        let mut left = self
            .command("cqrs-relay", left)?
            .stdout(Stdio::piped())
            .spawn()?;
        let pipe: Stdio = left.stdout.take().context("it is a pipe")?.try_into()?;
        let right = self
            .command("cqrs-replica", right)?
            .stdin(pipe)
            .stdout(Stdio::null())
            .spawn()?;
        let (left, right) =
            tokio::try_join!(watch(left, "cqrs-relay"), watch(right, "cqrs-replica"))?;
        Ok([left, right])
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        let bench = std::env::current_exe()?;
        let program = bench.with_file_name(program);
        ensure!(
            program.is_file(),
            "{} is missing: cargo build --release -p cqrs-relay -p cqrs-replica",
            program.display()
        );
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(self.path("cqrs.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(File::create(self.path("stderr"))?)
            .kill_on_drop(true);
        Ok(command)
    }
}

/// Waits for a process, and looks at the high-water mark of its memory until it has ended.
async fn watch(mut child: Child, program: &str) -> Result<Cost> {
    let started = Instant::now();
    let status = format!("/proc/{}/status", child.id().context("it runs")?);
    let mut pace = interval(Duration::from_millis(20));
    let mut peak = 0;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended?,
            _ = pace.tick() => peak = peak.max(high_water(Path::new(&status)).unwrap_or(0)),
        }
    };
    ensure!(ended.success(), "{program} ended with {ended}");
    Ok(Cost {
        elapsed: started.elapsed(),
        peak,
    })
}

fn high_water(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn show(what: &str, rows: u32, cost: &Cost, beside: Option<(&str, Duration)>) {
    tell(what, rows, cost.elapsed, Some(cost.peak), beside);
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn tell(
    what: &str,
    rows: u32,
    elapsed: Duration,
    peak: Option<u64>,
    beside: Option<(&str, Duration)>,
) {
    let seconds = elapsed.as_secs_f64();
    let rate = f64::from(rows) / seconds;
    let peak = peak.map_or_else(String::new, |kib| format!("  peak {} MiB", kib / 1024));
    let beside = beside.map_or_else(String::new, |(name, time)| {
        format!("  {:.2} x {name}", time.as_secs_f64() / seconds)
    });
    println!("{what:<42} {seconds:>8.2} s {rate:>9.0} rows/s{peak}{beside}");
}
