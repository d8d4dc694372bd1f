//! A handler that writes down what it sees, and fails as told.

use std::{
    collections::VecDeque,
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::Duration,
};

use cqrs_core::{Event, StoreError};
use cqrs_replica::{Failure, Handler, Model, ReplicaStore};

use super::fixture::{Fixture, Replica, id};

/// What happens after the handler has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Succeed,
    Fail,
    RetryAfter(Duration),
    Park,
    Panic,
    /// A statement fails and the handler says nothing.
    Swallow,
    /// The handler ends the transaction, which is not its own.
    End,
    /// Another transaction was in the way.
    LoseRace,
}

/// The script of a handler; without one it succeeds.
#[derive(Debug, Clone, Default)]
pub(super) struct Script(Arc<Mutex<VecDeque<Step>>>);

impl Script {
    pub(super) fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.0.lock().unwrap().extend(steps);
    }

    fn next(&self) -> Step {
        self.0.lock().unwrap().pop_front().unwrap_or(Step::Succeed)
    }
}

/// The handler.
pub(super) struct Recorder<F> {
    script: Script,
    fixture: PhantomData<fn() -> F>,
}

impl<F: Fixture> Handler<F::Store> for Recorder<F> {
    async fn apply(
        &self,
        tx: &mut <F::Store as ReplicaStore>::Connection,
        event: &Event,
    ) -> Result<(), Failure> {
        let sql = format!(
            "insert into seen (cqrs_id, instance_pk, revision, signal) values ('{}', '{}', {}, '{}')",
            event.cqrs_id, event.key, event.revision, event.signal
        );
        F::inside(tx, sql).await?;
        match self.script.next() {
            Step::Succeed => Ok(()),
            Step::Fail => Err("the service said no".into()),
            Step::RetryAfter(delay) => Err(Failure::retry_after(delay, "later")),
            Step::Park => Err(Failure::park("never")),
            Step::Panic => panic!("boom {}", event.revision),
            Step::Swallow => {
                assert!(
                    F::inside(tx, "insert into no_such_table values (1)".to_owned())
                        .await
                        .is_err()
                );
                Ok(())
            }
            Step::End => {
                F::inside(tx, "commit".to_owned()).await?;
                Ok(())
            }
            Step::LoseRace => Err(StoreError::Conflict("deadlock".into()).into()),
        }
    }
}

/// Where it writes.
pub(super) const SEEN: &str = "create table seen
    (n {serial}, cqrs_id text not null, instance_pk text not null, revision bigint not null,
     signal text not null)";

/// A model that writes down what it sees.
pub(super) fn recorded<F: Fixture>(cqrs_id: &str, script: &Script) -> Model<F::Store> {
    Model::handler(
        id(cqrs_id),
        Recorder::<F> {
            script: script.clone(),
            fixture: PhantomData,
        },
    )
}

impl<F: Fixture> Replica<F> {
    /// A replica whose `account` has a handler, changed as told.
    pub(super) async fn recording(
        script: &Script,
        change: impl FnOnce(Model<F::Store>) -> Model<F::Store>,
    ) -> Self {
        Self::new(&[SEEN], [change(recorded::<F>("account", script))]).await
    }

    /// What the handlers have seen, in their order.
    pub(super) async fn seen(&self) -> Vec<String> {
        self.rows("select instance_pk, signal, cast(revision as text) from seen order by n")
            .await
    }
}
