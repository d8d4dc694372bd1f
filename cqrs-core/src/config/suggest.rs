//! "Did you mean": the known name that a typo was meant for.

/// The closest of the known names, if one is close enough to be meant.
pub(super) fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let ranked = known.iter().map(|known| {
        (
            distance(&name.to_lowercase(), &known.to_lowercase()),
            *known,
        )
    });
    let (distance, known) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= (known.chars().count() / 4).clamp(1, 3)).then_some(known)
}

/// How many insertions, deletions, replacements and swaps of neighbours lie between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, letter) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let replace = last[j] + usize::from(letter != *other);
            let mut best = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if j > 0 && previous == Some(*other) && b[j - 1] == letter {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        previous = Some(letter);
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let known = ["url", "exchange", "batch_size", "poll_interval"];
        assert_eq!(closest("bacth_size", &known), Some("batch_size"));
        assert_eq!(closest("pol_intervall", &known), Some("poll_interval"));
        assert_eq!(closest("URL", &known), Some("url"));
        assert_eq!(closest("uri", &known), Some("url"));
        assert_eq!(closest("colour", &known), None);
        assert_eq!(closest("batch", &known), None);
        assert_eq!(closest("x", &[]), None);
    }
}
