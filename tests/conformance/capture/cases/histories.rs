//! The same history, captured and recorded.

use std::{collections::BTreeMap, time::Duration};

use cqrs_outbox::{Change, InstanceKey, Master, Tracked, record, source::TrackedFields};
use serde::Serialize;

use crate::fixture::{Fixture, Line, account};

/// What an application would say of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Account {
    id: i64,
    name: String,
    note: Option<String>,
    active: bool,
}

impl Master for Account {
    const CQRS_ID: &'static str = "account";
    const TRACKED: Tracked = Tracked::Fields(&["name", "note"]);
    const TTL: Option<Duration> = Some(Duration::from_secs(90));

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
    fn random(id: i64, chance: &mut fastrand::Rng) -> Self {
        Self {
            id,
            name: chance
                .choice(["a", "b", "q\"\\ \n é 😀"])
                .unwrap()
                .to_owned(),
            note: chance
                .choice([None, Some("x"), Some("'")])
                .unwrap()
                .map(str::to_owned),
            active: chance.u8(..4) > 0,
        }
    }

    fn values(&self) -> [String; 3] {
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        [
            text(&self.name),
            self.note.as_deref().map_or("null".to_owned(), text),
            self.active.to_string(),
        ]
    }

    fn insert(&self) -> String {
        let [name, note, active] = self.values();
        format!(
            "insert into account values ({}, {name}, {note}, {active})",
            self.id
        )
    }

    /// The update of what is row `id` so far.
    fn update(&self, id: i64) -> String {
        let [name, note, active] = self.values();
        format!(
            "update account set id = {}, name = {name}, note = {note}, active = {active} where id = {id}",
            self.id
        )
    }
}

type Rows = BTreeMap<i64, Account>;

/// A write and what an application would record of it.
fn step(rows: &mut Rows, chance: &mut fastrand::Rng) -> (String, Vec<Change>) {
    let id = chance.i64(1..5);
    let after = Account::random(id, chance);
    let Some(before) = rows.remove(&id) else {
        let changes = vec![Change::saved(&after)];
        let sql = after.insert();
        rows.insert(id, after);
        return (sql, changes);
    };
    let moved = chance.i64(5..8);
    match chance.u8(..8) {
        0 | 1 => (
            format!("delete from account where id = {id}"),
            vec![Change::deleted(&before)],
        ),
        2 if !rows.contains_key(&moved) => {
            let after = Account { id: moved, ..after };
            let sql = after.update(id);
            let changes = vec![Change::deleted(&before), Change::saved(&after)];
            rows.insert(moved, after);
            (sql, changes)
        }
        _ => {
            let changes = vec![Change::updated(&before, &after)];
            let sql = after.update(id);
            rows.insert(id, after);
            (sql, changes)
        }
    }
}

/// By instance: a statement on several has no order of its own.
fn sorted(lines: &[Line]) -> Vec<Line> {
    let mut lines = lines.to_vec();
    lines.sort_by_key(|line| (line.instance_pk.clone(), line.id));
    lines.iter().map(Line::timeless).collect()
}

pub(crate) async fn captured_histories_are_the_recorded_ones<F: Fixture>(captured: F) {
    let recorded = F::new().await;
    let tracked = TrackedFields::Fields(vec!["name".to_owned(), "note".to_owned()]);
    let model = account()
        .with_tracked(tracked)
        .with_ttl(Account::TTL)
        .with_filter(r#"{"active": true}"#.parse().unwrap());
    captured.install(&model).await;
    let mut chance = fastrand::Rng::with_seed(7);
    let mut rows = Rows::new();
    let mut kinds = [0; 4];
    for _ in 0..150 {
        let (mut here, mut there) = (captured.begin().await, recorded.begin().await);
        let mut told = Vec::new();
        let parts = if F::TRIGGERS_FOLD { chance.u8(1..4) } else { 1 };
        for part in 0..parts {
            // A part that is taken back leaves nothing.
            let undone = part > 0 && chance.u8(..4) == 0;
            let before = rows.clone();
            for tx in [&mut here, &mut there] {
                F::run(tx, "savepoint part").await;
            }
            let steps = if F::TRIGGERS_FOLD { chance.u8(1..4) } else { 1 };
            for _ in 0..steps {
                let (sql, changes) = step(&mut rows, &mut chance);
                F::run(&mut here, &sql).await;
                F::run(&mut there, &sql).await;
                for change in changes {
                    record(&mut there, change).await.unwrap();
                }
                told.push(sql);
            }
            if undone {
                for tx in [&mut here, &mut there] {
                    F::run(tx, "rollback to savepoint part").await;
                }
                told.push("rollback".to_owned());
                rows = before;
            }
        }
        F::commit(here).await;
        F::commit(there).await;
        let (here, there) = (captured.take().await, recorded.take().await);
        assert_eq!(sorted(&here), sorted(&there), "{told:#?}");
        for line in here {
            let previous = &line.json()["previous_data"];
            kinds[0] += usize::from(line.signal == "DELETE");
            kinds[1] += usize::from(line.revision > 3);
            kinds[2] += usize::from(previous.is_object());
            kinds[3] += usize::from(previous["note"] == "'");
        }
    }
    assert!(kinds.iter().all(|&often| often > 4), "{kinds:?}");
}

pub(crate) async fn what_is_unchanged_is_skipped_on_demand<F: Fixture>(fixture: F) {
    let fields = [("id", "id"), ("title", "name")];
    let fields = fields.map(|(name, column)| (name.to_owned(), column.to_owned()));
    let plain = account()
        .with_fields(fields.to_vec())
        .with_filter(r#"{"active": true}"#.parse().unwrap());
    fixture.install(&plain).await;
    fixture
        .execute("insert into account values (1, 'a', null, true)")
        .await;
    fixture.execute("update account set note = 'x'").await;
    assert_eq!(fixture.news().await, ["SAVE 1 0", "SAVE 1 1"]);
    fixture.install(&plain.with_skip_unchanged(true)).await;
    fixture.execute("update account set note = 'y'").await;
    fixture.execute("update account set name = name").await;
    assert!(fixture.news().await.is_empty());
    fixture
        .execute("update account set note = 'z', name = 'b'")
        .await;
    fixture.execute("update account set active = false").await;
    fixture.execute("update account set active = true").await;
    let lines = fixture.take().await;
    let shorts: Vec<_> = lines.iter().map(Line::short).collect();
    assert_eq!(shorts, ["SAVE 1 2", "DELETE 1 3", "SAVE 1 4"]);
    assert_eq!(lines[2].json()["instance_data"]["title"], "b");
}
