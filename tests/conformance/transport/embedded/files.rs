//! The file itself.

use cqrs_core::transport::{
    Ack, Publisher, Subscriber, Transport, TransportError,
    embedded::{Embedded, EmbeddedConfig},
};

use super::File;
use crate::fixture::{Fixture, messages, next, numbers, publish_by, subscription, take};

async fn refusal(transport: &Embedded) -> String {
    match transport.publisher().await {
        Err(TransportError::Misconfigured { problem, .. }) => problem,
        other => panic!("not refused as misconfigured: {other:?}"),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let file = File::new().await;
    file.transport().publisher().await.unwrap().close().await;
    sqlx::query("PRAGMA user_version = 3")
        .execute(&mut file.open().await)
        .await
        .unwrap();
    let problem = refusal(&file.elsewhere()).await;
    assert!(
        problem.contains("version 3") && problem.contains("upgrade"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_file_of_the_version_before_is_brought_up_to_date_with_its_messages() {
    let file = File::new().await;
    let billing = subscription(10);
    let subscriber = file.transport().subscriber(&billing).await.unwrap();
    let sent = messages(0..3);
    publish_by(&file.transport(), &sent).await;
    subscriber.close().await;
    for statement in [
        "ALTER TABLE message DROP COLUMN forced",
        "PRAGMA user_version = 1",
    ] {
        sqlx::query(statement)
            .execute(&mut file.open().await)
            .await
            .unwrap();
    }
    let mut subscriber = file.elsewhere().subscriber(&billing).await.unwrap();
    for sent in sent {
        let delivery = next(&mut subscriber).await;
        assert_eq!(delivery.message_id, Some(sent.message_id));
        assert!(!delivery.headers.forced);
    }
}

#[tokio::test]
async fn somebody_elses_database_is_refused_and_left_alone() {
    let file = File::new().await;
    let path = file.config().path;
    std::fs::write(&path, "").unwrap();
    sqlx::query("CREATE TABLE shop (id INTEGER)")
        .execute(&mut file.open().await)
        .await
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let problem = refusal(&file.transport()).await;
    assert!(
        problem.contains("some other database") && problem.contains("broker.db"),
        "{problem}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::write(
        &path,
        "not a database at all, but long enough to look at".repeat(100),
    )
    .unwrap();
    let problem = refusal(&file.transport()).await;
    assert!(problem.contains("no SQLite database"), "{problem}");
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let problem = refusal(&Embedded::new(EmbeddedConfig::new("/nowhere/at/all.db"))).await;
    assert!(
        problem.contains("directory") && problem.contains("/nowhere/at/all.db"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_message_is_stored_once_and_goes_with_its_last_acknowledgement() {
    let file = File::new().await;
    let (billing, audit) = (subscription(10), subscription(10));
    let mut first = file.transport().subscriber(&billing).await.unwrap();
    let mut second = file.transport().subscriber(&audit).await.unwrap();
    publish_by(&file.transport(), &messages(0..3)).await;
    let mut view = file.open().await;
    let mut stored = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM message")
            .fetch_one(&mut view)
            .await
            .unwrap()
    };
    assert_eq!(stored().await, 3);
    let tag = take(&mut first, 3).await[2].tag;
    first.ack(Ack::UpTo(tag)).await.unwrap();
    assert_eq!(stored().await, 3);
    let tag = next(&mut second).await.tag;
    second.ack(Ack::One(tag)).await.unwrap();
    assert_eq!(stored().await, 2);
    file.delete_queue(&audit.queue).await;
    assert_eq!(stored().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_file_at_once() {
    let file = File::new().await;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let transport = file.elsewhere();
        opening.spawn(async move { transport.publisher().await.map(drop) });
    }
    while let Some(opened) = opening.join_next().await {
        opened.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_peers_took_ends_the_subscriber() {
    let file = File::new().await;
    let billing = subscription(10);
    let mut subscriber = file.transport().subscriber(&billing).await.unwrap();
    publish_by(&file.transport(), &messages(0..2)).await;
    let taken = take(&mut subscriber, 2).await;
    // As a peer does with a consumer that has been stopped for too long: at once.
    let take_over = "BEGIN IMMEDIATE;
        DELETE FROM consumer;
        UPDATE entry SET consumer_id = NULL, redelivered = 1;
        COMMIT";
    sqlx::raw_sql(take_over)
        .execute(&mut file.open().await)
        .await
        .unwrap();
    let lost = subscriber.ack(Ack::One(taken[0].tag)).await.unwrap_err();
    assert!(matches!(lost, TransportError::Unavailable(_)), "{lost:?}");
    let mut subscriber = file.transport().subscriber(&billing).await.unwrap();
    assert!(
        take(&mut subscriber, 2)
            .await
            .iter()
            .all(|delivery| delivery.redelivered)
    );
}

/// Written by another program: SQLite takes any bytes for text.
#[tokio::test]
async fn text_that_is_not_utf8_holds_nothing_back() {
    let file = File::new().await;
    let billing = subscription(10);
    drop(file.transport().subscriber(&billing).await.unwrap());
    publish_by(&file.transport(), &messages(0..3)).await;
    let bad =
        "UPDATE message SET message_id = CAST(x'ff' AS TEXT), routing_key = CAST(x'61ff' AS TEXT),
        traceparent = CAST(x'ff' AS TEXT) WHERE CAST(body AS TEXT) = '1'";
    let changed = sqlx::query(bad).execute(&mut file.open().await).await;
    assert_eq!(changed.unwrap().rows_affected(), 1);

    let mut subscriber = file.elsewhere().subscriber(&billing).await.unwrap();
    let received = take(&mut subscriber, 3).await;
    assert_eq!(numbers(&received), [0, 1, 2]);
    assert_eq!(received[1].routing_key, "a\u{fffd}");
    assert_eq!(received[1].message_id, None);
    assert_eq!(received[1].headers.trace, None);
}
