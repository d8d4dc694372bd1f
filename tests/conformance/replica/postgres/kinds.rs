//! Kinds of failures that only PostgreSQL knows, or of which it says more.

use cqrs_replica::{Applied, TableModel};

use super::{
    super::{
        fixture::{APPLIED, Fixture, Replica, table},
        message::Message,
        tables::a_key_changes_its_case,
    },
    Database,
};

/// What a table says of a row of it.
async fn error(columns: &str, data: &str, reason: &'static str) -> String {
    let create = format!("create table item (id integer primary key, {columns})");
    let model = table("item", TableModel::new("item", "id"));
    let mut replica = Replica::<Database>::new(&[], [model]).await;
    for sql in [
        "create domain positive as integer check (value > 0)",
        &create,
    ] {
        replica.fixture.execute(sql).await;
    }
    let good = Message::save("item", "1", 0, r#""v":"b","n":1"#);
    assert_eq!(replica.one(&good).await, APPLIED);
    let answer = replica.one(&Message::save("item", "2", 0, data)).await;
    let expected = Applied::Retrying {
        attempts: 1,
        reason,
    };
    assert_eq!(answer, expected);
    let letters = replica.letters().await;
    letters[0].error.clone().unwrap()
}

#[tokio::test]
async fn a_value_that_is_too_long_names_the_column_and_not_the_value() {
    let columns = "v varchar(3), n integer";
    assert_eq!(
        error(columns, r#""v":"secret","n":1"#, "too_long").await,
        "column \"v\" of type character varying(3) is too short for this string"
    );
}

#[tokio::test]
async fn a_check_names_its_columns() {
    let columns = "v text, n integer, constraint small check (n < 10 and v <> '')";
    let error = error(columns, r#""v":"secret","n":77"#, "constraint").await;
    assert!(
        error.contains("\"small\"") && error.contains("on (\"n\", \"v\")"),
        "{error}"
    );
    assert!(
        !error.contains("secret") && !error.contains("77"),
        "{error}"
    );
}

#[tokio::test]
async fn an_exclusion_names_its_columns() {
    let columns = "v text, n integer, exclude using btree (v with =, n with =)";
    let text = error(columns, r#""v":"b","n":1"#, "constraint").await;
    assert!(text.contains("(\"v\", \"n\")"), "{text}");
}

#[tokio::test]
async fn an_index_without_a_constraint_names_its_columns() {
    let create = "create table item (id integer primary key, v text, n integer)";
    let model = table("item", TableModel::new("item", "id"));
    let mut replica = Replica::<Database>::new(&[create], [model]).await;
    replica
        .fixture
        .execute("create unique index one_each on item (lower(v), n)")
        .await;
    let save = |key, v| Message::save("item", key, 0, &format!("\"v\":\"{v}\",\"n\":77"));
    replica.apply(&[save("1", "a"), save("2", "A")]).await;
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(
        error.contains("\"one_each\"") && error.ends_with("on (\"n\")"),
        "{error}"
    );
}

#[tokio::test]
async fn a_check_of_a_type_names_the_column() {
    let columns = "v text, n positive";
    assert_eq!(
        error(columns, r#""v":"a","n":-77"#, "constraint").await,
        "column \"n\" of type positive does not take this number"
    );
}

#[tokio::test]
async fn a_number_too_large_for_its_column_is_a_matter_of_type() {
    let columns = "v text, n numeric(3, 1)";
    assert_eq!(
        error(columns, r#""v":"a","n":12345"#, "type").await,
        "column \"n\" of type numeric(3,1) does not take this number"
    );
}

/// A collation of one's own may do what `citext` does.
#[tokio::test]
async fn a_key_changes_its_case_under_a_collation_that_ignores_it() {
    let collation = "create collation caseless
        (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    let create = "create table person (email text collate caseless primary key, v integer)";
    a_key_changes_its_case::<Database>(&[collation, create]).await;
    let create = "create table person (email mail primary key, v integer)";
    let domain = "create domain mail as text collate caseless";
    a_key_changes_its_case::<Database>(&[collation, domain, create]).await;
}
