//! Signals: the first asks to finish, the second to stop at once.

use std::{convert::Infallible, io, time::Duration};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Shutdown;

/// Listens from its creation on.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The signals cannot be listened to.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, which ends a process that does not listen to it. Listens from its creation on.
#[cfg(unix)]
#[derive(Debug)]
pub struct Hangups(Signal);

#[cfg(unix)]
impl Hangups {
    /// Listens from now on.
    ///
    /// # Errors
    /// The signal cannot be listened to.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one. Those that come before it is called count as one.
    ///
    /// # Cancellation
    /// None is lost.
    pub async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

/// Listens to ctrl-c.
#[cfg(windows)]
#[derive(Debug)]
pub struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The signal cannot be listened to.
    pub fn new() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) -> &'static str {
        let _ = self.0.recv().await;
        "ctrl-c"
    }
}

/// Does something that may be left in the middle, until the first signal.
///
/// # Errors
/// A signal has come before the end, or signals cannot be listened to.
pub async fn unless_stopped<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut signals = Signals::new()?;
    tokio::select! {
        biased;
        done = work => Ok(done),
        signal = signals.next() => anyhow::bail!("stopped by {signal} before the end"),
    }
}

/// A signal that comes this soon after the first is the same one: `timeout` and some shells send it
/// to the process and to its group.
const ECHO: Duration = Duration::from_millis(250);

impl Signals {
    /// Passes the first two signals on.
    pub async fn stop(&mut self, shutdown: &Shutdown) -> Infallible {
        let signal = self.next().await;
        tracing::info!(signal, "draining; a second signal stops at once");
        shutdown.drain.cancel();
        let echo = tokio::time::sleep(ECHO);
        tokio::pin!(echo);
        loop {
            tokio::select! {
                biased;
                () = &mut echo => break,
                _ = self.next() => {}
            }
        }
        let signal = self.next().await;
        tracing::warn!(signal, "stopping at once");
        shutdown.stop.cancel();
        std::future::pending().await
    }
}
