//! Comparing a replica's table with its master's without sending the rows.
//!
//! Both sides sum up the hashes of their rows in ranges ([`Ranges`]), compare the sums, and look at the
//! rows of those ranges only that differ. A row belongs to a range by the hash of its canonical key:
//! databases do not agree on the order of keys.

mod difference;
mod pace;
pub mod protocol;
mod ranges;

pub use difference::{Difference, RowMark};
pub use pace::Pace;
pub use ranges::{MAX_RANGES, RangeSum, Ranges, range_count};
