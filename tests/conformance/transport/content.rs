//! What is in a message.

use bytes::Bytes;
use cqrs_core::transport::{Ack, Headers, Message, Subscriber, Transport};

use crate::fixture::{Fixture, message, next, publish_by, subscription};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(crate) async fn ids_and_headers_come_as_they_were_sent<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let batch: Vec<_> = [
        (true, false, Some(TRACE)),
        (true, true, None),
        (false, true, Some(TRACE)),
        (false, false, None),
    ]
    .into_iter()
    .map(|(counted, forced, trace)| Message {
        headers: Headers {
            counted,
            forced,
            trace: trace.map(|trace| trace.parse().unwrap()),
        },
        ..message(0)
    })
    .collect();
    publish_by(&fixture.transport(), &batch).await;
    for sent in batch {
        let delivery = next(&mut subscriber).await;
        assert_eq!(delivery.message_id, Some(sent.message_id));
        assert_eq!(delivery.headers, sent.headers);
    }
    fixture.clean(&[&billing.queue]).await;
}

pub(crate) async fn bodies_come_unchanged<F: Fixture>(fixture: F) {
    let billing = subscription(10);
    let mut subscriber = fixture.transport().subscriber(&billing).await.unwrap();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let bodies = [
        Bytes::new(),
        Bytes::from_static("{\"name\":\"Ünï — \u{1f980}\",\"slash\":\"\\/\"}".as_bytes()),
        Bytes::from(all_bytes.repeat(8)),
        Bytes::from(vec![b'x'; 1024 * 1024]),
        Bytes::from_static(b"after"),
    ];
    let batch: Vec<_> = bodies
        .iter()
        .map(|body| Message {
            body: body.clone(),
            ..message(0)
        })
        .collect();
    publish_by(&fixture.transport(), &batch).await;
    for body in bodies {
        let delivery = next(&mut subscriber).await;
        assert!(delivery.body == body, "a body of {} bytes", body.len());
        subscriber.ack(Ack::One(delivery.tag)).await.unwrap();
    }
    fixture.clean(&[&billing.queue]).await;
}
