//! A time to live, in the form that `cqrs.toml` has for lengths of time.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// What an event may have at most.
const MAX: Duration = Duration::from_hours(100 * 366 * 24);

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let length = length(text)
        .ok_or_else(|| format!("{text:?} is no length of time: write `90s`, `15m` or `1d`"))?;
    if length.is_zero() || length > MAX {
        return Err(format!(
            "a time to live of {text} is out of range: from 1ms to 36600d, or leave `ttl` out for ever"
        ));
    }
    Ok(length)
}

fn length(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let millis = number.parse::<u64>().ok()?.checked_mul(*millis)?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_unit_and_nothing_else() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
            ("36600d", 3_162_240_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "1",
            "d",
            "-1d",
            "1.5h",
            "1 d",
            "1w",
            "0s",
            "36601d",
            "99999999999999999999d",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
