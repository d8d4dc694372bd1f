//! A master with accounts, a replica that keeps some of their fields, and the processes between them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cqrs_outbox::{self as outbox, Change, Signal};
use cqrs_tests::{
    database::Database,
    process::Process,
    stack::Stack,
    wait::{Seen, until},
};
use serde_json::{Value, json};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A scenario.
pub(crate) struct World {
    pub(crate) stack: Stack,
    /// Whether the master's database is read, or its relay asked.
    pub(crate) direct: bool,
}

/// What `reconcile --json` has said of the accounts.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) log: String,
}

impl Said {
    /// The kinds of the rows that differ, by key.
    pub(crate) fn kinds(&self) -> Vec<(i64, &str)> {
        let rows = self.report["found"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let mut kinds: Vec<_> = rows
            .iter()
            .map(|row| {
                let key = row["key"].as_i64().unwrap_or(-1);
                (key, row["difference"].as_str().unwrap_or("?"))
            })
            .collect();
        kinds.sort_unstable();
        kinds
    }

    pub(crate) fn expect_well(&self) -> Result<()> {
        ensure!(self.code == 0 && self.kinds().is_empty(), "{self:?}");
        Ok(())
    }
}

impl World {
    /// Without a server.
    pub(crate) async fn embedded() -> Result<Self> {
        Self::prepare(Stack::embedded().await?).await
    }

    #[cfg(feature = "servers")]
    pub(crate) async fn servers() -> Result<Self> {
        Self::prepare(Stack::servers().await?).await
    }

    /// From `PostgreSQL` to `SQLite`, over RabbitMQ.
    #[cfg(feature = "servers")]
    pub(crate) async fn to_sqlite(directory: &std::path::Path) -> Result<Self> {
        let replica = Database::sqlite(&directory.join("replica.db")).await?;
        let broker = cqrs_tests::rabbitmq::url().expose().to_owned();
        Self::prepare(Stack::new(Database::postgres().await?, replica, broker)?).await
    }

    /// From `SQLite` to `PostgreSQL`, by the embedded broker.
    #[cfg(feature = "servers")]
    pub(crate) async fn to_postgres(directory: &std::path::Path) -> Result<Self> {
        let master = Database::sqlite(&directory.join("master.db")).await?;
        let broker = format!("embedded://{}", directory.join("broker.db").display());
        Self::prepare(Stack::new(master, Database::postgres().await?, broker)?).await
    }

    async fn prepare(stack: Stack) -> Result<Self> {
        let Stack {
            master,
            replica,
            broker,
            exchange,
            queue,
            ..
        } = &stack;
        let toml = format!(
            "[broker]\nurl = \"{broker}\"\nexchange = \"{exchange}\"\n\n\
             [master]\ndatabase = \"{}\"\n\n\
             [[master.model]]\ncqrs_id = \"account\"\ntable = \"accounts\"\nkey = \"id\"\n\
             filter = '{{\"status__ne\": \"hidden\"}}'\n\n\
             [replica]\ndatabase = \"{}\"\nqueue = \"{queue}\"\nretry_initial = \"100ms\"\n\n\
             [[replica.model]]\ncqrs_id = \"account\"\ntable = \"account_copy\"\nkey = \"id\"\n\
             columns = {{ name = \"full_name\", balance = \"balance\", created = \"created\" }}\n",
            master.url(),
            replica.url(),
        );
        std::fs::write(stack.config(), toml)?;
        stack.migrate().await?;
        let create = match master {
            Database::Postgres { .. } => {
                "create table accounts (id bigint primary key, name text not null, \
                 balance numeric(12, 4), created timestamptz, status text not null)"
            }
            Database::Sqlite { .. } => {
                "create table accounts (id integer primary key, name text not null, \
                 balance real, created datetime, status text not null)"
            }
        };
        master.execute(create).await?;
        let create = match replica {
            Database::Postgres { .. } => {
                "create table account_copy (id bigint primary key, full_name text not null, \
                 balance numeric(12, 2), created timestamptz, ours text)"
            }
            Database::Sqlite { .. } => {
                "create table account_copy (id integer primary key, full_name text not null, \
                 balance real, created datetime, ours text)"
            }
        };
        replica.execute(create).await?;
        Ok(Self {
            stack,
            direct: true,
        })
    }

