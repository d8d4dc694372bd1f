use cqrs_core::{Event, InstanceKey, Revision, wire::decode};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::*;
use crate::{Change, Master, Tracked};

#[derive(Debug, Clone, Serialize)]
struct Row {
    id: i64,
    value: u8,
    #[serde(skip)]
    shown: bool,
}

impl Master for Row {
    const CQRS_ID: &'static str = "row";
    const TRACKED: Tracked = Tracked::All;

    fn key(&self) -> InstanceKey {
        self.id.into()
    }

    fn data(&self) -> impl Serialize {
        self
    }

    fn should_sync(&self) -> bool {
        self.shown
    }
}

fn row(id: i64, value: u8) -> Row {
    Row {
        id,
        value,
        shown: true,
    }
}

fn hidden(id: i64) -> Row {
    Row {
        id,
        value: 0,
        shown: false,
    }
}

fn folded(changes: impl IntoIterator<Item = Change>) -> Folded {
    let drafts = changes
        .into_iter()
        .map(|change| change.into_draft().unwrap())
        .collect();
    fold(drafts, &Recorder::new()).unwrap()
}

fn event(entry: &Entry) -> Event {
    let body = entry
        .body
        .splice(Revision(7), chrono::DateTime::UNIX_EPOCH, None);
    decode(body.as_bytes()).unwrap()
}

/// Key, signal, queue and condition of each entry.
fn shape(folded: &Folded) -> Vec<(&str, &str, Option<&str>, bool)> {
    folded
        .entries
        .iter()
        .map(|entry| {
            let key = entry.instance_pk.as_str();
            (key, entry.signal.as_str(), entry.queue(), entry.only_live())
        })
        .collect()
}

#[test]
fn different_instances_stay_as_they_are_and_in_order() {
    let folded = folded([
        Change::saved(&row(2, 0)),
        Change::deleted(&row(1, 0)),
        Change::json("other", 2, Signal::Sync, json!({})),
    ]);
    assert_eq!(
        shape(&folded),
        [
            ("2", "SAVE", None, false),
            ("1", "DELETE", None, false),
            ("2", "SYNC", None, false)
        ]
    );
    assert_eq!(folded.entry_of, [0, 1, 2].map(Some));
    assert!(folded.entries.iter().all(|entry| entry.leads));
}

#[test]
fn the_table_of_outcomes_holds() {
    const SAVE: fn() -> Change = || Change::saved(&row(1, 1));
    const DELETE: fn() -> Change = || Change::deleted(&row(1, 1));
    const SYNC: fn() -> Change = || Change::synced(&row(1, 1));
    const QUEUE: fn() -> Change = || Change::synced(&row(1, 1)).to_queue("q");
    const DROP: fn() -> Change = || Change::saved(&hidden(1));
    let save = ("1", "SAVE", None, false);
    let delete = ("1", "DELETE", None, false);
    let sync = ("1", "SYNC", None, false);
    let queue = ("1", "SYNC", Some("q"), false);
    let drop = ("1", "DELETE", None, true);
    for (changes, outcome) in [
        (vec![QUEUE], vec![queue]),
        (vec![DROP], vec![drop]),
        (vec![SAVE, SAVE], vec![save]),
        (vec![SAVE, DELETE], vec![delete]),
        (vec![SAVE, SYNC], vec![save]),
        (vec![SAVE, QUEUE], vec![save, queue]),
        (vec![SAVE, DROP], vec![drop]),
        (vec![DELETE, SAVE], vec![save]),
        (vec![DELETE, DELETE], vec![delete]),
        (vec![DELETE, SYNC], vec![save]),
        (vec![DELETE, QUEUE], vec![save, queue]),
        (vec![DELETE, DROP], vec![delete]),
        (vec![SYNC, SAVE], vec![save]),
        (vec![SYNC, DELETE], vec![delete]),
        (vec![SYNC, SYNC], vec![sync]),
        (vec![SYNC, QUEUE], vec![sync, queue]),
        (vec![SYNC, DROP], vec![drop]),
        (vec![DROP, SAVE], vec![save]),
        (vec![DROP, DELETE], vec![delete]),
        (vec![DROP, SYNC], vec![save]),
        (vec![DROP, QUEUE], vec![save, queue]),
        (vec![DROP, DROP], vec![drop]),
        (vec![QUEUE, SAVE], vec![queue, save]),
        (vec![QUEUE, DELETE], vec![delete]),
        (vec![QUEUE, DROP], vec![drop]),
        (vec![QUEUE, QUEUE], vec![queue]),
    ] {
        let folded = folded(changes.iter().map(|change| change()));
        assert_eq!(shape(&folded), outcome, "{folded:?}");
        assert_eq!(folded.entries.iter().filter(|entry| entry.leads).count(), 1);
    }
}

