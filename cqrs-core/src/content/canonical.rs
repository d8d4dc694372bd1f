//! From JSON text to bytes that are equal if and only if the values are.

use std::{borrow::Cow, ops::Range};

use super::ContentError;
use crate::{form::duration, json::normalise, wire};

/// How deep values are understood. Below, the text counts as it is.
const MAX_DEPTH: usize = 128;

/// Reads JSON and writes its canonical bytes. Each value begins with a byte of its kind and says
/// where it ends, so no two values run into each other.
pub(super) struct Canonical<'t, 'b> {
    text: &'t str,
    at: usize,
    out: &'b mut Vec<u8>,
}

impl<'t, 'b> Canonical<'t, 'b> {
    pub(super) const fn new(text: &'t str, out: &'b mut Vec<u8>) -> Self {
        Self { text, at: 0, out }
    }

    /// Writes an object, of its members only those that count.
    pub(super) fn content(mut self, counts: &dyn Fn(&str) -> bool) -> Result<(), ContentError> {
        self.blanks();
        if self.peek() != Some(b'{') {
            return Err(self.problem());
        }
        self.object(counts, 0)?;
        self.blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.problem()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), ContentError> {
        self.blanks();
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => self.as_it_is(),
            Some(b'{') => self.object(&|_| true, depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => {
                let text = self.string()?;
                if let Some(nanos) = instant(&text) {
                    self.out.push(b'@');
                    self.out.extend_from_slice(&nanos.to_be_bytes());
                } else {
                    let length = duration::summed(&text);
                    write_text(self.out, b'"', length.as_deref().unwrap_or(&text));
                }
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn object(&mut self, counts: &dyn Fn(&str) -> bool, depth: usize) -> Result<(), ContentError> {
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<(Cow<'t, str>, Range<usize>)> = Vec::new();
        self.items(b'}', |this| {
            this.blanks();
            let name = this.string()?;
            this.blanks();
            this.expect(b':')?;
            let begin = this.out.len();
            write_text(this.out, b'"', &name);
            this.value(depth + 1)?;
            if counts(&name) {
                members.push((name, begin..this.out.len()));
            } else {
                this.out.truncate(begin);
            }
            Ok(())
        })?;
        if !members.is_sorted_by(|one, next| one.0 < next.0) {
            // Stable, so that of equal names the last stays the last.
            members.sort_by(|one, other| one.0.cmp(&other.0));
            let written = self.out.split_off(start);
            for (index, (name, range)) in members.iter().enumerate() {
                if members.get(index + 1).is_none_or(|next| next.0 != *name) {
                    let range = range.start - start..range.end - start;
                    self.out.extend_from_slice(&written[range]);
                }
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), ContentError> {
        self.out.push(b'[');
        self.items(b']', |this| this.value(depth + 1))?;
        self.out.push(b']');
        Ok(())
    }

    /// What stands between brackets, with commas between.
    fn items(
        &mut self,
        end: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), ContentError>,
    ) -> Result<(), ContentError> {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.blanks();
            if self.peek() == Some(end) {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// The digits without zeros around them, and the power of ten of the last.
    fn number(&mut self) -> Result<(), ContentError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let whole = self.digits()?;
        let mut fraction = "";
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = self.digits()?;
        }
        let mut power = Some(0_i64);
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            let below = self.peek() == Some(b'-');
            self.at += usize::from(matches!(self.peek(), Some(b'-' | b'+')));
            power = self.digits()?.parse().ok();
            power = power.map(|power| if below { -power } else { power });
        }
        let places = i64::try_from(fraction.len()).ok();
        let power = power
            .zip(places)
            .and_then(|(power, places)| power.checked_sub(places));
        let text = &self.text[start..self.at];
        self.out.push(b'#');
        let digits = self.out.len();
        self.out.extend_from_slice(whole.as_bytes());
        self.out.extend_from_slice(fraction.as_bytes());
        let zeros = self.out[digits..]
            .iter()
            .take_while(|&&digit| digit == b'0')
            .count();
        self.out.drain(digits..digits + zeros);
        let kept = self.out[digits..].iter().rposition(|&digit| digit != b'0');
        let Some(kept) = kept else {
            // Zero, whatever its sign.
            self.out.truncate(digits);
            self.out.push(b';');
            return Ok(());
        };
        let dropped = i64::try_from(self.out.len() - digits - kept - 1).ok();
        self.out.truncate(digits + kept + 1);
        let power = power
            .zip(dropped)
            .and_then(|(power, dropped)| power.checked_add(dropped));
        let Some(power) = power else {
            // An exponent beyond 64 bits.
            self.out.truncate(digits - 1);
            write_text(self.out, b'%', text);
            return Ok(());
        };
        self.out.push(if negative { b'-' } else { b'+' });
        self.out.extend_from_slice(&power.to_be_bytes());
        Ok(())
    }

    fn digits(&mut self) -> Result<&'t str, ContentError> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return Err(self.problem());
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn word(&mut self) -> Result<(), ContentError> {
        let rest = &self.text[self.at..];
        for word in ["null", "true", "false"] {
            if rest.starts_with(word) {
                self.at += word.len();
                self.out.push(word.as_bytes()[0]);
                return Ok(());
            }
        }
        Err(self.problem())
    }

    /// A string without its quotes and escapes.
    fn string(&mut self) -> Result<Cow<'t, str>, ContentError> {
        let start = self.at;
        let escaped = self.pass_string()?;
        let quoted = &self.text[start..self.at];
        if !escaped {
            return Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        // A lone surrogate is what a replica would have made of it.
        let strict = normalise(quoted.as_bytes()).map_err(|_| self.problem())?;
        serde_json::from_str(&strict)
            .map(Cow::Owned)
            .map_err(|_| self.problem())
    }

    /// Goes behind a string. Says whether it has escapes.
    fn pass_string(&mut self) -> Result<bool, ContentError> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            match self.peek() {
                None => return Err(self.problem()),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// A value by its text.
    fn as_it_is(&mut self) -> Result<(), ContentError> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.peek() {
                None => return Err(self.problem()),
                Some(b'"') => {
                    self.pass_string()?;
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(_) => {}
            }
            self.at += 1;
            if open == 0 {
                write_text(self.out, b'%', &self.text[start..self.at]);
                return Ok(());
            }
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), ContentError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.problem())
        }
    }

    const fn problem(&self) -> ContentError {
        ContentError { at: self.at }
    }
}

fn write_text(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The nanoseconds since 1970 of a date with a time of day.
fn instant(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    // Most texts are no times: said at a glance.
    let looks = bytes.len() >= 16
        && bytes.len() <= 48
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[13] == b':'
        && matches!(bytes[10], b' ' | b'T' | b't');
    if !looks {
        return None;
    }
    let time = wire::parse_timestamp(text)?;
    let nanos = i128::from(time.timestamp_subsec_nanos());
    Some(i128::from(time.timestamp()) * 1_000_000_000 + nanos)
}
