//! Waiting for a condition, never for a time to pass.

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Looks again and again until the condition holds.
///
/// # Errors
/// The look itself fails, or `limit` has passed; then with what the last look saw.
pub async fn until<F, L>(what: &str, limit: Duration, mut look: F) -> Result<()>
where
    F: FnMut() -> L,
    L: Future<Output = Result<Seen>>,
{
    let deadline = Instant::now() + limit;
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match look().await? {
            Seen::Yes => return Ok(()),
            Seen::NotYet(state) if Instant::now() >= deadline => {
                bail!("{what}: not within {limit:?}; last seen: {state}");
            }
            Seen::NotYet(_) => {}
        }
    }
}

/// What a look saw.
#[derive(Debug)]
pub enum Seen {
    /// The condition holds.
    Yes,
    /// It does not yet; how things stand instead.
    NotYet(String),
}

impl Seen {
    /// Compares two values that are to become equal.
    pub fn equal<T: PartialEq + std::fmt::Debug>(left: &T, right: &T) -> Self {
        if left == right {
            Self::Yes
        } else {
            Self::NotYet(format!("{left:?} and {right:?}"))
        }
    }
}
