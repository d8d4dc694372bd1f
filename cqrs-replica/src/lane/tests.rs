use bytes::Bytes;
use cqrs_core::transport::{Delivery, Headers};

use super::*;

fn job(body: impl Into<Bytes>) -> Job {
    let tag = DeliveryTag(1);
    let message = Incoming::new(Delivery {
        tag,
        message_id: None,
        routing_key: "account".to_owned(),
        body: body.into(),
        headers: Headers::default(),
        redelivered: false,
    });
    Job {
        ticket: Ticket {
            epoch: 1,
            tag,
            bytes: 0,
        },
        message,
    }
}

fn event(key: i64, revision: i64) -> Job {
    job(format!(
        r#"{{"signal_type":"SAVE","cqrs_id":"account","instance_pk":{key},
            "instance_data":{{"cqrs_revision":{revision},
            "cqrs_updated":"2026-11-21 10:00:00.000000+00:00"}}}}"#
    ))
}

#[test]
fn all_messages_of_an_instance_share_a_lane_and_instances_spread() {
    let mut used = [0; 4];
    for key in 0..200 {
        let lane = lane_of(&event(key, 0).message, 4);
        assert!((1..5).all(|revision| lane_of(&event(key, revision).message, 4) == lane));
        used[lane] += 1;
    }
    assert!(used.iter().all(|count| *count > 20), "{used:?}");
}

#[test]
fn what_cannot_be_read_has_a_lane_too() {
    let message = job("not json").message;
    assert!(message.event.is_none());
    assert!((1..70).all(|lanes| lane_of(&message, lanes) < lanes));
}

#[test]
fn lanes_that_are_left_out_get_nothing() {
    let (mut lanes, mut receivers) = Lanes::new(4);
    lanes.only(vec![0, 2]);
    (0..50).for_each(|key| assert!(lanes.send(event(key, 0))));
    let got = receivers.iter_mut().map(|jobs| {
        let all = std::iter::from_fn(|| jobs.try_recv().ok());
        all.count() > 0
    });
    assert_eq!(got.collect::<Vec<_>>(), [true, false, true, false]);
}

#[test]
fn messages_reach_their_lane_in_order() {
    let (lanes, mut receivers) = Lanes::new(3);
    (0..50).for_each(|revision| assert!(lanes.send(event(7, revision))));
    let lane = lane_of(&event(7, 0).message, 3);
    for revision in 0..50 {
        let job = receivers[lane].try_recv().unwrap();
        assert_eq!(job.message.event.unwrap().revision.0, revision);
    }
    assert!(
        receivers
            .iter_mut()
            .all(|receiver| receiver.try_recv().is_err())
    );
}

#[test]
fn a_batch_that_fails_again_and_again_is_tried_in_smaller_pieces() {
    let mut pieces = Pieces::default();
    let portions: Vec<usize> = (0..10)
        .map(|_| {
            let portion = pieces.portion(200);
            pieces.failed(portion);
            portion
        })
        .collect();
    assert_eq!(portions, [200, 200, 100, 50, 25, 12, 6, 3, 1, 1]);
    let portions: Vec<usize> = (0..9)
        .map(|_| {
            pieces.succeeded();
            pieces.portion(200)
        })
        .collect();
    assert_eq!(portions, [2, 4, 8, 16, 32, 64, 128, 200, 200]);
}

#[test]
fn what_is_taken_off_a_batch_is_not_held_any_more() {
    let mut batch = Batch::default();
    (0..200).for_each(|key| batch.add(event(key, 0)));
    assert_eq!(batch.take(50).len(), 50);
    assert_eq!(batch.messages.len(), 150);
    assert_eq!(
        batch.bytes,
        batch.messages.iter().map(|m| m.body.len()).sum::<usize>()
    );
}

#[test]
fn what_is_postponed_goes_behind_the_others_with_its_ticket() {
    let mut batch = Batch::default();
    for (tag, key) in [(1, 7), (2, 8), (3, 9)] {
        let mut job = event(key, 0);
        job.ticket.tag = DeliveryTag(tag);
        batch.add(job);
    }
    batch.postpone();
    let keys = batch.messages.iter().map(|message| {
        let event = message.event.as_ref().unwrap();
        event.key.canonical()
    });
    assert!(keys.eq(["8", "9", "7"]));
    let tags: Vec<u64> = batch.take(3).iter().map(|ticket| ticket.tag.0).collect();
    assert_eq!(tags, [2, 3, 1]);
}

#[test]
fn a_batch_is_full_by_count_or_by_bytes() {
    let mut batch = Batch::default();
    batch.add(job(vec![b' '; MAX_BATCH_BYTES]));
    assert!(!batch.has_room(10));
    let mut batch = Batch::default();
    (0..10).for_each(|key| batch.add(event(key, 0)));
    assert!(!batch.has_room(10) && batch.has_room(11));
}
