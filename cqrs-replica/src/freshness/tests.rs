//! Who looks, how often, and what for; the databases' own part is in the conformance suite. The clock stands
//! still but when all wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use tokio::task::JoinSet;

use super::*;

const LONG: Duration = Duration::from_mins(1);

/// What a look meets.
#[derive(Debug)]
enum Turn {
    Fails(StoreError),
    Hangs,
}

#[derive(Debug, Default)]
struct World {
    applied: HashMap<String, i64>,
    turns: VecDeque<Turn>,
    /// When each look began, and for how many instances.
    looks: Vec<(Instant, usize)>,
    letters: Vec<(i64, HoldingLetter)>,
}

#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<World>>);

impl Fake {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, key: &str, revision: i64) {
        self.world().applied.insert(key.to_owned(), revision);
    }

    fn next(&self, turn: Turn) {
        self.world().turns.push_back(turn);
    }

    /// For how many instances each look was.
    fn sizes(&self) -> Vec<usize> {
        self.world().looks.iter().map(|(_, size)| *size).collect()
    }

    fn freshness(&self) -> Freshness {
        let queue = QueueName::new("q").unwrap();
        Freshness::new(self.clone(), queue, ["account".parse().unwrap()])
    }
}

impl Database for Fake {
    fn revisions<'a>(
        &'a self,
        _queue: &'a QueueName,
        instances: &'a [&'a InstanceId],
    ) -> Answer<'a, Option<i64>> {
        Box::pin(async move {
            let turn = {
                let mut world = self.world();
                world.looks.push((Instant::now(), instances.len()));
                world.turns.pop_front()
            };
            match turn {
                Some(Turn::Fails(error)) => return Err(error),
                Some(Turn::Hangs) => std::future::pending().await,
                None => tokio::time::sleep(Duration::from_micros(100)).await,
            }
            let world = self.world();
            Ok(instances
                .iter()
                .map(|(_, key)| world.applied.get(key).copied())
                .collect())
        })
    }

    fn letters<'a>(
        &'a self,
        _queue: &'a QueueName,
        _events: &'a [MissingEvent],
    ) -> Answer<'a, (i64, HoldingLetter)> {
        Box::pin(async move { Ok(self.world().letters.clone()) })
    }
}

fn token(events: &[(&str, i64)]) -> Token {
    Token::new(
        events
            .iter()
            .map(|&(key, revision)| ("account".to_owned(), key.to_owned(), Revision(revision))),
    )
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("it is away".into())
}

#[tokio::test(start_paused = true)]
async fn nothing_to_wait_for_costs_nothing() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let event = |cqrs_id: &str| Token::new([(cqrs_id.to_owned(), "1".to_owned(), Revision(0))]);
    for token in [Token::default(), event("country"), event("no model's name")] {
        freshness.wait_for(&token, LONG).await.unwrap();
    }
    assert_eq!(freshness.looks(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_applied_already_costs_one_look_at_once() {
    let fake = Fake::default();
    fake.apply("1", 4);
    fake.apply("2", 0);
    let began = Instant::now();
    let token = token(&[("1", 4), ("2", 0)]);
    fake.freshness().wait_for(&token, LONG).await.unwrap();
    assert_eq!(fake.sizes(), [2]);
    assert_eq!(fake.world().looks[0].0, began);
}

#[tokio::test(start_paused = true)]
async fn looks_become_seldom() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let token = token(&[("1", 0)]);
    let answer = freshness.wait_for(&token, Duration::from_secs(10)).await;
    assert!(
        matches!(answer, Err(NotFresh::TimedOut { .. })),
        "{answer:?}"
    );
    let looks: Vec<Instant> = fake.world().looks.iter().map(|(at, _)| *at).collect();
    let pauses: Vec<Duration> = looks.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses[0] <= Duration::from_millis(5), "{pauses:?}");
    assert!(pauses.is_sorted(), "{pauses:?}");
    let last = *pauses.last().unwrap();
    assert!(
        last >= Duration::from_millis(100) && last <= Duration::from_millis(102),
        "{pauses:?}"
    );
    assert!(looks.len() < 120, "{}", looks.len());
}

