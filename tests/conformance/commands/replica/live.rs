//! `load` while live events come, and loads that are stopped.

use std::{
    io::{BufReader, Cursor, Read},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use cqrs_core::{
    CqrsId, Event,
    transport::{Delivery, DeliveryTag, Headers},
};
use cqrs_replica::{
    Applied, Failure, Handler, Incoming, Model, Models, ReplicaSession, ReplicaStore, TableModel,
    load::{LoadOptions, load},
};
use tokio_util::sync::CancellationToken;

use super::site::{Engine, Site, dump, policy, row, updated};

pub(super) fn message(signal: &str, id: u64, revision: u64, name: &str, counted: bool) -> Incoming {
    let time = updated(revision);
    let body = format!(
        r#"{{"signal_type":"{signal}","cqrs_id":"account","instance_pk":{id},"instance_data":{{"id":{id},"name":"{name}","qty":{revision},"cqrs_revision":{revision},"cqrs_updated":"{time}"}}}}"#
    );
    Incoming::new(Delivery {
        tag: DeliveryTag(1),
        message_id: None,
        routing_key: "account".to_owned(),
        body: Bytes::from(body),
        headers: Headers {
            counted,
            ..Headers::default()
        },
        redelivered: false,
    })
}

pub(super) fn models<S: ReplicaStore>() -> Models<S> {
    let id = CqrsId::new("account").unwrap();
    Models::new([Model::table(id, TableModel::new("account", "id"))]).unwrap()
}

async fn loaded<S: ReplicaStore>(
    store: &S,
    models: &Models<S>,
    dump: String,
) -> cqrs_replica::load::Loaded {
    let mut options = LoadOptions::new(policy());
    options.batch = 20;
    let input = BufReader::new(Cursor::new(dump));
    load(
        store,
        models,
        &options,
        input,
        &CancellationToken::new(),
        |_| {},
    )
    .await
    .unwrap()
}

pub(super) async fn live_events_and_a_load_end_in_the_latest_state<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let models = models();
    let ids = 1..=300_u64;
    // The dump has revision 10 of all. Live events, newer and older, come at the same time; of some
    // the delete.
    let rows: Vec<_> = ids
        .clone()
        .map(|id| row(id, 10, &format!("dump{id}")))
        .collect();
    let live = async {
        let mut session = site.store.session().await.unwrap();
        for part in ids.clone().collect::<Vec<_>>().chunks(7) {
            let messages: Vec<_> = part
                .iter()
                .map(|id| match id % 4 {
                    0 => message("SAVE", *id, 9, &format!("old{id}"), true),
                    1 => message("SAVE", *id, 11, &format!("new{id}"), true),
                    2 => message("DELETE", *id, 11, "", true),
                    _ => message("DELETE", *id, 9, "", true),
                })
                .collect();
            session.apply(&models, &policy(), &messages).await.unwrap();
        }
        session.close().await;
    };
    let (loaded, ()) = tokio::join!(loaded(&site.store, &models, dump(&rows)), live);
    assert_eq!(loaded.processed(), 300);
    assert_eq!(loaded.failed, 0);
    let expected: Vec<String> = ids
        .filter_map(|id| match id % 4 {
            1 => Some(format!("{id}|new{id}|11")),
            2 => None,
            _ => Some(format!("{id}|dump{id}|10")),
        })
        .collect();
    assert_eq!(site.account().await, expected);
}

pub(super) async fn a_delete_that_the_dump_has_overtaken_takes_nothing<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let models = models();
    loaded(&site.store, &models, dump(&[row(1, 6, "second life")])).await;
    let mut session = site.store.session().await.unwrap();
    // One second older, which is within the tolerance between the clocks of other masters.
    let messages = [
        message("DELETE", 1, 5, "", true),
        message("SAVE", 1, 6, "second life", true),
    ];
    let answers = session.apply(&models, &policy(), &messages).await.unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Applied::Skipped(_))),
        "{answers:?}"
    );
    assert_eq!(site.account().await, ["1|second life|6"]);
    // Django's next event is judged by revision and time as always.
    let next = [
        message("DELETE", 1, 0, "", false).restamped(9),
        message("SAVE", 1, 0, "third life", false).restamped(10),
    ];
    session.apply(&models, &policy(), &next).await.unwrap();
    assert_eq!(site.account().await, ["1|third life|0"]);
    session.close().await;
}

