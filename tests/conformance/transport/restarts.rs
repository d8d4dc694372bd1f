//! The broker goes away and comes back.

use cqrs_core::transport::{Ack, Publisher, Subscriber, Transport, TransportError};

use crate::fixture::{
    Fixture, messages, numbers, outcome, publish, publish_by, subscription, take,
};

pub(crate) async fn confirmed_messages_survive_a_restart<F: Fixture>(fixture: F) {
    let billing = subscription(1000);
    fixture
        .transport()
        .subscriber(&billing)
        .await
        .unwrap()
        .close()
        .await;
    publish_by(&fixture.transport(), &messages(0..500)).await;
    fixture.restart().await;
    let mut subscriber = fixture.elsewhere().subscriber(&billing).await.unwrap();
    let received = take(&mut subscriber, 500).await;
    assert_eq!(numbers(&received), (0..500).collect::<Vec<_>>());
    fixture.clean(&[&billing.queue]).await;
}

#[cfg_attr(
    not(feature = "servers"),
    expect(
        dead_code,
        reason = "the embedded broker is no server that could go away"
    )
)]
pub(crate) async fn a_restart_ends_connections_and_new_ones_go_on<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    publish(&mut publisher, &messages(0..2)).await;
    let taken = take(&mut subscriber, 2).await;
    fixture.restart().await;

    let lost = outcome(&mut subscriber).await.unwrap_err();
    assert!(matches!(lost, TransportError::Unavailable(_)), "{lost:?}");
    let lost = subscriber.ack(Ack::One(taken[1].tag)).await.unwrap_err();
    assert!(matches!(lost, TransportError::Unavailable(_)), "{lost:?}");
    let lost = publisher.publish(&messages(2..3)).await.unwrap_err().error;
    assert!(matches!(lost, TransportError::Unavailable(_)), "{lost:?}");

    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let mut publisher = fixture.transport().publisher().await.unwrap();
    publish(&mut publisher, &messages(2..3)).await;
    let again = take(&mut subscriber, 3).await;
    assert_eq!(numbers(&again), [0, 1, 2]);
    assert!(again[0].redelivered && again[1].redelivered);
    fixture.clean(&[&billing.queue]).await;
}
