//! Tables that are kept equal to a model's state.

use std::time::{Duration, Instant};

use cqrs_replica::{Applied, SkipReason, TableModel};

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::{Message, account, gone},
};

const ACCOUNTS: &str = "select cast(id as text), name, cast(qty as text) from account order by id";

pub(super) async fn a_row_follows_its_instance<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    assert_eq!(replica.one(&account(1, 0, "a")).await, APPLIED);
    assert_eq!(replica.one(&account(2, 0, "b")).await, APPLIED);
    assert_eq!(replica.one(&account(1, 1, "c")).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|c|1", "2|b|0"]);
    assert_eq!(replica.one(&gone(1, 2)).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["2|b|0"]);
}

pub(super) async fn only_the_last_state_of_a_batch_is_written<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let answers = replica
        .apply(&[
            account(1, 0, "a"),
            account(2, 0, "x"),
            account(1, 1, "b"),
            account(1, 2, "c"),
        ])
        .await;
    let overtaken = Applied::Skipped(SkipReason::Overtaken);
    assert_eq!(
        answers,
        [overtaken.clone(), APPLIED, overtaken.clone(), APPLIED]
    );
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|c|2", "2|x|0"]);
    let answers = replica
        .apply(&[gone(1, 3), account(1, 4, "d"), gone(1, 5)])
        .await;
    assert_eq!(answers, [overtaken.clone(), overtaken, APPLIED]);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["2|x|0"]);
}

pub(super) async fn a_gap_is_counted_not_waited_for<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    assert_eq!(replica.one(&account(1, 4, "a")).await, APPLIED);
    let answer = replica.one(&account(1, 7, "b")).await;
    assert_eq!(
        answer,
        Applied::Applied {
            gap: 2,
            expired: false
        }
    );
}

pub(super) async fn a_re_created_row_keeps_nothing_of_the_deleted_one<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    let bare = Message::save("account", "1", 2, "\"name\":\"b\"");
    replica.apply(&[gone(1, 1), bare]).await;
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|b|-"]);
}

fn mapped() -> TableModel {
    TableModel::new("account_ref", "ref").with_columns([
        ("name", "full_name"),
        ("qty", "amount"),
        ("missing", "note"),
    ])
}

const MAPPED: &str = "create table account_ref (ref integer primary key, full_name text not null,
    amount integer, note text, name text default 'own') {strict}";

/// A wrong name, or one that the master does not publish any more.
pub(super) async fn a_named_field_that_an_event_lacks_is_its_failure<F: Fixture>() {
    let mut replica = Replica::<F>::new(&[MAPPED], [table("account", mapped())]).await;
    let refused = Applied::Retrying {
        attempts: 1,
        reason: "missing_field",
    };
    assert_eq!(replica.one(&account(7, 0, "a")).await, refused);
    let error = replica.letters().await.remove(0).error.unwrap();
    assert!(error.contains("no field missing: correct"), "{error}");
    assert_eq_rows(
        &replica.rows("select full_name from account_ref").await,
        &[],
    );
    assert_eq!(replica.one(&gone(8, 0)).await, APPLIED);
}

pub(super) async fn members_go_into_the_columns_they_are_mapped_to<F: Fixture>() {
    let model = mapped().with_optional(["missing"]);
    let mut replica = Replica::<F>::new(&[MAPPED], [table("account", model)]).await;
    assert_eq!(replica.one(&account(7, 0, "a")).await, APPLIED);
    assert_eq_rows(
        &replica
            .rows(
                "select cast(ref as text), full_name, cast(amount as text), note, name
                   from account_ref",
            )
            .await,
        &["7|a|0|-|own"],
    );
}

pub(super) async fn members_without_a_column_are_ignored<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let message = Message::save(
        "account",
        "1",
        0,
        r#""id":1,"extra":{"a":[1]},"name":"a","Name":"b""#,
    );
    assert_eq!(replica.one(&message).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|a|-"]);
}

pub(super) async fn a_column_that_is_not_sent_keeps_its_value<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica
        .one(&Message::save("account", "1", 1, "\"name\":\"b\""))
        .await;
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|b|0"]);
    // Also when the message that sent it was overtaken, and among rows of other columns.
    let partly = Message::save("account", "1", 3, "\"name\":\"c\"");
    replica
        .apply(&[account(1, 2, "x"), account(2, 0, "y"), partly])
        .await;
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|c|2", "2|y|0"]);
}

pub(super) async fn null_is_a_value<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica
        .one(&Message::save(
            "account",
            "1",
            1,
            r#""name":"a","qty":null"#,
        ))
        .await;
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &["1|a|-"]);
}

