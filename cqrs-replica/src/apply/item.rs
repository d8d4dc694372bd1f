//! One message in hand: delivered, or taken out of a letter.

use chrono::{DateTime, Timelike, Utc};
use cqrs_core::Event;

use crate::{Applied, Incoming, letter::TakenLetter, rules::Facts};

/// A message to judge.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Delivered(&'a Incoming),
    Letter(Box<TakenLetter>),
}

/// A message that has been dealt with.
#[derive(Debug)]
pub(super) struct Done<'a> {
    pub(super) item: Item<'a>,
    pub(super) applied: Applied,
    /// Whether it was kept already, and nothing was done about it.
    pub(super) kept_before: bool,
    /// Whether its model needs every revision.
    pub(super) in_step: bool,
    /// Whether its transaction has made letters due that waited for rows.
    pub(super) woke: bool,
    /// What went wrong, in words.
    pub(super) error: Option<String>,
}

impl Item<'_> {
    pub(super) const fn incoming(&self) -> &Incoming {
        match self {
            Self::Delivered(incoming) => incoming,
            Self::Letter(letter) => &letter.incoming,
        }
    }

    pub(super) const fn letter(&self) -> Option<&TakenLetter> {
        match self {
            Self::Delivered(_) => None,
            Self::Letter(letter) => Some(letter),
        }
    }

    /// The event, where it can be applied by anyone.
    pub(super) fn event(&self) -> Option<&Event> {
        // No master counts below 0; the state table has a use for -1.
        self.incoming()
            .event
            .as_deref()
            .filter(|event| event.revision.0 >= 0)
    }

    /// Whether it went to every queue, rather than to one.
    pub(super) fn is_broadcast(&self, event: &Event) -> bool {
        self.incoming().routing_key == event.cqrs_id.as_str()
    }

    pub(super) fn facts(&self, event: &Event) -> Facts {
        Facts {
            signal: event.signal,
            revision: event.revision.0,
            updated: storable_time(event.updated),
            counted: self.incoming().headers.counted,
            forced: self.incoming().headers.forced,
            message_id: self.incoming().message_id,
        }
    }
}

/// A time as every database stores it: in whole microseconds, within four-digit years.
fn storable_time(time: DateTime<Utc>) -> DateTime<Utc> {
    const FIRST: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let last = DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(FIRST);
    let time = time.clamp(FIRST, last);
    time.with_nanosecond(time.nanosecond() / 1000 * 1000)
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_database_stores_are_moved_to_the_nearest_that_is() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let exact = time("2026-01-02T03:04:05.678901Z");
        assert_eq!(storable_time(exact), exact);
        assert_eq!(storable_time(time("2026-01-02T03:04:05.678901999Z")), exact);
        assert_eq!(
            storable_time(DateTime::<Utc>::MIN_UTC),
            DateTime::UNIX_EPOCH
        );
        assert_eq!(
            storable_time(DateTime::<Utc>::MAX_UTC),
            time("9999-12-31T23:59:59Z")
        );
        assert_eq!(
            storable_time(time("3026-01-02T03:04:05.678901Z")).timestamp_subsec_micros(),
            678_901
        );
    }
}
