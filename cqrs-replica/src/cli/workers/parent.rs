//! The child's side.

use std::{
    convert::Infallible,
    io,
    os::{fd::AsFd, unix::net},
};

use cqrs_core::cli::Hangups;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

use super::program::STARTED;

/// The process that has started this one.
#[derive(Debug)]
pub(in crate::cli) struct Parent {
    link: UnixStream,
    /// SIGHUP to all processes of this name is the parent's to act on, and must not end this one.
    _hangups: Hangups,
}

impl Parent {
    /// By stdin, which is a socket.
    ///
    /// # Errors
    /// It is not: nobody but the parent says `--supervised`.
    pub(in crate::cli) fn by_stdin() -> io::Result<Self> {
        let stream = net::UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Anything else than a socket has no such name.
        stream.local_addr()?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            link: UnixStream::from_std(stream)?,
            _hangups: Hangups::new()?,
        })
    }

    /// Tells the parent when the worker has started, and the worker to drain when the parent has
    /// closed its end.
    pub(in crate::cli) async fn attend(
        mut self,
        started: CancellationToken,
        drain: CancellationToken,
    ) -> Infallible {
        let mut told = false;
        let mut byte = [0];
        loop {
            tokio::select! {
                () = started.cancelled(), if !told => {
                    told = true;
                    // If nobody is there any more, the next read says so.
                    let _ = self.link.write_all(&[STARTED]).await;
                }
                read = self.link.read(&mut byte) => if !matches!(read, Ok(1..)) {
                    break;
                },
            }
        }
        tracing::info!("the parent has closed stdin: draining");
        drain.cancel();
        std::future::pending().await
    }
}
