//! Rows that refer to rows of their own table, deeply.

use cqrs_replica::TableModel;

use super::{
    fixture::{APPLIED, Fixture, Replica, assert_eq_rows, table},
    message::Message,
};

const NODE: &str = "create table node (id integer primary key,
                    parent integer references node (id)) {strict}";

async fn nodes<F: Fixture>() -> Replica<F> {
    let model = table("node", TableModel::new("node", "id"));
    Replica::new(&[NODE], [model]).await
}

/// A chain, from the leaf to the root.
fn chain(length: i64) -> Vec<Message> {
    let node = |key: i64| {
        let parent = if key == 0 {
            "null".to_owned()
        } else {
            (key - 1).to_string()
        };
        Message::save("node", &key.to_string(), 0, &format!("\"parent\":{parent}"))
    };
    (0..length).rev().map(node).collect()
}

/// The same as lanes have them.
fn in_lanes(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut lanes = vec![Vec::new(); 4];
    for (at, message) in messages.into_iter().enumerate() {
        // Neighbours are in any two of them.
        lanes[at * at / 3 % 4].push(message);
    }
    lanes
}

pub(super) async fn a_tree_needs_no_order_within_a_batch<F: Fixture>() {
    let mut replica = nodes::<F>().await;
    let batch = chain(50);
    assert_eq!(replica.apply(&batch).await, vec![APPLIED; 50]);
    let gone: Vec<_> = (0..50)
        .map(|key: i64| Message::delete("node", &key.to_string(), 1))
        .collect();
    assert_eq!(replica.apply(&gone).await, vec![APPLIED; 50]);
    assert_eq_rows(&replica.rows("select 'x' from node").await, &[]);
    assert_eq!(replica.letters().await.len(), 0);
}

pub(super) async fn a_deep_tree_is_deleted_in_whatever_order_it_comes<F: Fixture>() {
    let mut replica = nodes::<F>().await;
    replica.apply(&chain(150)).await;
    replica.drain().await;
    let count = "select cast(count(*) as text) from node";
    assert_eq_rows(&replica.rows(count).await, &["150"]);
    let gone = (0..150)
        .map(|key: i64| Message::delete("node", &key.to_string(), 1))
        .collect();
    for lane in in_lanes(gone) {
        replica.apply(&lane).await;
    }
    // Each that goes wakes what waits for it: no time has to pass.
    replica.drain().await;
    assert_eq_rows(&replica.rows(count).await, &["0"]);
    assert_eq!(replica.letters().await.len(), 0);
}

pub(super) async fn a_deep_tree_arrives_in_whatever_order_it_comes<F: Fixture>() {
    let mut replica = nodes::<F>().await;
    for lane in in_lanes(chain(150)) {
        replica.apply(&lane).await;
    }
    let mut looks = 0;
    while !replica.due().await.applied.is_empty() {
        looks += 1;
    }
    let count = "select cast(count(*) as text) from node";
    assert_eq_rows(&replica.rows(count).await, &["150"]);
    assert_eq!(replica.letters().await.len(), 0);
    // A row wakes all that is behind it, not only its children.
    assert!(looks < 20, "{looks}");
}
