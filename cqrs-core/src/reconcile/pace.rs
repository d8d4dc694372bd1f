//! Reading no faster than one may.

use std::time::Duration;

use tokio::time::Instant;

/// Holds a reader back to so many rows a second.
#[derive(Debug)]
pub struct Pace {
    begun: Instant,
    rows: u64,
    rate: Option<u32>,
}

impl Pace {
    /// From now on; `None`: as fast as it can.
    #[must_use]
    pub fn new(rate: Option<u32>) -> Self {
        Self {
            begun: Instant::now(),
            rows: 0,
            rate,
        }
    }

    /// Waits until so many rows more may have been read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn after(&mut self, rows: usize) {
        self.rows += rows as u64;
        if let Some(rate) = self.rate {
            let millis = self.rows.saturating_mul(1_000) / u64::from(rate.max(1));
            tokio::time::sleep_until(self.begun + Duration::from_millis(millis)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_take_the_time_that_they_may() {
        let begun = Instant::now();
        let mut pace = Pace::new(Some(1_000));
        for _ in 0..5 {
            pace.after(500).await;
        }
        assert_eq!(begun.elapsed(), Duration::from_millis(2_500));
        Pace::new(None).after(1_000_000).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(2_500));
    }
}
