//! Lengths of time as ISO 8601 text, `P1DT02H03M04.500000S`: what Django's `DurationField` reads and
//! writes, and `PostgreSQL`'s `interval` reads. To the microsecond, like both; what is below is cut
//! off.
//!
//! ISO has no negative lengths. Django writes `-P1DT02H00M00S`, which `PostgreSQL` refuses, and
//! `PostgreSQL` `P-1DT-2H`, which Django refuses; so a negative length is written as both understand
//! it, `-1 days -02:00:00`. All of these are read, and Python's `1 day, 2:03:04`.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

const MICROS: i128 = 1_000_000;
const MINUTE: i128 = 60 * MICROS;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;

/// Writes a length of time.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<L: Length, S: Serializer>(length: &L, serializer: S) -> Result<S::Ok, S::Error> {
    match length.micros() {
        Some(micros) => serializer.serialize_str(&written(micros)),
        None => serializer.serialize_none(),
    }
}

/// Reads a length of time.
///
/// # Errors
/// Text that is none, that has months or years, or that the type has no room for: a negative one in
/// [`std::time::Duration`].
pub fn deserialize<'de, L: Length, D: Deserializer<'de>>(deserializer: D) -> Result<L, D::Error> {
    let micros = match Option::<String>::deserialize(deserializer)? {
        None => None,
        Some(text) => Some(read(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is no length of time in ISO 8601, such as P1DT02H03M04.5S"
            ))
        })?),
    };
    L::from_micros(micros).map_err(D::Error::custom)
}

/// A length of time as text.
#[must_use]
pub fn format(length: TimeDelta) -> String {
    written(micros(length))
}

/// The length of time of a text; `None` if it is none.
#[must_use]
pub fn parse(text: &str) -> Option<TimeDelta> {
    delta(read(text)?)
}

/// A length of time on the wire as [`format`] writes one that is as long; `None` if it is not written as on the
/// wire. There a database's hours may be more than 24, or have another sign than the days.
pub(crate) fn summed(text: &str) -> Option<String> {
    let on_the_wire = text.len() <= 64 && (text.starts_with('P') || text.contains(" days "));
    on_the_wire.then(|| read(text)).flatten().map(written)
}

/// What is written as a length of time: [`std::time::Duration`], [`TimeDelta`], and an `Option` of
/// these. Sealed.
pub trait Length: sealed::Length {}

mod sealed {
    pub trait Length: Sized {
        fn micros(&self) -> Option<i128>;
        fn from_micros(micros: Option<i128>) -> Result<Self, &'static str>;
    }
}

const NULL: &str = "null is no length of time: make the field an Option";

impl Length for Duration {}

impl sealed::Length for Duration {
    fn micros(&self) -> Option<i128> {
        Some(i128::from(self.as_secs()) * MICROS + i128::from(self.subsec_micros()))
    }

    fn from_micros(micros: Option<i128>) -> Result<Self, &'static str> {
        let micros = micros.ok_or(NULL)?;
        if micros < 0 {
            return Err("a std Duration is never negative: use chrono's TimeDelta");
        }
        let seconds = u64::try_from(micros / MICROS).map_err(|_| "the length is too long")?;
        let micros = u64::try_from(micros % MICROS).unwrap_or_default();
        Ok(Self::from_secs(seconds) + Self::from_micros(micros))
    }
}

impl Length for TimeDelta {}

impl sealed::Length for TimeDelta {
    fn micros(&self) -> Option<i128> {
        Some(micros(*self))
    }

    fn from_micros(micros: Option<i128>) -> Result<Self, &'static str> {
        delta(micros.ok_or(NULL)?).ok_or("the length is too long")
    }
}

impl<L: Length> Length for Option<L> {}

impl<L: Length> sealed::Length for Option<L> {
    fn micros(&self) -> Option<i128> {
        self.as_ref().and_then(L::micros)
    }

