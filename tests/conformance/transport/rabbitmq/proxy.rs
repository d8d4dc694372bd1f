//! A slow way to a broker, or one that ends in the middle.

use std::{io, time::Duration};

use cqrs_core::SecretUrl;
use lapin::uri::AMQPUri;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// How fast, in bytes a second, the way to the broker is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speed {
    Full,
    Slow(u32),
}

/// A way to a broker for one connection.
pub(crate) struct Proxy {
    pub(crate) url: SecretUrl,
    /// How many more bytes may pass to the broker.
    budget: watch::Sender<usize>,
    passing: JoinSet<io::Result<()>>,
}

impl Proxy {
    pub(crate) async fn start(broker: &SecretUrl, speed: Speed) -> Self {
        let uri: AMQPUri = broker.expose().parse().unwrap();
        let to = (uri.authority.host.clone(), uri.authority.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = broker
            .expose()
            .replace(&format!(":{}/", to.1), &format!(":{port}/"));
        let (budget, left) = watch::channel(usize::MAX);
        let mut passing = JoinSet::new();
        passing.spawn(async move {
            let (client, _) = listener.accept().await?;
            let (mut answers, broker) = TcpStream::connect(to).await?.into_split();
            let (client, mut to_client) = client.into_split();
            let answering = async {
                let _ = copy(&mut answers, &mut to_client).await;
                std::future::pending().await
            };
            tokio::select! {
                ended = pass(client, broker, speed, left) => ended,
                ended = answering => ended,
            }
        });
        Self {
            url: SecretUrl::new(url),
            budget,
            passing,
        }
    }

    /// Lets so many bytes more pass to the broker. What comes after is not read.
    pub(crate) fn allow(&self, bytes: usize) {
        self.budget.send_replace(bytes);
    }

    /// How the client's side ended.
    pub(crate) async fn ended(mut self) -> io::Result<()> {
        self.passing.join_next().await.unwrap().unwrap()
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    speed: Speed,
    mut budget: watch::Receiver<usize>,
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut left = *budget.borrow_and_update();
    loop {
        if budget.has_changed().is_ok_and(|changed| changed) || left == 0 {
            if left == 0 {
                budget.changed().await.map_err(io::Error::other)?;
            }
            left = *budget.borrow_and_update();
            continue;
        }
        let room = buffer.len().min(left);
        let read = tokio::select! {
            read = from.read(&mut buffer[..room]) => read?,
            changed = budget.changed() => {
                changed.map_err(io::Error::other)?;
                left = *budget.borrow();
                continue;
            }
        };
        if read == 0 {
            return Ok(());
        }
        left -= read;
        if let Speed::Slow(rate) = speed {
            let share = f64::from(u32::try_from(read).unwrap()) / f64::from(rate);
            tokio::time::sleep(Duration::from_secs_f64(share)).await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
