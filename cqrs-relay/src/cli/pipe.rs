//! Standard input and output, and files in their place.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

/// The lines of a file, or of stdin.
///
/// They are read by a thread of its own, which may stand still in a read for ever: nobody waits for
/// it at the end, as nobody could wake it.
pub(super) fn lines(
    name: &str,
) -> anyhow::Result<impl Stream<Item = io::Result<String>> + Unpin + Send> {
    let input: Box<dyn BufRead + Send> = match name {
        "-" => Box::new(BufReader::new(io::stdin())),
        path => Box::new(BufReader::new(
            File::open(path).with_context(|| format!("the file {path} cannot be read"))?,
        )),
    };
    let (sender, receiver) = mpsc::channel(2);
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            for line in input.lines() {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        })
        .context("no thread to read the input")?;
    Ok(Box::pin(stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|line| (line, receiver))
    })))
}

/// A file that has its name only once it is whole, or stdout.
#[derive(Debug)]
pub(super) enum Sink {
    Stdout(BufWriter<io::Stdout>),
    File {
        file: BufWriter<File>,
        partial: PathBuf,
        path: PathBuf,
    },
}

impl Sink {
    pub(super) fn stdout() -> Self {
        Self::Stdout(BufWriter::with_capacity(BUFFER, io::stdout()))
    }

    /// Opens the file, `-` for stdout.
    pub(super) fn create(name: &str, force: bool) -> anyhow::Result<Self> {
        if name == "-" {
            return Ok(Self::stdout());
        }
        let path = Path::new(name);
        if !force && path.exists() {
            bail!("the file {name} is there already: --force overwrites it");
        }
        let partial = PathBuf::from(format!("{name}.partial"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&partial)
            .with_context(|| format!("the file {} cannot be written", partial.display()))?;
        Ok(Self::File {
            file: BufWriter::with_capacity(BUFFER, file),
            partial,
            path: path.to_owned(),
        })
    }

    /// Takes away what was not finished.
    pub(super) fn discard(&self) {
        if let Self::File { partial, .. } = self {
            // It is only in the way.
            let _ = std::fs::remove_file(partial);
        }
    }

    /// Ends what has been written in full.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut out) => Ok(out.flush()?),
            Self::File {
                file,
                partial,
                path,
            } => {
                file.into_inner()?.sync_all()?;
                std::fs::rename(&partial, &path)
                    .with_context(|| format!("the file {} cannot be written", path.display()))
            }
        }
    }
}

const BUFFER: usize = 1 << 16;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}
