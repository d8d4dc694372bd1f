//! Whether it makes sense to go on.

use std::{
    num::NonZeroU16,
    sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// A worker that has run for this long has shown that the configuration works.
pub(super) const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// So many early ends in a row make a slot hopeless.
pub(super) const EARLY_ENDS: u32 = 5;

/// What all slots together know: a program that cannot work is given up, one that has worked never.
#[derive(Debug)]
pub(super) struct Outlook {
    slots: u16,
    without_hope: AtomicU16,
    proven: AtomicBool,
    hopeless: AtomicBool,
    drain: CancellationToken,
}

impl Outlook {
    /// `drain` is cancelled when there is no hope left.
    pub(super) fn new(slots: NonZeroU16, drain: CancellationToken) -> Self {
        Self {
            slots: slots.get(),
            without_hope: AtomicU16::new(0),
            proven: AtomicBool::new(false),
            hopeless: AtomicBool::new(false),
            drain,
        }
    }

    /// Some worker has run for [`PROVEN_AFTER`].
    pub(super) fn prove(&self) {
        self.proven.store(true, SeqCst);
    }

    /// A slot's worker has ended early, for the `ends`-th time in a row.
    pub(super) fn ended_early(&self, ends: u32) {
        if ends != EARLY_ENDS {
            return;
        }
        let without_hope = self.without_hope.fetch_add(1, SeqCst) + 1;
        if without_hope >= self.slots && !self.proven.load(SeqCst) {
            self.hopeless.store(true, SeqCst);
            self.drain.cancel();
        }
    }

    /// Whether everything was given up.
    pub(super) fn is_hopeless(&self) -> bool {
        self.hopeless.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_slots() -> Outlook {
        Outlook::new(NonZeroU16::new(2).unwrap(), CancellationToken::new())
    }

    fn end_five_times(outlook: &Outlook) {
        (1..=EARLY_ENDS).for_each(|ends| outlook.ended_early(ends));
    }

    #[test]
    fn it_is_hopeless_when_no_slot_has_hope() {
        let outlook = two_slots();
        end_five_times(&outlook);
        assert!(!outlook.is_hopeless());
        end_five_times(&outlook);
        assert!(outlook.is_hopeless() && outlook.drain.is_cancelled());
    }

    #[test]
    fn what_has_worked_once_is_never_given_up() {
        let outlook = two_slots();
        outlook.prove();
        end_five_times(&outlook);
        end_five_times(&outlook);
        assert!(!outlook.is_hopeless() && !outlook.drain.is_cancelled());
    }
}
