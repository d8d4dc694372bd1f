//! Kinds of writes and tables.

use cqrs_outbox::source::TrackedFields;
use serde_json::json;

use super::bed::{Bed, Line, model};

const TABLE: &str = "create table account (id integer primary key, name text, note text)";

#[tokio::test]
async fn every_kind_of_write_is_an_event() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("insert into account values (1, 'a', null), (2, 'b', null)")
        .await;
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 2 0"]);
    bed.execute("update account set name = 'c'").await;
    assert_eq!(bed.news().await, ["SAVE 1 1", "SAVE 2 1"]);
    bed.execute(
        "insert into account values (2, 'd', null) on conflict do update set name = excluded.name",
    )
    .await;
    assert_eq!(bed.news().await, ["SAVE 2 2"]);
    bed.execute("insert into account values (2, 'd', null) on conflict do nothing")
        .await;
    bed.execute("insert or ignore into account values (2, 'd', null)")
        .await;
    assert!(bed.news().await.is_empty());
    bed.execute("insert or replace into account values (2, 'e', null)")
        .await;
    assert_eq!(bed.lines().await[0].data()["name"], "e");
    assert_eq!(bed.news().await, ["SAVE 2 3"]);
    bed.execute("update or ignore account set id = 1 where id = 2")
        .await;
    assert!(bed.news().await.is_empty());
    // Without a condition SQLite would empty the table at once.
    bed.execute("delete from account").await;
    assert_eq!(bed.news().await, ["DELETE 1 2", "DELETE 2 4"]);
    bed.execute("insert into account (name) values ('new')")
        .await;
    assert_eq!(bed.news().await, ["SAVE 1 3"]);
}

#[tokio::test]
async fn a_rollback_leaves_nothing() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.execute("begin immediate; insert into account values (1, 'a', null); rollback")
        .await;
    bed.execute(
        "begin immediate; savepoint s; insert into account values (1, 'a', null); rollback to s;
         insert into account values (2, 'b', null); commit",
    )
    .await;
    assert_eq!(bed.news().await, ["SAVE 2 0"]);
    assert_eq!(bed.number("select count(*) from cqrs_revision").await, 1);
}

#[tokio::test]
async fn a_write_that_fails_fails_with_its_event() {
    let bed = Bed::of(
        "create table account (id text primary key, name text check (name <> 'bad'))",
        &model("account", &["id"]),
    )
    .await;
    bed.try_execute("insert into account values ('1', 'bad')")
        .await
        .unwrap_err();
    assert_eq!(bed.number("select count(*) from account").await, 0);
    assert!(bed.news().await.is_empty());
    // A key that cannot be is told, also of a statement that forgives conflicts.
    for id in ["null", "''", "char(65, 0, 66)", "hex(zeroblob(300))"] {
        for verb in ["insert", "insert or ignore", "insert or replace"] {
            bed.execute(&format!("{verb} into account values ({id}, 'x')"))
                .await;
        }
    }
    assert!(bed.news().await.is_empty());
    let dead = "select count(*) from cqrs_outbox_dead where error like 'its key%'";
    // One for each, and null and the empty text are listed alike.
    assert_eq!(bed.number(dead).await, 3);
}

#[tokio::test]
async fn old_values_of_tracked_fields_are_told() {
    let fields = [("id", "id"), ("full", "name"), ("note", "note")];
    let fields = fields.map(|(name, column)| (name.to_owned(), column.to_owned()));
    let declared = model("account", &["id"])
        .with_fields(fields.to_vec())
        .with_tracked(TrackedFields::All);
    let bed = Bed::of(TABLE, &declared).await;
    bed.execute("insert into account values (1, 'a', null)")
        .await;
    bed.execute("update account set name = 'b', note = 'n'")
        .await;
    bed.execute("update account set name = 'b'").await;
    bed.execute("update account set note = null").await;
    let previous: Vec<_> = bed
        .lines()
        .await
        .iter()
        .map(|line| line.body["previous_data"].clone())
        .collect();
    assert_eq!(
        previous,
        [
            json!(null),
            json!({"full": "a", "note": null}),
            json!({}),
            json!({"note": "n"})
        ]
    );
}

