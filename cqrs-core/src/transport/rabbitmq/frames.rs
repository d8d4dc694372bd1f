//! Makes the broker's frames readable for the driver.
//!
//! To RabbitMQ a short string is any bytes, and it passes on the properties that a publisher sent as
//! they are. The driver takes a short string that is not UTF-8, or a frame over the negotiated limit
//! (a header table that grew when the message was dead-lettered), for a broken connection, and
//! overflows its stack on a table that is nested deeply. With one such message at its head nothing
//! of a queue would ever be received again.
//!
//! So each byte of a short string that is not UTF-8 becomes a `?`, a table nested too deeply becomes
//! a byte array (which has the same layout), and properties that cannot be read at all are left out.
//! Bodies are not looked at.

/// Around the payload of a frame: type, channel and length before it, an end byte behind it.
pub(super) const OVERHEAD: usize = 7 + 1;
const END: u8 = 0xce;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// Of a content header without properties: class, weight, length of the body, no flags.
const BARE_HEADER: usize = 2 + 2 + 8 + 2;

/// Of frames that are kept until they are whole. Far beyond what brokers propose.
const LARGEST: usize = 16 * 1024 * 1024;

/// Tables and arrays in each other beyond this are not looked into. The driver recurses.
const MAX_DEPTH: usize = 16;

/// What lies at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A part of a frame that has to be seen as a whole.
    Part,
    /// A frame of this length, which the driver can read.
    Frame(usize),
    /// A frame whose payload needs no look, of this length. It may have come in part only.
    Passed(usize),
    /// A frame of the first length, to be cut down to the second: the bytes between are superfluous.
    Shorter(usize, usize),
    /// Nothing that this module knows: the driver may say what is wrong.
    Unknown,
}

/// Looks at the next frame and mends it in place. `limit` is the largest frame that the driver takes.
pub(super) fn look(bytes: &mut [u8], limit: usize) -> Look {
    let Some(&kind) = bytes.first() else {
        return Look::Part;
    };
    if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
        return Look::Unknown;
    }
    let Some(size) = bytes.get(3..7).map(be_u32) else {
        return Look::Part;
    };
    let len = size.saturating_add(OVERHEAD);
    if !matches!(kind, METHOD | HEADER) {
        return Look::Passed(len);
    }
    if len > LARGEST {
        return Look::Unknown;
    }
    let Some(payload) = bytes.get_mut(7..len) else {
        return Look::Part;
    };
    let Some((&mut END, payload)) = payload.split_last_mut() else {
        return Look::Unknown;
    };
    if kind == METHOD {
        // What cannot be read is the driver's to refuse.
        let _ = mend_method(payload);
        return Look::Frame(len);
    }
    if len <= limit && mend_header(payload).is_some() {
        return Look::Frame(len);
    }
    if payload.len() < BARE_HEADER {
        return Look::Unknown;
    }
    payload[BARE_HEADER - 2..BARE_HEADER].fill(0);
    bytes[3..7].copy_from_slice(&(BARE_HEADER as u32).to_be_bytes());
    bytes[7 + BARE_HEADER] = END;
    Look::Shorter(len, BARE_HEADER + OVERHEAD)
}

/// The largest frame that a broker proposes in `connection.tune`, the frame at the beginning.
pub(super) fn tuned(frame: &[u8]) -> Option<usize> {
    let payload = frame.strip_prefix(&[METHOD])?.get(6..)?;
    let proposed = payload
        .strip_prefix(&[0, 10, 0, 30])?
        .get(2..6)
        .map(be_u32)?;
    (proposed > 0).then_some(proposed)
}

