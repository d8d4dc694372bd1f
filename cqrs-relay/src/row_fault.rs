//! What is wrong with a row itself, so that no broker would take it.

use cqrs_core::wire::MAX_BODY;
use cqrs_outbox::OutboxRow;

use crate::destination::routing;

/// The longest routing key of AMQP 0-9-1, in bytes.
const MAX_ROUTING_KEY: usize = 255;

/// The row's fault, in words.
pub(crate) fn of(row: &OutboxRow) -> Option<String> {
    if row.body.len() > MAX_BODY {
        return Some(format!(
            "the body is {} bytes long, the limit is {MAX_BODY}",
            row.body.len()
        ));
    }
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
            body: vec![b' '; MAX_BODY + 1].into(),
            ..row(1, 1)
        };
        assert!(of(&long).unwrap().contains("1048577"));
        let empty = OutboxRow {
            body: bytes::Bytes::new(),
            ..row(1, 1)
        };
        assert!(of(&empty).is_some());
    }
}
