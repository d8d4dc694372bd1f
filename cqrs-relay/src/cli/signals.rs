//! Signals: the first asks to finish, the second to stop at once.

use std::{convert::Infallible, io};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Shutdown;

/// Listens from its creation on.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl Signals {
    /// # Errors
    /// The signals cannot be listened to.
    pub(super) fn new() -> io::Result<Self> {
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

/// Listens to ctrl-c.
#[cfg(windows)]
#[derive(Debug)]
pub(super) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// # Errors
    /// The signal cannot be listened to.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) -> &'static str {
        let _ = self.0.recv().await;
        "ctrl-c"
    }
}

impl Signals {
    /// Passes each signal on.
    pub(super) async fn stop(&mut self, shutdown: &Shutdown) -> Infallible {
        loop {
            let signal = self.next().await;
            if shutdown.drain.is_cancelled() {
                tracing::warn!(signal, "stopping at once");
                shutdown.stop.cancel();
            } else {
                tracing::info!(signal, "draining; a second signal stops at once");
                shutdown.drain.cancel();
            }
        }
    }
}
