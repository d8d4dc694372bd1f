//! Columns that get another type after they were captured: they go on arriving, as after a new install.

use cqrs_outbox::{
    capture::CaptureState,
    source::{SourceModel, TrackedFields},
};
use serde_json::{Value, json};

use super::{bed::Bed, changed::refused};
use crate::fixture::{Fixture, Line, account, model};

const TABLE: &str = "create table account (id bigint primary key, balance int, v int, name text)";

fn data(text: &Value) -> &Value {
    &text["instance_data"]
}

/// In the session that has the plans of before, and with a text that could be read as more members.
#[tokio::test]
async fn a_column_of_another_type_makes_no_wrong_event() {
    let bed = Bed::of(TABLE, &account().with_tracked(TrackedFields::All)).await;
    let mut session = bed.begin().await;
    Bed::run(&mut session, "insert into account values (1, 1, 1, 'a')").await;
    Bed::commit(session).await;
    bed.news().await;
    bed.script("alter table account alter column v type text")
        .await;
    let forged = r#"0, "id": 1, "name": "forged"#;
    bed.script(&format!("update account set v = '{forged}'"))
        .await;
    let lines = bed.take().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(data(&lines[0].json())["v"], forged);
    assert_eq!(data(&lines[0].json())["name"], "a");
    assert_eq!(lines[0].json()["previous_data"], json!({"v": "1"}));
    assert!(refused(&bed).await.is_empty());
    assert_eq!(bed.status(&account()).await, CaptureState::ModelChanged);
    // A column that is dropped and made again in one transaction is another one only by its type.
    bed.script(
        "begin; alter table account drop column v; alter table account add column v int; commit;
         update account set v = 7",
    )
    .await;
    assert_eq!(bed.news().await, ["SAVE 1 2"]);
}

/// Each type with values of it, in the order of a table's row.
const TYPES: [(&str, &[&str]); 20] = [
    ("smallint", &["7"]),
    ("bigint", &["3000000000"]),
    ("numeric(40, 5)", &["12345678901234567890.12300", "NaN"]),
    ("double precision", &["0.1", "NaN", "-Infinity"]),
    ("boolean", &["true"]),
    ("text", &["x\"\n, y", "", "false, \"id\": 1"]),
    ("character(5)", &["ab"]),
    ("json", &["{\"a\":\n 1}", "null"]),
    ("jsonb", &["{\"a\": [1, null]}", "\"x\""]),
    ("date", &["2026-01-02", "0044-03-15 BC", "infinity"]),
    (
        "timestamp",
        &[
            "2026-01-02 03:04:05",
            "2026-01-02 03:04:05.5",
            "9999-12-31 23:59:59",
            "-infinity",
        ],
    ),
    (
        "timestamptz",
        &[
            "2026-01-02 03:04:05.678901+05:30",
            "20231-01-01 00:00:00+00",
        ],
    ),
    ("time", &["03:04:05.5", "24:00:00"]),
    (
        "interval",
        &[
            "1 day 02:03:04.5",
            "-1 days +02:03:05",
            "48:00:00",
            "1 mon -3 days",
            "-00:00:01",
            "1 day -01:00:00",
            "-2 days",
        ],
    ),
    ("bytea", &["\\x00ff", "\\x"]),
    ("money", &["-1234567.80"]),
    ("uuid", &["00000000-0000-0000-0000-000000000005"]),
    ("integer[]", &["{1,2}"]),
    ("int4range", &["[1,3)"]),
    ("wise", &["2026-01-02 03:04:05.5"]),
];

/// What is written before the next install is what would be written after it.
#[tokio::test]
async fn every_type_arrives_as_after_an_install() {
    let model = account().with_tracked(TrackedFields::All);
    let bed = Bed::empty().await;
    bed.script("create domain wide as timestamp; create domain wise as wide not null")
        .await;
    for before in ["integer", "text", "interval", "timestamptz"] {
        bed.script(&format!(
            "drop table if exists account;
             create table account (id bigint primary key, {})",
            columns("", before)
        ))
        .await;
        bed.install(&model).await;
        for (place, (type_name, _)) in TYPES.iter().enumerate() {
            bed.script(&format!(
                "alter table account drop column v{place}, add column v{place} {type_name}"
            ))
            .await;
        }
        let early = written(&bed).await;
        assert_eq!(bed.status(&model).await, CaptureState::TableChanged);
        bed.install(&model).await;
        let late = written(&bed).await;
        assert_eq!(early.len(), 2 * ROWS);
        for (early, late) in early.iter().zip(&late) {
            for (place, (type_name, _)) in TYPES.iter().enumerate() {
                let member = format!("v{place}");
                for of in ["instance_data", "previous_data"] {
                    assert_eq!(
                        early[of][&member], late[of][&member],
                        "{of}: {before} to {type_name}"
                    );
                }
            }
        }
    }
    assert!(refused(&bed).await.is_empty());
}

