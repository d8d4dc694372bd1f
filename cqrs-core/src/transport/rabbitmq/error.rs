//! The driver's errors by what the caller can do about them.

use std::{error::Error, fmt, io, time::Duration};

use lapin::{
    ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use super::connection::Connection;
use crate::transport::TransportError;

/// What we find wrong ourselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing came in time.
    #[error("the broker did not answer within {0:?}: {1}")]
    Silent(Duration, &'static str),
    /// An earlier call was cancelled or failed.
    #[error("the connection was left in an unknown state by a cancelled or failed call")]
    Spent,
    /// The driver considers an acknowledgement void.
    #[error("the connection was lost before the acknowledgement")]
    AckVoid,
    /// The consumer was cancelled, and not because its queue is gone.
    #[error("the broker ended the consumer")]
    ConsumerEnded,
    /// The broker breaks the protocol, or the driver misreads it.
    #[error("{0}")]
    Protocol(&'static str),
    /// The URL cannot be used.
    #[error("{0}")]
    Url(String),
}

impl From<Fault> for TransportError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.into())
    }
}

/// A failure of the TLS handshake, told apart from one of the socket below.
#[derive(Debug)]
pub(super) struct TlsRefused(pub(super) io::Error);

impl fmt::Display for TlsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS handshake failed")
    }
}

impl Error for TlsRefused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl TlsRefused {
    /// Marks what a person has to mend. A peer that hangs up in the middle may be one that restarts.
    pub(super) fn mark(error: io::Error) -> io::Error {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof,
        };
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof => error,
            _ => io::Error::other(Self(error)),
        }
    }
}

pub(super) fn misconfigured(
    problem: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> TransportError {
    TransportError::Misconfigured {
        problem: problem.into(),
        source: source.into(),
    }
}

/// An error of a connection that is being made.
pub(super) fn connecting(error: lapin::Error, url: &str) -> TransportError {
    let problem = match error.kind() {
        ErrorKind::IOError(io)
            if io
                .get_ref()
                .is_some_and(<dyn Error + Send + Sync>::is::<TlsRefused>) =>
        {
            format!(
                "no TLS with {url}: check its certificate (the system's roots or the file named by \
                 SSL_CERT_FILE must know its issuer, and it must name this host) and that the port \
                 is the one for TLS"
            )
        }
        ErrorKind::ProtocolError(amqp) => match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                format!("{url} refuses the login: check the user and password of the broker's URL")
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
                if url.ends_with('/') || url.contains("/?") =>
            {
                format!(
                    "{url} names the virtual host \"\": leave out the slash at its end for the default one, \
                     or write /%2f"
                )
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => format!(
                "{url} does not give access to the virtual host: check that it exists \
                 (`rabbitmqctl list_vhosts`) and that the user may enter it \
                 (`rabbitmqctl set_permissions`)"
            ),
            _ => return TransportError::Unavailable(error.into()),
        },
        ErrorKind::AuthProviderError(_) => {
            format!("{url} asks for another kind of login than `auth_mechanism` of the URL names")
        }
        _ => return TransportError::Unavailable(error.into()),
    };
    misconfigured(problem, error)
}

/// An error of declaring `object`, such as ``the queue `billing` ``.
pub(super) fn declaring(error: lapin::Error, object: &str) -> TransportError {
    let ErrorKind::ProtocolError(amqp) = error.kind() else {
        return TransportError::Unavailable(error.into());
    };
    let problem = match amqp.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => format!(
            "{object} exists, declared differently: it must be durable, an exchange one of type topic \
             without arguments, a queue one that keeps its messages (no `x-message-ttl`, no \
             `x-expires`): delete it, or configure another name"
        ),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => format!(
            "the broker's user may not declare or use {object}: give it configure, write and read \
             permission (`rabbitmqctl set_permissions`)"
        ),
        // Also "home node is down or inaccessible", which passes.
        _ => return TransportError::Unavailable(error.into()),
    };
    misconfigured(problem, error)
}

/// What the broker's user may do with exchanges and queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Configure,
    Write,
    Read,
}

/// The user may not do it, and it has to be done: `names` are those of the objects.
pub(super) fn forbidden(
    error: lapin::Error,
    connection: &Connection,
    object: &str,
    names: &str,
    rights: &[Right],
) -> TransportError {
    let given = |right, word: &str| {
        if rights.contains(&right) {
            format!("'^({names})$'")
        } else {
            word.to_owned()
        }
    };
    let words: Vec<_> = rights.iter().map(|right| format!("{right:?}")).collect();
    let what = match rights {
        [Right::Read] => format!("the broker's user may not read {object}: give it"),
        _ => format!(
            "{object} is missing and the broker's user may not make it: make it by hand, or give the \
             user"
        ),
    };
    let problem = format!(
        "{what} the permission to {} (`rabbitmqctl set_permissions {} {} {} {}`; it replaces all three)",
        words.join(" and ").to_lowercase(),
        connection.account(),
        given(Right::Configure, "CONFIGURE"),
        given(Right::Write, "WRITE"),
        given(Right::Read, "READ"),
    );
    misconfigured(problem, error)
}

/// An error of a connection in use.
pub(super) fn running(error: lapin::Error) -> TransportError {
    match error.kind() {
        ErrorKind::ProtocolError(amqp)
            if *amqp.kind() == AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) =>
        {
            misconfigured(
                "the broker's user lacks write or read permission \
                 (`rabbitmqctl set_permissions`)",
                error,
            )
        }
        // Not 406 either: it is what the broker calls an acknowledgement that took longer than its
        // `consumer_timeout`. Nor 404: the exchange was deleted, connecting declares it again.
        _ => TransportError::Unavailable(error.into()),
    }
}

/// What the broker may have against one message, for which it closes the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    /// The user may not send with this routing key.
    Forbidden,
    /// The body is larger than the broker's `max_message_size`.
    TooLarge,
}

/// An objection to a message that was sent. We send nothing else on such a channel that could be
/// refused in these ways.
pub(super) fn objection(error: &lapin::Error) -> Option<Objection> {
    let ErrorKind::ProtocolError(amqp) = error.kind() else {
        return None;
    };
    match amqp.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Some(Objection::Forbidden),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Some(Objection::TooLarge),
        _ => None,
    }
}

/// Whether a passive declaration said that there is no such queue.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(amqp)
        if *amqp.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)
            // The queue's node is down: the same code, but it will be back.
            && !amqp.get_message().as_str().contains("inaccessible"))
}

/// Whether the broker's user lacks a right.
pub(super) fn is_forbidden(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(amqp)
        if *amqp.kind() == AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED))
}

/// The broker's own words, when what was asked is not what is there.
pub(super) fn reason(error: &lapin::Error) -> Option<&str> {
    match error.kind() {
        ErrorKind::ProtocolError(amqp)
            if *amqp.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) =>
        {
            Some(amqp.get_message().as_str())
        }
        _ => None,
    }
}
