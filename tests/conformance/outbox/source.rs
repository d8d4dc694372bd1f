//! A row read from its table has the form that the application's own code would have given it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use cqrs_core::{StoreError, database::checked};
use cqrs_outbox::{
    form,
    source::{Source, SourceModel},
};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use uuid::Uuid;

/// What a service would make of a row.
#[derive(Serialize)]
struct Kinds {
    id: i64,
    at: DateTime<Utc>,
    half: DateTime<Utc>,
    whole: DateTime<Utc>,
    naive: NaiveDateTime,
    day: NaiveDate,
    clock: NaiveTime,
    #[serde(with = "form::duration")]
    length: Duration,
    #[serde(with = "form::duration")]
    ago: TimeDelta,
    #[serde(with = "form::bytes")]
    photo: Vec<u8>,
    uid: Uuid,
    truth: bool,
    real: f64,
    doc: Value,
    name: String,
    nil: Option<i32>,
}

fn kinds() -> Kinds {
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    Kinds {
        id: 7,
        at: time("2026-01-02T03:04:05.678901Z"),
        half: time("2026-01-02T03:04:05.5Z"),
        whole: time("2026-01-02T03:04:05Z"),
        naive: "2026-01-02T03:04:05.5".parse().unwrap(),
        day: "2026-01-02".parse().unwrap(),
        clock: "03:04:05.25".parse().unwrap(),
        length: Duration::from_millis(93_784_500),
        ago: TimeDelta::milliseconds(-93_784_500),
        photo: (0..=255).collect(),
        uid: Uuid::from_u128(5),
        truth: true,
        real: 1.25,
        doc: json!({"a": [1, {"b": null}], "t": "line\nbreak"}),
        name: "n/a é \"q\" \\ 'x' \u{1}".to_owned(),
        nil: None,
    }
}

fn model(table: &str, key: &[&str]) -> SourceModel {
    let key = key.iter().map(|&name| name.to_owned()).collect();
    SourceModel::new("kinds".parse().unwrap(), table, key)
}

fn read(source: &Source, of: impl Fn(&str) -> String) -> Arc<str> {
    format!("select {} from {} as t", of("t"), source.table()).into()
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn postgres_gives_rows_the_form_of_the_application() {
    let database = cqrs_tests::postgres::TestDatabase::create().await.unwrap();
    let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
    // Nothing depends on the session.
    connection
        .execute(
            "set timezone = 'Asia/Kolkata'; set datestyle = 'german'; set intervalstyle = 'sql_standard';
             set bytea_output = 'escape';
             create domain wise as bigint;
             create table kinds (
                 id wise primary key, at timestamptz, half timestamptz, whole timestamptz(0),
                 naive timestamp, day date, clock time, length interval, ago interval, photo bytea,
                 uid uuid, truth boolean, real double precision, doc json, name varchar(50),
                 nil integer)",
        )
        .await
        .unwrap();
    let row = kinds();
    sqlx::query(
        "insert into kinds values ($1, $2, $3, $4, $5, $6, $7,
             interval '1 day 02:03:04.5', interval '-1 day -02:03:04.5', $8, $9, $10, $11, $12, $13)",
    )
    .bind(row.id)
    .bind(row.at)
    .bind(row.half)
    .bind(row.whole)
    .bind(row.naive)
    .bind(row.day)
    .bind(row.clock)
    .bind(&row.photo)
    .bind(row.uid)
    .bind(row.truth)
    .bind(row.real)
    .bind(&row.doc)
    .bind(&row.name)
    .execute(&mut connection)
    .await
    .unwrap();
    let source = Source::in_postgres(&mut connection, model("kinds", &["id"]));
    let source = source.await.unwrap();
    let sql = read(&source, |alias| source.row_json(alias));
    let text: String = sqlx::query_scalar(checked(&sql))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found, serde_json::to_value(&row).unwrap());
    assert!(!text.contains('\n'));
    let key = read(&source, |alias| {
        format!(
            "{} || ' ' || {}",
            source.key_json(alias),
            source.instance_pk(alias)
        )
    });
    let key: String = sqlx::query_scalar(checked(&key))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(key, "7 7");
}

