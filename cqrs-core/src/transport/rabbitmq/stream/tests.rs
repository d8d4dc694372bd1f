use std::collections::VecDeque;

use futures_util::future::poll_fn;

use super::{
    super::frames::tests::{frame, header, long, short},
    *,
};

/// Gives what it has piece by piece.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(mut piece) = self.0.pop_front() else {
            return Poll::Ready(Ok(0));
        };
        let len = piece.len().min(into.len());
        into[..len].copy_from_slice(&piece[..len]);
        if len < piece.len() {
            self.0.push_front(piece.split_off(len));
        }
        Poll::Ready(Ok(len))
    }
}

/// All that comes out, read with a buffer of this size.
async fn read(pieces: impl IntoIterator<Item = Vec<u8>>, room: usize) -> Vec<u8> {
    let mut stream = Checked::new(Pieces(pieces.into_iter().collect()), None);
    let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
    loop {
        let read = poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut buffer));
        match read.await.unwrap() {
            0 => return all,
            len => all.extend_from_slice(&buffer[..len]),
        }
    }
}

/// A tune to frames of 4,096 bytes, and some messages; as they come, and as they are to be read.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let tune = frame(1, &[0, 10, 0, 30, 7, 255, 0, 0, 16, 0, 0, 60]);
    let deliver = |key: &[u8]| {
        let names = [&short(b"tag")[..], &[7; 9], &short(b"cqrs"), &short(key)];
        frame(1, &[&[0, 60, 0, 60][..], &names.concat()].concat())
    };
    let entry = |len| [&short(b"a")[..], b"S", &long(&vec![b'x'; len])].concat();
    let body = frame(3, b"\xff\xce\x02\x00");
    let came = [
        &tune[..],
        &deliver(b"caf\xc3\xa9 \xe9"),
        &header(1 << 15, &short(b"\xff\xff")),
        &body,
        &deliver(b"a"),
        &header(1 << 13, &long(&entry(5_000))),
        &body,
        &frame(8, b""),
        &header(1 << 13, &long(&entry(4_000))),
    ];
    let read = [
        &tune[..],
        &deliver(b"caf\xc3\xa9 ?"),
        &header(1 << 15, &short(b"??")),
        &body,
        &deliver(b"a"),
        &header(0, b""),
        &body,
        &frame(8, b""),
        &header(1 << 13, &long(&entry(4_000))),
    ];
    (came.concat(), read.concat())
}

#[tokio::test]
async fn frames_may_come_in_any_pieces() {
    let (came, expected) = conversation();
    for room in [1, 7, 100_000] {
        assert_eq!(read([came.clone()], room).await, expected, "room {room}");
        let bytes = came.iter().map(|byte| vec![*byte]);
        assert_eq!(read(bytes, room).await, expected, "room {room}");
    }
    for at in 0..came.len() {
        let (one, other) = came.split_at(at);
        let pieces = [one.to_vec(), other.to_vec()].into_iter();
        let pieces = pieces.filter(|piece| !piece.is_empty());
        assert_eq!(read(pieces, 100_000).await, expected, "cut at {at}");
    }
}

#[tokio::test]
async fn frames_may_be_larger_than_the_buffer() {
    let body = frame(3, &vec![0xff; 3 * CHUNK]);
    let entry = [&short(b"a")[..], b"S", &long(&vec![0xff; 3 * CHUNK])].concat();
    let came = [header(1 << 13, &long(&entry)), body].concat();
    let pieces = came.chunks(CHUNK / 3).map(<[u8]>::to_vec);
    assert_eq!(read(pieces, 1000).await, came);
}

#[tokio::test]
async fn what_is_no_frame_comes_as_it_is() {
    let came = b"AMQP\0\0\x09\x01\x02\0\0\0\0\0\x01\xff".to_vec();
    assert_eq!(read([came.clone()], 1000).await, came);
}
