//! The stream below a connection: what the driver reads of it has passed through [`frames`].

use std::{
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_rs::{
    Runtime, Tokio,
    traits::Reactor,
    util::{DummyIO, RuntimeParts},
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use lapin::AsyncTcpStream;

use super::frames::{self, Look};

/// What the driver runs on: tokio, with streams of ours.
pub(super) type Kit = RuntimeParts<Tokio, Checking>;
/// A plain or encrypted connection of tokio's.
pub(super) type Raw = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// The current tokio, for the driver.
pub(super) fn runtime() -> Runtime<Kit> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(tokio.clone(), Checking(tokio)))
}

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// What the driver makes of a lower limit.
const SMALLEST_LIMIT: usize = 4096;

/// A stream whose frames are looked at before anyone reads them.
#[derive(Debug)]
pub(super) struct Checked<S> {
    inner: S,
    /// What has come and was not handed on: up to `ready` it may be, up to `end` it is still to be
    /// looked at.
    buffer: Vec<u8>,
    start: usize,
    ready: usize,
    end: usize,
    /// How many bytes follow that need no look.
    passing: usize,
    /// The largest frame that the driver takes.
    limit: usize,
}

impl<S> Checked<S> {
    /// `limit`: the largest frame, in bytes, if it is to be less than what the broker proposes.
    pub(super) fn new(inner: S, limit: Option<u32>) -> Self {
        let limit = limit
            .filter(|limit| *limit > 0)
            .and_then(|limit| usize::try_from(limit).ok());
        Self {
            inner,
            buffer: vec![0; CHUNK],
            start: 0,
            ready: 0,
            end: 0,
            passing: 0,
            limit: limit.map_or(usize::MAX, |limit| limit.max(SMALLEST_LIMIT)),
        }
    }

    /// Looks at what has come.
    fn check(&mut self) {
        while self.ready < self.end {
            if self.passing > 0 {
                let passed = self.passing.min(self.end - self.ready);
                self.passing -= passed;
                self.ready += passed;
                continue;
            }
            let unseen = &mut self.buffer[self.ready..self.end];
            match frames::look(unseen, self.limit) {
                Look::Part => return,
                Look::Passed(len) => self.passing = len,
                Look::Unknown => self.passing = usize::MAX,
                Look::Frame(len) => {
                    if let Some(proposed) = frames::tuned(&unseen[..len]) {
                        self.limit = self.limit.min(proposed);
                    }
                    self.ready += len;
                }
                Look::Shorter(was, is) => {
                    unseen.copy_within(was.., is);
                    self.end -= was - is;
                    self.ready += is;
                }
            }
        }
    }

    /// Room for more.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.ready -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Checked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if this.start < this.ready {
                let len = into.len().min(this.ready - this.start);
                into[..len].copy_from_slice(&this.buffer[this.start..this.start + len]);
                this.start += len;
                return Poll::Ready(Ok(len));
            }
            let inner = Pin::new(&mut this.inner);
            if this.passing > 0 && this.start == this.end {
                // The rest of a body: no need to take it in hand.
                let len = into.len().min(this.passing);
                let read = ready!(inner.poll_read(context, &mut into[..len]))?;
                this.passing -= read;
                return Poll::Ready(Ok(read));
            }
            this.make_room();
            let inner = Pin::new(&mut this.inner);
            let read = ready!(inner.poll_read(context, &mut this.buffer[this.end..]))?;
            if read == 0 {
                return Poll::Ready(Ok(0));
            }
            this.end += read;
            this.check();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Checked<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(context)
    }
}

/// Tokio's reactor, whose streams are checked.
#[derive(Clone, Debug)]
pub(super) struct Checking(Tokio);

impl Reactor for Checking {
    type TcpStream = Checked<Raw>;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// The driver registers nothing.
    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move {
            let stream = AsyncTcpStream::Plain(connecting.await?);
            Ok(Checked::new(stream, None))
        }
    }
}

#[cfg(test)]
mod tests;
