//! Values arrive in the table as they left the master.

use cqrs_replica::{Applied, TableModel};

use super::{
    fixture::{APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::Message,
};

async fn values<F: Fixture>(columns: &str) -> Replica<F> {
    let create = format!("create table val (id integer primary key, {columns}) {{strict}}");
    Replica::new(&[&create], [table("val", TableModel::new("val", "id"))]).await
}

async fn kept<F: Fixture>(column: &str, json: &str, text: &str) {
    let mut replica = values::<F>(&format!("v {column}")).await;
    let answer = replica
        .one(&Message::save("val", "1", 0, &format!("\"v\":{json}")))
        .await;
    assert_eq!(answer, APPLIED, "{json}");
    assert_eq_rows(
        &replica.rows("select cast(v as text) from val").await,
        &[text],
    );
}

pub(super) async fn decimals_keep_every_digit<F: Fixture>() {
    let decimal = "1234567890123456.1234567890";
    kept::<F>("{decimal}", decimal, decimal).await;
}

pub(super) async fn decimals_may_be_strings<F: Fixture>() {
    let decimal = "1234567890123456.1234567890";
    kept::<F>("{decimal}", &format!("\"{decimal}\""), decimal).await;
}

pub(super) async fn base64_becomes_bytes<F: Fixture>() {
    kept::<F>("{bytes}", r#""aGk=""#, F::HI).await;
    kept::<F>("{bytes}", r#""\u0061Gk=""#, F::HI).await;
    kept::<F>("{bytes}", "null", "-").await;
    // Bytes that are no text.
    let mut replica = values::<F>("v {bytes}").await;
    let message = Message::save("val", "1", 0, r#""v":"AP9cXA==""#);
    assert_eq!(replica.one(&message).await, APPLIED);
    let length = replica.rows("select cast(length(v) as text) from val");
    assert_eq_rows(&length.await, &["4"]);
}

pub(super) async fn what_is_not_base64_is_refused<F: Fixture>() {
    let mut replica = values::<F>("v {bytes}").await;
    let good = Message::save("val", "2", 0, r#""v":"aGk=""#);
    let bad = Message::save("val", "1", 0, r#""v":"secret!""#);
    let answers = replica.apply(&[good, bad]).await;
    assert_eq!(answers[0], APPLIED);
    assert!(matches!(answers[1], Applied::Retrying { reason, .. } if reason == "type"));
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(
        error.contains("\"v\"") && error.contains("base64") && !error.contains("secret"),
        "{error}"
    );
}

pub(super) async fn lengths_of_time_arrive<F: Fixture>() {
    kept::<F>("{interval}", r#""P1DT02H03M04.5S""#, F::LENGTH).await;
    kept::<F>("{interval}", r#""-P1DT02H""#, F::NEGATIVE_LENGTH).await;
    // As the form of the outbox writes it.
    kept::<F>("{interval}", r#""-1 days -02:00:00""#, "-1 days -02:00:00").await;
}

pub(super) async fn dates_times_and_uuids_arrive<F: Fixture>() {
    for (column, text) in [
        ("{date}", "2026-01-02"),
        ("{time}", "03:04:05.678901"),
        ("{uuid}", "0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11"),
    ] {
        kept::<F>(column, &format!("\"{text}\""), text).await;
    }
    for (json, text) in [
        // As chrono writes it, and as Django does.
        ("2026-01-02T03:04:05.678901Z", F::MOMENTS[0]),
        ("2026-01-02 03:04:05.678901+00:00", F::MOMENTS[1]),
    ] {
        let mut replica = values::<F>("v {moment}").await;
        let message = Message::save("val", "1", 0, &format!("\"v\":\"{json}\""));
        assert_eq!(replica.one(&message).await, APPLIED);
        assert_eq_rows(&replica.rows(F::MOMENT).await, &[text]);
    }
}

pub(super) async fn integers_beyond_64_bits_keep_every_digit<F: Fixture>() {
    kept::<F>(
        "{wide}",
        "1208925819614629174706176",
        "1208925819614629174706176",
    )
    .await;
}

pub(super) async fn text_is_any_unicode<F: Fixture>() {
    kept::<F>(
        "text",
        r#""n\/a \u00e9 \ud83d\ude00 ☃ \u202e\t'""#,
        "n/a é 😀 ☃ \u{202e}\t'",
    )
    .await;
}

pub(super) async fn booleans_arrive<F: Fixture>() {
    kept::<F>("{boolean}", "true", F::TRUE).await;
}

pub(super) async fn nested_values_stay_json<F: Fixture>() {
    kept::<F>(
        "{json_text}",
        r#"{"b":[1,{"c":null}],"a":1.10}"#,
        r#"{"b":[1,{"c":null}],"a":1.10}"#,
    )
    .await;
}

pub(super) async fn a_float_that_is_no_number_arrives<F: Fixture>() {
    kept::<F>("{float}", "NaN", F::NAN).await;
}

pub(super) async fn large_integers_arrive<F: Fixture>() {
    kept::<F>("{bigint}", "9223372036854775807", "9223372036854775807").await;
    kept::<F>("{bigint}", "-9223372036854775808", "-9223372036854775808").await;
}
