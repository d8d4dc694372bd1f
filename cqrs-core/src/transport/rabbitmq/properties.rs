//! What travels beside a body, as AMQP properties.

use std::time::Duration;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use uuid::Uuid;

use crate::transport::{Headers, Message};

/// The longest time to live that RabbitMQ takes, in milliseconds: 49 days.
const MAX_EXPIRATION: u128 = 0xffff_ffff;

/// Persistent, since that is not the default of AMQP; `text/plain`, since Kombu decodes
/// `application/json` by itself and django-cqrs's Kombu worker then dies on the result.
pub(super) fn of(message: &Message, time_to_live: Option<Duration>) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(trace) = &message.headers.trace {
        headers.insert(
            Headers::TRACEPARENT.into(),
            AMQPValue::LongString(trace.as_str().into()),
        );
    }
    if message.headers.counted {
        headers.insert(Headers::COUNTED.into(), AMQPValue::Boolean(true));
    }
    if message.headers.forced {
        headers.insert(Headers::FORCED.into(), AMQPValue::Boolean(true));
    }
    let recorded = u64::try_from(message.timestamp.timestamp()).unwrap_or_default();
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("text/plain".into())
        .with_message_id(message.message_id.to_string().into())
        .with_timestamp(recorded)
        .with_headers(headers);
    match time_to_live {
        // As text, as AMQP has it.
        Some(time) => {
            let time = time.as_millis().min(MAX_EXPIRATION);
            properties.with_expiration(time.to_string().into())
        }
        None => properties,
    }
}

pub(super) fn message_id(properties: &BasicProperties) -> Option<Uuid> {
    properties.message_id().as_ref()?.as_str().parse().ok()
}

/// Anyone may write headers: one of the wrong type or form is as good as none.
pub(super) fn headers(properties: &BasicProperties) -> Headers {
    let value = |name: &str| properties.headers().as_ref()?.inner().get(name);
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        AMQPValue::ShortString(text) => text.as_str().parse().ok(),
        _ => None,
    };
    Headers {
        trace: value(Headers::TRACEPARENT).and_then(text),
        counted: value(Headers::COUNTED) == Some(&AMQPValue::Boolean(true)),
        forced: value(Headers::FORCED) == Some(&AMQPValue::Boolean(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn with(name: &str, value: AMQPValue) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(name.into(), value);
        BasicProperties::default().with_headers(headers)
    }

    #[test]
    fn a_header_of_the_wrong_type_is_absent() {
        for (name, value) in [
            ("traceparent", AMQPValue::Boolean(true)),
            ("traceparent", AMQPValue::LongString("not a trace".into())),
            (
                "traceparent",
                AMQPValue::LongString(vec![0xff, 0xfe].into()),
            ),
            ("cqrs-counted", AMQPValue::LongString("true".into())),
            ("cqrs-counted", AMQPValue::LongLongInt(1)),
            ("cqrs-counted", AMQPValue::Boolean(false)),
            ("cqrs-forced", AMQPValue::LongString("true".into())),
        ] {
            assert_eq!(headers(&with(name, value)), Headers::default());
        }
        assert_eq!(headers(&BasicProperties::default()), Headers::default());
    }

    #[test]
    fn headers_are_read() {
        let trace = headers(&with("traceparent", AMQPValue::LongString(TRACE.into()))).trace;
        assert_eq!(trace.unwrap().as_str(), TRACE);
        assert!(headers(&with("cqrs-counted", AMQPValue::Boolean(true))).counted);
        assert!(headers(&with("cqrs-forced", AMQPValue::Boolean(true))).forced);
    }

    #[test]
    fn a_message_id_that_is_no_uuid_is_absent() {
        let id = "0193a4f0-0000-7000-8000-00000000002a";
        let properties = |id: &str| BasicProperties::default().with_message_id(id.into());
        assert_eq!(message_id(&properties(id)), Some(id.parse().unwrap()));
        assert_eq!(message_id(&properties("17")), None);
        assert_eq!(message_id(&BasicProperties::default()), None);
    }
}
