//! The date forms of the wire.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Timelike, Utc};

/// `cqrs_updated`: Python's `str(datetime)`, `2026-01-02 03:04:05.678901+00:00`, in which a fraction
/// of zero is left out.
#[must_use]
pub fn format_updated(time: DateTime<Utc>) -> String {
    let form = if (time.nanosecond() / 1000).is_multiple_of(1_000_000) {
        "%Y-%m-%d %H:%M:%S+00:00"
    } else {
        "%Y-%m-%d %H:%M:%S%.6f+00:00"
    };
    time.format(form).to_string()
}

/// `expires`: Python's `isoformat()` of whole seconds, `2026-01-02T03:04:05+00:00`.
#[must_use]
pub fn format_expires(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// Reads either form, with any offset, with `Z`, or with none (`USE_TZ=False`), which is taken as
/// UTC; also a date alone.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    // `+0000` and `+00` are the spellings of databases.
    for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(time.with_timezone(&Utc));
        }
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            return Some(time.and_utc());
        }
    }
    let date: NaiveDate = text.parse().ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_the_forms_of_django() {
        let time = parse_timestamp("2026-01-02T03:04:05.678901Z").unwrap();
        assert_eq!(format_updated(time), "2026-01-02 03:04:05.678901+00:00");
        assert_eq!(format_expires(time), "2026-01-02T03:04:05+00:00");
        let whole = parse_timestamp("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(format_updated(whole), "2026-01-02 03:04:05+00:00");
    }

    #[test]
    fn reads_every_spelling() {
        let time = parse_timestamp("2026-01-02T03:04:05.5+00:00").unwrap();
        for text in [
            "2026-01-02 03:04:05.500000+00:00",
            "2026-01-02T05:04:05.5+02:00",
            "2026-01-02 03:04:05.500",
            "2026-01-02T03:04:05.5",
            "2026-01-02 03:04:05.5+0000",
            "2026-01-02 03:04:05.5+00",
        ] {
            assert_eq!(parse_timestamp(text), Some(time), "{text}");
        }
        assert!(parse_timestamp("2026-01-02").is_some());
        for text in ["", "soon", "2026-13-01 00:00:00", "1767323045"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 0_i64..4_102_444_800_000_000) {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(parse_timestamp(&format_updated(time)), Some(time));
        }
    }
}
