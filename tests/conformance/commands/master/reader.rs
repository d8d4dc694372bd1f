//! Pages of a table with the revisions of its instances.

use std::collections::HashSet;

use anyhow::Result;
use cqrs_core::{InstanceKey, filter::Filter};
use cqrs_outbox::source::{
    ReadModel, Scan, SourceReader, SourceRow, SourceSnapshot, SourceStore, SyncOptions,
};

use super::fixture::{World, model, source};

/// All rows of a snapshot, in pages.
pub(crate) async fn read<S: SourceStore>(
    store: &S,
    model: ReadModel<S::Row>,
    scan: Scan,
) -> Result<Vec<SourceRow>> {
    let table = store.table(model).await?;
    let mut snapshot = store.snapshot(&table, scan).await?;
    let mut rows = Vec::new();
    while let Some(page) = snapshot.next(4).await? {
        assert!(page.failed.is_empty(), "{:?}", page.failed);
        assert!(page.rows.len() <= 4);
        rows.extend(page.rows);
    }
    snapshot.close().await;
    Ok(rows)
}

pub(crate) async fn keys_of_each_kind_come_once_and_in_order<W: World>(world: W) -> Result<()> {
    let uuid = world.choose(
        "create table uid (id uuid primary key, name text);
         insert into uid select gen_random_uuid(), 'n' || i from generate_series(1, 30) as g (i);",
        "create table uid (id blob primary key, name text);
         with recursive g (i) as (select 1 union all select i + 1 from g where i < 30)
         insert into uid select randomblob(16), 'n' || i from g;",
    );
    world.run(uuid).await?;
    world
        .run(
            "create table number (id bigint primary key, name text);
         with recursive g (i) as (select 1 union all select i + 1 from g where i < 30)
         insert into number select i * 7 - 100, 'n' || i from g;",
        )
        .await?;
    world
        .run(
            "create table word (id varchar(20) primary key, name text);
         with recursive g (i) as (select 1 union all select i + 1 from g where i < 15)
         insert into word select 'a' || i, 'n' || i from g;
         with recursive g (i) as (select 1 union all select i + 1 from g where i < 15)
         insert into word select 'A é ''\"' || i, 'n' || i from g;",
        )
        .await?;
    world
        .run(
            "create table pair (b text not null, a bigint not null, name text, primary key (b, a));
         with recursive g (i) as (select 1 union all select i + 1 from g where i < 30)
         insert into pair select 'b' || (i % 3), i, 'n' || i from g;",
        )
        .await?;
    let code = world.choose(
        "create table code (id char(6) primary key, name text);
         insert into code select 'c' || i, 'n' || i from generate_series(1, 30) as g (i);",
        "create table code (id blob primary key, name text);
         with recursive g (i) as (select 1 union all select i + 1 from g where i < 30)
         insert into code select randomblob(20), 'n' || i from g;",
    );
    world.run(code).await?;
    let store = world.store();
    let tables: [(&str, &[&str]); 5] = [
        ("code", &["id"]),
        ("uid", &["id"]),
        ("number", &["id"]),
        ("word", &["id"]),
        ("pair", &["b", "a"]),
    ];
    for (name, key) in tables {
        world
            .database()
            .execute("delete from cqrs_revision")
            .await?;
        let rows = read(&store, model(name, key), Scan::with_content()).await?;
        let distinct: HashSet<_> = rows.iter().map(|row| row.instance_pk.clone()).collect();
        assert_eq!((rows.len(), distinct.len()), (30, 30), "{name}");
        let names: HashSet<_> = rows
            .iter()
            .map(|row| {
                let data: serde_json::Value =
                    serde_json::from_str(row.data.as_deref().unwrap()).unwrap();
                data["name"].as_str().unwrap().to_owned()
            })
            .collect();
        assert!(names.len() >= 15, "{name}");
        // Whoever takes the key from the data takes the same one.
        for row in rows.iter().filter(|_| key.len() == 1) {
            let data: serde_json::Value = serde_json::from_str(row.data.as_deref().unwrap())?;
            let of_data = InstanceKey::from_json(&serde_json::value::to_raw_value(&data["id"])?)?;
            assert_eq!(
                (&of_data, of_data.canonical()),
                (&row.key, row.instance_pk.clone())
            );
        }

        // The same keys, in the same order, page by page, and each is found.
        let table = store.table(model(name, key)).await?;
        let mut reader = store.reader(&table).await?;
        let mut keys: Vec<InstanceKey> = Vec::new();
        let mut after = None;
        loop {
            let page = reader.keys(&Filter::default(), after.as_ref(), 7).await?;
            keys.extend(page.keys);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
        assert_eq!(keys, expected, "{name}");
        let mut asked = keys.clone();
        let absent = match name {
            "number" => InstanceKey::from(1_000_000),
            "pair" => InstanceKey::from(("none".to_owned(), 3)),
            "uid" | "code" => InstanceKey::from(uuid::Uuid::nil()),
            _ => InstanceKey::from("none"),
        };
        asked.insert(3, absent);
        let found = reader.find(&asked).await?;
        let mut wanted: Vec<_> = keys.iter().cloned().map(Some).collect();
        wanted.insert(3, None);
        assert_eq!(found, wanted, "{name}");

        // And each can be sent.
        let synced = reader.sync(asked, &SyncOptions::new()).await?;
        assert_eq!((synced.ids.len(), synced.gone), (30, 1), "{name}");
        assert_eq!(reader.unsent(&synced.ids).await?.len(), 30);
        reader.close().await;
    }
    Ok(())
}

pub(crate) async fn instances_without_a_revision_get_one<W: World>(world: W) -> Result<()> {
    world
        .run(
            "create table thing (id bigint primary key, name text);
         insert into thing values (1, 'known'), (2, 'never'), (3, 'deleted'), (4, 'never');",
        )
        .await?;
    world
        .run(world.choose(
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted) values
             ('thing', '1', 5, '2026-01-02T03:04:05Z', false), ('thing', '3', 7, now(), true)",
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted) values
             ('thing', '1', 5, 1767323045000000, 0), ('thing', '3', 7, 1767323045000000, 1)",
        ))
        .await?;
    let store = world.store();
    for _ in 0..2 {
        let rows = read(&store, model("thing", &["id"]), Scan::new()).await?;
        let revisions: Vec<_> = rows
            .iter()
            .map(|row| (row.instance_pk.as_str(), row.revision.0))
            .collect();
        assert_eq!(revisions, [("1", 5), ("2", 0), ("3", 8), ("4", 0)]);
        assert_eq!(rows[0].updated.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert_eq!(rows[0].data, None);
    }
    Ok(())
}