pub(super) async fn keys_may_be_text_uuids_or_composite<F: Fixture>() {
    let mut replica = Replica::<F>::new(
        &[
            "create table label (code text primary key, v integer) {strict}",
            "create table item (item {uuid} primary key, v integer) {strict}",
            "create table line (document text not null, no integer not null, v integer,
             primary key (no, document)) {strict}",
        ],
        [
            table("label", TableModel::new("label", "code")),
            table("item", TableModel::new("item", "item")),
            table(
                "line",
                TableModel::new("line", "").with_key(["document", "no"]),
            ),
        ],
    )
    .await;
    let uuid = "\"0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11\"";
    let odd = r#""Zoë \"☃\" \\""#;
    let pair = r#"["A-1",2]"#;
    for revision in 0..2 {
        let data = format!("\"v\":{revision}");
        for (cqrs_id, key) in [("label", odd), ("item", uuid), ("line", pair)] {
            let message = Message::save(cqrs_id, key, revision, &data);
            assert_eq!(replica.one(&message).await, APPLIED, "{cqrs_id}");
        }
    }
    assert_eq_rows(
        &replica
            .rows("select code, cast(v as text) from label")
            .await,
        &["Zoë \"☃\" \\|1"],
    );
    assert_eq_rows(
        &replica
            .rows("select cast(item as text), cast(v as text) from item")
            .await,
        &["0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11|1"],
    );
    assert_eq_rows(
        &replica
            .rows("select document, cast(no as text), cast(v as text) from line")
            .await,
        &["A-1|2|1"],
    );
    for (cqrs_id, key) in [("label", odd), ("item", uuid), ("line", pair)] {
        assert_eq!(
            replica.one(&Message::delete(cqrs_id, key, 2)).await,
            APPLIED
        );
        let sql = format!("select cast(count(*) as text) from {cqrs_id}");
        assert_eq_rows(&replica.rows(&sql).await, &["0"]);
    }
}

/// With a part too few or too many it would be the key of other rows.
pub(super) async fn a_delete_with_the_wrong_number_of_key_parts_takes_nothing<F: Fixture>() {
    let mut replica = Replica::<F>::new(
        &[
            "create table label (code integer primary key) {strict}",
            "create table line (document integer not null, no integer not null,
             primary key (document, no)) {strict}",
        ],
        [
            table("label", TableModel::new("label", "code")),
            table(
                "line",
                TableModel::new("line", "").with_key(["document", "no"]),
            ),
        ],
    )
    .await;
    for (cqrs_id, key, wrong) in [("label", "1", "[1,2]"), ("line", "[1,2]", "1")] {
        assert_eq!(
            replica.one(&Message::save(cqrs_id, key, 0, "")).await,
            APPLIED
        );
        let answer = replica.one(&Message::delete(cqrs_id, wrong, 1)).await;
        let refused = Applied::Retrying {
            attempts: 1,
            reason: "type",
        };
        assert_eq!(answer, refused, "{cqrs_id}");
        let sql = format!("select cast(count(*) as text) from {cqrs_id}");
        assert_eq_rows(&replica.rows(&sql).await, &["1"]);
    }
}

pub(super) async fn keys_that_differ_only_in_case_are_two<F: Fixture>() {
    let mut replica = Replica::<F>::new(
        &["create table label (code text primary key, v integer) {strict}"],
        [table("label", TableModel::new("label", "code"))],
    )
    .await;
    for key in ["\"a\"", "\"A\"", "\"a \""] {
        replica
            .one(&Message::save("label", key, 0, "\"v\":1"))
            .await;
    }
    let count = replica
        .rows("select cast(count(*) as text) from label")
        .await;
    assert_eq_rows(&count, &["3"]);
}

/// A delete and a save of two instances, which are in different lanes, though the column takes one for the
/// other.
pub(super) async fn a_key_may_change_its_case<F: Fixture>() {
    let (setup, caseless) = F::CASELESS;
    let create = format!(
        "create table person (email {caseless} not null primary key, v integer) {{strict}}"
    );
    a_key_changes_its_case::<F>(&[setup, &create]).await;
    let create = format!(
        "create table person (email {caseless} not null, v integer, primary key (email)) {{strict}}"
    );
    a_key_changes_its_case::<F>(&[setup, &create]).await;
}

