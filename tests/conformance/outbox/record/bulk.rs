use std::{sync::Arc, time::Duration};

use cqrs_outbox::{
    About, InstanceKey, Master, Problem, RecordError, Recorded, Table, bulk_create, bulk_update,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::fixture::{Fixture, revision};

/// A model with everything a table may have.
#[derive(Debug, Clone, Master)]
#[master(cqrs_id = "item", table = "item", tracked(label, price))]
struct Item {
    #[master(key)]
    shop: i64,
    #[master(key, column = "odd \"code\"")]
    code: String,
    #[master(rename = "name")]
    label: Option<String>,
    price: &'static str,
    #[master(bytes)]
    photo: Option<Vec<u8>>,
    #[master(with = "cqrs_outbox::form::duration")]
    open: Duration,
    weight: f64,
    #[master(skip)]
    secret: bool,
    extra: serde_json::Value,
}

impl Item {
    fn new(shop: i64, code: &str) -> Self {
        Self {
            shop,
            code: code.to_owned(),
            label: Some(format!("{code} 'é' {{}}")),
            price: "1234567890123456.10",
            photo: Some(vec![0, 255, 92]),
            open: Duration::from_secs(90_061),
            weight: 0.1,
            secret: true,
            extra: json!({"a": [1, "b"]}),
        }
    }
}

async fn items<F: Fixture>(db: &F) -> F::Tx {
    let mut tx = db.begin().await;
    let create = format!(
        "create table item (shop bigint not null, \"odd \"\"code\"\"\" text not null, label text,
         price {}, photo {}, open {}, weight double precision, secret boolean, extra text,
         primary key (shop, \"odd \"\"code\"\"\"))",
        F::DECIMAL,
        F::BYTES,
        F::INTERVAL,
    );
    F::execute(&mut tx, &create).await;
    tx
}

/// One text of a row, found by its code.
async fn column<F: Fixture>(tx: &mut F::Tx, column: &str, code: &str) -> Option<String> {
    let sql = format!(
        "select coalesce(cast({column} as text), '-') from item where \"odd \"\"code\"\"\" = '{code}'"
    );
    F::text(tx, &sql).await
}

pub(crate) async fn rows_are_created_with_their_events<F: Fixture>(db: F) {
    let mut tx = items(&db).await;
    let bare = Item {
        label: None,
        photo: None,
        secret: false,
        ..Item::new(1, "b")
    };
    let recorded = bulk_create(&mut tx, &[Item::new(2, "a"), bare]).await;
    assert_eq!(recorded.unwrap().into_iter().map(revision).sum::<i64>(), 0);
    for (name, value) in [
        ("shop", "2"),
        ("label", "a 'é' {}"),
        ("price", "1234567890123456.10"),
        (F::HEX, "00ff5c"),
        (F::SECONDS, "90061"),
        ("weight", "0.1"),
        ("case when secret then 'yes' end", "yes"),
    ] {
        let found = column::<F>(&mut tx, name, "a").await;
        assert_eq!(found.as_deref(), Some(value), "{name}");
    }
    let extra = column::<F>(&mut tx, "extra", "a").await.unwrap();
    let extra: serde_json::Value = serde_json::from_str(&extra).unwrap();
    assert_eq!(extra, json!({"a": [1, "b"]}));
    for name in ["label", "photo", "case when secret then 'yes' end"] {
        assert_eq!(
            column::<F>(&mut tx, name, "b").await.unwrap(),
            "-",
            "{name}"
        );
    }
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(
        lines
            .iter()
            .map(|line| &*line.instance_pk)
            .collect::<Vec<_>>(),
        [r#"[2,"a"]"#, r#"[1,"b"]"#]
    );
    let mut data = lines[0].json()["instance_data"].take();
    data.as_object_mut()
        .unwrap()
        .retain(|name, _| !name.starts_with("cqrs_"));
    let expected = json!({
        "shop": 2, "code": "a", "name": "a 'é' {}", "price": "1234567890123456.10", "photo": "AP9c",
        "open": "P1DT01H01M01S", "weight": 0.1, "extra": {"a": [1, "b"]},
    });
    assert_eq!(data, expected);
}

pub(crate) async fn rows_are_updated_with_their_old_values<F: Fixture>(db: F) {
    let mut tx = items(&db).await;
    let before = [Item::new(1, "a"), Item::new(1, "b"), Item::new(2, "a")];
    bulk_create(&mut tx, &before).await.unwrap();
    F::commit(tx).await;
    let mut tx = db.begin().await;
    let after: Vec<_> = before[..2]
        .iter()
        .map(|item| Item {
            price: "2.50",
            weight: 1.5,
            photo: Some(item.code.clone().into_bytes()),
            ..item.clone()
        })
        .collect();
    let recorded = bulk_update(&mut tx, before.iter().zip(&after)).await;
    for recorded in recorded.unwrap() {
        assert_eq!(revision(recorded), 1);
    }
    let prices = "select string_agg(p, ' ') from (
                  select shop || ':' || cast(price as text) as p from item order by 1) as prices";
    let prices = F::text(&mut tx, &prices.replace("string_agg", F::JOIN)).await;
    assert_eq!(
        prices.as_deref(),
        Some("1:2.50 1:2.50 2:1234567890123456.10")
    );
    assert_eq!(column::<F>(&mut tx, F::HEX, "b").await.unwrap(), "62");
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(lines.len(), 5);
    assert_eq!(
        lines[3].json()["previous_data"],
        json!({"price": "1234567890123456.10"})
    );
}

pub(crate) async fn rows_that_are_not_there_are_counted<F: Fixture>(db: F) {
    let mut tx = items(&db).await;
    let there = [Item::new(1, "a"), Item::new(1, "b")];
    bulk_create(&mut tx, &there).await.unwrap();
    let more = [Item::new(1, "a"), Item::new(1, "c"), Item::new(1, "d")];
    let error = bulk_update(&mut tx, more.iter().zip(&more))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 rows of table \"item\" were written instead of 3: the others are not there, or a trigger \
         keeps them out"
    );
    assert!(!error.is_transient());
    let RecordError::Rows {
        given: 3,
        written: 1,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    F::rollback(tx).await;
}

pub(crate) async fn rows_the_database_refuses_name_their_table<F: Fixture>(db: F) {
    let mut tx = items(&db).await;
    bulk_create(&mut tx, &[Item::new(1, "a")]).await.unwrap();
    let error = bulk_create(&mut tx, &[Item::new(1, "b"), Item::new(1, "a")])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the rows of table \"item\" could not be written"
    );
    let RecordError::Table { table: "item", .. } = error else {
        panic!("{error:?}")
    };
    F::rollback(tx).await;

    // Not "run migrate": it is not one of ours.
    let mut tx = db.begin().await;
    let error = bulk_create(&mut tx, &[Item::new(1, "a")])
        .await
        .unwrap_err();
    let RecordError::Table { source, .. } = error else {
        panic!("{error:?}")
    };
    assert!(!source.to_string().contains("migrate"), "{source}");
    F::rollback(tx).await;
}

/// A row as a map, so that it may be anything.
#[derive(Debug)]
struct Loose(i64, serde_json::Value);

impl Master for Loose {
    const CQRS_ID: &'static str = "loose";

    fn key(&self) -> InstanceKey {
        self.0.into()
    }

    fn data(&self) -> impl serde::Serialize {
        json!({"id": self.0})
    }
}

impl Table for Loose {
    const TABLE: &'static str = "account";
    const KEY: &'static [&'static str] = &["id"];
    const BYTES: &'static [&'static str] = &["raw"];

    fn row(&self) -> impl serde::Serialize {
        &self.1
    }
}

