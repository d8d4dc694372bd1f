//! The tasks of a worker, by name.

use std::{collections::HashMap, fmt};

use tokio::task::{Id, JoinSet};

use crate::WorkerError;

/// One task of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Before the others: the comparison of models and tables.
    Start,
    Receiver,
    Lane(u16),
    Letters,
    Publishing,
    Heartbeat,
}

impl Task {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Receiver => "receiver",
            Self::Lane(_) => "lane",
            Self::Letters => "letters",
            Self::Publishing => "publishing",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Lane(number) => write!(f, " {number}"),
            _ => Ok(()),
        }
    }
}

/// Tasks of a running worker. Dropping it ends them.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    running: JoinSet<Result<(), WorkerError>>,
    names: HashMap<Id, Task>,
}

impl Tasks {
    pub(crate) fn spawn<F>(&mut self, task: Task, run: F)
    where
        F: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        self.names.insert(self.running.spawn(run).id(), task);
    }

    /// Waits for all. The first that fails is the answer; the others are left as they are.
    pub(crate) async fn join(&mut self) -> Result<(), WorkerError> {
        while let Some(ended) = self.running.join_next_with_id().await {
            match ended {
                Ok((_, result)) => result?,
                Err(source) => {
                    let task = self
                        .names
                        .get(&source.id())
                        .map_or("unknown", |task| task.name());
                    return Err(WorkerError::TaskDied { task, source });
                }
            }
        }
        Ok(())
    }

    /// Ends those that still run.
    pub(crate) async fn abort(&mut self) {
        self.running.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn(Task::Letters, std::future::pending());
        tasks.spawn(Task::Lane(3), async { panic!("a bug") });
        let error = tasks.join().await.unwrap_err();
        assert_eq!(error.to_string(), "the worker's task `lane` died");
        assert!(error.source().unwrap().to_string().contains("a bug"));
        tasks.abort().await;
        assert!(tasks.join().await.is_ok());
    }
}
