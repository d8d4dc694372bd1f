//! The place of one worker: whoever is in it, is watched, replaced and stopped.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use cqrs_core::RetryPolicy;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Replace,
    outlook::{Outlook, PROVEN_AFTER},
    program::{Program, WorkerProcess, started},
};
use crate::Shutdown;

/// A worker that has run for this long starts its series of pauses anew.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

pub(super) struct Slot {
    number: u16,
    program: Arc<Program>,
    outlook: Arc<Outlook>,
    orders: mpsc::Receiver<Replace>,
    /// The order that the next start, or the present child, is the answer to.
    order: Option<Replace>,
    /// Ever.
    restarts: u32,
    /// Since a worker last ran for [`SETTLED_AFTER`].
    ends: u32,
    /// In a row, each before [`PROVEN_AFTER`].
    early_ends: u32,
}

/// Why a slot has no worker any more.
enum End {
    /// It was told to finish, for good.
    Stopped { well: bool },
    /// It was told to make room for another.
    Replaced { well: bool },
    /// Nobody had told it to.
    Unexpected { how: String, lived: Duration },
}

impl Slot {
    pub(super) fn new(
        number: u16,
        program: Arc<Program>,
        outlook: Arc<Outlook>,
        orders: mpsc::Receiver<Replace>,
    ) -> Self {
        Self {
            number,
            program,
            outlook,
            orders,
            order: None,
            restarts: 0,
            ends: 0,
            early_ends: 0,
        }
    }

    /// Until the soft stop. Answers whether the worker then stopped well.
    pub(super) async fn run(mut self, grace: Duration, shutdown: Shutdown) -> bool {
        let mut well = true;
        while !shutdown.drain.is_cancelled() {
            let end = match self.program.start(self.number) {
                Ok(child) => self.watch(child, grace, &shutdown).await,
                Err(error) => End::Unexpected {
                    how: format!("it could not be started: {error}"),
                    lived: Duration::ZERO,
                },
            };
            match end {
                End::Stopped { well } => return well,
                End::Replaced { well: stopped } => well = stopped,
                End::Unexpected { how, lived } => {
                    well = true;
                    self.answer(false);
                    let pause = self.count(&how, lived);
                    self.rest(pause, &shutdown).await;
                }
            }
        }
        well
    }

    async fn watch(
        &mut self,
        mut child: WorkerProcess,
        grace: Duration,
        shutdown: &Shutdown,
    ) -> End {
        let born = Instant::now();
        tracing::info!(
            worker = self.number,
            pid = child.process.id(),
            "a worker process"
        );
        let (mut has_started, mut proven) = (false, false);
        loop {
            tokio::select! {
                ended = child.process.wait() => {
                    return End::Unexpected {
                        how: ended.map_or_else(|error| error.to_string(), describe),
                        lived: born.elapsed(),
                    };
                }
                () = shutdown.drain.cancelled() => {
                    let well = self.stop(child, grace, shutdown).await;
                    return End::Stopped { well };
                }
                () = started(&mut child.link), if !has_started => {
                    has_started = true;
                    self.answer(true);
                }
                () = sleep_until(born + PROVEN_AFTER), if !proven => {
                    proven = true;
                    self.outlook.prove();
                }
                Some(order) = self.orders.recv() => {
                    let well = self.stop(child, grace, shutdown).await;
                    self.order = Some(order);
                    return End::Replaced { well };
                }
            }
        }
    }

    /// Asks it to finish and waits for it, for `grace` at most. Answers whether it did so well.
    async fn stop(&self, child: WorkerProcess, grace: Duration, shutdown: &Shutdown) -> bool {
        let worker = self.number;
        let WorkerProcess { mut process, link } = child;
        drop(link);
        let ended = tokio::select! {
            ended = process.wait() => ended,
            () = sleep(grace) => {
                tracing::error!(worker, ?grace, "a worker did not finish in time and is killed");
                process.kill().await.and(process.wait().await)
            }
            () = shutdown.stop.cancelled() => {
                tracing::warn!(worker, "a worker is killed");
                process.kill().await.and(process.wait().await)
            }
        };
        match ended {
            Ok(status) if status.success() => true,
            ended => {
                let how = ended.map_or_else(|error| error.to_string(), describe);
                tracing::error!(worker, how, "a worker did not stop well");
                false
            }
        }
    }

    /// Counts an end and says how long to wait before the next start.
    fn count(&mut self, how: &str, lived: Duration) -> Duration {
        if lived >= SETTLED_AFTER {
            self.ends = 0;
        }
        if lived >= PROVEN_AFTER {
            self.early_ends = 0;
        } else {
            self.early_ends += 1;
            self.outlook.ended_early(self.early_ends);
        }
        self.ends += 1;
        self.restarts += 1;
        let pause = pause(self.ends);
        tracing::error!(
            worker = self.number,
            how,
            ?lived,
            restarts = self.restarts,
            ?pause,
            "a worker has ended by itself and is started again after a pause"
        );
        pause
    }

    /// An order cuts the pause short.
    async fn rest(&mut self, pause: Duration, shutdown: &Shutdown) {
        tokio::select! {
            () = shutdown.drain.cancelled() => return,
            () = sleep(pause) => {}
            Some(order) = self.orders.recv() => self.order = Some(order),
        }
        metrics::counter!("cqrs_replica_worker_restarts_total").increment(1);
    }

    fn answer(&mut self, has_started: bool) {
        if let Some(order) = self.order.take() {
            // Whoever gave it may be gone: the stop ends everything at once.
            let _ = order.send(has_started);
        }
    }
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

fn pause(ends: u32) -> Duration {
    let (initial, max) = PAUSES;
    let policy = RetryPolicy {
        initial,
        max,
        max_attempts: None,
        ..RetryPolicy::default()
    };
    policy.delay(ends).unwrap_or(max)
}
