//! Values arrive in the table as they left the master.

use cqrs_replica::TableModel;

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