#[cfg(feature = "servers")]
#[tokio::test]
async fn postgres_gives_what_has_no_form_in_its_own_words() {
    let database = cqrs_tests::postgres::TestDatabase::create().await.unwrap();
    let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
    let table = "create table odd (a uuid, b text, at timestamptz, days date, numeric numeric, float float8,
                    months interval, list integer[], primary key (b, a));
                 insert into odd values ('00000000-0000-0000-0000-000000000005', E'x\"\\n', 'infinity',
                    '0044-03-15 BC', 12345678901234567890.12300, 'NaN', '1 year 2 months', '{1,2}')";
    connection.execute(table).await.unwrap();
    let source = Source::in_postgres(&mut connection, model("odd", &["b", "a"]));
    let source = source.await.unwrap();
    let sql = read(&source, |alias| {
        format!("{} || {}", source.key_json(alias), source.row_json(alias))
    });
    let text: String = sqlx::query_scalar(checked(&sql))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        text,
        "[\"x\\\"\\n\",\"00000000-0000-0000-0000-000000000005\"]\
         {\"a\":\"00000000-0000-0000-0000-000000000005\",\"b\":\"x\\\"\\n\",\"at\":\"infinity\",\
         \"days\":\"0044-03-15 BC\",\"numeric\":12345678901234567890.12300,\"float\":\"NaN\",\
         \"months\":\"1 year 2 mons\",\"list\":[1,2]}"
    );
}

/// Each in a form that Django reads, and that gives the same days and hours back.
#[cfg(feature = "servers")]
#[tokio::test]
async fn postgres_keeps_days_and_hours_apart() {
    let database = cqrs_tests::postgres::TestDatabase::create().await.unwrap();
    let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
    connection
        .execute("create table odd (id integer primary key, length interval)")
        .await
        .unwrap();
    let source = Source::in_postgres(&mut connection, model("odd", &["id"]));
    let source = source.await.unwrap();
    let length = read(&source, |alias| {
        source.field_json(&source.fields()[1], alias)
    });
    for (value, form) in [
        ("0", "P0DT00H00M00S"),
        ("48:00:00", "P0DT48H00M00S"),
        ("2 days", "P2DT00H00M00S"),
        ("-1 days +02:03:05", "-1 days +02:03:05"),
        ("1 days -02:03:05.5", "1 days -02:03:05.500000"),
        ("-00:00:00.000001", "-0 days -00:00:00.000001"),
        ("-2 days", "-2 days -00:00:00"),
        ("2562047788:00:54.775807", "P0DT2562047788H00M54.775807S"),
        (
            "-2147483647 days -2562047788:00:54.775807",
            "-2147483647 days -2562047788:00:54.775807",
        ),
        (
            "1 year -2 mons +3 days -04:05:06",
            "10 mons 3 days -04:05:06",
        ),
        ("178000000 years", "178000000 years"),
    ] {
        sqlx::query("truncate odd")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("insert into odd values (1, $1::text::interval)")
            .bind(value)
            .execute(&mut connection)
            .await
            .unwrap();
        let found: String = sqlx::query_scalar(checked(&length))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(found, format!("{form:?}"), "{value}");
        let same: bool = sqlx::query_scalar("select length::text = $1::interval::text from odd")
            .bind(form)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(same, "{value}");
    }
}

/// The last day is a day like any, and money is not written as the session's country does.
#[cfg(feature = "servers")]
#[tokio::test]
async fn postgres_gives_the_last_day_and_money_in_one_form() {
    let database = cqrs_tests::postgres::TestDatabase::create().await.unwrap();
    let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
    let table =
        "create table odd (id integer primary key, at timestamptz, local timestamp, day date,
                    later date, price money);
                 insert into odd values (1, '9999-12-31 23:59:59.5+00', '9999-12-31 23:59:59',
                    '9999-12-31', '10000-01-01', '-1234567.8')";
    connection.execute(table).await.unwrap();
    let source = Source::in_postgres(&mut connection, model("odd", &["id"]));
    let source = source.await.unwrap();
    let sql = read(&source, |alias| source.row_json(alias));
    let text: String = sqlx::query_scalar(checked(&sql))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        text,
        "{\"id\":1,\"at\":\"9999-12-31T23:59:59.500Z\",\"local\":\"9999-12-31T23:59:59\",\
         \"day\":\"9999-12-31\",\"later\":\"10000-01-01\",\"price\":\"-1234567.80\"}"
    );
}