trait Restamped {
    fn restamped(self, second: u64) -> Self;
}

impl Restamped for Incoming {
    /// The same at another time.
    fn restamped(self, second: u64) -> Self {
        let body = String::from_utf8(self.body.to_vec()).unwrap();
        let body = body.replace(&updated(0), &updated(second));
        Self::new(Delivery {
            tag: DeliveryTag(1),
            message_id: self.message_id,
            routing_key: self.routing_key,
            body: Bytes::from(body),
            headers: self.headers,
            redelivered: false,
        })
    }
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl<S: ReplicaStore> Handler<S> for Recorder {
    async fn apply(&self, _: &mut S::Connection, event: &Event) -> Result<(), Failure> {
        let text = format!("{} {} {}", event.signal, event.key, event.revision);
        self.0.lock().unwrap().push(text);
        Ok(())
    }
}

pub(super) async fn a_handler_gets_the_rows_as_syncs_and_each_once<E: Engine>() {
    let site = Site::<E>::new("", &[]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let model = Model::handler(CqrsId::new("account").unwrap(), Recorder(Arc::clone(&seen)));
    let models = Models::new([model]).unwrap();
    let mut session = site.store.session().await.unwrap();
    // The next revision has come already and waits for its turn.
    let next = [message("SAVE", 1, 8, "later", true)];
    let answers = session.apply(&models, &policy(), &next).await.unwrap();
    assert!(matches!(answers[0], Applied::Waiting(_)), "{answers:?}");
    for expected in [2, 0] {
        let loaded = loaded(
            &site.store,
            &models,
            dump(&[row(1, 7, "a"), row(2, 3, "b")]),
        )
        .await;
        assert_eq!(loaded.loaded, expected, "{loaded:?}");
    }
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["SAVE 1 8", "SYNC 1 7", "SYNC 2 3"]);
    session.close().await;
}

/// Gives a dump, and then asks for a stop instead of ending.
struct Stopping(Cursor<String>, CancellationToken);

impl Read for Stopping {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        if read == 0 {
            self.1.cancel();
        }
        Ok(read)
    }
}

pub(super) async fn a_load_that_is_stopped_says_where_to_go_on<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let models = models();
    let rows: Vec<_> = (1..=100).map(|id| row(id, 0, &format!("n{id}"))).collect();
    let stop = CancellationToken::new();
    let input = BufReader::new(Stopping(Cursor::new(dump(&rows)), stop.clone()));
    let mut options = LoadOptions::new(policy());
    options.batch = 10;
    options.lanes = 2;
    let first = load(&site.store, &models, &options, input, &stop, |_| {})
        .await
        .unwrap();
    let line = first.stopped_at.unwrap();
    assert!((2..=102).contains(&line), "{first:?}");
    // All before that line are there.
    let there = site.account().await;
    let before = usize::try_from(line - 2).unwrap();
    let ids: Vec<u64> = there
        .iter()
        .map(|r| r.split('|').next().unwrap().parse().unwrap())
        .collect();
    assert!(
        (1..=before as u64).all(|id| ids.contains(&id)),
        "{line}: {ids:?}"
    );
    options.from_line = line;
    let input = BufReader::new(Cursor::new(dump(&rows)));
    let second = load(
        &site.store,
        &models,
        &options,
        input,
        &CancellationToken::new(),
        |_| {},
    )
    .await
    .unwrap();
    assert_eq!(second.processed(), 102 - line);
    assert_eq!(site.account().await.len(), 100);
}
