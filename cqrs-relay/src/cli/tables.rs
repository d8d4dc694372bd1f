//! `sync`, `dump`, `diff`, `diff-sync`, `deleted-diff`.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context, bail};
use cqrs_core::{
    Clock, CqrsId, SystemClock,
    cli::{Signals, output, unless_stopped},
    config::Config,
};
use cqrs_outbox::source::{ReadModel, SourceStore, SourceTable};
use futures_util::Stream;
use serde::Serialize;

use super::{
    pipe::{self, Sink},
    source,
    table_args::{
        DeletedDiffArgs, DiffArgs, DiffSyncArgs, DumpArgs, PaceArgs, SyncArgs, TableCommand,
    },
    watching::Watching,
};
use crate::{
    KeyLines, Shutdown, TableError,
    diff::{self, DiffOptions},
    dump::{self, DumpOptions},
    sync::{self, SyncDone, SyncPlan},
};

/// Does what the arguments say, for models of `cqrs.toml` and those of the program.
pub(super) async fn run<S: SourceStore>(
    store: &S,
    config: &Config,
    command: TableCommand,
    models: Vec<ReadModel<S::Row>>,
) -> anyhow::Result<()> {
    let tables = Tables {
        store,
        config,
        models,
    };
    match command {
        TableCommand::Sync(args) => Box::pin(tables.sync(args)).await,
        TableCommand::Dump(args) => Box::pin(tables.dump(args)).await,
        TableCommand::Diff(args) => Box::pin(tables.diff(args)).await,
        TableCommand::DiffSync(args) => Box::pin(tables.diff_sync(args)).await,
        TableCommand::DeletedDiff(args) => Box::pin(tables.deleted_diff(args)).await,
    }
}

struct Tables<'c, S: SourceStore> {
    store: &'c S,
    config: &'c Config,
    models: Vec<ReadModel<S::Row>>,
}

impl<S: SourceStore> Tables<'_, S> {
    async fn dump(&self, args: DumpArgs) -> anyhow::Result<()> {
        let table = self.table(&args.model.model).await?;
        let name = match args.output {
            Some(name) => name,
            None => format!("{}.dump", args.model.model),
        };
        let options = DumpOptions {
            filter: args.filter.unwrap_or_default(),
            batch: size(args.batch),
            end_mark: !args.without_end_mark,
        };
        let mut sink = Sink::create(&name, args.force)?;
        let mut watching = Watching::new("dump", args.show.progress);
        let dump = dump::dump(self.store, &table, &options, &mut sink, &mut watching);
        let done = unless_stopped(dump).await;
        drop(watching);
        if !matches!(done, Ok(Ok(_))) {
            sink.discard();
        }
        let done = written(done?)?;
        sink.finish()?;
        summary(&done, args.show.json, name == "-")?;
        whole(done.failed)
    }

    async fn diff(&self, args: DiffArgs) -> anyhow::Result<()> {
        let table = self.table(&args.model.model).await?;
        let options = DiffOptions {
            filter: args.filter.unwrap_or_default(),
            batch: size(args.batch),
            content: args.content,
        };
        let mut sink = Sink::stdout();
        let mut watching = Watching::new("diff", args.show.progress);
        let now = SystemClock.now();
        let diff = diff::diff(self.store, &table, &options, now, &mut sink, &mut watching);
        let done = unless_stopped(diff).await;
        drop(watching);
        let done = written(done?)?;
        summary(&done, args.show.json, true)?;
        whole(done.failed)
    }

    async fn deleted_diff(&self, args: DeletedDiffArgs) -> anyhow::Result<()> {
        let mut input = keys(&args.input, args.without_end_mark).await?;
        let table = self.table(&input.header().cqrs_id).await?;
        let mut sink = Sink::stdout();
        let mut watching = Watching::new("deleted-diff", args.show.progress);
        let batch = size(args.batch);
        let done = diff::deleted_diff(
            self.store,
            &table,
            batch,
            &mut input,
            &mut sink,
            &mut watching,
        );
        let done = done.await;
        drop(watching);
        let done = written(done)?;
        summary(&done, args.show.json, true)
    }

    async fn sync(&self, args: SyncArgs) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let table = self.table(&args.model.model).await?;
        let filter = args.filter.unwrap_or_default();
        let mut plan = plan(&args.pace);
        plan.queue = args.queue;
        plan.forced = args.forced;
        let shutdown = Shutdown::new();
        let mut watching = Watching::new("sync", args.show.progress);
        watching.passed.clone_from(&args.after);
        let synced = sync::sync(
            self.store,
            &table,
            &filter,
            args.after,
            &plan,
            &mut watching,
            &shutdown,
        );
        let done = until_stopped(synced, &mut signals, &shutdown).await;
        let passed = watching.passed.take();
        drop(watching);
        let go_on = passed.map(|place| {
            // In a shell a quote ends the text, so it is written outside of it.
            let place = place.to_string().replace('\'', "'\\''");
            format!("go on with --after '{place}'")
        });
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                // Rows that came back are not done with, wherever they stand.
                let lost = matches!(error.downcast_ref(), Some(TableError::NoQueue { .. }));
                if let Some(go_on) = go_on.filter(|_| !lost) {
                    beside(&go_on);
                }
                return Err(error);
            }
        };
        summary(&done, args.show.json, false)?;
        if done.stopped {
            bail!(
                "stopped before the end; {}",
                go_on.unwrap_or_else(|| "nothing was recorded".to_owned())
            );
        }
        whole(done.failed)
    }

    async fn diff_sync(&self, args: DiffSyncArgs) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let shutdown = Shutdown::new();
        let whole_command = async {
            let mut input = keys(&args.input, args.without_end_mark).await?;
            let table = self.table(&input.header().cqrs_id).await?;
            let plan = plan(&args.pace);
            let mut watching = Watching::new("diff-sync", args.show.progress);
            let done = sync::diff_sync(
                self.store,
                &table,
                &plan,
                &mut input,
                &mut watching,
                &shutdown,
            );
            anyhow::Ok(done.await?)
        };
        let done = until_stopped(whole_command, &mut signals, &shutdown).await?;
        summary(&done, args.show.json, false)?;
        if done.stopped {
            bail!("stopped before the end; what is left comes with the next diff");
        }
        whole(done.failed)
    }

    /// The table of a model, of the program or of `cqrs.toml`.
    async fn table(&self, cqrs_id: &CqrsId) -> anyhow::Result<Arc<SourceTable<S::Row>>> {
        let own = self.models.iter().find(|model| model.cqrs_id() == cqrs_id);
        let model = match own {
            Some(model) => model.clone(),
            None => ReadModel::table(source::model(self.config, cqrs_id.as_str())?),
        };
        Ok(self.store.table(model).await?)
    }
}

