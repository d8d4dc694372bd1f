//! How many messages a subscriber may bring, so that they do not take more memory than they may.

use std::num::NonZeroU16;

use cqrs_core::json::Object;

use crate::Incoming;

/// After how many messages the window is looked at.
const LOOK: u32 = 64;

/// The weight of one message in the mean is the reciprocal of this.
const WEIGHT: usize = 16;

/// What a member of a parsed object takes beside its text.
const MEMBER: usize = 96;

/// What a body is taken to be as long as before any has come.
const FIRST: usize = 1024 * 1024;

/// The prefetch that fits the messages that came lately.
#[derive(Debug)]
pub(crate) struct Window {
    most: NonZeroU16,
    budget: usize,
    present: NonZeroU16,
    /// The mean length of a body, of late.
    mean: usize,
    taken: u32,
}

impl Window {
    /// At most so many messages, of so many bytes in all.
    pub(crate) fn new(most: NonZeroU16, budget: usize) -> Self {
        let mut window = Self {
            most,
            budget,
            present: most,
            mean: FIRST,
            taken: 0,
        };
        window.present = window.fitting();
        window
    }

    /// The prefetch to use.
    pub(crate) const fn present(&self) -> NonZeroU16 {
        self.present
    }

    /// A message has come. Answers when another prefetch fits much better.
    pub(crate) fn took(&mut self, body: usize) -> Option<NonZeroU16> {
        self.mean = self.mean - self.mean / WEIGHT + body / WEIGHT;
        self.taken += 1;
        if self.taken < LOOK {
            return None;
        }
        self.taken = 0;
        let (fitting, present) = (self.fitting(), self.present);
        let shrinks = fitting.get() <= present.get() / 2;
        let grows =
            fitting > present && (fitting == self.most || fitting.get() / 2 >= present.get());
        if !shrinks && !grows {
            return None;
        }
        self.present = fitting;
        Some(fitting)
    }

    fn fitting(&self) -> NonZeroU16 {
        let count = self.budget / self.mean.max(1);
        let count = NonZeroU16::new(u16::try_from(count).unwrap_or(u16::MAX));
        count.unwrap_or(NonZeroU16::MIN).min(self.most)
    }
}

/// About how much memory a message takes.
pub(crate) fn cost(message: &Incoming) -> usize {
    let Some(event) = &message.event else {
        return message.body.len();
    };
    let previous = event.previous.as_ref().map_or(0, Object::len);
    2 * message.body.len() + MEMBER * (event.data.len() + previous)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn most() -> NonZeroU16 {
        NonZeroU16::new(1000).unwrap()
    }

    fn changes(window: &mut Window, bodies: impl IntoIterator<Item = usize>) -> Vec<u16> {
        let change = |body| window.took(body).map(NonZeroU16::get);
        bodies.into_iter().filter_map(change).collect()
    }

    #[test]
    fn a_window_fits_what_comes() {
        let mut window = Window::new(most(), 64 * MIB);
        assert_eq!(window.present().get(), 64);
        assert_eq!(changes(&mut window, [500; 640]), [1000]);
        assert_eq!(changes(&mut window, [MIB; 64]).len(), 1);
        assert!((64..70).contains(&window.present().get()));
        // Messages of one size change it no more.
        assert!(changes(&mut window, [MIB - 100; 640]).is_empty());
    }

    #[test]
    fn a_window_is_never_empty_nor_larger_than_the_prefetch() {
        let mut window = Window::new(most(), MIB);
        assert_eq!(window.present().get(), 1);
        assert!(changes(&mut window, [50 * MIB; 64]).is_empty());
        assert_eq!(window.present().get(), 1);
        let few = NonZeroU16::new(10).unwrap();
        assert_eq!(Window::new(few, 64 * MIB).present(), few);
    }
}