/// The methods whose short strings others have a hand in.
fn mend_method(payload: &mut [u8]) -> Option<()> {
    let mut rest = Rest(payload);
    let method = (be_u16(rest.take(2)?), be_u16(rest.take(2)?));
    match method {
        // connection.close and channel.close: a code, and a text that the broker cuts at 255 bytes.
        (10, 50) | (20, 40) => {
            rest.take(2)?;
            rest.short_string()
        }
        // basic.return: a code, a text, exchange, routing key.
        (60, 50) => {
            rest.take(2)?;
            rest.short_string()?;
            rest.short_string()?;
            rest.short_string()
        }
        // basic.deliver: consumer, tag, redelivered, exchange, routing key.
        (60, 60) => {
            rest.short_string()?;
            rest.take(9)?;
            rest.short_string()?;
            rest.short_string()
        }
        // basic.get-ok: tag, redelivered, exchange, routing key.
        (60, 71) => {
            rest.take(9)?;
            rest.short_string()?;
            rest.short_string()
        }
        _ => Some(()),
    }
}

/// What the properties are made of, in the order of their flags, the highest bit first.
const PROPERTIES: [Property; 14] = {
    use Property::{Octets, ShortString, Table};
    [
        ShortString, // content_type
        ShortString, // content_encoding
        Table,       // headers
        Octets(1),   // delivery_mode
        Octets(1),   // priority
        ShortString, // correlation_id
        ShortString, // reply_to
        ShortString, // expiration
        ShortString, // message_id
        Octets(8),   // timestamp
        ShortString, // type
        ShortString, // user_id
        ShortString, // app_id
        ShortString, // cluster_id
    ]
};

#[derive(Clone, Copy)]
enum Property {
    ShortString,
    Table,
    Octets(usize),
}

/// `None` when the driver could not read the properties.
fn mend_header(payload: &mut [u8]) -> Option<()> {
    let mut rest = Rest(payload);
    rest.take(BARE_HEADER - 2)?;
    let flags = be_u16(rest.take(2)?);
    for (place, property) in PROPERTIES.iter().enumerate() {
        if flags & (0x8000 >> place) == 0 {
            continue;
        }
        match property {
            Property::ShortString => rest.short_string()?,
            Property::Table => mend_table(rest.long()?, 0)?,
            Property::Octets(len) => {
                rest.take(*len)?;
            }
        }
    }
    rest.0.is_empty().then_some(())
}

fn mend_table(bytes: &mut [u8], depth: usize) -> Option<()> {
    let mut rest = Rest(bytes);
    while !rest.0.is_empty() {
        rest.short_string()?;
        mend_value(&mut rest, depth)?;
    }
    Some(())
}

fn mend_array(bytes: &mut [u8], depth: usize) -> Option<()> {
    let mut rest = Rest(bytes);
    while !rest.0.is_empty() {
        mend_value(&mut rest, depth)?;
    }
    Some(())
}

/// The types that RabbitMQ and the driver know, which differ from those of the standard.
fn mend_value(rest: &mut Rest<'_>, depth: usize) -> Option<()> {
    let kind = rest.take(1)?;
    let fixed = match kind[0] {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' | b'U' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' => return rest.long().map(drop),
        b'F' | b'A' => {
            let mend = if kind[0] == b'F' {
                mend_table
            } else {
                mend_array
            };
            let inner = rest.long()?;
            if depth >= MAX_DEPTH || mend(inner, depth + 1).is_none() {
                kind[0] = b'x';
            }
            return Some(());
        }
        _ => return None,
    };
    rest.take(fixed).map(drop)
}

/// What is still to be read.
struct Rest<'a>(&'a mut [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a mut [u8]> {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes with a length of four octets before them.
    fn long(&mut self) -> Option<&'a mut [u8]> {
        let len = be_u32(self.take(4)?);
        self.take(len)
    }

    fn short_string(&mut self) -> Option<()> {
        let len = usize::from(self.take(1)?[0]);
        replace_what_is_not_utf8(self.take(len)?);
        Some(())
    }
}

fn replace_what_is_not_utf8(mut bytes: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(bytes) {
        let bad = &mut bytes[error.valid_up_to()..];
        let (bad, rest) = bad.split_at_mut(error.error_len().unwrap_or(bad.len()));
        bad.fill(b'?');
        bytes = rest;
    }
}

fn be_u16(bytes: &mut [u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u16::from(*byte))
}

fn be_u32(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

#[cfg(test)]
pub(super) mod tests;
