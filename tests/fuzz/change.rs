//! Changes of inputs: of bytes, of places, and of what has a meaning to a reader.

/// What is not found by changing bytes.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"false",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"-0",
    b"1e400",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"0.1e-400",
    b"\"\"",
    b"{}",
    b"[]",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\x1b[2J",
    b"0000-00-00 00:00:00",
    b"9999-12-31T23:59:60Z",
    b"{{",
    b"[[",
    b"\"and\":[",
    b"{\"or\":[{\"and\":[",
];

/// A copy of one of `corpus`, changed a few times, at most `longest` bytes long.
pub(crate) fn changed(corpus: &[Vec<u8>], random: &mut fastrand::Rng, longest: usize) -> Vec<u8> {
    let mut input = corpus[random.usize(..corpus.len())].clone();
    for _ in 0..random.usize(1..=4) {
        let from = random.usize(..=input.len());
        let to = random.usize(from..=input.len().min(from + 64));
        match random.u8(..7) {
            0 if from < input.len() => input[from] ^= 1 << random.u8(..8),
            1 if from < input.len() => input[from] = random.u8(..),
            2 => drop(input.drain(from..to)),
            3 => {
                let word = WORDS[random.usize(..WORDS.len())];
                input.splice(from..to, word.iter().copied());
            }
            // The same many times over: what nests deeply, what has many members.
            4 => {
                let part = input[from..to].repeat(1 << random.u8(..12));
                input.splice(from..from, part);
            }
            5 => input.truncate(from),
            _ => {
                let other = &corpus[random.usize(..corpus.len())];
                let end = random.usize(..=other.len());
                let begin = random.usize(..=end);
                input.splice(from..to, other[begin..end].iter().copied());
            }
        }
        input.truncate(longest);
    }
    input
}
