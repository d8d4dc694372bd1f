//! From what Python writes to strict JSON.

use std::borrow::Cow;

/// Makes strict JSON text of a body that Python's JSON writers may have produced:
///
/// * `NaN`, `Infinity` and `-Infinity` become strings of the same letters, which the databases'
///   float types read back;
/// * a lone surrogate (`\ud800` without its other half), which no UTF-8 text can hold, becomes
///   `\ufffd`.
///
/// Everything else, `\/` and integers of any size included, is strict JSON already. The result is
/// not checked any further: parsing it does that.
///
/// # Errors
/// The bytes are not UTF-8.
pub fn normalise(body: &[u8]) -> Result<Cow<'_, str>, NotJson> {
    let text = std::str::from_utf8(body).map_err(|e| NotJson {
        valid_up_to: e.valid_up_to(),
    })?;
    let strict = !text.contains("NaN")
        && !text.contains("Infinity")
        && !text.contains("\\ud")
        && !text.contains("\\uD");
    if strict {
        Ok(Cow::Borrowed(text))
    } else {
        Ok(Cow::Owned(rewrite(text)))
    }
}

/// A body that is not even text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not UTF-8 after byte {valid_up_to}")]
pub struct NotJson {
    valid_up_to: usize,
}

const WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

fn rewrite(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut in_string = false;
    // Each turn copies up to the next byte of interest and deals with what starts there.
    while let Some(at) = rest.find(if in_string {
        ['"', '\\', '\\']
    } else {
        ['"', 'N', 'I']
    }) {
        // A minus belongs to the word after it.
        let at = if rest[at..].starts_with('I') && rest[..at].ends_with('-') {
            at - 1
        } else {
            at
        };
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('"') {
            in_string = !in_string;
            out.push('"');
            1
        } else if in_string {
            escape(rest, &mut out)
        } else if let Some(word) = WORDS.into_iter().find(|word| rest.starts_with(word)) {
            out.push('"');
            out.push_str(word);
            out.push('"');
            word.len()
        } else {
            out.push_str(&rest[..1]);
            1
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// Copies the escape at the start of `rest`, mending a lone surrogate. Returns the bytes read.
fn escape(rest: &str, out: &mut String) -> usize {
    let (text, len) = match unit(rest) {
        Some(0xD800..0xDC00) => match unit(&rest[6..]) {
            Some(0xDC00..0xE000) => (&rest[..12], 12),
            _ => ("\\ufffd", 6),
        },
        Some(0xDC00..0xE000) => ("\\ufffd", 6),
        // The character after a backslash may be a quote and must not end the string.
        _ => {
            let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            (&rest[..len], len)
        }
    };
    out.push_str(text);
    len
}

/// The UTF-16 unit of a `\u` escape of four hex digits at the start of `text`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_strict_stays_as_it_is() {
        let text = r#"{"a":"n\/a é \u00e9","b":1208925819614629174706176}"#;
        assert!(matches!(normalise(text.as_bytes()), Ok(Cow::Borrowed(t)) if t == text));
    }

    #[test]
    fn names_of_floats_become_strings_outside_strings_only() {
        let text = r#"{"NaN":NaN,"a":[-Infinity,Infinity,-1],"b":"\"NaN, Infinity"}"#;
        assert_eq!(
            normalise(text.as_bytes()).unwrap(),
            r#"{"NaN":"NaN","a":["-Infinity","Infinity",-1],"b":"\"NaN, Infinity"}"#
        );
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        let text = r#"["\ud83d\ude00","\ud83d","\ude00x","\ud83d\u0041","\\ud83d"]"#;
        assert_eq!(
            normalise(text.as_bytes()).unwrap(),
            r#"["\ud83d\ude00","\ufffd","\ufffdx","\ufffd\u0041","\\ud83d"]"#
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_refused() {
        assert_eq!(
            normalise(b"{\"a\":\"\xff\"}"),
            Err(NotJson { valid_up_to: 6 })
        );
    }

    proptest! {
        #[test]
        fn never_panics_and_is_stable(text in r#"(\\u[dD][89abcdef][0-9]{2}|NaN|-Infinity|"|\\|[a-zé{}:,\-I])*"#) {
            let once = normalise(text.as_bytes()).unwrap().into_owned();
            prop_assert_eq!(normalise(once.as_bytes()).unwrap(), once.clone());
        }

        #[test]
        fn strict_json_keeps_its_meaning(value in "\\PC*", number: i64) {
            let json = serde_json::json!({"NaN": value, "\\ud": number}).to_string();
            let same: serde_json::Value = serde_json::from_str(&normalise(json.as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(same.to_string(), json);
        }
    }
}
