//! Values that must be unique and change hands.

use cqrs_replica::{Applied, TableModel};

use super::{
    fixture::{APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::Message,
};

const SPOTS: &str = "select cast(id as text), cast(list as text), cast(place as text), name
                     from spot order by id";

/// Tables in which a place, a name or both may be given once.
const KINDS: [&str; 4] = [
    "list integer not null, place integer not null, name text, unique (list, place)",
    "list integer, place integer unique, name text",
    "list integer, place integer, name text not null unique",
    "list integer, place integer not null check (place > 0), name text not null, unique (place),
     unique (list, name)",
];

async fn spots<F: Fixture>(columns: &str) -> Replica<F> {
    let create = format!("create table spot (id integer primary key, {columns}) {{strict}}");
    // Rows must neither vanish for a moment nor change their keys.
    let note = "create table note (id integer primary key,
                spot integer references spot (id) on delete cascade) {strict}";
    let models = [
        table("spot", TableModel::new("spot", "id")),
        table("note", TableModel::new("note", "id")),
    ];
    let mut replica = Replica::new(&[&create, note], models).await;
    let rows: Vec<Message> = (1..=5).map(|key| spot(key, 0, key)).collect();
    assert_eq!(replica.apply(&rows).await, vec![APPLIED; 5]);
    let notes: Vec<Message> = (1..=5)
        .map(|key| Message::save("note", &key.to_string(), 0, &format!("\"spot\":{key}")))
        .collect();
    assert_eq!(replica.apply(&notes).await, vec![APPLIED; 5]);
    replica
}

fn spot(key: i64, revision: i64, place: i64) -> Message {
    let data = format!("\"list\":7,\"place\":{place},\"name\":\"n{place}\"");
    Message::save("spot", &key.to_string(), revision, &data)
}

async fn assert_notes<F: Fixture>(replica: &Replica<F>, count: &str) {
    let notes = "select cast(count(*) as text) from note";
    assert_eq_rows(&replica.rows(notes).await, &[count]);
}

impl<F: Fixture> Replica<F> {
    /// Looks at the letters as often as it takes until no look changes anything.
    async fn look(&mut self) {
        loop {
            self.make_due().await;
            let due = self.due().await;
            if !due.applied.contains(&APPLIED) {
                return;
            }
        }
    }
}

pub(super) async fn values_change_places_within_a_batch<F: Fixture>() {
    for columns in KINDS {
        let mut replica = spots::<F>(columns).await;
        let swap = [spot(1, 1, 2), spot(2, 1, 1)];
        assert_eq!(replica.apply(&swap).await, [APPLIED, APPLIED], "{columns}");
        let rotation = [spot(3, 1, 4), spot(4, 1, 5), spot(5, 1, 3), spot(6, 0, 6)];
        assert_eq!(
            replica.apply(&rotation).await,
            vec![APPLIED; 4],
            "{columns}"
        );
        let expected = [
            "1|7|2|n2", "2|7|1|n1", "3|7|4|n4", "4|7|5|n5", "5|7|3|n3", "6|7|6|n6",
        ];
        assert_eq_rows(&replica.rows(SPOTS).await, &expected);
        assert_eq!(replica.letters().await.len(), 0);
        assert_notes(&replica, "5").await;
    }
}

pub(super) async fn values_change_places_across_lanes<F: Fixture>() {
    for columns in KINDS {
        let mut replica = spots::<F>(columns).await;
        for (key, place) in [(1, 2), (2, 1), (3, 4), (4, 5), (5, 3)] {
            replica.one(&spot(key, 1, place)).await;
        }
        // Each look at one of them brings the others.
        let sql = "update cqrs_dead_letter set next_attempt_at = created_at
                   where instance_pk in ('1', '4') and next_attempt_at is not null";
        replica.fixture.execute(sql).await;
        replica.due().await;
        let expected = ["1|7|2|n2", "2|7|1|n1", "3|7|4|n4", "4|7|5|n5", "5|7|3|n3"];
        assert_eq_rows(&replica.rows(SPOTS).await, &expected);
        assert_notes(&replica, "5").await;
    }
}

pub(super) async fn what_a_deleted_row_had_may_be_taken_in_the_same_batch<F: Fixture>() {
    for columns in KINDS {
        let mut replica = spots::<F>(columns).await;
        let batch = [
            spot(8, 0, 1),
            Message::delete("spot", "1", 1),
            spot(2, 1, 9),
            spot(3, 1, 2),
        ];
        assert_eq!(replica.apply(&batch).await, vec![APPLIED; 4], "{columns}");
        let expected = ["2|7|9|n9", "3|7|2|n2", "4|7|4|n4", "5|7|5|n5", "8|7|1|n1"];
        assert_eq_rows(&replica.rows(SPOTS).await, &expected);
        assert_notes(&replica, "4").await;
    }
}

pub(super) async fn a_value_is_waited_for_and_taken_at_once<F: Fixture>() {
    for (gives_up, left) in [
        (spot(1, 1, 9), vec!["1|7|9|n9", "6|7|1|n1"]),
        (Message::delete("spot", "1", 1), vec!["6|7|1|n1"]),
    ] {
        let mut replica = spots::<F>(KINDS[0]).await;
        let answer = replica.one(&spot(6, 0, 1)).await;
        assert!(matches!(answer, Applied::Retrying { .. }), "{answer:?}");
        let letter = replica.letters().await.remove(0);
        assert_eq!(letter.waits_for.as_deref(), Some("spot 1"));
        let error = letter.error.unwrap();
        assert!(error.contains("place"), "{error}");
        assert_eq!(replica.due().await.applied, []);
        replica.one(&gives_up).await;
        assert_eq!(replica.due().await.applied, [APPLIED]);
        let some = SPOTS.replace("order", "where id in (1, 6) order");
        assert_eq_rows(&replica.rows(&some).await, &left);
    }
}

pub(super) async fn what_only_the_replica_knows_is_kept<F: Fixture>() {
    let columns = format!("{}, mark text", KINDS[1]);
    let mut replica = spots::<F>(&columns).await;
    replica
        .fixture
        .execute("update spot set mark = 'own'")
        .await;
    replica.one(&spot(1, 1, 2)).await;
    replica.one(&spot(2, 1, 1)).await;
    replica.look().await;
    let rows = replica
        .rows(
            "select cast(id as text), cast(place as text), mark from spot where id < 3 order by id",
        )
        .await;
    assert_eq_rows(&rows, &["1|2|own", "2|1|own"]);
}
