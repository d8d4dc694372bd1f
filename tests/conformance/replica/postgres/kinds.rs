//! Kinds of failures that only PostgreSQL knows, or of which it says more.

use cqrs_replica::{Applied, Models, ReplicaSession, TableModel};

use super::{
    super::{
        fixture::{APPLIED, Fixture, Replica, assert_eq_rows, table},
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

/// Bytes are bytes under another name too.
#[tokio::test]
async fn bytes_behind_a_domain_arrive() {
    let create = "create table item (id integer primary key, v digest, w outer_digest, l span)";
    let model = table("item", TableModel::new("item", "id"));
    let statements = [
        "create domain digest as bytea",
        "create domain outer_digest as digest check (length(value) < 9)",
        "create domain span as interval",
        create,
    ];
    let mut replica = Replica::<Database>::new(&statements, [model]).await;
    let data = r#""v":"aGk=","w":"aGk=","l":"-P1DT02H""#;
    assert_eq!(
        replica.one(&Message::save("item", "1", 0, data)).await,
        APPLIED
    );
    let rows = "select v::text, w::text, l::text from item";
    assert_eq_rows(
        &replica.rows(rows).await,
        &["\\x6869|\\x6869|-1 days -02:00:00"],
    );
    let bad = Message::save("item", "2", 0, r#""v":"no base64!""#);
    let answer = replica.one(&bad).await;
    assert!(
        matches!(answer, Applied::Retrying { reason: "type", .. }),
        "{answer:?}"
    );
}

/// The elements of an array may have either form.
#[tokio::test]
async fn arrays_of_bytes_arrive() {
    let create = "create table item (id integer primary key, v bytea[])";
    let model = table("item", TableModel::new("item", "id"));
    let mut replica = Replica::<Database>::new(&[create], [model]).await;
    for (key, json, text) in [
        ("1", r#"["aGk=", null, ""]"#, r#"{"\\x6869",NULL,"\\x"}"#),
        (
            "2",
            r#"[["aGk="], ["\\x00ff"]]"#,
            r#"{{"\\x6869"},{"\\x00ff"}}"#,
        ),
        ("3", "null", "-"),
        ("4", "[]", "{}"),
    ] {
        let save = Message::save("item", key, 0, &format!("\"v\":{json}"));
        assert_eq!(replica.one(&save).await, APPLIED, "{json}");
        let rows = replica
            .rows(&format!("select v::text from item where id = {key}"))
            .await;
        assert_eq_rows(&rows, &[text]);
    }
    let bad = Message::save("item", "5", 0, r#""v":["no base64!"]"#);
    let answer = replica.one(&bad).await;
    assert!(
        matches!(answer, Applied::Retrying { reason: "type", .. }),
        "{answer:?}"
    );
}

/// What no form is agreed on for is said at the start.
#[tokio::test]
async fn bytes_within_another_type_are_refused_at_the_start() {
    let fixture = Database::new().await;
    for sql in [
        "create domain digest as bytea",
        "create type pair as (n integer, d digest)",
        "create domain pairs as pair[]",
        "create table item (id integer primary key, a digest[], b pair, c pairs, d digest,
         e integer[], f bytea[])",
    ] {
        fixture.execute(sql).await;
    }
    let mut session = fixture.session().await;
    let all = [table("item", TableModel::new("item", "id"))];
    let problem = session
        .check_models(&Models::new(all).unwrap())
        .await
        .unwrap_err()
        .to_string();
    for column in ["\"a\"", "\"b\"", "\"c\""] {
        assert!(problem.contains(column), "{column}: {problem}");
    }
    for column in ["\"d\"", "\"e\"", "\"f\""] {
        assert!(!problem.contains(column), "{column}: {problem}");
    }
    // One that is not fed matters to nobody.
    let model = TableModel::new("item", "id").with_columns([("d", "d")]);
    let some = [table("item", model)];
    session
        .check_models(&Models::new(some).unwrap())
        .await
        .unwrap();
}

/// A number of the master is not the replica's to give.
#[tokio::test]
async fn an_identity_that_is_not_the_key_is_the_masters() {
    let create = "create table item (sku text primary key,
                  seq integer generated always as identity, v integer)";
    let model = table("item", TableModel::new("item", "sku"));
    let mut replica = Replica::<Database>::new(&[create], [model]).await;
    let save = |revision: i64, seq: i64| {
        let data = format!("\"seq\":{seq},\"v\":{revision}");
        Message::save("item", "\"a\"", revision, &data)
    };
    for revision in 0..2 {
        assert_eq!(replica.one(&save(revision, 41)).await, APPLIED);
        let rows = replica.rows("select seq::text, v::text from item").await;
        assert_eq_rows(&rows, &[&format!("41|{revision}")]);
    }
    // PostgreSQL changes no such number, and a wrong one is not passed over.
    let answer = replica.one(&save(2, 42)).await;
    assert!(
        matches!(
            answer,
            Applied::Retrying {
                reason: "constraint",
                ..
            }
        ),
        "{answer:?}"
    );
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("\"seq\""), "{error}");
}

/// A master's `hstore` is an object in its events, whatever schema the extension is in.
#[tokio::test]
async fn an_hstore_arrives() {
    let model = table("item", TableModel::new("item", "id"));
    let statements = [
        "create schema ext",
        "create extension hstore schema ext",
        "create table item (id integer primary key, v ext.hstore)",
    ];
    let mut replica = Replica::<Database>::new(&statements, [model]).await;
    let pairs = r#"{"a":"1","b":null,"q\"x\\":"=>, \"","n":1.50}"#;
    let save = Message::save("item", "1", 0, &format!("\"v\":{pairs}"));
    assert_eq!(replica.one(&save).await, APPLIED);
    let rows = "select ext.hstore_to_json(v)::jsonb::text from item";
    let expected = r#"{"a": "1", "b": null, "n": "1.50", "q\"x\\": "=>, \""}"#;
    assert_eq_rows(&replica.rows(rows).await, &[expected]);
}

/// A row that a trigger does not let be written must not keep the stopgap of an exchange of values.
#[tokio::test]
async fn a_row_that_a_trigger_passes_over_keeps_its_value() {
    let create = "create table item (id integer primary key, place integer unique)";
    let model = table("item", TableModel::new("item", "id"));
    let mut replica = Replica::<Database>::new(&[create], [model]).await;
    let save = |key: &str, revision: i64, place: i64| {
        Message::save("item", key, revision, &format!("\"place\":{place}"))
    };
    replica.apply(&[save("1", 0, 1), save("2", 0, 2)]).await;
    for sql in [
        "create function pass_over() returns trigger language plpgsql as $$ begin return null; end $$",
        "create trigger pass_over before insert on item for each row when (new.id = 1)
         execute function pass_over()",
    ] {
        replica.fixture.execute(sql).await;
    }
    replica.apply(&[save("2", 1, 1), save("1", 1, 2)]).await;
    let rows = replica
        .rows("select id::text, place::text from item order by id")
        .await;
    assert_eq_rows(&rows, &["1|1", "2|2"]);
}

/// The stopgap of a short code fits into its column.
#[tokio::test]
async fn short_codes_change_places() {
    for kind in ["varchar(3)", "char(3)", "short", "text", "uuid"] {
        let mut replica = Replica::<Database>::new(
            &[
                "create domain short as varchar(3)",
                &format!("create table spot (id integer primary key, code {kind} not null unique)"),
            ],
            [table("spot", TableModel::new("spot", "id"))],
        )
        .await;
        let [one, other] = match kind {
            "uuid" => [
                "5ad17b6c-4a4c-4c5e-9d3a-3b8e3c6f0a01",
                "5ad17b6c-4a4c-4c5e-9d3a-3b8e3c6f0a02",
            ],
            _ => ["one", "two"],
        };
        let spot = |key: &str, revision, code: &str| {
            Message::save("spot", key, revision, &format!("\"code\":\"{code}\""))
        };
        let rows = [spot("1", 0, one), spot("2", 0, other)];
        assert_eq!(replica.apply(&rows).await, [APPLIED, APPLIED]);
        let swap = [spot("1", 1, other), spot("2", 1, one)];
        assert_eq!(replica.apply(&swap).await, [APPLIED, APPLIED], "{kind}");
        let codes = "select code::text from spot order by id";
        assert_eq_rows(&replica.rows(codes).await, &[other, one]);
    }
}