pub(super) async fn a_key_changes_its_case<F: Fixture>(statements: &[&str]) {
    let model = table("person", TableModel::new("person", "email"));
    let mut replica = Replica::<F>::new(statements, [model]).await;
    let name = |n: usize, upper: bool| format!("\"{}nn{n}@x\"", if upper { 'A' } else { 'a' });
    let mut expected = Vec::new();
    // Each order in which two lanes may come to it, one by one and as batches.
    for (n, together) in [false, true].iter().flat_map(|t| [t; 3]).enumerate() {
        let (old, new) = (name(n, true), name(n, false));
        let lane = [
            Message::save("person", &old, 0, "\"v\":1"),
            Message::delete("person", &old, 1),
        ];
        let mut order = lane.to_vec();
        order.insert(n % 3, Message::save("person", &new, 0, "\"v\":2"));
        if *together {
            replica.apply(&order).await;
        } else {
            for message in &order {
                replica.one(message).await;
            }
        }
        expected.push(format!("ann{n}@x|2"));
    }
    replica.make_due().await;
    replica.due().await;
    let people = "select cast(email as text), cast(v as text) from person order by 1";
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_eq_rows(&replica.rows(people).await, &expected);
    let open =
        "select cast(count(*) as text) from cqrs_dead_letter where next_attempt_at is not null";
    assert_eq_rows(&replica.rows(open).await, &["0"]);
}

pub(super) async fn odd_names_are_quoted<F: Fixture>() {
    let model = TableModel::new("odd \"table\"; drop table account; --", "the \"key\"")
        .with_columns([("näme", "select"), ("qty", "a'b")]);
    let mut replica = Replica::<F>::new(
        &[
            ACCOUNT,
            "create table \"odd \"\"table\"\"; drop table account; --\"
             (\"the \"\"key\"\"\" integer primary key, \"select\" text, \"a'b\" integer) {strict}",
        ],
        [table("odd", model)],
    )
    .await;
    let message = Message::save("odd", "1", 0, r#""näme":"x","qty":2"#);
    assert_eq!(replica.one(&message).await, APPLIED);
    assert_eq_rows(
        &replica
            .rows(
                "select \"select\", cast(\"a'b\" as text)
                   from \"odd \"\"table\"\"; drop table account; --\"",
            )
            .await,
        &["x|2"],
    );
    assert_eq!(replica.one(&Message::delete("odd", "1", 1)).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &[]);
}

pub(super) async fn a_table_of_nothing_but_its_key_works<F: Fixture>() {
    let mut replica = Replica::<F>::new(
        &["create table tag (id integer primary key) {strict}"],
        [table("tag", TableModel::new("tag", "id"))],
    )
    .await;
    for revision in 0..2 {
        assert_eq!(
            replica
                .one(&Message::save("tag", "5", revision, "\"x\":1"))
                .await,
            APPLIED
        );
    }
    assert_eq_rows(
        &replica.rows("select cast(id as text) from tag").await,
        &["5"],
    );
}

pub(super) async fn a_delete_takes_rows_from_before_the_bookkeeping<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica
        .fixture
        .execute("insert into account values (1, 'old', 1)")
        .await;
    assert_eq!(replica.one(&gone(1, 9)).await, APPLIED);
    assert_eq_rows(&replica.rows(ACCOUNTS).await, &[]);
    let late = replica.one(&account(1, 8, "late")).await;
    assert_eq!(late, Applied::Skipped(SkipReason::Deleted));
}

pub(super) async fn a_column_added_later_is_filled_by_new_sessions<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica
        .fixture
        .execute("alter table account add column note text")
        .await;
    replica.session = replica.fixture.session().await;
    replica
        .one(&Message::save(
            "account",
            "1",
            1,
            r#""name":"a","note":"n""#,
        ))
        .await;
    assert_eq_rows(&replica.rows("select note from account").await, &["n"]);
}

pub(super) async fn a_column_that_is_there_before_its_first_value_misses_none<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    for (id, column) in (1..).zip(["note", "remark", "hint"]) {
        // The table has just been looked at, without the column.
        replica.one(&account(id, 0, "a")).await;
        let add = format!("alter table account add column {column} text");
        replica.fixture.execute(&add).await;
        let data = format!(r#""name":"b","{column}":"filled""#);
        replica
            .one(&Message::save("account", &id.to_string(), 1, &data))
            .await;
        let rows = replica
            .rows(&format!("select {column} from account where id = {id}"))
            .await;
        assert_eq!(rows, ["filled"], "{column}");
    }
}

pub(super) async fn a_column_just_added_is_filled_by_a_sync<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    replica.one(&account(1, 0, "a")).await;
    replica
        .fixture
        .execute("alter table account add column note text")
        .await;
    let began = Instant::now();
    for id in 1.. {
        let sync = Message::sync("account", "1", 0, r#""name":"a","note":"n""#).id(id);
        replica.one(&sync).await;
        if replica.rows("select note from account").await == ["n"] {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it is never filled"
        );
    }
}
