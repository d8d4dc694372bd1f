//! Looking into a queue by hand: what the tools for dead letters need, beside consuming.

use std::future::Future;

use super::{Delivery, DeliveryTag, Transport, TransportError};
use crate::{CqrsId, QueueName};

/// A broker whose queues can be looked into.
pub trait Browse: Transport {
    /// What looks.
    type Browser: Browser;

    /// Opens a connection for looking into a queue. Nothing is declared.
    ///
    /// # Errors
    /// [`TransportError::QueueGone`] when there is no such queue.
    ///
    /// Cancellation: a dropped call leaves nothing open.
    fn browse(
        &self,
        queue: &QueueName,
    ) -> impl Future<Output = Result<Self::Browser, TransportError>> + Send;

    /// How many messages are ready in a queue: those that no live subscriber holds.
    ///
    /// # Errors
    /// [`TransportError::QueueGone`] when there is no such queue; otherwise as connecting.
    ///
    /// Cancellation: a dropped call leaves nothing open.
    fn depth(&self, queue: &QueueName) -> impl Future<Output = Result<u64, TransportError>> + Send;

    /// Removes the bindings of a model, so that none of its events comes any more; those that are in the
    /// queue stay. Bindings that are not there are no error.
    ///
    /// # Errors
    /// [`TransportError::QueueGone`] when there is no such queue; otherwise as connecting.
    ///
    /// Cancellation: a dropped call leaves nothing open. The bindings may be gone or not.
    fn unbind(
        &self,
        queue: &QueueName,
        cqrs_id: &CqrsId,
    ) -> impl Future<Output = Result<(), TransportError>> + Send;
}

/// One look into a queue. What it has got and not acknowledged goes back when it ends, in whatever
/// way, marked as redelivered and otherwise unchanged.
pub trait Browser: Send + 'static {
    /// The oldest message that nobody holds; `None` when there is none at this moment.
    ///
    /// # Errors
    /// The connection is unusable, and all tags are void.
    ///
    /// Cancellation: a dropped call leaves the browser unusable; drop it too.
    fn get(&mut self) -> impl Future<Output = Result<Option<Delivery>, TransportError>> + Send;

    /// Takes messages out of the queue for good. Returning means that the word was sent.
    ///
    /// # Errors
    /// The connection is unusable. The messages may still be in the queue.
    ///
    /// Cancellation: a dropped call leaves the browser unusable; drop it too.
    fn ack(
        &mut self,
        tags: &[DeliveryTag],
    ) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Ends the look; what was not acknowledged goes back.
    fn close(self) -> impl Future<Output = ()> + Send;
}
