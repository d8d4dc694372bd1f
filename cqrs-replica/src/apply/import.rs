//! Messages out of the broker's queue of dead letters.

use cqrs_core::{QueueName, StoreError};

use super::{backend::Backend, letters::kept};
use crate::{
    Imported, Incoming, LetterState,
    broker_letters::identity,
    letter::{Reason, Verdict},
};

/// Keeps them: see [`crate::ReplicaSession::letter_import`].
pub(super) async fn run<B: Backend>(
    backend: &mut B,
    queue: &QueueName,
    mut messages: Vec<Incoming>,
    retry: bool,
) -> Result<Imported, StoreError> {
    for message in &mut messages {
        message.message_id = Some(identity(message));
    }
    let verdicts: Vec<Verdict> = messages.iter().map(verdict).collect();
    let letters: Vec<_> = messages
        .iter()
        .zip(&verdicts)
        .map(|(message, verdict)| {
            let event = message.event.as_deref();
            kept(
                message,
                event.filter(|event| event.revision.0 >= 0),
                verdict,
            )
        })
        .collect();
    let new = backend.import(queue, &letters, retry).await?;
    let known = (letters.len() as u64).saturating_sub(new);
    Ok(Imported { new, known })
}

fn verdict(message: &Incoming) -> Verdict {
    Verdict {
        state: LetterState::Dead,
        reason: Reason::Imported,
        error: Some(format!("it was a dead letter at {}", message.routing_key)),
        fingerprint: None,
        attempts: message.event.as_ref().map_or(0, |event| event.retries),
        next_attempt_at: None,
        waits_for: None,
        waits_until: None,
    }
}