pub(crate) async fn what_makes_no_rows_is_found_before_any_is_written<F: Fixture>(db: F) {
    let problem = async |rows: &[Loose]| {
        let mut tx = db.begin().await;
        let error = bulk_create(&mut tx, rows).await.unwrap_err();
        assert_eq!(F::text(&mut tx, "select name from account").await, None);
        F::commit(tx).await;
        match error {
            RecordError::Invalid { problem, .. } => problem,
            other => panic!("{other:?}"),
        }
    };
    let row = |id: i64, name: &str| Loose(id, json!({"id": id, "name": name}));
    let found = problem(&[row(1, "a"), row(1, "b")]).await;
    assert!(matches!(found, Problem::Twice), "{found:?}");
    let found = problem(&[row(1, "a"), Loose(2, json!({"id": 2}))]).await;
    assert!(matches!(found, Problem::NoColumn { column } if column == "name"));
    let more = Loose(2, json!({"id": 2, "name": "b", "c": 1}));
    let found = problem(&[row(1, "a"), more]).await;
    assert!(matches!(found, Problem::OtherColumn { column } if column == "c"));
    let found = problem(&[Loose(1, json!({"name": "b"}))]).await;
    assert!(matches!(found, Problem::NoColumn { column } if column == "id"));
    let found = problem(&[Loose(1, json!({"id": 1, "raw": "no base64"}))]).await;
    assert!(matches!(found, Problem::NotBytes { column } if column == "raw"));
    let found = problem(&[Loose(1, json!([1]))]).await;
    assert!(matches!(found, Problem::NotAnObject { field: "row" }));

    let mut tx = db.begin().await;
    let (before, after) = (row(1, "a"), row(2, "a"));
    let error = bulk_update(&mut tx, [(&before, &after)]).await.unwrap_err();
    assert!(matches!(
        error,
        RecordError::Invalid {
            problem: Problem::OtherInstance { .. },
            ..
        }
    ));
    F::rollback(tx).await;

    let mut connection = db.connection().await;
    let error = bulk_create(&mut connection, &[row(1, "a")])
        .await
        .unwrap_err();
    assert!(matches!(error, RecordError::NotInTransaction), "{error:?}");
    let error = bulk_update(&mut connection, [(&after, &after)])
        .await
        .unwrap_err();
    assert!(matches!(error, RecordError::NotInTransaction), "{error:?}");
}

