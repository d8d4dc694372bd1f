//! The lines of a file, or of standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
};

use tokio::sync::mpsc;

/// Lines as they come, a few of them ahead.
#[derive(Debug)]
pub struct Lines {
    receiver: mpsc::Receiver<io::Result<String>>,
    ends_with_mark: bool,
}

impl Lines {
    /// Opens a file, `-` for standard input.
    ///
    /// It is read by a thread of its own, which may stand still in a read for ever: nobody waits for it
    /// at the end, as nobody could wake it.
    ///
    /// # Errors
    /// There is no such file, or no thread.
    pub fn open(name: &str) -> io::Result<Self> {
        let input: Box<dyn BufRead + Send> = match name {
            "-" => Box::new(BufReader::new(io::stdin())),
            path => Box::new(BufReader::new(File::open(path)?)),
        };
        Self::of(input)
    }

    /// The lines of something else.
    ///
    /// # Errors
    /// There is no thread to read it.
    pub fn of(input: impl BufRead + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(2);
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                for line in input.lines() {
                    if sender.blocking_send(line).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            receiver,
            ends_with_mark: true,
        })
    }

    /// The same lines, which are whole also without an end mark: those of Django's commands.
    #[must_use]
    pub fn without_end_mark(self) -> Self {
        Self {
            ends_with_mark: false,
            ..self
        }
    }

    /// Whether they are whole only with an end mark.
    #[must_use]
    pub const fn ends_with_mark(&self) -> bool {
        self.ends_with_mark
    }

    /// The next line without its end; `None` after the last one.
    ///
    /// # Errors
    /// The input cannot be read, or is not UTF-8.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        self.receiver.recv().await.transpose()
    }
}