    fn from_micros(micros: Option<i128>) -> Result<Self, &'static str> {
        micros
            .map(|micros| L::from_micros(Some(micros)))
            .transpose()
    }
}

fn micros(delta: TimeDelta) -> i128 {
    i128::from(delta.num_seconds()) * MICROS + i128::from(delta.subsec_nanos() / 1000)
}

fn delta(micros: i128) -> Option<TimeDelta> {
    let seconds = i64::try_from(micros.div_euclid(MICROS)).ok()?;
    let nanos = u32::try_from(micros.rem_euclid(MICROS) * 1000).ok()?;
    TimeDelta::new(seconds, nanos)
}

fn written(micros: i128) -> String {
    let length = micros.abs();
    let (days, hours) = (length / DAY, length % DAY / HOUR);
    let (minutes, seconds) = (length % HOUR / MINUTE, length % MINUTE / MICROS);
    let fraction = match length % MICROS {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    if micros < 0 {
        format!("-{days} days -{hours:02}:{minutes:02}:{seconds:02}{fraction}")
    } else {
        format!("P{days}DT{hours:02}H{minutes:02}M{seconds:02}{fraction}S")
    }
}

fn read(text: &str) -> Option<i128> {
    let (sign, rest) = signed(text);
    match rest.strip_prefix('P') {
        Some(iso) => Some(sign * read_iso(iso)?),
        None => read_clock(text),
    }
}

/// `1DT2H3M4.5S`, of which each part may be missing or negative.
fn read_iso(text: &str) -> Option<i128> {
    let (days, time) = match text.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    let mut add = |rest: &mut &str, unit: char, length: i128| {
        if let Some((number, after)) = rest.split_once(unit) {
            let (sign, number) = signed(number);
            total = total.checked_add(sign * scaled(number, length)?)?;
            *rest = after;
        }
        Some(())
    };
    let (mut days, mut time) = (days, time);
    add(&mut days, 'D', DAY)?;
    add(&mut time, 'H', HOUR)?;
    add(&mut time, 'M', MINUTE)?;
    add(&mut time, 'S', MICROS)?;
    (days.is_empty() && time.is_empty()).then_some(total)
}

/// `1 02:03:04.5`, `1 day, 2:03:04`, `-1 days -02:03:04`, `3 days`, `02:03:04`.
fn read_clock(text: &str) -> Option<i128> {
    let (days, clock) = match text.split_once(' ') {
        None => ("0", text),
        Some((days, clock)) => {
            let clock = ["days", "day"]
                .iter()
                .find_map(|word| clock.strip_prefix(word))
                .map_or(clock, |rest| rest.strip_prefix(',').unwrap_or(rest));
            (days, clock.trim_start())
        }
    };
    let (sign, number) = signed(days);
    let days = sign * whole(number)?.checked_mul(DAY)?;
    if clock.is_empty() {
        return text.contains("day").then_some(days);
    }
    let (sign, clock) = signed(clock);
    let (hours, rest) = clock.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let clock = whole(hours)?
        .checked_mul(HOUR)?
        .checked_add(scaled(minutes, MINUTE)?)?
        .checked_add(scaled(seconds, MICROS)?)?;
    days.checked_add(sign * clock)
}

fn signed(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A decimal number of units, in microseconds.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (units, fraction) = match number.split_once(['.', ',']) {
        None => (number, "0"),
        Some((units, fraction)) => (units, fraction),
    };
    let total = whole(units)?.checked_mul(unit)?;
    // Further digits are far below a microsecond.
    let digits = fraction.get(..fraction.len().min(15))?;
    let part = whole(digits)? * unit / 10_i128.pow(u32::try_from(digits.len()).ok()?);
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    total.checked_add(part)
}

fn whole(digits: &str) -> Option<i128> {
    // Twenty digits leave room for any unit, and reach beyond both types.
    let known = !digits.is_empty() && digits.len() <= 20;
    (known && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests;