#[tokio::test(start_paused = true)]
async fn many_share_their_looks() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let mut all = JoinSet::new();
    for key in 0..200 {
        let freshness = freshness.clone();
        all.spawn(async move {
            let token = token(&[(&key.to_string(), 0)]);
            freshness.wait_for(&token, LONG).await
        });
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    for key in 0..200 {
        fake.apply(&key.to_string(), 0);
    }
    while let Some(answer) = all.join_next().await {
        answer.unwrap().unwrap();
    }
    let sizes = fake.sizes();
    assert!(sizes.len() <= 20, "{sizes:?}");
    assert!(
        sizes.iter().all(|size| [1, 199, 200].contains(size)),
        "{sizes:?}"
    );
    assert_eq!(freshness.shared.board.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_came_at_different_times_come_to_look_together() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let mut all = JoinSet::new();
    for key in 0..50 {
        let freshness = freshness.clone();
        all.spawn(async move {
            tokio::time::sleep(Duration::from_millis(key * 7)).await;
            let token = token(&[(&key.to_string(), 0)]);
            freshness.wait_for(&token, Duration::from_secs(10)).await
        });
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = fake.sizes().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sizes = fake.sizes().split_off(before);
    assert!(sizes.len() <= 20, "{sizes:?}");
    all.shutdown().await;
    assert_eq!(freshness.shared.board.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_wait_for_the_pace_of_others() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let mut old = JoinSet::new();
    let slow = freshness.clone();
    old.spawn(async move { slow.wait_for(&token(&[("old", 0)]), LONG).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    fake.apply("new", 7);
    let began = Instant::now();
    freshness
        .wait_for(&token(&[("new", 7)]), LONG)
        .await
        .unwrap();
    assert!(
        began.elapsed() <= Duration::from_millis(4),
        "{:?}",
        began.elapsed()
    );
    old.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_many_want_is_asked_for_once() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let mut all = JoinSet::new();
    for revision in 0..20 {
        let freshness = freshness.clone();
        all.spawn(async move { freshness.wait_for(&token(&[("1", revision)]), LONG).await });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    fake.apply("1", 9);
    for _ in 0..10 {
        all.join_next().await.unwrap().unwrap().unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        all.try_join_next().is_none(),
        "a revision that has not come was enough"
    );
    fake.apply("1", 30);
    for answer in all.join_all().await {
        answer.unwrap();
    }
    assert!(fake.sizes().iter().all(|size| *size == 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_may_be_dropped() {
    let fake = Fake::default();
    fake.apply("1", 0);
    fake.next(Turn::Hangs);
    let freshness = fake.freshness();
    let mut first = JoinSet::new();
    let looking = freshness.clone();
    first.spawn(async move { looking.wait_for(&token(&[("2", 0)]), LONG).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(fake.sizes(), [1]);
    let mut second = JoinSet::new();
    let next = freshness.clone();
    second.spawn(async move { next.wait_for(&token(&[("1", 0)]), LONG).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    first.shutdown().await;
    second.join_next().await.unwrap().unwrap().unwrap();
    assert!(
        began.elapsed() <= Duration::from_millis(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(fake.sizes(), [1, 1], "the dropped one is still asked for");
    assert_eq!(freshness.shared.board.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failing_database_is_asked_again() {
    let fake = Fake::default();
    fake.apply("1", 0);
    fake.next(Turn::Fails(unavailable()));
    fake.next(Turn::Fails(StoreError::Conflict("locked".into())));
    fake.freshness()
        .wait_for(&token(&[("1", 0)]), LONG)
        .await
        .unwrap();
    assert_eq!(fake.sizes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_stays_away_is_the_reason() {
    let fake = Fake::default();
    for _ in 0..100 {
        fake.next(Turn::Fails(unavailable()));
    }
    let freshness = fake.freshness();
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    let answer = freshness.wait_for(&token(&[("1", 0)]), limit).await;
    assert_eq!(began.elapsed(), limit);
    assert!(
        matches!(&answer, Err(NotFresh::Store(error)) if error.is_transient()),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_all_waits() {
    let fake = Fake::default();
    let freshness = fake.freshness();
    let mut all = JoinSet::new();
    for key in 0..10 {
        let freshness = freshness.clone();
        all.spawn(async move {
            let token = token(&[(&key.to_string(), 0)]);
            freshness.wait_for(&token, LONG).await
        });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = fake.sizes().len();
    fake.next(Turn::Fails(StoreError::Backend("no such table".into())));
    for answer in all.join_all().await {
        assert!(
            matches!(&answer, Err(NotFresh::Store(error)) if !error.is_transient()),
            "{answer:?}"
        );
    }
    assert_eq!(fake.sizes().len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_no_database_takes_spoils_nothing() {
    let fake = Fake::default();
    fake.apply("1", 0);
    let freshness = fake.freshness();
    let answer = freshness
        .wait_for(&token(&[("1", 0), ("a\0b", 0)]), Duration::from_millis(50))
        .await;
    let Err(NotFresh::TimedOut { missing, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(missing.len(), 1);
    assert_eq!(fake.sizes()[0], 1, "the impossible key was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_what_is_missing() {
    let fake = Fake::default();
    fake.apply("2", 5);
    fake.world().letters.push((
        3,
        HoldingLetter {
            id: 77,
            state: LetterState::Dead,
            reason: "constraint".to_owned(),
        },
    ));
    let events = [("1", 0), ("2", 5), ("3", 1), ("4", 2), ("5", 0)];
    let error = fake
        .freshness()
        .wait_for(&token(&events), Duration::from_millis(20))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the replica has not applied within 20ms: account 1 revision 0, account 3 revision 1, \
         account 4 revision 2 (letter 77, dead: constraint) and 1 more"
    );
}
