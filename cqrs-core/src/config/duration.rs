//! Lengths of time as people write them: a whole number and a unit, such as `250ms` or `7d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The length, if the text is one.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(
        number.parse::<u64>().ok()?.checked_mul(*millis)?,
    ))
}

/// The shortest text for a length, to the millisecond.
pub(super) fn format(length: Duration) -> String {
    let total = length.as_millis();
    let unit = UNITS
        .iter()
        .find(|(_, millis)| total.is_multiple_of(u128::from(*millis)));
    match unit {
        Some((name, millis)) if total > 0 => format!("{}{name}", total / u128::from(*millis)),
        _ => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_each_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("2s", 2_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(format(Duration::from_millis(millis)), text);
        }
        assert_eq!(format(Duration::ZERO), "0s");
        assert_eq!(format(Duration::from_hours(48)), "2d");
    }

    #[test]
    fn refuses_what_is_not_a_number_and_a_unit() {
        let too_long = format!("{}d", u64::MAX);
        for text in [
            "", "5", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1S", "1w", "1h30m", "1us", "٣s",
            &too_long,
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(millis in any::<u64>()) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(length)), Some(length));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[0-9]{1,25}(ms|s|m|h|d)") {
            let _ = parse(&text);
        }
    }
}
