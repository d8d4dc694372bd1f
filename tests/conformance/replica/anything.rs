//! Whatever bytes and properties a message has, it ends: applied, skipped, or kept as a letter.

use cqrs_replica::{Applied, LetterState, TableModel};
use fastrand::Rng;

use super::{
    fixture::{ACCOUNT, APPLIED, Fixture, Replica, table},
    message::{Message, account, gone},
    recorder::{SEEN, Script, recorded},
};

const NOTE: &str = "create table note (id text primary key, body {json_text}) {strict}";

/// Text that no database compresses.
fn noise(random: &mut Rng, length: usize) -> String {
    (0..length).map(|_| random.alphanumeric()).collect()
}

/// A table with numbers as keys, one with texts, and a handler.
async fn replica<F: Fixture>() -> Replica<F> {
    Replica::<F>::new(
        &[ACCOUNT, NOTE, SEEN],
        [
            table("account", TableModel::new("account", "id")),
            table("note", TableModel::new("note", "id")),
            recorded::<F>("heard", &Script::default()),
        ],
    )
    .await
}

pub(super) async fn a_model_that_cannot_be_one_is_kept_whole<F: Fixture>() {
    let mut random = Rng::with_seed(1);
    let mut replica = Replica::<F>::accounts().await;
    let ids = [
        noise(&mut random, 9_000),
        "\u{20ac}".repeat(3_000),
        "\\u0000".to_owned(),
    ];
    let mut batch: Vec<Message> = ids
        .iter()
        .map(|id| {
            Message::raw(
                format!(
                    r#"{{"signal_type":"SAVE","cqrs_id":"{id}","instance_pk":1,"instance_data":{{}}}}"#
                )
                .as_bytes(),
            )
        })
        .collect();
    batch.push(account(1, 0, "good"));
    let answers = replica.apply(&batch).await;
    assert_eq!(answers[ids.len()], APPLIED);
    let letters = replica.letters().await;
    assert_eq!(letters.len(), ids.len());
    for (letter, message) in letters.iter().zip(&batch) {
        assert_eq!(
            (letter.state, letter.reason.as_str()),
            (LetterState::Dead, "unreadable")
        );
        assert_eq!(&letter.body[..], message.body());
        assert!(letter.cqrs_id.as_ref().is_some_and(|id| id.len() <= 100));
    }
}

/// One message that nobody has thought of.
fn anything(random: &mut Rng) -> Message {
    let long = random.usize(1..9_000);
    let text = match random.u8(0..6) {
        0 => noise(random, long),
        1 => "\u{20ac}\u{1f980}".repeat(long / 8),
        2 => "\\u0000".repeat(random.usize(1..4)),
        3 => "\\ud800".to_owned(),
        4 => "\u{feff}'\\\"$1; --".to_owned(),
        _ => random.i64(1..4).to_string(),
    };
    let model = *random
        .choice(&["account", "note", "heard", "unheard"])
        .unwrap();
    let key = match random.u8(0..5) {
        0 => format!("\"{text}\""),
        1 => format!("[{},\"{text}\"]", random.i64(..)),
        2 => i128::MAX.to_string(),
        _ => random.i64(1..4).to_string(),
    };
    let revision = *random.choice(&[0, 1, 2, 3, i64::MAX, -1]).unwrap();
    let data = match random.u8(0..5) {
        0 => format!("\"name\":\"{text}\",\"body\":\"{text}\""),
        1 => (0..random.usize(1..3_000))
            .map(|member| format!("\"m{member}\":{member}"))
            .collect::<Vec<_>>()
            .join(","),
        2 => "\"name\":NaN,\"qty\":1e400".to_owned(),
        _ => "\"name\":\"a\",\"qty\":1".to_owned(),
    };
    let mut message = Message::save(model, &key, revision, &data);
    if random.u8(0..4) == 0 {
        message = Message {
            data: format!("\"id\":{key}"),
            ..Message::delete(model, &key, revision)
        };
    }
    message.counted = random.bool();
    message.forced = random.bool();
    message.at = *random.choice(&[0, 100, 8_000_000_000]).unwrap();
    if random.bool() {
        message.id = Some(uuid::Uuid::from_u128(random.u128(0..50)));
    }
    if random.u8(0..4) == 0 {
        message.routing_key = Some(text.replace("\\u0000", "\0"));
    }
    let mut body = message.body();
    match random.u8(0..7) {
        0 => body.truncate(random.usize(0..=body.len())),
        1 => {
            let at = random.usize(0..body.len());
            body[at] = random.u8(..);
        }
        2 if random.u8(0..8) == 0 => body.resize(3 << 20, b' '),
        3 => {
            let text = String::from_utf8_lossy(&body);
            let id = format!("\"cqrs_id\":\"{}", noise(random, 9_000));
            body = text.replace("\"cqrs_id\":\"", &id).into_bytes();
        }
        4 => body = (0..random.usize(0..200)).map(|_| random.u8(..)).collect(),
        _ => return message,
    }
    message.body = Some(body);
    message
}

pub(super) async fn whatever_comes_ends<F: Fixture>() {
    for seed in 0..4 {
        let mut random = Rng::with_seed(seed);
        let mut replica = replica::<F>().await;
        for round in 0..6 {
            let mut batch: Vec<Message> = (0..40).map(|_| anything(&mut random)).collect();
            let witness = 1_000 + round;
            batch.push(account(witness, 0, "witness"));
            let answers = replica.apply(&batch).await;
            assert_eq!(answers.len(), batch.len());
            assert_eq!(answers.last(), Some(&APPLIED), "seed {seed}");
            // And every letter of them can be taken up again.
            replica.make_due().await;
            replica.due().await;
        }
        let kept = replica.letters().await;
        assert!(!kept.is_empty());
        let queue = replica.policy.queue.clone();
        cqrs_replica::ReplicaSession::letter_retry(&mut replica.session, &queue, None)
            .await
            .unwrap();
        replica.due().await;
        assert_eq!(replica.one(&gone(1_000, 1)).await, APPLIED);
    }
}

pub(super) async fn a_body_of_many_megabytes_is_kept_whole<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let mut body = account(1, 0, "a").body();
    body.resize(50 << 20, b' ');
    let answers = replica
        .apply(&[Message::raw(&body), account(2, 0, "b")])
        .await;
    let dead = Applied::Dead {
        reason: "unreadable",
    };
    assert_eq!(answers, [dead, APPLIED]);
    assert_eq!(replica.letters().await[0].body.len(), body.len());
}

pub(super) async fn many_members_are_taken<F: Fixture>() {
    let mut replica = Replica::<F>::accounts().await;
    let members: Vec<String> = (0..60_000).map(|at| format!("\"m{at}\":{at}")).collect();
    let data = format!("\"name\":\"a\",{}", members.join(","));
    let message = Message::save("account", "1", 0, &data);
    assert_eq!(
        replica.apply(&[message, account(2, 0, "b")]).await,
        [APPLIED, APPLIED]
    );
}