#[test]
fn the_last_state_and_identity_and_the_first_old_values_count() {
    let last = Change::saved(&row(1, 3)).previous(&row(1, 2));
    let last = last.into_draft().unwrap();
    let id = last.message_id;
    let first = Change::saved(&row(1, 2))
        .previous(&row(1, 1))
        .into_draft()
        .unwrap();
    let folded = fold(vec![first, last], &Recorder::new()).unwrap();
    let event = event(&folded.entries[0]);
    assert_eq!(folded.entries[0].message_id, id);
    assert_eq!(event.data.get("value").unwrap().get(), "3");
    assert_eq!(event.previous.unwrap().to_json(), r#"{"value":1}"#);
}

#[test]
fn a_sync_to_a_queue_carries_the_state_and_revision_of_the_save_beside_it() {
    let folded = folded([
        Change::synced(&row(1, 1)).to_queue("q"),
        Change::saved(&row(1, 2)),
    ]);
    assert!(!folded.entries[0].leads && folded.entries[1].leads);
    assert!(!folded.entries[0].raises() && folded.entries[1].raises());
    for entry in &folded.entries {
        assert_eq!(event(entry).data.get("value").unwrap().get(), "2");
    }
}

#[test]
fn each_change_is_answered_by_the_event_that_stands_for_it() {
    let folded = folded([
        Change::saved(&row(1, 1)),
        Change::saved(&row(2, 1)),
        Change::synced(&row(1, 1)).to_queue("a"),
        Change::saved(&row(1, 2)),
        Change::synced(&row(1, 1)).to_queue("b"),
        Change::synced(&row(1, 1)).to_queue("a"),
    ]);
    let all = [
        ("1", "SAVE", None, false),
        ("2", "SAVE", None, false),
        ("1", "SYNC", Some("a"), false),
        ("1", "SYNC", Some("b"), false),
    ];
    assert_eq!(shape(&folded), all);
    assert_eq!(folded.entry_of, [0, 1, 2, 0, 3, 2].map(Some));
}

#[test]
fn a_body_over_the_limit_is_refused_by_name() {
    let change = Change::json(
        "doc",
        5,
        Signal::Save,
        json!({"text": "x".repeat(MAX_BODY)}),
    );
    let error = fold(vec![change.into_draft().unwrap()], &Recorder::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot record doc 5");
    let RecordError::Invalid {
        problem: Problem::TooLong { len },
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(len > MAX_BODY);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Save(u8),
    Delete,
    Sync(u8),
    Queue(u8),
    Hide,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        (0_u8..3).prop_map(Step::Save),
        Just(Step::Delete),
        (0_u8..3).prop_map(Step::Sync),
        (0_u8..3).prop_map(Step::Queue),
        Just(Step::Hide),
    ];
    proptest::collection::vec((0_i64..3, step), 0..12)
}

proptest! {
    /// Whatever comes in: one leader for each instance, all entries of an instance with the state
    /// its last change left, and every change answered by an event of its own instance.
    #[test]
    fn folding_keeps_the_last_state(steps in steps()) {
        let changes = steps.iter().map(|(id, step)| match step {
            Step::Save(value) => Change::saved(&row(*id, *value)),
            Step::Delete => Change::deleted(&row(*id, 0)),
            Step::Sync(value) => Change::synced(&row(*id, *value)),
            Step::Queue(value) => Change::synced(&row(*id, *value)).to_queue("q"),
            Step::Hide => Change::saved(&hidden(*id)),
        });
        let folded = folded(changes);
        prop_assert_eq!(folded.entry_of.len(), steps.len());
        for ((id, _), entry) in steps.iter().zip(&folded.entry_of) {
            prop_assert_eq!(&folded.entries[entry.unwrap()].instance_pk, &id.to_string());
        }
        for id in 0..3 {
            let last = steps.iter().rev().find(|(other, _)| *other == id).map(|(_, step)| *step);
            let own: Vec<_> =
                folded.entries.iter().filter(|entry| entry.instance_pk == id.to_string()).collect();
            prop_assert_eq!(own.is_empty(), last.is_none());
            prop_assert_eq!(own.iter().filter(|entry| entry.leads).count(), usize::from(last.is_some()));
            for entry in own {
                let Some(Step::Save(value) | Step::Sync(value) | Step::Queue(value)) = last else {
                    prop_assert_eq!(entry.signal, Signal::Delete);
                    continue;
                };
                prop_assert_ne!(entry.signal, Signal::Delete);
                let event = event(entry);
                prop_assert_eq!(event.data.get("value").unwrap().get(), value.to_string());
            }
        }
    }
}
