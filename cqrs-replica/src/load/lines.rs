//! The lines of a dump, one at a time.

use std::io::{self, BufRead, ErrorKind};

/// The longest line that is kept: somewhat more than a message may be.
const LONGEST: usize = cqrs_core::wire::MAX_BODY + 4096;

/// Reads lines of any length without holding more than one.
#[derive(Debug)]
pub(super) struct Lines<I> {
    input: I,
    number: u64,
    text: Vec<u8>,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    Text(&'l [u8]),
    /// It was longer than any row may be.
    TooLong,
}

impl<I: BufRead> Lines<I> {
    pub(super) const fn new(input: I) -> Self {
        Self {
            input,
            number: 0,
            text: Vec::new(),
        }
    }

    /// The next line with its number, from 1 on; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.text.clear();
        let mut any = false;
        let mut long = false;
        loop {
            let part = match self.input.fill_buf() {
                Ok(part) => part,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if part.is_empty() {
                break;
            }
            any = true;
            let end = part.iter().position(|byte| *byte == b'\n');
            let text = &part[..end.unwrap_or(part.len())];
            long |= self.text.len() + text.len() > LONGEST;
            if !long {
                self.text.extend_from_slice(text);
            }
            let read = text.len() + usize::from(end.is_some());
            self.input.consume(read);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        let line = if long {
            Line::TooLong
        } else {
            Line::Text(self.text.trim_ascii())
        };
        Ok(Some((self.number, line)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_are_numbered_with_and_without_a_last_new_line() {
        for text in ["acc\r\n{}\n\n[1]", "acc\r\n{}\n\n[1]\n"] {
            let mut lines = Lines::new(BufReader::with_capacity(2, text.as_bytes()));
            for (number, line) in [(1, "acc"), (2, "{}"), (3, ""), (4, "[1]")] {
                let expected = Some((number, Line::Text(line.as_bytes())));
                assert_eq!(lines.next().unwrap(), expected);
            }
            assert_eq!(lines.next().unwrap(), None);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let text = format!("a\n{}\nb\n", "x".repeat(LONGEST + 1));
        let mut lines = Lines::new(BufReader::new(text.as_bytes()));
        assert_eq!(lines.next().unwrap(), Some((1, Line::Text(b"a"))));
        assert_eq!(lines.next().unwrap(), Some((2, Line::TooLong)));
        assert_eq!(lines.next().unwrap(), Some((3, Line::Text(b"b"))));
    }
}
