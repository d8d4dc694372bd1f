use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Held<L: Length>(#[serde(with = "super")] L);

fn json<L: Length>(length: L) -> String {
    serde_json::to_string(&Held(length)).unwrap()
}

fn held<L: Length>(json: &str) -> Result<L, String> {
    serde_json::from_str::<Held<L>>(json)
        .map(|held| held.0)
        .map_err(|error| error.to_string())
}

#[test]
fn lengths_are_written_as_django_and_postgres_read_them() {
    for (millis, text) in [
        (0, "P0DT00H00M00S"),
        (1_500, "P0DT00H00M01.500000S"),
        (93_784_000, "P1DT02H03M04S"),
        (-1_500, "-0 days -00:00:01.500000"),
        (-93_784_000, "-1 days -02:03:04"),
    ] {
        let length = TimeDelta::milliseconds(millis);
        assert_eq!(format(length), text);
        assert_eq!(parse(text), Some(length), "{text}");
    }
}

#[test]
fn lengths_are_read_as_others_write_them() {
    for (text, seconds) in [
        ("P1DT02H03M04.000000S", 93_784),
        ("P1D", 86_400),
        ("PT1.5M", 90),
        ("PT0,5H", 1_800),
        ("-P1DT02H03M04S", -93_784),
        ("P-1DT-2H-3M-4S", -93_784),
        ("+PT1S", 1),
        ("1 02:03:04", 93_784),
        ("-1 21:56:56", -7_384),
        ("1 day, 2:03:04", 93_784),
        ("-1 day, 21:56:56", -7_384),
        ("-1 days +21:56:56", -7_384),
        ("3 days", 259_200),
        ("100:00:00", 360_000),
    ] {
        assert_eq!(parse(text), Some(TimeDelta::seconds(seconds)), "{text}");
    }
}

#[test]
fn only_what_the_wire_has_is_summed_up() {
    for (text, summed_up) in [
        ("P0DT48H00M00S", Some("P2DT00H00M00S")),
        ("-1 days +02:03:05", Some("-0 days -21:56:55")),
        ("1 days -02:00:00", Some("P0DT22H00M00S")),
        ("-2 days -00:00:00", Some("-2 days -00:00:00")),
        ("P1DT02H03M04.500000S", Some("P1DT02H03M04.500000S")),
        ("02:03:04", None),
        ("3 days", None),
        ("2 mons 3 days 04:00:00", None),
        ("Paul", None),
    ] {
        assert_eq!(summed(text).as_deref(), summed_up, "{text}");
    }
}

#[test]
fn what_is_no_length_is_refused() {
    for text in [
        "",
        "P",
        "PT",
        "P1DT",
        "P1Y",
        "P1M",
        "P1W",
        "1 mon",
        "1",
        "1:2",
        "PT1H1H",
        "PT1S1M",
        "P1D1H",
        "PT1.S",
        "PT.5S",
        "PTxS",
        "--1:00:00",
        "P1.5e3D",
        "PT1\u{661}S",
        "1 week 00:00:00",
        "P999999999999999999999D",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
    let negative = held::<Duration>(r#""-PT1S""#).unwrap_err();
    assert!(negative.contains("never negative"), "{negative}");
    assert!(held::<TimeDelta>(r#""P99999999999999999999D""#).is_err());
    assert!(held::<Duration>("null").unwrap_err().contains(NULL));
    assert_eq!(held::<Option<Duration>>("null"), Ok(None));
    assert_eq!(json(None::<TimeDelta>), "null");
}

#[test]
fn what_is_below_a_microsecond_is_cut_off() {
    assert_eq!(
        json(Duration::from_nanos(1_999)),
        r#""P0DT00H00M00.000001S""#
    );
    assert_eq!(
        json(TimeDelta::nanoseconds(-1_999)),
        r#""-0 days -00:00:00.000001""#
    );
}

proptest! {
    #[test]
    fn lengths_come_back(seconds: u64, micros in 0_u64..1_000_000, delta: i64) {
        let length = Duration::from_secs(seconds) + Duration::from_micros(micros);
        prop_assert_eq!(held(&json(length)), Ok(length));
        prop_assert_eq!(held(&json(Some(length))), Ok(Some(length)));
        let delta = TimeDelta::microseconds(delta);
        prop_assert_eq!(held(&json(delta)), Ok(delta));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[-+]?P?[-0-9DTHMS.,: ]{0,60}( days?)?") {
        let _ = held::<TimeDelta>(&serde_json::to_string(&text).unwrap());
        let _ = held::<Duration>(&serde_json::to_string(&text).unwrap());
    }
}
