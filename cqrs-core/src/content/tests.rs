use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn hash(json: &str) -> ContentHash {
    ContentHasher::new().hash(json).unwrap()
}

/// The hash of one member's value.
fn of(value: &str) -> ContentHash {
    hash(&format!("{{\"a\":{value}}}"))
}

#[test]
fn the_form_does_not_count() {
    for same in [
        &["1.50", "1.5", "15e-1", "0.15E+1", "150e-2"][..],
        &["0", "-0", "0.000", "0e7"],
        &["100", "1e2", "100.0"],
        &["1208925819614629174706176", "1208925819614629174706176.0"],
        &[r#""n/a \u00e9""#, r#""n\/a é""#],
        &[
            r#""2026-01-02T03:04:05.5Z""#,
            r#""2026-01-02 03:04:05.500000+00:00""#,
            r#""2026-01-02T05:04:05.5+02:00""#,
            r#""2026-01-02 03:04:05.5""#,
            r#""2026-01-02 03:04:05.5+00""#,
        ],
        &[
            r#"{"x": 1.0, "y": ["2026-01-02T03:04:05Z"]}"#,
            r#"{"y":["2026-01-02 03:04:05"],"x":1}"#,
        ],
        &[r#"{"x":2}"#, r#"{"x":1,"x":2}"#],
    ] {
        for text in same {
            assert_eq!(of(text), of(same[0]), "{text}");
        }
    }
    let one = r#"{"id":1,"name":"x","cqrs_revision":3,"cqrs_updated":"2026-01-02 03:04:05"}"#;
    assert_eq!(hash(one), hash(" { \"name\" : \"x\" ,\n\"id\" : 1 } "));
}

#[test]
fn the_value_counts() {
    let values = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "10",
        "1.5",
        "\"\"",
        "\"1\"",
        "\"null\"",
        "[]",
        "[1]",
        "[[1]]",
        "[1,0]",
        "[10]",
        "{}",
        "{\"b\":1}",
        "{\"b\":[1]}",
        "1e400",
        "1e401",
        "1e99999999999999999999",
        "1e99999999999999999998",
        "12345678901234567890.1",
        "12345678901234567890.2",
        "\"2026-01-02\"",
        "\"2026-01-02T00:00:00Z\"",
        "\"2026-01-02T00:00:00.000000001Z\"",
        "\"03:04:05\"",
        "\"QUJD\"",
        "\"qUJD\"",
        "\"2026-13-02T00:00:00Z\"",
    ];
    let hashes: BTreeSet<_> = values.iter().map(|value| of(value)).collect();
    assert_eq!(hashes.len(), values.len());
    assert_ne!(hash("{}"), of("null"));
    assert_ne!(hash(r#"{"a":1,"b":2}"#), hash(r#"{"a":2,"b":1}"#));
}

#[test]
fn fields_can_be_chosen() {
    let chosen = BTreeSet::from(["id".to_owned(), "name".to_owned()]);
    let mut hasher = ContentHasher::of_fields(chosen);
    let all = hasher
        .hash(r#"{"id":1,"secret":{"id":2},"name":"x"}"#)
        .unwrap();
    assert_eq!(all, hash(r#"{"id":1,"name":"x"}"#));
    // `id` is chosen at the top, not below.
    let nested = hasher.hash(r#"{"id":{"other":1}}"#).unwrap();
    assert_eq!(nested, hash(r#"{"id":{"other":1}}"#));
}

#[test]
fn deep_values_cost_no_stack() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(of(&deep("1")), of(&deep("1")));
    assert_ne!(of(&deep("1")), of(&deep("2")));
    assert_ne!(of(&deep("\"]\"")), of(&deep("\"[\"")));
}

#[test]
fn what_is_no_object_is_refused_with_its_place() {
    for (text, at) in [
        ("", 0),
        ("[1]", 0),
        ("{\"a\":1", 6),
        ("{\"a\":1}x", 7),
        ("{\"a\":nul}", 5),
        ("{\"a\" 1}", 5),
        ("{\"a\":1,}", 7),
        ("{\"a\":-}", 6),
        ("{\"a\":\"x\\", 9),
    ] {
        assert_eq!(
            ContentHasher::new().hash(text),
            Err(ContentError { at }),
            "{text}"
        );
    }
    for text in [
        "",
        "af",
        "+0000000000000000000000000000000",
        "g0000000000000000000000000000000",
    ] {
        assert_eq!(text.parse::<ContentHash>(), Err(NoContentHash));
    }
}

#[test]
fn a_lone_surrogate_is_what_the_replica_made_of_it() {
    assert_eq!(of(r#""\ud83d""#), of("\"\u{fffd}\""));
}

/// A million rows in seconds: this is a thousandth of that allowance, in a debug build.
#[test]
fn ten_thousand_rows_take_no_time() {
    let row = r#"{"id":12345,"name":"A name of middling length","status":"active","created":"2026-01-02T03:04:05.678901Z","balance":"1234.50","note":null,"flag":true}"#;
    let mut hasher = ContentHasher::new();
    let begun = Instant::now();
    for _ in 0..10_000 {
        assert_eq!(hasher.hash(row).unwrap(), hash(row));
    }
    let taken = begun.elapsed();
    assert!(taken.as_secs() < 10, "{taken:?}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-50_i64..50).prop_map(Value::from),
        "[a-z\"\\\\é\u{1F600}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Writes a value in another form.
fn otherwise(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(otherwise).collect();
            format!("[ {} ]", items.join(" ,\n"))
        }
        Value::Object(members) => {
            let members = members.iter().rev();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{} :\t{}", otherwise(&json!(name)), otherwise(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::String(text) => {
            let units: Vec<_> = text
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            format!("\"{}\"", units.concat())
        }
        Value::Number(number) => format!("{number}000.00e-3"),
        other => other.to_string(),
    }
}

#[test]
fn lengths_of_time_are_compared_as_their_sums() {
    assert_eq!(of(r#""P0DT48H00M00S""#), of(r#""P2DT00H00M00S""#));
    assert_eq!(of(r#""-1 days +02:03:05""#), of(r#""-0 days -21:56:55""#));
    assert_ne!(of(r#""P0DT48H00M00S""#), of(r#""P2DT00H00M01S""#));
    assert_ne!(of(r#""02:03:04""#), of(r#""P0DT02H03M04S""#));
}

proptest! {
    #[test]
    fn equal_values_hash_equal_and_others_do_not(one in value(), other in value()) {
        prop_assert_eq!(of(&one.to_string()), of(&otherwise(&one)));
        prop_assert_eq!(one == other, of(&one.to_string()) == of(&other.to_string()));
    }

    #[test]
    fn numbers_are_compared_by_value(digits in "[1-9][0-9]{0,30}", zeros in 0_usize..5, shift in 0_usize..40) {
        let plain = format!("{digits}.{}", "0".repeat(zeros + 1));
        let shifted = format!("{digits}{}e-{shift}", "0".repeat(shift));
        prop_assert_eq!(of(&plain), of(&shifted));
        let longer = format!("{digits}.{}1", "0".repeat(zeros));
        prop_assert_ne!(of(&plain), of(&longer));
    }

    #[test]
    fn the_hex_form_round_trips(bits: u128) {
        let hash = ContentHash(bits);
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn no_text_panics(text in "[{}\\[\\],:\"\\\\a-e0-9.+\\-ué ]{0,40}") {
        let _ = ContentHasher::new().hash(&text);
        let members: Map<String, Value> = Map::from_iter([("a".to_owned(), json!(text))]);
        prop_assert!(ContentHasher::new().hash(&Value::Object(members).to_string()).is_ok());
    }
}
