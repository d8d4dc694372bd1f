//! Sums of hashes of rows.

use sha2::{Digest, Sha256};

use super::RowMark;

/// The most ranges that a table is cut into.
pub const MAX_RANGES: u32 = 65_536;

/// About how many rows a range of a table of middling size has.
const ROWS_PER_RANGE: u64 = 256;

/// Into how many ranges a table of about so many rows is cut.
#[must_use]
pub fn range_count(rows: u64) -> u32 {
    let wanted = u32::try_from(rows.div_ceil(ROWS_PER_RANGE)).unwrap_or(MAX_RANGES);
    wanted.clamp(1, MAX_RANGES)
}

/// The rows of one range, summed up in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RangeSum {
    /// How many there are.
    pub rows: u64,
    /// The sum of their hashes, modulo 2^128.
    pub sum: u128,
}

/// The ranges of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges(Vec<RangeSum>);

impl Ranges {
    /// So many empty ones, at least one and [`MAX_RANGES`] at most.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let count = count.clamp(1, MAX_RANGES);
        Self((0..count).map(|_| RangeSum::default()).collect())
    }

    /// Those that someone else has summed up.
    #[must_use]
    pub const fn of(sums: Vec<RangeSum>) -> Self {
        Self(sums)
    }

    /// How many ranges there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(MAX_RANGES)
    }

    /// The sums, in the order of the ranges.
    #[must_use]
    pub fn sums(&self) -> &[RangeSum] {
        &self.0
    }

    /// How many rows there are in all ranges.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let rows = self.0.iter().map(|range| range.rows);
        // Those of the other side come from outside.
        rows.fold(0, u64::saturating_add)
    }

    /// Adds a row.
    pub fn add(&mut self, instance_pk: &str, mark: RowMark) {
        let key = key_hash(instance_pk);
        let range = place(key, self.count());
        if let Some(range) = self.0.get_mut(range as usize) {
            range.rows += 1;
            range.sum = range.sum.wrapping_add(row_hash(key, mark));
        }
    }

    /// Of so many ranges, the one of this key.
    #[must_use]
    pub fn range_of(instance_pk: &str, count: u32) -> u32 {
        place(key_hash(instance_pk), count)
    }

    /// The ranges that differ, each with the larger number of rows. `None`: those are not ranges of
    /// the same kind.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Option<Vec<(u32, u64)>> {
        if self.0.len() != other.0.len() {
            return None;
        }
        let pairs = (0..).zip(self.0.iter().zip(&other.0));
        let differing = pairs.filter(|(_, (one, other))| one != other);
        Some(
            differing
                .map(|(range, (one, other))| (range, one.rows.max(other.rows)))
                .collect(),
        )
    }
}

/// The range of a key: the first 32 bits of its hash, spread over the ranges.
fn place(key: [u8; 32], count: u32) -> u32 {
    let first = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    let scaled = (u64::from(first) * u64::from(count)) >> 32;
    u32::try_from(scaled).unwrap_or(0)
}

fn key_hash(instance_pk: &str) -> [u8; 32] {
    Sha256::digest(instance_pk.as_bytes()).into()
}

fn row_hash(key: [u8; 32], mark: RowMark) -> u128 {
    let hash = Sha256::new()
        .chain_update(key)
        .chain_update(mark.revision.to_be_bytes())
        .chain_update(mark.content.0.to_be_bytes())
        .finalize();
    let hash: [u8; 32] = hash.into();
    hash[..16]
        .iter()
        .fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::ContentHash;

    fn mark(revision: i64, content: u128) -> RowMark {
        RowMark {
            revision,
            content: ContentHash(content),
        }
    }

    fn table(count: u32, rows: impl IntoIterator<Item = (u32, RowMark)>) -> Ranges {
        let mut ranges = Ranges::new(count);
        for (key, mark) in rows {
            ranges.add(&key.to_string(), mark);
        }
        ranges
    }

    #[test]
    fn tables_of_any_size_have_a_reasonable_number_of_ranges() {
        assert_eq!(range_count(0), 1);
        assert_eq!(range_count(257), 2);
        assert_eq!(range_count(100_000), 391);
        assert_eq!(range_count(u64::MAX), MAX_RANGES);
        assert_eq!(Ranges::new(0).count(), 1);
    }

    #[test]
    fn rows_are_spread_evenly() {
        let ranges = table(16, (0..16_000).map(|key| (key, mark(0, 0))));
        assert_eq!(ranges.rows(), 16_000);
        assert!(
            ranges
                .sums()
                .iter()
                .all(|range| (800..1200).contains(&range.rows))
        );
    }

    #[test]
    fn ranges_of_other_numbers_are_not_compared() {
        assert_eq!(Ranges::new(2).differing(&Ranges::new(3)), None);
    }

    proptest! {
        #[test]
        fn order_does_not_count_and_one_changed_row_is_found(
            rows in prop::collection::btree_map(0_u32..500, (0_i64..3, 0_u128..3), 1..60),
            count in 1_u32..40,
            victim: prop::sample::Index,
        ) {
            let rows: Vec<_> = rows.into_iter().map(|(key, (revision, content))| (key, mark(revision, content))).collect();
            let all = table(count, rows.iter().copied());
            prop_assert_eq!(&all, &table(count, rows.iter().rev().copied()));
            let (key, old) = rows[victim.index(rows.len())];
            let range = Ranges::range_of(&key.to_string(), count);
            for change in [Some(mark(old.revision + 1, old.content.0)), Some(mark(old.revision, old.content.0 + 1)), None] {
                let changed = rows.iter().filter_map(|&(other, mark)| if other == key { change.map(|c| (other, c)) } else { Some((other, mark)) });
                let differing = all.differing(&table(count, changed)).unwrap();
                prop_assert_eq!(differing.len(), 1);
                prop_assert_eq!(differing[0].0, range);
            }
        }
    }
}
