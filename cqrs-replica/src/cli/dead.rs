//! `dead-letters list|show|retry|discard|dump|purge`.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use cqrs_core::{QueueName, cli::output};

use super::args::{DeadCommand, DumpFormat, Matching};
use crate::{
    LetterFilter, LetterState, ReplicaSession, ReplicaStore,
    dead::{self, Listing, ShownWithBody, Which},
};

pub(super) async fn execute<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    command: DeadCommand,
) -> anyhow::Result<()> {
    match command {
        DeadCommand::List {
            state,
            matching,
            limit,
            json,
        } => {
            let letters = if matching == Matching::default() {
                dead::list(store, queue, state.state(), limit).await?
            } else {
                let mut session = store.session().await?;
                let filter = matching.filter(state);
                let letters = session.letter_page(queue, &filter, 0, limit).await?;
                session.close().await;
                letters
            };
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
        DeadCommand::Discard { letters, yes } => {
            let which = letters.which();
            if !yes && !matches!(which, Which::Ids(_)) {
                let dead = with_state(which, Some(LetterState::Dead));
                let count = dead::count(store, queue, &dead).await?;
                let s = if count == 1 { "" } else { "s" };
                bail!("this would give up {count} letter{s} for good: say --yes to do it");
            }
            let count = dead::discard(store, queue, &which).await?;
            tell(&which, count, "discarded", "dead")
        }
        DeadCommand::Dump {
            state,
            matching,
            format,
        } => dump(store, queue, &matching.filter(state), format).await,
        DeadCommand::Purge {
            letters,
            state,
            yes,
        } => {
            let which = with_state(letters.which(), state.state());
            if !yes {
                let count = dead::count(store, queue, &which).await?;
                let s = if count == 1 { "" } else { "s" };
                bail!("this would delete {count} letter{s} for good: say --yes to do it");
            }
            let count = dead::purge(store, queue, &which).await?;
            tell(&which, count, "purged", "dead or done with")
        }
        DeadCommand::Broker(_) => bail!("this needs a broker"),
    }
}

/// The same letters, those that are not named only in this state.
fn with_state(which: Which, state: Option<LetterState>) -> Which {
    match which {
        Which::Ids(ids) => Which::Ids(ids),
        Which::All => Which::Matching(LetterFilter {
            state,
            ..LetterFilter::default()
        }),
        Which::Matching(filter) => Which::Matching(LetterFilter { state, ..filter }),
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

async fn dump<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    filter: &LetterFilter,
    format: DumpFormat,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let all = dead::each(store, queue, filter, |letters| {
        for letter in letters {
            match format {
                DumpFormat::Body => out.write_all(&one_line(&letter.body))?,
                DumpFormat::Json => serde_json::to_writer(&mut out, &ShownWithBody::from(letter))?,
            }
            out.write_all(b"\n")?;
        }
        anyhow::Ok(())
    });
    all.await?;
    Ok(out.flush()?)
}

/// A line break between two tokens of JSON may be a blank; within a text there is none.
fn one_line(body: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    };
    body.iter().map(blank).collect()
}
