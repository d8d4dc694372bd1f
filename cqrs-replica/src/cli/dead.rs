//! `dead list|show|retry|discard`.

use anyhow::bail;
use cqrs_core::{QueueName, cli::output};

use super::args::DeadCommand;
use crate::{
    ReplicaStore,
    dead::{self, Listing, ShownWithBody, Which},
};

pub(super) async fn execute<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    command: DeadCommand,
) -> anyhow::Result<()> {
    match command {
        DeadCommand::List { state, limit, json } => {
            let letters = dead::list(store, queue, state.state(), limit).await?;
            output::report(&Listing::from(letters), json)
        }
        DeadCommand::Show { id, json } => match dead::show(store, queue, id).await? {
            Some(letter) => output::report(&ShownWithBody::from(letter), json),
            None => bail!("the queue {queue} has no letter {id}"),
        },
        DeadCommand::Retry(letters) => {
            let which = letters.which();
            let count = dead::retry(store, queue, &which).await?;
            tell(&which, count, "due now", "dead or in backoff")
        }
        DeadCommand::Discard(letters) => {
            let which = letters.which();
            let count = dead::discard(store, queue, &which).await?;
            tell(&which, count, "discarded", "dead")
        }
        DeadCommand::Broker(_) => bail!("this needs a broker"),
    }
}

/// Says how many, and fails when some of those named were not in the right state.
fn tell(which: &Which, count: u64, done: &str, state: &str) -> anyhow::Result<()> {
    let s = if count == 1 { "" } else { "s" };
    output::line(&format!("{count} letter{s} {done}"))?;
    match which {
        Which::Ids(ids) if count < ids.len() as u64 => {
            bail!(
                "{} of the letters named are not there, or not {state}",
                ids.len() as u64 - count
            )
        }
        _ => Ok(()),
    }
}
