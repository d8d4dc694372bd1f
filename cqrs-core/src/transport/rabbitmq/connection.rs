//! One connection with one channel, and the certainty that it ends.

use std::{
    io,
    net::{Shutdown, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_rs::Runtime;
use lapin::{
    AsyncTcpStream, Channel, ConnectionProperties,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};

use super::{
    config::RabbitMqConfig,
    error::{self, Fault, TlsRefused},
    stream::{self, Checked},
};
use crate::transport::TransportError;

/// A connection of its own for each publisher and subscriber: a broker that blocks publishers stops
/// reading from the whole connection, acknowledgements included. No automatic recovery: it is young
/// in the driver (lapin 4.11 and 4.12.0 to 4.12.3 each mended a defect of it, the last one acked a
/// new message in place of an old one), gives up after a while, and leaves open which confirms still
/// count. A supervisor makes a new connection instead.
pub(super) struct Connection {
    inner: lapin::Connection,
    channel: Channel,
    /// `-p VHOST USER`, as `rabbitmqctl` has it.
    account: String,
    _socket: Socket,
}

/// What becomes of data that the system holds when a connection is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The system sends it when it can.
    Follows,
    /// It is gone: on a slow or interrupted way it would arrive after what others have sent since.
    IsDropped,
}

impl Connection {
    /// Connects and opens the channel. The caller sets the time limit; a dropped call leaves neither
    /// a socket nor the driver's thread behind.
    pub(super) async fn open(config: &RabbitMqConfig, role: &str) -> Result<Self, TransportError> {
        Self::open_with(config, role, Unsent::Follows).await
    }

    /// Likewise, and says what becomes of what the system has not sent when this is dropped.
    pub(super) async fn open_with(
        config: &RabbitMqConfig,
        role: &str,
        unsent: Unsent,
    ) -> Result<Self, TransportError> {
        let uri = parse(config)?;
        let url = config.url.to_string();
        let classify = |e| error::connecting(e, &url);
        let name = format!("{}: {role}", config.connection_name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = stream::runtime();
        let frame_max = uri.query.frame_max;
        let account = format!("-p {} {}", uri.vhost, uri.authority.userinfo.username);

        let socket = Socket::default();
        let (held, limit) = (Arc::clone(&socket.0), config.connect_timeout);
        // By hand rather than with `connect_uri`, for three reasons: the driver does not bound the
        // time for TCP and TLS, we need the socket to end what nobody waits for any more, and what
        // the driver reads has to be looked at before.
        let connected = lapin::Connection::connector(
            uri,
            runtime,
            async move |uri: AMQPUri, _| {
                let reach = async {
                    let address = (uri.authority.host.clone(), uri.authority.port);
                    let tokio = Runtime::tokio_current();
                    let addresses = tokio.to_socket_addrs(address);
                    let plain = stream::Raw::connect(&tokio, addresses).await?;
                    if let AsyncTcpStream::Plain(stream) = &plain {
                        if unsent == Unsent::IsDropped {
                            stream.get_ref().set_zero_linger()?;
                        }
                        keep(&held, stream.get_ref(), unsent)?;
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(plain),
                        AMQPScheme::AMQPS => {
                            let trust = OwnedTLSConfig::default();
                            let tls = plain.into_tls(&uri.authority.host, trust.as_ref());
                            tls.await.map_err(TlsRefused::mark)
                        }
                    }
                };
                match tokio::time::timeout(limit, reach).await {
                    Ok(stream) => {
                        let checked = Checked::new(stream?, frame_max);
                        Ok(AsyncTcpStream::Plain(checked))
                    }
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                }
            },
            properties,
        );
        let inner = connected.await.map_err(classify)?;
        let channel = inner.create_channel().await.map_err(classify)?;
        tracing::debug!(broker = %config.url, role, "connected");
        Ok(Self {
            inner,
            channel,
            account,
            _socket: socket,
        })
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Virtual host and user, as the arguments of `rabbitmqctl`.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// A new channel in place of one that the broker has closed.
    pub(super) async fn reopen_channel(&mut self) -> Result<(), TransportError> {
        self.channel = self.inner.create_channel().await.map_err(error::running)?;
        Ok(())
    }

    /// Another channel: for a question whose answer may close it.
    pub(super) async fn second_channel(&self) -> Result<Channel, lapin::Error> {
        self.inner.create_channel().await
    }

    /// Whether the broker has asked publishers to stop.
    pub(super) fn blocked(&self) -> bool {
        self.inner.status().blocked()
    }

    pub(super) fn usable(&self) -> bool {
        self.inner.status().connected() && self.channel.status().connected()
    }

    /// Says goodbye, without waiting long for the answer.
    pub(super) async fn close(self) {
        let goodbye = self.inner.close(200, "OK".into());
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("status", self.inner.status())
            .finish_non_exhaustive()
    }
}

/// The socket below a connection, shut down when this is dropped.
///
/// Dropping the driver's handles only queues a polite goodbye behind whatever is still to be sent.
/// While the broker blocks the connection nothing is sent, and before the handshake is over nobody
/// looks at the queue: a thread and a socket would stay for each attempt at a peer that accepts and
/// says nothing.
#[derive(Default)]
struct Socket(Arc<Mutex<Hold>>);

#[derive(Default)]
struct Hold {
    stream: Option<(TcpStream, Unsent)>,
    dropped: bool,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut hold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hold.dropped = true;
        if let Some((stream, unsent)) = hold.stream.take() {
            // Each makes the driver close its handle. It may be closed already.
            let _ = match unsent {
                Unsent::Follows => stream.shutdown(Shutdown::Both),
                Unsent::IsDropped => reset(&stream),
            };
        }
    }
}

/// Ends a connection without what is unsent, also in the kernel's buffers.
#[cfg(target_os = "linux")]
fn reset(stream: &TcpStream) -> io::Result<()> {
    // A kernel that does not know this ends the connection like other systems.
    rustix::net::connect_unspec(stream).or_else(|_| stream.shutdown(Shutdown::Read))
}

/// Ends a connection. What is unsent in the kernel's buffers may be sent until the driver has closed its handle:
/// an end of our side would wait behind that.
#[cfg(not(target_os = "linux"))]
fn reset(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Read)
}

/// Keeps a second handle of the socket, unless its owner has gone.
fn keep(socket: &Mutex<Hold>, stream: &tokio::net::TcpStream, unsent: Unsent) -> io::Result<()> {
    let mut hold = socket.lock().unwrap_or_else(PoisonError::into_inner);
    if hold.dropped {
        return Err(io::ErrorKind::Interrupted.into());
    }
    hold.stream = duplicate(stream)?.map(|stream| (stream, unsent));
    Ok(())
}

#[cfg(unix)]
fn duplicate(stream: &tokio::net::TcpStream) -> io::Result<Option<TcpStream>> {
    use std::os::fd::AsFd;
    Ok(Some(stream.as_fd().try_clone_to_owned()?.into()))
}

#[cfg(windows)]
fn duplicate(stream: &tokio::net::TcpStream) -> io::Result<Option<TcpStream>> {
    use std::os::windows::io::AsSocket;
    Ok(Some(stream.as_socket().try_clone_to_owned()?.into()))
}

/// The parameters of a URL that the driver reads. It passes over any other.
const PARAMETERS: &[&str] = &[
    "heartbeat",
    "connection_timeout",
    "frame_max",
    "channel_max",
    "auth_mechanism",
];

/// The URL as the driver wants it, with our defaults.
fn parse(config: &RabbitMqConfig) -> Result<AMQPUri, TransportError> {
    let secret = config.url.expose();
    let unusable = |reason: String| {
        // The driver's reasons may quote the URL, password included.
        let reason = reason.replace(secret, &config.url.to_string());
        let example = "amqp://user:password@host:5672/%2f";
        let problem = format!("the broker's URL {} is not one like {example}", config.url);
        error::misconfigured(problem, Fault::Url(reason))
    };
    if let Err(unknown) = config.url.check_parameters(PARAMETERS) {
        let problem = format!("the broker's URL {} cannot be used", config.url);
        return Err(error::misconfigured(
            problem,
            Fault::Url(unknown.to_string()),
        ));
    }
    let mut uri: AMQPUri = secret.parse().map_err(unusable)?;
    if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "tls") {
        // The driver would go on without TLS and send the password in the clear.
        let problem = "this program was built without TLS: use amqp://, or build it with the \
                       feature `tls`";
        return Err(error::misconfigured(
            problem,
            Fault::Url(config.url.to_string()),
        ));
    }
    for (what, text) in [
        ("exchange", &config.exchange),
        ("connection name", &config.connection_name),
    ] {
        // The driver panics on a longer one.
        if text.len() > 127 {
            let problem = format!("the {what} {text:?} is longer than 127 bytes: shorten it");
            return Err(error::misconfigured(
                problem,
                Fault::Url(config.url.to_string()),
            ));
        }
    }
    if let Some(address) = bracketed(secret) {
        // The driver reads an IPv6 address as no host at all, and connects to localhost.
        address.clone_into(&mut uri.authority.host);
    }
    if uri.query.heartbeat.is_none() {
        // Without it the broker proposes 60 s, and a dead peer is noticed after two minutes.
        let seconds = config.heartbeat.as_secs().clamp(1, u64::from(u16::MAX));
        uri.query.heartbeat = u16::try_from(seconds).ok();
    }
    Ok(uri)
}