    /// From now on the relay is asked.
    pub(crate) fn by_the_broker(mut self) -> Self {
        self.direct = false;
        self
    }

    pub(crate) fn relay(&self) -> Result<Process> {
        self.stack.relay("relay")
    }

    pub(crate) fn worker(&self) -> Result<Process> {
        self.stack.start("cqrs-replica", "worker")
    }

    /// Saves accounts, each in a transaction of its own.
    pub(crate) async fn save(&self, ids: impl IntoIterator<Item = i64>, name: &str) -> Result<()> {
        for id in ids {
            save(&self.stack.master, id, name, 12.5).await?;
        }
        Ok(())
    }

    /// Waits until the replica has as many rows of this name.
    pub(crate) async fn arrived(&self, name: &'static str, count: usize) -> Result<()> {
        until("the rows arrive", PATIENCE, async || {
            let rows = self
                .stack
                .replica
                .rows("select cast(id as text), full_name from account_copy")
                .await?;
            let found = rows.iter().filter(|row| row[1].as_deref() == Some(name));
            Ok(Seen::equal(&found.count(), &count))
        })
        .await
    }

    /// `reconcile` of the accounts.
    pub(crate) async fn reconcile(&self, arguments: &[&str]) -> Result<Said> {
        // Whoever asks by the broker needs no section of the master.
        let mut all = vec!["reconcile", "--model", "account", "--json"];
        if self.direct {
            all.extend_from_slice(&["--master", self.stack.master.url()]);
        }
        all.extend_from_slice(arguments);
        let (code, said, log) = self.stack.outcome("cqrs-replica", &all).await?;
        let reports: Value =
            serde_json::from_str(&said).with_context(|| format!("{said}\n{log}"))?;
        Ok(Said {
            code,
            report: reports[0].clone(),
            log,
        })
    }

    /// What both sides have, as far as the replica keeps it.
    pub(crate) async fn expect_equal(&self) -> Result<()> {
        let theirs = self
            .stack
            .master
            .rows(
                "select cast(id as text), name, cast(cast(balance as real) as text) from accounts \
                 where status <> 'hidden' order by 1",
            )
            .await?;
        let ours = self
            .stack
            .replica
            .rows(
                "select cast(id as text), full_name, cast(cast(balance as real) as text) \
                 from account_copy order by 1",
            )
            .await?;
        ensure!(theirs == ours, "{theirs:?}\n{ours:?}");
        Ok(())
    }
}

/// Saves an account as an application does.
pub(crate) async fn save(master: &Database, id: i64, name: &str, balance: f64) -> Result<()> {
    let data = json!({
        "id": id, "name": name, "balance": balance, "created": "2026-11-21T01:02:03.5Z",
        "status": "active",
    });
    let change = Change::json("account", id, Signal::Save, data);
    match master {
        Database::Postgres { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            sqlx::query(
                "insert into accounts values ($1, $2, $3::float8::numeric, '2026-11-21T01:02:03.5Z', 'active') \
                 on conflict (id) do update set name = excluded.name, balance = excluded.balance, \
                 status = 'active'",
            )
            .bind(id)
            .bind(name)
            .bind(balance)
            .execute(&mut *tx)
            .await?;
            outbox::record(&mut tx, change).await?;
            tx.commit().await?;
        }
        Database::Sqlite { pool, .. } => {
            let mut tx = outbox::begin(pool).await?;
            sqlx::query(
                "insert into accounts values (?, ?, ?, '2026-11-21T01:02:03.500+00:00', 'active') \
                 on conflict (id) do update set name = excluded.name, balance = excluded.balance, \
                 status = 'active'",
            )
            .bind(id)
            .bind(name)
            .bind(balance)
            .execute(&mut *tx)
            .await?;
            outbox::record(&mut tx, change).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}
