//! `capture install|remove|status`.

use std::fmt;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cqrs_core::{CqrsId, cli::output, config::Config};
use cqrs_outbox::{
    capture::{Capture, CaptureState, Installed},
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
        which: Models,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare triggers with the models and tables of now. Fails if some are not up to date.
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
    /// All models: those of cqrs.toml, and to remove or compare, those that are captured.
    #[arg(long)]
    all: bool,
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
            install(connection, &models, json).await
        }
        CaptureCommand::Remove { which, json } => remove(connection, &which, json).await,
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
    json: bool,
) -> anyhow::Result<()> {
    let mut lines = Vec::with_capacity(models.len());
    for model in models {
        let installed = connection.install(model).await.with_context(|| of(model))?;
        lines.push(Line::new(
            &model.cqrs_id,
            match installed {
                Installed::New => ("installed", "captured from now on"),
                Installed::Replaced => ("replaced", "brought up to date"),
                _ => ("unchanged", "unchanged"),
            },
        ));
    }
    output::report(&Lines(lines), json)
}

async fn remove(connection: &mut impl Capture, which: &Models, json: bool) -> anyhow::Result<()> {
    let names = if which.all {
        connection.captured().await?
    } else {
        // Models may be gone from the configuration.
        let names = which.models.iter().map(|name| CqrsId::new(name));
        names.collect::<Result<_, _>>()?
    };
    let mut lines = Vec::with_capacity(names.len());
    for name in &names {
        let removed = connection.remove(name).await;
        let removed = removed.with_context(|| format!("the model {name}"))?;
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
        if !matches!(state, CaptureState::Current | CaptureState::NotInstalled) {
            behind += 1;
        }
        let words = state.to_string();
        lines.push(Line::new(&model.cqrs_id, (state.as_str(), &words)));
    }
    if all {
        let known = |name: &CqrsId| models.iter().any(|model| model.cqrs_id == *name);
        for name in connection.captured().await? {
            if !known(&name) {
                behind += 1;
                let words = "captured, and no model of cqrs.toml";
                lines.push(Line::new(&name, ("not_declared", words)));
            }
        }
    }
    output::report(&Lines(lines), json)?;
    if behind > 0 {
        bail!(
            "{behind} of the models {} not up to date: run `cqrs-relay capture install`, or `remove` for \
             those that are not declared",
            if behind == 1 { "is" } else { "are" }
        );
    }
    Ok(())
}

fn of(model: &SourceModel) -> String {
    format!("the model {}", model.cqrs_id)
}

#[derive(Serialize)]
struct Line {
    model: String,
    state: String,
    #[serde(skip)]
    words: String,
}

impl Line {
    fn new(model: &CqrsId, (state, words): (&str, &str)) -> Self {
        Self {
            model: model.to_string(),
            state: state.to_owned(),
            words: words.to_owned(),
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
            .map(|line| format!("{}: {}", line.model, line.words))
            .collect();
        f.write_str(&lines.join("\n"))
    }
}