#[tokio::test]
async fn what_leaves_the_published_fields_alone_may_be_no_event() {
    let fields = ["id", "name"].map(|name| (name.to_owned(), name.to_owned()));
    let declared = model("account", &["id"])
        .with_fields(fields.to_vec())
        .with_filter(r#"{"note__isnull": true}"#.parse().unwrap())
        .with_skip_unchanged(true);
    let bed = Bed::of(TABLE, &declared).await;
    bed.execute("insert into account values (1, 'a', null)")
        .await;
    bed.execute("update account set name = 'a'").await;
    assert_eq!(bed.news().await, ["SAVE 1 0"]);
    bed.execute("update account set note = 'x'").await;
    bed.execute("update account set note = 'y'").await;
    assert_eq!(bed.news().await, ["DELETE 1 1"]);
    bed.execute("update account set note = null").await;
    bed.execute("update account set id = 2").await;
    assert_eq!(bed.news().await, ["SAVE 1 2", "DELETE 1 3", "SAVE 2 0"]);
}

#[tokio::test]
async fn the_last_event_of_a_row_that_a_trigger_writes_again_is_its_last_state() {
    // Triggers of one kind fire in an order that is nobody's promise: both orders of making them.
    for first in [true, false] {
        let touch = "create trigger touch after update on account begin
             update account set note = coalesce(note, '') || 'x' where id = new.id; end";
        let bed = Bed::new().await;
        bed.execute(TABLE).await;
        if first {
            bed.execute(touch).await;
        }
        bed.install(&model("account", &["id"])).await;
        if !first {
            bed.execute(touch).await;
        }
        bed.execute("insert into account values (1, 'a', null)")
            .await;
        bed.execute("update account set name = 'b'").await;
        let lines = bed.lines().await;
        let last = lines.last().unwrap();
        assert_eq!(
            (&last.data()["name"], &last.data()["note"]),
            (&json!("b"), &json!("x"))
        );
        let revisions: Vec<_> = lines.iter().map(|line| line.revision).collect();
        assert!(
            revisions
                .iter()
                .copied()
                .eq(0..revisions.len().try_into().unwrap())
        );
    }
}

#[tokio::test]
async fn a_row_that_a_trigger_puts_back_stays() {
    for first in [true, false] {
        let undo = "create trigger undo after delete on account begin
             insert into account values (old.id, old.name, 'back'); end";
        let bed = Bed::new().await;
        bed.execute(TABLE).await;
        if first {
            bed.execute(undo).await;
        }
        bed.install(&model("account", &["id"])).await;
        if !first {
            bed.execute(undo).await;
        }
        bed.execute("insert into account values (1, 'a', null)")
            .await;
        bed.execute("delete from account").await;
        let last = bed.lines().await.pop().unwrap();
        assert_eq!(last.signal, "SAVE");
        assert_eq!(last.data()["note"], "back");
    }
}

#[tokio::test]
async fn cascades_are_captured() {
    let bed = Bed::new().await;
    bed.execute(
        "create table parent (id integer primary key);
         create table account (
             id integer primary key,
             parent integer references parent on delete cascade on update cascade
         );
         insert into parent values (1), (2)",
    )
    .await;
    bed.install(&model("account", &["id"])).await;
    // sqlx switches foreign keys on.
    bed.execute("insert into account values (1, 1), (2, 2), (3, 1)")
        .await;
    bed.news().await;
    bed.execute("update parent set id = 5 where id = 2").await;
    assert_eq!(bed.lines().await[0].data()["parent"], 5);
    assert_eq!(bed.news().await, ["SAVE 2 1"]);
    bed.execute("insert or replace into parent values (1)")
        .await;
    assert_eq!(bed.news().await, ["DELETE 1 1", "DELETE 3 1"]);
}

#[tokio::test]
async fn generated_columns_are_published() {
    let bed = Bed::of(
        "create table account (
             id integer primary key, name text, loud text as (upper(name)),
             kept text as (name || '!') stored
         )",
        &model("account", &["id"]).with_tracked(TrackedFields::All),
    )
    .await;
    bed.execute("insert into account (id, name) values (1, 'a')")
        .await;
    bed.execute("update account set name = 'b'").await;
    let line = bed.lines().await.pop().unwrap();
    assert_eq!(
        (&line.data()["loud"], &line.data()["kept"]),
        (&json!("B"), &json!("b!"))
    );
    assert_eq!(
        line.body["previous_data"],
        json!({"name": "a", "loud": "A", "kept": "a!"})
    );
}

