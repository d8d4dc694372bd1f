//! What the pump hears from its tasks.

use cqrs_outbox::Settled;

use crate::{
    lane::LaneNews,
    reader::{Answer, Lost},
};

#[derive(Debug)]
pub(crate) enum Event {
    /// A lane by its number.
    Lane(usize, LaneNews),
    /// The answer to the one question that was out.
    Read(Result<Answer, Lost>),
    /// The one settlement that was out is written.
    Settled(Result<Settled, Lost>),
}
