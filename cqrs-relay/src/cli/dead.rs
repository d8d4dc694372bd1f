//! `dead list|show|retry|discard`.

use std::fmt;

use anyhow::bail;
use cqrs_core::cli::output;
use cqrs_outbox::OutboxStore;
use serde::Serialize;

use super::{args::DeadCommand, database::WithStore};
use crate::dead::{self, Shown, Which};

impl WithStore for DeadCommand {
    async fn with<S: OutboxStore>(self, store: S) -> anyhow::Result<()> {
        match self {
            Self::List { limit, json } => {
                let rows = dead::list(&store, limit).await?;
                output::report(&List(rows.iter().map(Shown::from).collect()), json)
            }
            Self::Show { id, json } => match dead::show(&store, id).await? {
                Some(row) => output::report(&One(Shown::from(&row)), json),
                None => bail!("there is no dead row {id}"),
            },
            Self::Retry { which, force } => {
                let which = Which::from(which);
                let retried = dead::retry(&store, &which, force).await?;
                output::line(&format!("{} back in the outbox", rows(retried.retried)))?;
                if retried.superseded > 0 {
                    output::line(&format!(
                        "{} left dead, since a later revision has been recorded (--force sends \
                         them all the same)",
                        rows(retried.superseded)
                    ))?;
                }
                ensure_sendable(&store, &which).await?;
                all_found(&which, retried.retried + retried.superseded)
            }
            Self::Discard { which, yes } => {
                let which = Which::from(which);
                if which == Which::All && !yes {
                    let count = rows(dead::list(&store, usize::MAX).await?.len() as u64);
                    bail!("this would delete {count} for good: say --yes to do it");
                }
                let discarded = dead::discard(&store, &which).await?;
                output::line(&format!("{} discarded", rows(discarded)))?;
                all_found(&which, discarded)
            }
        }
    }
}

/// Fails when one of those named has no event to send.
async fn ensure_sendable<S: OutboxStore>(store: &S, which: &Which) -> anyhow::Result<()> {
    let Which::Ids(ids) = which else {
        return Ok(());
    };
    for id in ids {
        let row = dead::show(store, *id).await?;
        if row.is_some_and(|row| row.body.is_empty()) {
            bail!(
                "dead row {id} was refused when it was captured and has no event to send: mend what \
                 its error says, `cqrs-relay sync` its instance, and discard the row"
            );
        }
    }
    Ok(())
}

/// Fails when some of those named are not there.
fn all_found(which: &Which, found: u64) -> anyhow::Result<()> {
    match which {
        Which::Ids(ids) if found < ids.len() as u64 => {
            bail!(
                "{} of the rows named are not there",
                ids.len() as u64 - found
            )
        }
        _ => Ok(()),
    }
}

fn rows(count: u64) -> String {
    format!("{count} row{}", if count == 1 { "" } else { "s" })
}

#[derive(Serialize)]
#[serde(transparent)]
struct List(Vec<Shown>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no dead rows");
        }
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct One(Shown);

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = &self.0;
        writeln!(f, "{row}")?;
        writeln!(f, "message id  {}", row.message_id)?;
        let recorded = row.created_at.as_deref().unwrap_or("at no time");
        writeln!(f, "recorded    {recorded}")?;
        writeln!(f, "attempts    {}", row.attempts)?;
        write!(f, "{}", row.body)
    }
}
