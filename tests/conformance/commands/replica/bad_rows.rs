//! `load` of what cannot be loaded.

use serde_json::json;

use super::site::{Engine, Site, dump, row, whole};

pub(super) async fn a_bad_row_costs_only_itself<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let mut rows: Vec<_> = (1..=40).map(|id| row(id, 0, &format!("n{id}"))).collect();
    // A name twice, and a required value that is missing.
    rows[9] = row(10, 0, "n3");
    rows[19] = rows[19].replace("\"name\"", "\"nom\"");
    let loaded = site.load(&dump(&rows), &["--batch", "50", "--lanes", "1"]);
    assert_eq!(loaded.code, 1);
    assert_eq!(loaded.json()["loaded"], 38, "{loaded:?}");
    assert_eq!(loaded.json()["failed"], 2);
    assert_eq!(
        site.rows("select cast(count(*) as text) from account")
            .await,
        ["38"]
    );
    let letters = site
        .rows("select instance_pk, reason, cast(id as text) from cqrs_dead_letter order by id")
        .await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(
        letters
            .iter()
            .any(|letter| letter.starts_with("20|missing_column"))
    );
    let unique = letters
        .iter()
        .find(|letter| letter.starts_with("10|constraint"));
    let id = unique.unwrap().rsplit('|').next().unwrap();
    let told = loaded
        .stderr
        .lines()
        .find(|line| line.contains("line 11:"))
        .unwrap();
    assert!(
        told.contains("constraint") && told.contains(&format!("letter {id}")),
        "{told}"
    );
    assert!(loaded.stderr.contains("line 21:"), "{loaded:?}");
}

pub(super) async fn lines_that_are_no_rows_are_passed_over<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let rows = [
        row(1, 0, "a"),
        "{".to_owned(),
        String::new(),
        r#"{"id":2,"name":"b"}"#.to_owned(),
        row(3, 0, "c").replace("\"id\":3,", ""),
        row(4, 0, "d").replace("\"id\":4", "\"id\":null"),
        row(5, 0, "e"),
    ];
    let loaded = site.load(&dump(&rows), &[]);
    assert_eq!(
        (loaded.code, &loaded.json()["failed"]),
        (1, &json!(4)),
        "{loaded:?}"
    );
    for words in [
        "line 3: unparsable",
        "line 5: unparsable: it has no cqrs_revision",
        "line 6: unparsable: it has no id",
        "line 7: unparsable: the key is null",
    ] {
        assert!(loaded.stderr.contains(words), "{words}: {loaded:?}");
    }
    assert_eq!(site.account().await, ["1|a|0", "5|e|0"]);
    assert!(
        site.rows("select reason from cqrs_dead_letter")
            .await
            .is_empty()
    );
}

pub(super) async fn rows_wait_for_the_rows_they_refer_to<E: Engine>() {
    let site = Site::<E>::new(
        "[[replica.model]]\ncqrs_id = 'node'\ntable = 'node'\nkey = 'id'\n",
        &["create table node (id integer primary key, parent integer references node (id))"],
    )
    .await;
    let node = |id: u32, parent: u32| {
        format!(
            r#"{{"id":{id},"parent":{parent},"cqrs_revision":0,"cqrs_updated":"2026-11-21 01:00:00+00:00"}}"#
        )
    };
    let root =
        r#"{"id":1000,"parent":null,"cqrs_revision":0,"cqrs_updated":"2026-11-21 01:00:00+00:00"}"#;
    // Each row refers to the next one; one to a row that is not in the dump.
    let mut rows: Vec<_> = (900..1000).map(|id| node(id, id + 1)).collect();
    rows.extend([root.to_owned(), node(1, 5000)]);
    let loaded = site.load(
        &whole(&format!("node\n{}", rows.join("\n"))),
        &["--batch", "10"],
    );
    assert_eq!(
        (loaded.code, &loaded.json()["loaded"]),
        (0, &json!(101)),
        "{loaded:?}"
    );
    assert_eq!(loaded.json()["waiting"], 1);
    assert_eq!(
        site.rows("select cast(count(*) as text) from node").await,
        ["101"]
    );
    let letters = site
        .rows("select state, waits_for from cqrs_dead_letter")
        .await;
    assert_eq!(letters, ["waiting|node 5000"]);
}
