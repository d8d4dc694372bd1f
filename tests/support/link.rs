//! A link to a server that a test can cut.

use anyhow::{Context, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Forwards connections to a server while it is whole. Ends with this value.
#[derive(Debug)]
pub struct Link {
    address: String,
    whole: watch::Sender<bool>,
    silent: watch::Sender<bool>,
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
        let (whole, state) = watch::channel(true);
        let (silent, hush) = watch::channel(false);
        let mut forwarding = JoinSet::new();
        forwarding.spawn(forward(listener, server.to_owned(), state, hush));
        Ok(Self {
            address,
            whole,
            silent,
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

    /// Ends all connections, and each new one at once.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Loses all that is sent from now on, for good: the connections stay, and nobody hears of it.
    pub fn silence(&self) {
        self.silent.send_replace(true);
    }

    /// Forwards again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
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

async fn forward(
    listener: TcpListener,
    server: String,
    state: watch::Receiver<bool>,
    hush: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, mut state, mut hush) = (server.clone(), state.clone(), hush.clone());
        connections.spawn(async move {
            let through = async {
                let mut far = TcpStream::connect(server).await?;
                let silent = async { drop(hush.wait_for(|silent| *silent).await) };
                tokio::select! {
                    biased;
                    () = silent => std::future::pending().await,
                    copied = copy_bidirectional(&mut near, &mut far) => copied,
                }
            };
            // Whichever ends first; both ends are closed by it.
            tokio::select! {
                biased;
                _ = state.wait_for(|whole| !whole) => {}
                _ = through => {}
            }
        });
    }
}