/// Rows that nobody else sees.
#[derive(Debug, Clone, Master)]
#[master(cqrs_id = "private", table = "account", produce = false)]
struct Private {
    #[master(key)]
    id: i64,
    name: &'static str,
}

/// A row of nothing but its key.
#[derive(Debug, Master)]
#[master(cqrs_id = "membership", table = "membership", meta = Self::origin)]
struct Membership {
    #[master(key)]
    person: i64,
    #[master(key)]
    club: &'static str,
}

impl Membership {
    fn origin(about: &About<'_>) -> Option<serde_json::Value> {
        let to_all = about.queue().is_none();
        to_all.then(|| json!({"of": about.key()}))
    }
}

pub(crate) async fn rows_may_be_silent_many_none_or_nothing_but_a_key<F: Fixture>(db: F) {
    let mut tx = db.begin().await;
    let private = [Private { id: 1, name: "a" }];
    let recorded = bulk_create(&mut tx, &private).await.unwrap();
    assert_eq!(recorded, [Recorded::NotProduced]);
    let name = F::text(&mut tx, "select name from account where id = 1").await;
    assert_eq!(name.as_deref(), Some("a"));

    let none: [Private; 0] = [];
    assert_eq!(bulk_create(&mut tx, &none).await.unwrap(), []);
    assert_eq!(
        bulk_update(&mut tx, none.iter().zip(&none)).await.unwrap(),
        []
    );

    F::execute(
        &mut tx,
        "create table membership (person bigint, club text, primary key (person, club))",
    )
    .await;
    let many: Vec<_> = (0..1000)
        .map(|person| Membership {
            person,
            club: "chess",
        })
        .collect();
    let created = bulk_create(&mut tx, &many).await.unwrap();
    assert!(created.into_iter().all(|recorded| revision(recorded) == 0));
    F::commit(tx).await;
    let mut tx = db.begin().await;
    let updated = bulk_update(&mut tx, many.iter().zip(&many)).await.unwrap();
    assert!(updated.into_iter().all(|recorded| revision(recorded) == 1));
    let count = F::text(&mut tx, "select cast(count(*) as text) from membership").await;
    assert_eq!(count.as_deref(), Some("1000"));
    F::commit(tx).await;
    let lines = db.outbox().await;
    assert_eq!(lines.len(), 2000);
    assert_eq!(lines[7].json()["meta"], json!({"of": [7, "chess"]}));
}

/// An account whose row is written too.
#[derive(Debug, Master)]
#[master(cqrs_id = "account", table = "account")]
struct Named {
    #[master(key)]
    id: i64,
    name: String,
}

pub(crate) async fn updates_in_opposite_orders_do_not_deadlock<F: Fixture>(db: F) {
    const ROUNDS: i64 = 15;
    let named = |id: i64, name: &str| Named {
        id,
        name: name.to_owned(),
    };
    let db = Arc::new(db);
    let mut tx = db.begin().await;
    let first: Vec<_> = (0..40).map(|id| named(id, "new")).collect();
    bulk_create(&mut tx, &first).await.unwrap();
    F::commit(tx).await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let db = Arc::clone(&db);
        writers.spawn(async move {
            for round in 0..ROUNDS {
                let mut rows: Vec<_> = (0..40)
                    .map(|id| named(id, &format!("{writer} {round}")))
                    .collect();
                if writer % 2 == 0 {
                    rows.reverse();
                }
                let mut tx = db.begin().await;
                bulk_update(&mut tx, rows.iter().zip(&rows)).await.unwrap();
                F::commit(tx).await;
            }
        });
    }
    writers.join_all().await;
    for id in 0..40 {
        let last = Some((4 * ROUNDS, false));
        assert_eq!(db.revision(&id.to_string()).await, last, "{id}");
    }
}