/// The address of `scheme://login@[address]:port/…`.
fn bracketed(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?
        .split_once(']')
        .map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretUrl;

    fn parsed(url: &str) -> Result<AMQPUri, TransportError> {
        parse(&RabbitMqConfig::new(SecretUrl::new(url)))
    }

    #[test]
    fn the_heartbeat_is_ours_unless_the_url_names_one() {
        assert_eq!(parsed("amqp://h").unwrap().query.heartbeat, Some(10));
        assert_eq!(
            parsed("amqp://h/%2f?heartbeat=33").unwrap().query.heartbeat,
            Some(33)
        );
    }

    #[test]
    fn an_ipv6_address_is_not_taken_for_localhost() {
        let uri = parsed("amqp://u:p@[2001:db8::7]:5673/%2f").unwrap();
        assert_eq!(
            (uri.authority.host.as_str(), uri.authority.port),
            ("2001:db8::7", 5673)
        );
        assert_eq!(
            parsed("amqp://10.0.0.7/%2f").unwrap().authority.host,
            "10.0.0.7"
        );
    }

    #[test]
    fn tls_is_used_or_refused_but_never_left_out() {
        let answer = parsed("amqps://u:secret@h/%2f");
        assert_eq!(answer.is_ok(), cfg!(feature = "tls"), "{answer:?}");
    }

    #[test]
    fn an_unusable_url_is_named_without_its_password() {
        for url in [
            "amqp:u:secret@h",
            "amqp://u:secret@h:port/",
            "redis://u:secret@h",
            "secret",
        ] {
            let error = parsed(url).unwrap_err();
            let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
            assert!(
                matches!(error, TransportError::Misconfigured { .. }),
                "{shown}"
            );
            assert!(url == "secret" || !shown.contains("secret"), "{shown}");
        }
    }
}
