//! The real binaries as processes of their own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A running program; killed when dropped, if it still runs.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program of this workspace. What it writes goes to `<directory>/<label>.log`.
    ///
    /// # Errors
    /// There is no such program: it is built by `cargo build`, which `scripts/test` runs first.
    pub fn start(
        program: &str,
        label: &str,
        directory: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Result<Self> {
        let mut command = Command::new(binary(program)?);
        command
            .args(arguments)
            .envs(environment.iter().cloned())
            .current_dir(directory);
        Self::spawn(command, label, directory)
    }

    /// Starts a program of somebody else. What it writes goes to `<directory>/<label>.log`.
    ///
    /// # Errors
    /// There is no such program.
    pub fn spawn(mut command: Command, label: &str, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{label}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {label}"))?;
        Ok(Self {
            name: label.to_owned(),
            child,
            log,
        })
    }

    /// Asks it to finish, as an operator does, and expects success.
    ///
    /// # Errors
    /// It fails, or takes longer than 30 s.
    pub async fn terminate(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = tokio::time::timeout(Duration::from_secs(30), self.child.wait())
            .await
            .with_context(|| format!("{} did not end on SIGTERM:\n{}", self.name, self.log()))??;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name,
            self.log()
        );
        Ok(())
    }

    /// Ends it without a chance to clean up.
    ///
    /// # Errors
    /// It had ended before.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(
            self.child.try_wait()?.is_none(),
            "{} had ended:\n{}",
            self.name,
            self.log()
        );
        self.child.kill().await?;
        Ok(())
    }

    /// Its id, while it runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<Pid> {
        let id = self.child.id().context("the process has ended")?;
        Pid::from_raw(i32::try_from(id)?).context("a process id is not 0")
    }

    /// Sends any signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.id()?, signal)?)
    }

    /// Fails if it does not run any more.
    ///
    /// # Errors
    /// It has ended; with what it wrote.
    pub fn expect_running(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(
            ended.is_none(),
            "{} ended with {ended:?}:\n{}",
            self.name,
            self.log()
        );
        Ok(())
    }

    /// What it has written.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Runs a program to its end and returns what it wrote to standard output.
///
/// # Errors
/// It fails; with what it wrote to standard error.
pub async fn run(
    program: &str,
    directory: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
) -> Result<String> {
    let output = Command::new(binary(program)?)
        .args(arguments)
        .envs(environment.iter().cloned())
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The path of a program of the workspace. They lie beside the directory of the test executables.
///
/// # Errors
/// It has not been built.
pub fn binary(program: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let directory = test
        .ancestors()
        .nth(2)
        .with_context(|| format!("{} is not in a target directory", test.display()))?;
    let path = directory.join(program);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace` first",
        path.display()
    );
    Ok(path)
}