#[tokio::test]
async fn sqlite_gives_rows_the_form_of_the_application() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    connection
        .execute(
            "create table kinds (
                 id integer primary key, at datetime, half timestamp, whole datetime, naive datetime,
                 day date, clock time, length text, ago text, photo blob, uid uuid, truth boolean,
                 real real, doc json, name text, nil integer)",
        )
        .await
        .unwrap();
    let row = kinds();
    sqlx::query(
        "insert into kinds values (?, ?, ?, ?, ?, ?, ?,
             'P1DT02H03M04.500000S', '-1 days -02:03:04.500000', ?, ?, ?, ?, ?, ?, null)",
    )
    .bind(row.id)
    .bind(row.at)
    .bind(row.half)
    .bind(row.whole)
    // sqlx writes a blank between date and time.
    .bind("2026-01-02T03:04:05.500")
    .bind(row.day)
    .bind("03:04:05.250")
    .bind(&row.photo)
    .bind(row.uid)
    .bind(row.truth)
    .bind(row.real)
    .bind(&row.doc)
    .bind(&row.name)
    .execute(&mut connection)
    .await
    .unwrap();
    let source = Source::in_sqlite(&mut connection, model("kinds", &["id"]));
    let source = source.await.unwrap();
    let sql = read(&source, |alias| source.row_json(alias));
    let text: String = sqlx::query_scalar(checked(&sql))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found, serde_json::to_value(&row).unwrap());
}

#[tokio::test]
async fn sqlite_writes_base64_of_any_length() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    connection
        .execute("create table kinds (id integer primary key, photo blob)")
        .await
        .unwrap();
    let source = Source::in_sqlite(&mut connection, model("kinds", &["id"]));
    let source = source.await.unwrap();
    let sql = read(&source, |alias| source.row_json(alias));
    for length in 0..=10_u8 {
        let photo: Vec<u8> = (0..length).map(|byte| 255 - 21 * byte).collect();
        sqlx::query("insert or replace into kinds values (1, ?)")
            .bind(&photo)
            .execute(&mut connection)
            .await
            .unwrap();
        let text: String = sqlx::query_scalar(checked(&sql))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let found: Value = serde_json::from_str(&text).unwrap();
        let written = found["photo"].as_str().unwrap();
        assert_eq!(form::bytes::decode(written).unwrap(), photo);
    }
}

#[tokio::test]
async fn sqlite_writes_numbers_with_all_their_digits() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    connection
        .execute("create table kinds (id integer primary key, real real)")
        .await
        .unwrap();
    let source = Source::in_sqlite(&mut connection, model("kinds", &["id"]));
    let source = source.await.unwrap();
    let sql = read(&source, |alias| source.row_json(alias));
    for (real, json) in [
        (0.5, "0.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (0.123_456_789_012_345_6, "0.1234567890123456"),
        (f64::INFINITY, "\"Infinity\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
        (f64::MAX, "1.7976931348623157e+308"),
        (-1e-7, "-1.0e-07"),
    ] {
        sqlx::query("insert or replace into kinds values (1, ?)")
            .bind(real)
            .execute(&mut connection)
            .await
            .unwrap();
        let text: String = sqlx::query_scalar(checked(&sql))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(text, format!("{{\"id\":1,\"real\":{json}}}"));
        serde_json::from_str::<Value>(&text).unwrap();
    }
}

#[tokio::test]
async fn all_that_does_not_fit_is_told_at_once() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    connection
        .execute("create table account (id integer, name text)")
        .await
        .unwrap();
    let fields = vec![("full".to_owned(), "nmae".to_owned())];
    let model = model("account", &["id"])
        .with_fields(fields)
        .with_filter(r#"{"closed": null}"#.parse().unwrap());
    let error = Source::in_sqlite(&mut connection, model).await.unwrap_err();
    let StoreError::Schema { problem, .. } = error else {
        panic!("{error}");
    };
    for part in ["\"nmae\"", "no unique index on (id)", "\"closed\""] {
        assert!(problem.contains(part), "{problem}");
    }
}
