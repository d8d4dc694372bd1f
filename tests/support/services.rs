//! Servers: the shared ones that `scripts/services` names in the environment, and private ones that
//! a fault test may break.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Reads a variable of `target/services/env`.
///
/// # Panics
/// When it is not set: a test that needs a server fails without one, it is never skipped.
#[must_use]
pub fn variable(name: &str) -> String {
    optional(name).unwrap_or_else(|| {
        panic!("{name} is not set: run scripts/test, or `. target/services/env` after `scripts/services start`")
    })
}

/// Reads a variable that need not be set.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' one place that reads the environment"
)]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// One server of a test's own, on ports that stay the same over restarts. Dropping it stops it and
/// deletes its data, also when the test has failed.
#[derive(Debug)]
pub struct Service {
    name: String,
    server: &'static str,
    url: String,
}

impl Service {
    /// Starts a private RabbitMQ. The name is the test's: whatever an earlier run of it has left
    /// running is used again.
    ///
    /// # Errors
    /// What `scripts/services` says.
    pub async fn rabbitmq(name: &str) -> Result<Self> {
        Self::start_new(name, "rabbitmq", "CQRS_TEST_RABBITMQ").await
    }

    /// Starts a private PostgreSQL, likewise.
    ///
    /// # Errors
    /// What `scripts/services` says.
    pub async fn postgres(name: &str) -> Result<Self> {
        Self::start_new(name, "postgres", "CQRS_TEST_POSTGRES").await
    }

    /// Where it listens, login included.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it in good order and starts it again, and waits until it is ready.
    ///
    /// # Errors
    /// What `scripts/services` says.
    pub async fn restart(&self) -> Result<()> {
        self.act("restart").await
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// What `scripts/services` says.
    pub async fn kill(&self) -> Result<()> {
        self.act("kill").await
    }

    /// Stops it in good order and keeps its data.
    ///
    /// # Errors
    /// What `scripts/services` says.
    pub async fn stop(&self) -> Result<()> {
        self.act("stop").await
    }

    /// Starts it after [`Service::kill`] or [`Service::stop`], and waits until it is ready.
    ///
    /// # Errors
    /// What `scripts/services` says.
    pub async fn start(&self) -> Result<()> {
        self.act("start").await
    }

    /// Holds it still, as a machine that is starved does, or lets it go on. Of PostgreSQL the postmaster
    /// alone: it accepts nobody then, and those who are connected go on.
    ///
    /// # Errors
    /// It does not run.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        let status = run(&["status"]).await?;
        let line = format!("{} {} running ", self.name, self.server);
        let pid = status
            .lines()
            .find_map(|entry| entry.strip_prefix(&line)?.split(' ').next())
            .context("it does not run")?;
        let pid = Pid::from_raw(pid.parse()?).context("a process id is not 0")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Runs `rabbitmqctl` for it and answers with what it printed.
    ///
    /// # Errors
    /// What `rabbitmqctl` says.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = vec!["rabbitmqctl", "--name", &self.name];
        command.extend(arguments);
        run(&command).await
    }

    async fn start_new(name: &str, server: &'static str, variable: &str) -> Result<Self> {
        // Made before the start, so that half a start is cleaned up as well.
        let mut service = Self {
            name: name.to_owned(),
            server,
            url: String::new(),
        };
        service.act("start").await?;
        let exports = run(&["env", "--name", name]).await?;
        service.url = exports
            .lines()
            .find_map(|line| {
                let value = line
                    .strip_prefix("export ")?
                    .strip_prefix(variable)?
                    .strip_prefix('=')?;
                Some(value.trim_matches('\'').to_owned())
            })
            .with_context(|| format!("scripts/services env has no {variable}"))?;
        Ok(service)
    }

    async fn act(&self, action: &str) -> Result<()> {
        run(&[action, "--name", &self.name, self.server])
            .await
            .map(drop)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let stopped = script()
            .args(["stop", "--name", &self.name, "--wipe", self.server])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            tracing::warn!(name = self.name, "a private server could not be stopped");
        }
    }
}

async fn run(arguments: &[&str]) -> Result<String> {
    let output = tokio::process::Command::from(script())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .context("scripts/services")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "scripts/services {arguments:?}: {said}"
    );
    match String::from_utf8(output.stdout) {
        Ok(text) => Ok(text),
        Err(_) => bail!("scripts/services {arguments:?} printed something that is no text"),
    }
}

fn script() -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/services"))
}
