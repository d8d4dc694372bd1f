//! The Django project of `django/`, with its own commands as processes.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    process::Process,
    services::variable,
    stack::Stack,
    wait::{Seen, until},
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::compare::PATIENCE;

/// A Django service: the project in one role, on one database.
#[derive(Debug, Clone)]
pub(crate) struct Django {
    directory: PathBuf,
    queue: String,
    environment: Vec<(&'static str, String)>,
}

impl Django {
    /// A service that owns the shop.
    pub(crate) fn master(stack: &Stack, database: &Database) -> Self {
        Self::new(stack, database).with("INTEROP_ROLE", "master")
    }

    /// A service that keeps a copy of it.
    pub(crate) fn replica(stack: &Stack, database: &Database, queue: &str) -> Self {
        let replica = Self {
            queue: queue.to_owned(),
            ..Self::new(stack, database)
        };
        replica
            .with("INTEROP_ROLE", "replica")
            .with("INTEROP_QUEUE", queue)
    }

    /// The queue of a replica.
    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    fn new(stack: &Stack, database: &Database) -> Self {
        Self {
            directory: stack.directory.path().to_owned(),
            queue: String::new(),
            environment: vec![
                ("INTEROP_DATABASE", database.url().to_owned()),
                ("INTEROP_BROKER", stack.broker.clone()),
                ("INTEROP_EXCHANGE", stack.exchange.clone()),
            ],
        }
    }

    /// With another setting.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Makes the tables of a master, and starts a process that changes rows as it is told.
    pub(crate) async fn open(&self) -> Result<Operator> {
        let mut operator = self.operator()?;
        operator.operate(&[json!(["migrate", null])]).await?;
        Ok(operator)
    }

    /// Makes the tables of a replica.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let migrate = ["migrate", "--run-syncdb", "--verbosity", "0"];
        self.manage(&migrate).await.map(drop)
    }

    /// Runs `manage.py` to its end, and answers with what it printed.
    pub(crate) async fn manage(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command("manage.py").args(arguments).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "manage.py {arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs `manage.py` to its end with this input, and answers with what it printed.
    pub(crate) async fn piped(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = self.command("manage.py");
        command.args(arguments);
        crate::pipes::piped(command, input).await
    }

    /// Starts one more of these processes.
    pub(crate) fn operator(&self) -> Result<Operator> {
        let mut child = self
            .command("operate.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        Ok(Operator {
            input,
            output: BufReader::new(output).lines(),
            _child: child,
        })
    }

    /// Starts `manage.py cqrs_consume`.
    pub(crate) fn consumer(&self, label: &str, workers: u32) -> Result<Consumer> {
        let mut command = self.command("manage.py");
        command
            .args(["cqrs_consume", "--workers", &workers.to_string()])
            .process_group(0);
        let process = Process::spawn(command, label, &self.directory)?;
        let group = process.id()?;
        Ok(Consumer {
            process: Some(process),
            group,
        })
    }

    fn command(&self, script: &str) -> Command {
        let project = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/django");
        let mut command = Command::new(variable("CQRS_TEST_DJANGO"));
        command
            .arg(script)
            .current_dir(project)
            // Nothing is written into the sources.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(self.environment.iter().cloned());
        command
    }
}

/// A process that changes rows of a Django master.
#[derive(Debug)]
pub(crate) struct Operator {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Operator {
    /// Has operations done, see `operate.py`, and answers with the errors of those that failed.
    pub(crate) async fn attempt(&mut self, operations: &[Value]) -> Result<Vec<String>> {
        let line = serde_json::to_string(operations)? + "\n";
        self.input.write_all(line.as_bytes()).await?;
        let answer = self.output.next_line().await?;
        Ok(serde_json::from_str(&answer.context(
            "operate.py has ended; its standard error says why",
        )?)?)
    }

    /// Has operations done.
    pub(crate) async fn operate(&mut self, operations: &[Value]) -> Result<()> {
        let errors = self.attempt(operations).await?;
        ensure!(errors.is_empty(), "Django could not: {errors:#?}");
        Ok(())
    }
}

/// A running `cqrs_consume` with its workers.
#[derive(Debug)]
pub(crate) struct Consumer {
    process: Option<Process>,
    group: Pid,
}

impl Consumer {
    /// What all of it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// What it has logged as an error, an empty list as a rule.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| line.contains("ERROR") || line.contains("Traceback"))
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Waits until it has acknowledged so many messages as applied.
    pub(crate) async fn applied(&self, messages: i64) -> Result<()> {
        let expected = usize::try_from(messages)?;
        until("Django has applied all messages", PATIENCE, async || {
            let applied = self.log().matches("CQRS is applied").count();
            Ok(Seen::equal(&applied, &expected))
        })
        .await
    }

    /// Ends it as an operator does, after what it had in its hands.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        let process = self.process.take().context("it runs")?;
        process.terminate().await
    }
}

impl Drop for Consumer {
    /// Its workers too, which would outlive a parent that is killed.
    fn drop(&mut self) {
        if self.process.is_some() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}
