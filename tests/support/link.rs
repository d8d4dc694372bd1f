//! A link to a server that a test can cut, hold up, slow down or reset.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It forwards.
    Whole,
    /// Ends all connections, and each new one at once.
    Cut,
    /// Connections stay and new ones are accepted, and nothing comes through until it is whole again.
    HalfOpen,
    /// What is sent comes later by this time.
    Delayed(Duration),
    /// This many bytes a second come through.
    Slow(usize),
    /// A connection is reset in the middle of what it sends, after this many bytes.
    Resetting(usize),
}

/// Forwards connections to a server. Ends with this value.
#[derive(Debug)]
pub struct Link {
    address: String,
    condition: watch::Sender<Condition>,
    _forwarding: JoinSet<()>,
}

impl Link {
    /// A whole link to `host:port`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (condition, state) = watch::channel(Condition::Whole);
        let mut forwarding = JoinSet::new();
        forwarding.spawn(forward(listener, server.to_owned(), state));
        Ok(Self {
            address,
            condition,
            _forwarding: forwarding,
        })
    }

    /// The URL of the same server by way of this link.
    ///
    /// # Errors
    /// The URL has no login, or no path.
    pub fn url(&self, url: &str) -> Result<String> {
        let (login, rest) = url.split_once('@').context("a login")?;
        let (_, path) = rest.split_once('/').context("a path")?;
        Ok(format!("{login}@{}/{path}", self.address))
    }

    /// Makes it so from now on.
    pub fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }

    /// Ends all connections, and each new one at once.
    pub fn cut(&self) {
        self.set(Condition::Cut);
    }

    /// Forwards again.
    pub fn mend(&self) {
        self.set(Condition::Whole);
    }
}

/// What stands between the login and the path of a URL: `host:port`.
///
/// # Errors
/// The URL has no login.
pub fn server(url: &str) -> Result<&str> {
    let (_, rest) = url.split_once('@').context("a login")?;
    Ok(rest.split('/').next().unwrap_or(rest))
}

async fn forward(listener: TcpListener, server: String, state: watch::Receiver<Condition>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(connect(near, server.clone(), state.clone()));
    }
}

async fn connect(
    near: TcpStream,
    server: String,
    mut state: watch::Receiver<Condition>,
) -> Result<()> {
    // A closed one that resets: what it had not read is known to be lost at the other end, too.
    near.set_zero_linger()?;
    near.set_nodelay(true)?;
    let (down_state, up_state) = (state.clone(), state.clone());
    let through = async {
        let far = TcpStream::connect(server).await?;
        far.set_nodelay(true)?;
        let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
        let up = pump(near_in, far_out, up_state);
        let down = pump(far_in, near_out, down_state);
        tokio::try_join!(up, down)
    };
    // Whichever ends first; both ends are closed by it.
    tokio::select! {
        biased;
        _ = state.wait_for(|condition| *condition == Condition::Cut) => Ok(()),
        done = through => done.map(drop),
    }
}

/// Hands on what comes until the sender has no more to say. An error ends both directions.
async fn pump(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TcpStream>,
    mut state: watch::Receiver<Condition>,
) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
        state
            .wait_for(|condition| *condition != Condition::HalfOpen)
            .await?;
        let condition = *state.borrow();
        match condition {
            Condition::Delayed(time) => sleep(time).await,
            Condition::Slow(rate) => {
                sleep(Duration::from_millis(u64::try_from(read * 1000 / rate)?)).await;
            }
            Condition::Resetting(after) if passed + read > after => {
                to.write_all(&buffer[..after.saturating_sub(passed)])
                    .await?;
                anyhow::bail!("reset");
            }
            _ => {}
        }
        to.write_all(&buffer[..read]).await?;
        passed += read;
    }
}
