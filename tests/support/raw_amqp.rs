//! A publisher that writes its frames by hand: what other clients send and lapin cannot.

use std::io;

use cqrs_core::SecretUrl;
use lapin::uri::AMQPUri;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The properties of a message: their flags, and their bytes.
#[derive(Debug, Clone)]
pub struct Properties {
    /// The bits of the properties that follow.
    pub flags: u16,
    /// The properties, in the order of their flags.
    pub bytes: Vec<u8>,
}

impl Properties {
    /// The flag of `content_type`.
    pub const CONTENT_TYPE: u16 = 1 << 15;
    /// The flag of `headers`.
    pub const HEADERS: u16 = 1 << 13;
    /// The flag of `correlation_id`.
    pub const CORRELATION_ID: u16 = 1 << 10;
    /// The flag of `message_id`.
    pub const MESSAGE_ID: u16 = 1 << 7;
    /// The flag of `app_id`.
    pub const APP_ID: u16 = 1 << 3;

    /// One property that is a short string of any bytes.
    #[must_use]
    pub fn text(flag: u16, bytes: &[u8]) -> Self {
        Self {
            flags: flag,
            bytes: short(bytes),
        }
    }

    /// A table of headers, made by [`entry`] and [`table`].
    #[must_use]
    pub fn headers(entries: &[u8]) -> Self {
        Self {
            flags: Self::HEADERS,
            bytes: long(entries),
        }
    }

    /// One of each kind that another client may send, RabbitMQ passes on as it is, and lapin takes
    /// for the end of the connection, or of the process.
    #[must_use]
    pub fn unreadable() -> Vec<Self> {
        let latin = b"caf\xe9";
        let mut deep = Vec::new();
        for _ in 0..20_000 {
            deep = table(b"", &deep);
        }
        vec![
            Self::text(Self::CONTENT_TYPE, latin),
            Self::text(Self::CORRELATION_ID, latin),
            Self::text(Self::MESSAGE_ID, latin),
            Self::text(Self::APP_ID, &[0xff; 255]),
            Self::headers(&entry(latin, b'S', &long(latin))),
            Self::headers(&table(b"a", &entry(latin, b'V', b""))),
            Self::headers(&entry(
                b"a",
                b'A',
                &long(&[b"F", &long(&entry(latin, b'V', b""))[..]].concat()),
            )),
            Self::headers(&deep),
        ]
    }
}

/// An entry of a table: its value in the bytes of its type.
#[must_use]
pub fn entry(name: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
    [&short(name), &[kind][..], value].concat()
}

/// An entry that is a table.
#[must_use]
pub fn table(name: &[u8], entries: &[u8]) -> Vec<u8> {
    entry(name, b'F', &long(entries))
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(bytes.len()).expect("a short string");
    [&[len], bytes].concat()
}

/// Bytes with a length of four octets before them.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "nobody has so many bytes")]
pub fn long(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("fewer than 4 GiB");
    [&len.to_be_bytes(), bytes].concat()
}

/// A connection with one channel.
#[derive(Debug)]
pub struct RawPublisher {
    stream: TcpStream,
}

impl RawPublisher {
    /// Connects.
    ///
    /// # Errors
    /// The broker is not there, or hangs up.
    ///
    /// # Panics
    /// When the URL is none.
    pub async fn connect(url: &SecretUrl) -> io::Result<Self> {
        let uri: AMQPUri = url.expose().parse().expect("a broker's URL");
        let (host, login) = (uri.authority.host.as_str(), &uri.authority.userinfo);
        let stream = TcpStream::connect((host, uri.authority.port)).await?;
        let mut this = Self { stream };
        this.stream.write_all(b"AMQP\0\0\x09\x01").await?;
        this.answer().await?;
        let plain = format!("\0{}\0{}", login.username, login.password);
        let start_ok = [
            long(b""),
            short(b"PLAIN"),
            long(plain.as_bytes()),
            short(b"en_US"),
        ];
        this.method(0, (10, 11), &start_ok.concat()).await?;
        this.answer().await?;
        // tune-ok: channels, the largest frame, no heartbeat.
        this.method(0, (10, 31), &[7, 0xff, 0, 2, 0, 0, 0, 0])
            .await?;
        let open = [&short(uri.vhost.as_bytes()), &short(b"")[..], &[0]].concat();
        this.method(0, (10, 40), &open).await?;
        this.answer().await?;
        this.method(1, (20, 10), &short(b"")).await?;
        this.answer().await?;
        Ok(this)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The broker has hung up.
    ///
    /// # Panics
    /// When the names are too long.
    pub async fn publish(
        &mut self,
        exchange: &str,
        routing_key: &[u8],
        properties: &Properties,
        body: &[u8],
    ) -> io::Result<()> {
        let to = [
            &[0, 0][..],
            &short(exchange.as_bytes()),
            &short(routing_key),
            &[0],
        ];
        self.method(1, (60, 40), &to.concat()).await?;
        let len = u64::try_from(body.len()).expect("64 bits");
        let header = [
            &[0, 60, 0, 0][..],
            &len.to_be_bytes(),
            &properties.flags.to_be_bytes(),
            &properties.bytes,
        ];
        self.frame(2, 1, &header.concat()).await?;
        self.frame(3, 1, body).await
    }

    /// Ends the channel, and returns when the broker has done everything that was sent before.
    ///
    /// # Errors
    /// The broker did not like it.
    pub async fn finish(mut self) -> io::Result<()> {
        let close = [&[0, 200][..], &short(b"OK"), &[0, 0, 0, 0]].concat();
        self.method(1, (20, 40), &close).await?;
        let answer = self.answer().await?;
        if answer.starts_with(&[0, 20, 0, 41]) {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Err(io::Error::other(answer))
    }

    async fn method(&mut self, channel: u8, id: (u8, u8), arguments: &[u8]) -> io::Result<()> {
        let payload = [&[0, id.0, 0, id.1], arguments].concat();
        self.frame(1, channel, &payload).await
    }

    async fn frame(&mut self, kind: u8, channel: u8, payload: &[u8]) -> io::Result<()> {
        let frame = [&[kind, 0, channel][..], &long(payload), &[0xce]].concat();
        self.stream.write_all(&frame).await
    }

    /// The payload of the next frame.
    async fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).await?;
        let len = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; usize::try_from(len).map_err(io::Error::other)? + 1];
        self.stream.read_exact(&mut payload).await?;
        Ok(payload)
    }
}