#[tokio::test]
async fn odd_names_are_quoted() {
    let fields = vec![
        ("f'\"x".to_owned(), "c'\"d".to_owned()),
        ("id".to_owned(), "select".to_owned()),
    ];
    let mut declared = model("t'\"a b", &["select"])
        .with_fields(fields)
        .with_tracked(TrackedFields::All);
    declared.cqrs_id = "it's\"ö".parse().unwrap();
    let bed = Bed::of(
        "create table \"t'\"\"a b\" (\"select\" integer primary key, \"c'\"\"d\" text)",
        &declared,
    )
    .await;
    bed.execute("insert into \"t'\"\"a b\" values (1, 'a')")
        .await;
    bed.execute("update \"t'\"\"a b\" set \"c'\"\"d\" = 'b'")
        .await;
    let line = bed.lines().await.pop().unwrap();
    assert_eq!(line.body["cqrs_id"], "it's\"ö");
    assert_eq!(line.data()["f'\"x"], "b");
    assert_eq!(line.body["previous_data"], json!({"f'\"x": "a"}));
}

#[tokio::test]
async fn writes_of_another_program_are_captured() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.python(
        "for n in range(3): db.execute('insert into account values (?, ?, null)', (n, 'é' * n))\n\
         db.execute('update account set note = 1.5')\n\
         db.execute('delete from account where id = 1')\n",
    );
    let lines = bed.lines().await;
    let shorts: Vec<_> = lines.iter().map(Line::short).collect();
    assert_eq!(
        shorts,
        [
            "SAVE 0 0",
            "SAVE 1 0",
            "SAVE 2 0",
            "SAVE 0 1",
            "SAVE 1 1",
            "SAVE 2 1",
            "DELETE 1 2"
        ]
    );
    assert_eq!(lines[2].data()["name"], "éé");
    for line in &lines {
        cqrs_core::wire::decode(line.text.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn writes_through_another_name_of_the_file_are_captured() {
    let bed = Bed::of(TABLE, &model("account", &["id"])).await;
    bed.python(&format!(
        "db = sqlite3.connect(':memory:', isolation_level=None)\n\
         db.execute('create table account (id)')\n\
         db.execute('create table cqrs_outbox (id)')\n\
         db.execute('attach ? as shop', ({:?},))\n\
         db.execute(\"insert into shop.account values (1, 'a', x'00ff')\")\n\
         db.execute(\"insert into shop.cqrs_record (cqrs_id, key, data) values ('b', 2, '{{}}')\")\n",
        bed.file()
    ));
    assert_eq!(bed.lines().await[0].data()["note"], "AP8=");
    assert_eq!(bed.news().await, ["SAVE 1 0", "SAVE 2 0"]);
}

#[tokio::test]
async fn a_table_may_be_wide() {
    let columns: Vec<_> = (0..600).map(|n| format!("c{n} int default {n}")).collect();
    let table = format!(
        "create table account (id integer primary key, {})",
        columns.join(", ")
    );
    let declared = model("account", &["id"])
        .with_tracked(TrackedFields::All)
        .with_skip_unchanged(true);
    let bed = Bed::of(&table, &declared).await;
    bed.python(
        "db.execute('insert into account (id) values (1)')\n\
         db.execute('update account set c599 = 7')\n\
         db.execute('update account set c599 = 7')\n",
    );
    let lines = bed.lines().await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].data()["c598"], 598);
    assert_eq!(lines[1].body["previous_data"], json!({"c599": 599}));
}
