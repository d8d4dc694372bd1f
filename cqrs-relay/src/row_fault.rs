//! What is wrong with a row itself, so that no broker would take it.

use cqrs_outbox::OutboxRow;

use crate::destination::routing;

/// The longest routing key of AMQP 0-9-1, in bytes.
const MAX_ROUTING_KEY: usize = 255;

/// What is wrong with a row that is longer than a message may be, in words.
pub(crate) fn too_long(row: &OutboxRow, limit: usize) -> Option<String> {
    let len = row.body.len();
    (len > limit).then(|| {
        format!(
            "the body is {len} bytes long, and `broker.max_message_bytes` is {limit}: raise it as far as \
             the broker allows and retry the row, or publish fewer columns"
        )
    })
}

/// The row's fault, in words.
pub(crate) fn of(row: &OutboxRow) -> Option<String> {
    if row.body.is_empty() {
        return Some("the body is empty".to_owned());
    }
    // Names that were checked when recorded always fit.
    let Some(queue) = &row.queue else { return None };
    let longest = "cqrs..".len() + queue.as_str().len() + row.instance.cqrs_id.as_str().len();
    if longest <= MAX_ROUTING_KEY {
        return None;
    }
    let key = routing(row).key();
    Some(format!(
        "the routing key is {} bytes long, the limit is {MAX_ROUTING_KEY}",
        key.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::row;

    #[test]
    fn only_what_no_broker_takes_is_a_fault() {
        assert_eq!(of(&row(1, 1)), None);
        let long = OutboxRow {
            body: vec![b' '; 101].into(),
            ..row(1, 1)
        };
        assert_eq!(too_long(&long, 101), None);
        assert!(too_long(&long, 100).unwrap().contains("101 bytes"));
        let empty = OutboxRow {
            body: bytes::Bytes::new(),
            ..row(1, 1)
        };
        assert!(of(&empty).is_some());
    }
}
