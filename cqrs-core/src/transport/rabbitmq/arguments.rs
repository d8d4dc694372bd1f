//! The arguments of a queue, and which of an existing queue's are taken as they are.

use lapin::types::{AMQPValue, FieldTable};

use super::error::{self, Fault};
use crate::{
    QueueName,
    transport::{QueueType, TransportError},
};

/// By it a quorum queue drops nothing. `-1` means "no limit" to RabbitMQ 4, but "drop what comes back
/// once" to RabbitMQ 3.
const LIMIT: i32 = i32::MAX;

const TYPE: &str = "x-queue-type";
const DELIVERY_LIMIT: &str = "x-delivery-limit";
const OVERFLOW: &str = "x-overflow";
const MAX_LENGTH: [&str; 2] = ["x-max-length", "x-max-length-bytes"];

/// What else an existing queue may have: none of it drops a message that nobody has dealt with.
const HARMLESS: [&str; 10] = [
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-in-memory-bytes",
    "x-max-in-memory-length",
    "x-queue-leader-locator",
    "x-queue-mode",
    "x-queue-version",
    "x-quorum-initial-group-size",
    "x-single-active-consumer",
];

/// With which a queue is declared.
#[derive(Debug)]
pub(super) struct Arguments {
    values: Vec<(String, AMQPValue)>,
    /// How often one was adopted.
    adopted: usize,
}

/// What becomes of an argument of an existing queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adopted {
    /// Declare with it.
    Taken,
    /// It drops messages, or we do not know it.
    Refused,
    /// One that would be taken, but for a long name the broker's words do not say its value.
    CutOff,
}

/// Those of a new queue.
pub(super) fn of(queue_type: QueueType) -> Arguments {
    let values = match queue_type {
        QueueType::Default => Vec::new(),
        QueueType::Classic => vec![(TYPE.to_owned(), text("classic"))],
        QueueType::Quorum => vec![
            (TYPE.to_owned(), text("quorum")),
            (DELIVERY_LIMIT.to_owned(), AMQPValue::LongInt(LIMIT)),
        ],
    };
    Arguments { values, adopted: 0 }
}

impl Arguments {
    pub(super) fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in &self.values {
            table.insert(name.as_str().into(), value.clone());
        }
        table
    }

    fn find(&self, name: &str) -> Option<&AMQPValue> {
        let mut values = self.values.iter();
        values.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Takes over the argument for which the broker refuses to declare an existing queue.
    pub(super) fn adopt(&mut self, refusal: &str) -> Adopted {
        let Some((name, current)) = theirs(refusal) else {
            return Adopted::Refused;
        };
        let is_known = [TYPE, DELIVERY_LIMIT, OVERFLOW].contains(&name)
            || MAX_LENGTH.contains(&name)
            || HARMLESS.contains(&name);
        let value = match current {
            _ if !is_known || self.adopted > 20 => return Adopted::Refused,
            "none" => None,
            _ => match value(current) {
                Some(value) => Some(value),
                None => return Adopted::CutOff,
            },
        };
        if name == TYPE && value == Some(text("stream")) {
            return Adopted::Refused;
        }
        self.adopted += 1;
        self.values.retain(|(known, _)| known != name);
        if name == TYPE && value != Some(text("quorum")) {
            // A classic queue has none.
            self.values.retain(|(known, _)| known != DELIVERY_LIMIT);
        }
        let value = value.map(|value| (name.to_owned(), value));
        self.values.extend(value);
        Adopted::Taken
    }

    /// Once the queue was declared: what an operator must know of it.
    ///
    /// # Errors
    /// It drops its oldest messages when it is full.
    pub(super) fn check(&self, queue: &QueueName) -> Result<(), TransportError> {
        let refuses = [text("reject-publish"), text("reject-publish-dlx")];
        if let Some(name) = MAX_LENGTH.iter().find(|name| self.find(name).is_some())
            && !self
                .find(OVERFLOW)
                .is_some_and(|overflow| refuses.contains(overflow))
        {
            let problem = format!(
                "the queue `{queue}` has `{name}` and drops its oldest messages when it is full: \
                 declare it with `x-overflow` = `reject-publish`, and the relay keeps what it cannot \
                 take"
            );
            let cause = Fault::Protocol("the arguments of an existing queue");
            return Err(error::misconfigured(problem, cause));
        }
        if let Some(AMQPValue::LongLongInt(limit)) = self.find(DELIVERY_LIMIT) {
            tracing::warn!(
                %queue,
                limit,
                "the queue has a delivery limit: a message that comes back more often, from workers \
                 that were killed for example, is dropped (-1 is no limit to RabbitMQ 4, and one of \
                 0 to RabbitMQ 3)"
            );
        }
        Ok(())
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// The argument in which an existing queue differs, and what it has there, in words such as
/// "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the
/// value '5' of type 'signedint'".
fn theirs(refusal: &str) -> Option<(&str, &str)> {
    let (_, rest) = refusal.split_once("inequivalent arg '")?;
    let (name, rest) = rest.split_once('\'')?;
    let current = rest.rsplit_once(" but current is ");
    Some((name, current.map_or("", |(_, current)| current)))
}

/// The value in "'5'" or "the value '5' of type 'signedint'".
fn value(current: &str) -> Option<AMQPValue> {
    let current = current.strip_prefix("the value ").unwrap_or(current);
    let current = current.strip_prefix('\'')?;
    let value = match current.rsplit_once("' of") {
        Some((value, _)) => value,
        None => current.strip_suffix('\'')?,
    };
    Some(match (value.parse(), value) {
        (Ok(number), _) => AMQPValue::LongLongInt(number),
        (_, "true") => AMQPValue::Boolean(true),
        (_, "false") => AMQPValue::Boolean(false),
        (_, other) => text(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drops_messages_is_not_adopted() {
        for name in [
            "x-message-ttl",
            "x-expires",
            "auto_delete",
            "x-max-priority",
        ] {
            let refusal = format!(
                "PRECONDITION_FAILED - inequivalent arg '{name}' for queue 'q' in vhost '/': \
                 received none but current is the value '1000' of type 'signedint'"
            );
            let adopted = of(QueueType::Default).adopt(&refusal);
            assert_eq!(adopted, Adopted::Refused, "{name}");
        }
        let other = of(QueueType::Default).adopt("PRECONDITION_FAILED - something else");
        assert_eq!(other, Adopted::Refused);
        let refusal =
            "inequivalent arg 'x-queue-type' for queue 'long' in vhost '/': received n...";
        let adopted = of(QueueType::Default).adopt(refusal);
        assert_eq!(adopted, Adopted::CutOff);
    }

    #[test]
    fn values_are_read_in_each_of_the_words_the_broker_has_for_them() {
        let refusal =
            |rest: &str| format!("inequivalent arg 'a' for queue 'q' in vhost '/': {rest}");
        for (rest, value) in [
            (
                "received the value '-1' of type 'signedint' but current is none",
                None,
            ),
            (
                "received '7' but current is '5'",
                Some(AMQPValue::LongLongInt(5)),
            ),
            (
                "received none but current is the value 'it's' of type 'longstr'",
                Some(text("it's")),
            ),
        ] {
            let refusal = refusal(rest);
            let (name, current) = theirs(&refusal).unwrap();
            assert_eq!((name, self::value(current)), ("a", value), "{rest}");
        }
    }
}