const ROWS: usize = 7;

fn columns(before: &str, after: &str) -> String {
    let column = |place| format!("{before}v{place} {after}");
    (0..TYPES.len()).map(column).collect::<Vec<_>>().join(", ")
}

/// The events of rows with all values, each inserted and changed once, in a session of its own style.
async fn written(bed: &Bed) -> Vec<Value> {
    bed.script("truncate account").await;
    bed.take().await;
    let row = |id: usize| {
        let values = TYPES.map(|(_, values)| format!("'{}'", values[id % values.len()]));
        values.join(", ")
    };
    let names = columns("", "");
    for id in 0..ROWS {
        let inserted = format!(
            "insert into account (id, {names}) values ({id}, {})",
            row(id)
        );
        bed.script(&inserted).await;
        bed.script(&format!(
            "set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard';
             set bytea_output = 'escape';
             update account set ({names}) = row ({}) where id = {id};
             reset all",
            row(id + 1),
        ))
        .await;
    }
    let lines = bed.take().await;
    lines.iter().map(Line::json).collect()
}

/// A key that is widened keeps its instances, also beyond the old type and where a transaction writes
/// a row several times.
#[tokio::test]
async fn a_key_of_another_type_goes_on() {
    let bed = Bed::of(
        "create table account (id int primary key, name text)",
        &account(),
    )
    .await;
    bed.script(
        "insert into account values (1, 'a'); alter table account alter column id type bigint",
    )
    .await;
    bed.news().await;
    bed.script(
        "begin; insert into account values (3000000000, 'a'); update account set name = 'b'; commit;
         update account set id = 3000000001 where id = 1; delete from account where id = 3000000000",
    )
    .await;
    let lines = bed.take().await;
    let shorts: Vec<_> = lines.iter().map(Line::short).collect();
    assert_eq!(
        shorts,
        [
            "SAVE 3000000000 0",
            "SAVE 1 1",
            "DELETE 1 2",
            "SAVE 3000000001 0",
            "DELETE 3000000000 1"
        ]
    );
    assert_eq!(lines[0].json()["instance_pk"], json!(3_000_000_000_i64));
    assert_eq!(data(&lines[0].json())["name"], "b");
    // A text now: written twice in a transaction, by a trigger too, and truncated.
    bed.script(
        "alter table account alter column id type text;
         create function again() returns trigger language plpgsql as $$ begin
             update account set name = 'again' where id = new.id and name <> 'again'; return null;
         end $$;
         create trigger again after insert on account for each row execute function again();
         begin; insert into account values ('x', 'a'); update account set name = name where id = 'x'; commit",
    )
    .await;
    let lines = bed.take().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].json()["instance_pk"], "x");
    assert_eq!(data(&lines[0].json())["id"], "x");
    assert_eq!(data(&lines[0].json())["name"], "again");
    bed.script("truncate account").await;
    assert_eq!(bed.news().await, ["DELETE 3000000001 1", "DELETE x 1"]);
    assert!(refused(&bed).await.is_empty());
}

#[tokio::test]
async fn a_composite_key_of_other_types_goes_on() {
    let pair = model("account", &["a", "b"]);
    let bed = Bed::of(
        "create table account (a int, b date, name text, primary key (a, b))",
        &pair,
    )
    .await;
    bed.script(
        "alter table account alter a type text, alter b type timestamptz;
         begin; insert into account values ('x', '2026-01-02 03:04:05.5+00', 'a');
         update account set name = 'b'; commit",
    )
    .await;
    let lines = bed.take().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].instance_pk, r#"["x","2026-01-02T03:04:05.500Z"]"#);
    assert_eq!(data(&lines[0].json())["name"], "b");
}

fn filtered(filter: &str) -> SourceModel {
    account().with_filter(filter.parse().unwrap())
}

/// A filter is judged by the new type. One that the new type does not take leaves dead rows.
#[tokio::test]
async fn a_filter_goes_on_or_is_told() {
    let bed = Bed::of(TABLE, &filtered(r#"{"v__gt": 9}"#)).await;
    bed.script(
        "alter table account alter column v type bigint;
         insert into account values (1, 1, 10, 'a'), (2, 1, 9, 'b')",
    )
    .await;
    assert_eq!(bed.news().await, ["SAVE 1 0"]);
    let bed = Bed::of(TABLE, &filtered(r#"{"name__ne": "hidden"}"#)).await;
    bed.script(
        "alter table account drop column name, add column name date;
         insert into account values (1, 1, 10, '2026-01-02')",
    )
    .await;
    assert!(bed.news().await.is_empty());
    let refused = refused(&bed).await;
    assert_eq!(refused[0].0, "1");
    for words in ["name was text and is date", "the filter", "hidden"] {
        assert!(refused[0].1.contains(words), "{refused:?}");
    }
}