async fn until_stopped<E: Into<anyhow::Error>>(
    work: impl Future<Output = Result<SyncDone, E>>,
    signals: &mut Signals,
    shutdown: &Shutdown,
) -> anyhow::Result<SyncDone> {
    tokio::select! {
        done = work => done.map_err(Into::into),
        () = shutdown.stop.cancelled() => bail!("stopped at once"),
        never = signals.stop(shutdown) => match never {},
    }
}

/// A replica's keys.
async fn keys(
    name: &str,
    without_end_mark: bool,
) -> anyhow::Result<KeyLines<impl Stream<Item = io::Result<String>> + Unpin + Send>> {
    let keys = KeyLines::begin(pipe::lines(name)?).await?;
    Ok(if without_end_mark {
        keys.without_end_mark()
    } else {
        keys
    })
}

fn plan(args: &PaceArgs) -> SyncPlan {
    SyncPlan {
        batch: size(args.batch),
        rate: args.rate,
        delay: args.delay,
        max_unsent: size(args.max_unsent),
        ..SyncPlan::default()
    }
}

fn size(number: std::num::NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

/// Says of output that nobody reads what it means.
fn written<T>(done: Result<T, TableError>) -> anyhow::Result<T> {
    match done {
        Err(TableError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            bail!("output closed before the command finished")
        }
        done => done.context("the command is not done"),
    }
}

/// A summary: on stdout, or beside the data that is there.
fn summary(
    done: &(impl Serialize + Display),
    json: bool,
    is_data_there: bool,
) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string(done)?
    } else {
        done.to_string()
    };
    if is_data_there {
        beside(&text);
        Ok(())
    } else {
        output::line(&text)
    }
}

fn whole(failed: u64) -> anyhow::Result<()> {
    match failed {
        0 => Ok(()),
        1 => bail!("1 row failed: see above"),
        rows => bail!("{rows} rows failed: see above"),
    }
}

/// A line on stderr. Nobody may be listening any more.
fn beside(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
