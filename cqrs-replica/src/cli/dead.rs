//! `dead-letters list|show|retry|discard|dump|purge`.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use cqrs_core::{QueueName, cli::output};

use super::args::{DeadCommand, DumpFormat};
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
            group,
            json,
        } => {
            let filter = matching.filter(state);
            let groups = dead::groups(store, queue, &filter).await?;
            if groups.count() == 0 {
                hint(store, queue, &filter).await?;
            }
            if group {
                return output::report(&groups, json);
            }
            let letters = if (LetterFilter {
                state: None,
                ..filter.clone()
            }) == LetterFilter::default()
            {
                dead::list(store, queue, state.state(), limit).await?
            } else {
                let mut session = store.session().await?;
                let letters = session.letter_page(queue, &filter, 0, limit).await?;
                session.close().await;
                letters
            };
            let (shown, count) = (letters.len() as u64, groups.count());
            output::report(&Listing::from(letters), json)?;
            if shown < count {
                output::aside(&format!(
                    "{shown} of {count} letters: --limit shows more, --group how many failed in which way"
                ));
            }
            Ok(())
        }
        DeadCommand::Show { id, json } => match dead::show(store, queue, id).await? {
            Some(letter) => output::report(&ShownWithBody::from(letter), json),
            None => bail!("the queue {queue} has no letter {id}"),
        },
        DeadCommand::Retry {
            letters,
            wait,
            json,
        } => {
            let which = letters.which();
            let unfit = unfit(store, queue, &which, RETRIED).await?;
            let Some(limit) = wait else {
                let count = dead::retry(store, queue, &which).await?;
                tell(count, "queued for retry", json)?;
                return refused(
                    &unfit,
                    "only dead, discarded and retrying letters, and those that wait for a row, can be retried",
                );
            };
            let retried = dead::retry_and_wait(store, queue, &which, limit).await?;
            output::report(&retried, json)?;
            refused(&unfit, "they were not retried")?;
            if retried.pending > 0 {
                bail!(
                    "{} not tried within {limit:?}: is a worker running? see `cqrs-replica status`",
                    letters_of(retried.pending)
                );
            }
            if retried.failed > 0 {
                bail!(
                    "{} failed again: `cqrs-replica dead-letters list --group --state all` says why",
                    letters_of(retried.failed)
                );
            }
            Ok(())
        }
        DeadCommand::Discard { letters, yes, json } => {
            let which = letters.which();
            if !yes && !matches!(which, Which::Ids(_)) {
                let dead = with_state(which, Some(LetterState::Dead));
                let count = dead::count(store, queue, &dead).await?;
                let letters = letters_of(count);
                bail!("this would give up {letters}: say --yes to do it");
            }
            let unfit = unfit(store, queue, &which, &[LetterState::Dead]).await?;
            let count = dead::discard(store, queue, &which).await?;
            tell(count, "discarded", json)?;
            refused(&unfit, "only dead letters can be discarded")
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
                let letters = letters_of(count);
                bail!("this would delete {letters} for good: say --yes to do it");
            }
            let unfit = unfit(store, queue, &which, PURGED).await?;
            let count = dead::purge(store, queue, &which).await?;
            tell(count, "purged", false)?;
            refused(
                &unfit,
                "letters that wait or are being retried cannot be purged",
            )
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

fn letters_of(count: u64) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} letter{s}")
}

/// Says how many.
fn tell(count: u64, done: &str, json: bool) -> anyhow::Result<()> {
    if json {
        let member = done.split(' ').next().unwrap_or(done);
        return output::line(&serde_json::json!({ member: count }).to_string());
    }
    output::line(&format!("{} {done}", letters_of(count)))
}

/// The states that a command takes letters from which are named by id.
const RETRIED: &[LetterState] = &[
    LetterState::Dead,
    LetterState::Retrying,
    LetterState::Discarded,
    LetterState::Waiting,
];
const PURGED: &[LetterState] = &[
    LetterState::Dead,
    LetterState::Discarded,
    LetterState::Superseded,
    LetterState::Resolved,
];

/// Which of the letters that are named by id are not in one of these states, each with what it is.
async fn unfit<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    which: &Which,
    fit: &[LetterState],
) -> anyhow::Result<Vec<String>> {
    let Which::Ids(ids) = which else {
        return Ok(Vec::new());
    };
    let mut session = store.session().await?;
    let mut unfit = Vec::new();
    for id in ids {
        match session.letter_show(queue, *id).await? {
            None => unfit.push(format!("there is no letter {id}")),
            Some(letter) => {
                let state = letter.state.as_str();
                // What waits for a revision before it cannot be hurried.
                let waits = letter.state == LetterState::Waiting && letter.reason != "reference";
                if waits || !fit.contains(&letter.state) {
                    unfit.push(format!("letter {id} is {state}"));
                }
            }
        }
    }
    session.close().await;
    Ok(unfit)
}

fn refused(unfit: &[String], rule: &str) -> anyhow::Result<()> {
    match unfit {
        [] => Ok(()),
        unfit => bail!("{}; {rule}", unfit.join(", ")),
    }
}

/// Of a model that no letter has, says which models letters have: it may be misspelled.
async fn hint<S: ReplicaStore>(
    store: &S,
    queue: &QueueName,
    filter: &LetterFilter,
) -> anyhow::Result<()> {
    let Some(cqrs_id) = &filter.cqrs_id else {
        return Ok(());
    };
    let all = dead::groups(store, queue, &LetterFilter::default()).await?;
    let models = all.models();
    if !models.contains(&cqrs_id.as_str()) && !models.is_empty() {
        output::aside(&format!(
            "no letter in any state is of a model {cqrs_id}; there are letters of {}",
            models.join(", ")
        ));
    }
    Ok(())
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