pub(crate) async fn a_filter_chooses_the_rows<W: World>(world: W) -> Result<()> {
    world.run("create table thing (id bigint primary key, name text, open boolean);
         insert into thing values (1, 'a', true), (2, 'b', true), (3, 'c', false), (4, null, true);",
    )
    .await?;
    let store = world.store();
    let of_model: Filter = r#"{"open": true}"#.parse()?;
    let declared = || ReadModel::table(source("thing", &["id"]).with_filter(of_model.clone()));
    let scan = Scan::with_content().filtered(r#"{"pk__in": [2, 3, 4, 5]}"#.parse()?);
    let rows = read(&store, declared(), scan).await?;
    let found: Vec<_> = rows.iter().map(|row| row.instance_pk.as_str()).collect();
    assert_eq!(found, ["2", "4"]);
    assert_eq!(
        rows[0].data.as_deref(),
        Some(world.choose(
            r#"{"id":2,"name":"b","open":true}"#,
            r#"{"id":2,"name":"b","open":true}"#
        ))
    );
    let table = store.table(declared()).await?;
    let mut reader = store.reader(&table).await?;
    let keys: Vec<InstanceKey> = (1..=4).map(InstanceKey::from).collect();
    let found = reader.find(&keys).await?;
    let there: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false, true]);
    let scan = Scan::new().filtered(r#"{"nmae": 1}"#.parse()?);
    let error = store.snapshot(&table, scan).await.unwrap_err();
    assert!(error.to_string().contains("\"nmae\""), "{error}");
    Ok(())
}
