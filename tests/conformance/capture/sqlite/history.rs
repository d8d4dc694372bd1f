//! The same history, captured and recorded.

use cqrs_outbox::{
    Change, InstanceKey, Master, Signal, Tracked, begin, record,
    source::{SourceModel, TrackedFields},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::bed::{Bed, Line, model};

const TABLE: &str = "create table account (
    id integer primary key, name text not null, balance real, active boolean not null, doc json,
    photo blob, secret text
)";

fn declared() -> SourceModel {
    let fields =
        ["id", "name", "balance", "active", "doc"].map(|name| (name.to_owned(), name.to_owned()));
    let mut fields = fields.to_vec();
    fields.push(("picture".to_owned(), "photo".to_owned()));
    let tracked = TrackedFields::Fields(vec!["name".to_owned(), "picture".to_owned()]);
    model("account", &["id"])
        .with_fields(fields)
        .with_tracked(tracked)
        .with_filter(r#"{"active": true}"#.parse().unwrap())
        .with_ttl(Some(std::time::Duration::from_secs(90)))
}

/// What an application would say of a row.
#[derive(Clone, Serialize)]
struct Account {
    id: i64,
    name: String,
    balance: Option<f64>,
    active: bool,
    doc: Option<Value>,
    #[serde(with = "cqrs_outbox::form::bytes")]
    picture: Option<Vec<u8>>,
}

impl Master for Account {
    const CQRS_ID: &'static str = "account";
    const TRACKED: Tracked = Tracked::Fields(&["name", "picture"]);
    const TTL: Option<std::time::Duration> = Some(std::time::Duration::from_secs(90));

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        self
    }

    fn should_sync(&self) -> bool {
        self.active
    }
}

impl Account {
    fn new(id: i64) -> Self {
        Self {
            id,
            name: format!("n° {id} \"q\" \\ \n é 😀"),
            balance: Some(1.25),
            active: true,
            doc: Some(json!({"a": [1, null, {"b": "x\ty"}]})),
            picture: Some(vec![0, 51, 102, 153, 204]),
        }
    }

    async fn insert(&self, bed: &Bed) {
        sqlx::query("insert into account values (?, ?, ?, ?, ?, ?, 's')")
            .bind(self.id)
            .bind(&self.name)
            .bind(self.balance)
            .bind(self.active)
            .bind(self.doc.as_ref().map(Value::to_string))
            .bind(&self.picture)
            .execute(&bed.pool)
            .await
            .unwrap();
    }

    async fn update(&self, bed: &Bed) {
        sqlx::query(
            "update account set name = ?2, balance = ?3, active = ?4, doc = ?5, photo = ?6
             where id = ?1",
        )
        .bind(self.id)
        .bind(&self.name)
        .bind(self.balance)
        .bind(self.active)
        .bind(self.doc.as_ref().map(Value::to_string))
        .bind(&self.picture)
        .execute(&bed.pool)
        .await
        .unwrap();
    }

    async fn delete(&self, bed: &Bed) {
        sqlx::query("delete from account where id = ?")
            .bind(self.id)
            .execute(&bed.pool)
            .await
            .unwrap();
    }
}

async fn tell(bed: &Bed, change: Change) {
    let mut tx = begin(&bed.pool).await.unwrap();
    record(&mut tx, change).await.unwrap();
    tx.commit().await.unwrap();
}

/// A body without its times, in the order of its text.
fn timeless(line: &Line) -> String {
    let mut text = line.text.clone();
    for (start, end) in [("\"cqrs_updated\":\"", "\""), ("\"expires\":\"", "\"")] {
        if let Some(at) = text.find(start) {
            let from = at + start.len();
            let to = from + text[from..].find(end).unwrap();
            text.replace_range(from..to, "");
        }
    }
    text
}

#[tokio::test]
async fn a_captured_history_is_the_recorded_one() {
    let captured = Bed::of(TABLE, &declared()).await;
    let recorded = Bed::new().await;
    recorded.execute(TABLE).await;

    let first = Account::new(1);
    first.insert(&captured).await;
    tell(&recorded, Change::saved(&first)).await;
    let mut second = first.clone();
    second.name = "two".to_owned();
    second.balance = None;
    second.update(&captured).await;
    tell(&recorded, Change::updated(&first, &second)).await;
    let mut third = second.clone();
    third.picture = None;
    third.doc = None;
    third.update(&captured).await;
    tell(&recorded, Change::updated(&second, &third)).await;
    let mut hidden = third.clone();
    hidden.active = false;
    hidden.update(&captured).await;
    tell(&recorded, Change::updated(&third, &hidden)).await;
    let mut renamed = hidden.clone();
    renamed.name = "hidden".to_owned();
    renamed.update(&captured).await;
    tell(&recorded, Change::updated(&hidden, &renamed)).await;
    let mut back = renamed.clone();
    back.active = true;
    back.update(&captured).await;
    tell(&recorded, Change::updated(&renamed, &back)).await;
    back.delete(&captured).await;
    tell(&recorded, Change::deleted(&back)).await;
    first.insert(&captured).await;
    tell(&recorded, Change::saved(&first)).await;
    let mut other = Account::new(2);
    other.active = false;
    other.insert(&captured).await;
    tell(&recorded, Change::saved(&other)).await;
    other.delete(&captured).await;
    tell(&recorded, Change::deleted(&other)).await;

    let (captured_lines, recorded_lines) = (captured.lines().await, recorded.lines().await);
    let shorts: Vec<_> = captured_lines.iter().map(Line::short).collect();
    assert_eq!(
        shorts,
        [
            "SAVE 1 0",
            "SAVE 1 1",
            "SAVE 1 2",
            "DELETE 1 3",
            "SAVE 1 4",
            "DELETE 1 5",
            "SAVE 1 6"
        ]
    );
    let texts = |lines: &[Line]| lines.iter().map(timeless).collect::<Vec<_>>();
    assert_eq!(texts(&captured_lines), texts(&recorded_lines));
    for line in &captured_lines {
        let life = line.life.unwrap();
        assert!((90_000_000..91_000_000).contains(&life), "{life}");
        assert!(
            cqrs_core::wire::decode(line.text.as_bytes())
                .unwrap()
                .expires
                .is_some()
        );
    }
    for sql in [
        "select count(*) from cqrs_revision where instance_pk = '1' and revision = 6 and not deleted",
        "select count(*) from cqrs_revision",
    ] {
        assert_eq!(captured.number(sql).await, 1, "{sql}");
        assert_eq!(recorded.number(sql).await, 1, "{sql}");
    }
    assert_eq!(captured_lines[0].signal, Signal::Save.as_str());
}

/// The clock of SQLite has milliseconds; the time of an instance still never stands still.
#[tokio::test]
async fn the_time_of_an_instance_rises_with_its_revision() {
    let bed = Bed::of(
        "create table account (id integer primary key, n int)",
        &model("account", &["id"]),
    )
    .await;
    bed.execute("insert into account values (1, 0)").await;
    for _ in 0..20 {
        bed.execute("update account set n = n + 1").await;
    }
    let lines = bed.lines().await;
    let times: Vec<_> = lines
        .iter()
        .map(|line| {
            cqrs_core::wire::decode(line.text.as_bytes())
                .unwrap()
                .updated
        })
        .collect();
    assert_eq!(times.len(), 21);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    let stored = bed.number("select updated from cqrs_revision").await;
    assert_eq!(times[20].timestamp_micros(), stored);
}
