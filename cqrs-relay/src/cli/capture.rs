//! `capture install|remove|status`.

use std::fmt;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cqrs_core::{CqrsId, StoreError, cli::output, config::Config, wire};
use cqrs_outbox::{
    capture::{Capture, CaptureState, Installed, Unsendable},
    source::SourceModel,
};
use serde::Serialize;

use super::source;

/// Triggers that record every write of a table.
#[derive(Debug, Subcommand)]
pub(super) enum CaptureCommand {
    /// Capture models' tables from now on, or bring their triggers up to date.
    #[command(after_help = "Example: cqrs-relay capture install --model account")]
    Install {
        #[command(flatten)]
        which: Models,
        /// Print the SQL instead, as it would run now.
        #[arg(long)]
        print: bool,
        /// As JSON.
        #[arg(long, conflicts_with = "print")]
        json: bool,
    },
    /// Take the triggers of models away. What was recorded stays.
    #[command(after_help = "Example: cqrs-relay capture remove --model account")]
    Remove {
        #[command(flatten)]
        which: Removed,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare triggers with the models and tables of now. Fails if some models are not captured or not up to
    /// date; what is captured besides is listed.
    #[command(after_help = "Example: cqrs-relay capture status --all --json")]
    Status {
        #[command(flatten)]
        which: Models,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Some models, or all of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Models {
    /// A model, by its name on the wire; may be given several times.
    #[arg(long = "model", value_name = "CQRS_ID")]
    models: Vec<String>,
    /// All models of cqrs.toml.
    #[arg(long)]
    all: bool,
}

/// Some models, those of cqrs.toml, or the others.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Removed {
    /// A model, by its name on the wire; may be given several times.
    #[arg(long = "model", value_name = "CQRS_ID")]
    models: Vec<String>,
    /// All models of cqrs.toml.
    #[arg(long)]
    all: bool,
    /// What is captured and is no model of cqrs.toml: of another service that shares the database, perhaps.
    #[arg(long)]
    undeclared: bool,
}

impl Models {
    fn of(&self, config: &Config) -> anyhow::Result<Vec<SourceModel>> {
        if self.all {
            return source::models(config);
        }
        let named = self.models.iter();
        named.map(|name| source::model(config, name)).collect()
    }
}

/// Does what the arguments say.
pub(super) async fn run(
    connection: &mut impl Capture,
    config: &Config,
    command: CaptureCommand,
) -> anyhow::Result<()> {
    match command {
        CaptureCommand::Install { which, print, json } => {
            let models = which.of(config)?;
            if print {
                return print_sql(connection, &models).await;
            }
            let max_bytes = match &config.broker {
                Some(broker) => broker.max_message_bytes,
                None => wire::MAX_BODY,
            };
            install(connection, &models, max_bytes, json).await
        }
        CaptureCommand::Remove { which, json } => remove(connection, config, &which, json).await,
        CaptureCommand::Status { which, json } => {
            let models = which.of(config)?;
            status(connection, &models, which.all, json).await
        }
    }
}

async fn print_sql(connection: &mut impl Capture, models: &[SourceModel]) -> anyhow::Result<()> {
    for model in models {
        let statements = connection.sql(model).await.with_context(|| of(model))?;
        for statement in statements {
            output::line(&format!("{statement};\n"))?;
        }
    }
    Ok(())
}

async fn install(
    connection: &mut impl Capture,
    models: &[SourceModel],
    max_bytes: usize,
    json: bool,
) -> anyhow::Result<()> {
    let mut lines = Vec::with_capacity(models.len());
    for model in models {
        let installed = connection.install(model).await;
        let installed = installed.map_err(|error| failed("install", &model.cqrs_id, error))?;
        let mut line = Line::new(
            &model.cqrs_id,
            match installed {
                Installed::New => ("installed", "captured from now on"),
                Installed::Replaced => ("replaced", "brought up to date"),
                _ => ("unchanged", "unchanged"),
            },
        );
        // It reads the whole table, which nobody has to wait for.
        if installed != Installed::Unchanged {
            let rows = connection.unsendable(model, max_bytes).await;
            line.warning = warning(&rows.with_context(|| of(model))?);
        }
        lines.push(line);
    }
    output::report(&Lines(lines), json)
}

/// What to say of rows that can be no events.
fn warning(found: &Unsendable) -> Option<String> {
    let (more, rows) = match found.rows {
        0 => return None,
        1 => ("", "1 row of the table cannot be sent".to_owned()),
        rows if rows > found.examples.len() as u64 => (
            ", and others",
            format!("{rows} rows of the table cannot be sent"),
        ),
        rows => ("", format!("{rows} rows of the table cannot be sent")),
    };
    Some(format!(
        "{rows}: {}{more}. They can be written; what is written of them becomes a dead row",
        found.examples.join(", ")
    ))
}

async fn remove(
    connection: &mut impl Capture,
    config: &Config,
    which: &Removed,
    json: bool,
) -> anyhow::Result<()> {
    let names = if which.all {
        let models = source::models(config)?.into_iter();
        models.map(|model| model.cqrs_id).collect()
    } else if which.undeclared {
        undeclared(connection, &source::models(config)?).await?
    } else {
        // Models may be gone from the configuration.
        let names = which.models.iter().map(|name| CqrsId::new(name));
        names.collect::<Result<_, _>>()?
    };
    let mut lines = Vec::with_capacity(names.len());
    for name in &names {
        let removed = connection.remove(name).await;
        let removed = removed.map_err(|error| failed("remove", name, error))?;
        lines.push(Line::new(
            name,
            if removed {
                ("removed", "not captured any more")
            } else {
                ("not_installed", "was not captured")
            },
        ));
    }
    output::report(&Lines(lines), json)
}

async fn status(
    connection: &mut impl Capture,
    models: &[SourceModel],
    all: bool,
    json: bool,
) -> anyhow::Result<()> {
    let mut lines = Vec::with_capacity(models.len());
    let mut behind = 0;
    for model in models {
        let state = connection.status(model).await.with_context(|| of(model))?;
        if state != CaptureState::Current {
            behind += 1;
        }
        let words = state.to_string();
        let mut line = Line::new(&model.cqrs_id, (state.as_str(), &words));
        if state == CaptureState::TableChanged {
            line.changes = connection.changes(model).await.with_context(|| of(model))?;
        }
        lines.push(line);
    }
    if all {
        // Of another service, or left behind: not for this file to judge.
        for name in undeclared(connection, models).await? {
            let words = "captured, and no model of this cqrs.toml";
            lines.push(Line::new(&name, ("not_declared", words)));
        }
    }
    output::report(&Lines(lines), json)?;
    if behind > 0 {
        bail!(
            "{behind} of the models {} not up to date: run `cqrs-relay capture install`",
            if behind == 1 { "is" } else { "are" }
        );
    }
    Ok(())
}

/// What is captured and is none of these.
async fn undeclared(
    connection: &mut impl Capture,
    models: &[SourceModel],
) -> anyhow::Result<Vec<CqrsId>> {
    let mut names = connection.captured().await?;
    names.retain(|name| !models.iter().any(|model| model.cqrs_id == *name));
    Ok(names)
}

fn of(model: &SourceModel) -> String {
    format!("cannot look at the capture of the model {}", model.cqrs_id)
}

fn failed(what: &str, cqrs_id: &CqrsId, error: StoreError) -> anyhow::Error {
    let mut told = format!("cannot {what} the capture of the model {cqrs_id}");
    if matches!(error, StoreError::Conflict(_)) {
        told.push_str(
            ": another transaction has had its table in use for too long. Nothing is changed; try again \
             once it has ended",
        );
    }
    anyhow::Error::new(error).context(told)
}

#[derive(Serialize)]
struct Line {
    model: String,
    state: String,
    #[serde(skip)]
    words: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl Line {
    fn new(model: &CqrsId, (state, words): (&str, &str)) -> Self {
        Self {
            model: model.to_string(),
            state: state.to_owned(),
            words: words.to_owned(),
            changes: Vec::new(),
            warning: None,
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Lines(Vec<Line>);

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no models");
        }
        let lines: Vec<_> = self
            .0
            .iter()
            .map(|line| {
                let mut text = format!("{}: {}", line.model, line.words);
                if !line.changes.is_empty() {
                    text = format!("{text}: {}", line.changes.join(", "));
                }
                match &line.warning {
                    Some(warning) => format!("{text}\nwarning: {}: {warning}", line.model),
                    None => text,
                }
            })
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_cannot_be_sent_are_named() {
        assert_eq!(warning(&Unsendable::default()), None);
        let mut found = Unsendable {
            rows: 1,
            examples: vec!["\"\" (its key is empty)".to_owned()],
        };
        let told = warning(&found).unwrap();
        assert!(told.starts_with("1 row of the table cannot be sent: \"\" (its key is empty)."));
        found.rows = 7;
        let told = warning(&found).unwrap();
        assert!(
            told.contains(
                "7 rows of the table cannot be sent: \"\" (its key is empty), and others."
            )
        );
    }
}
