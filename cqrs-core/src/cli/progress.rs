//! How far a long command has come, on stderr: stdout is for data.

use std::{
    cell::Cell,
    fmt,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::output::aside;

/// Whether progress shows, and how.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ProgressArgs {
    /// Show progress: a bar on a terminal, else a line a second [default: a line every ten seconds].
    #[arg(long, short, overrides_with = "no_progress")]
    progress: bool,
    /// Show no progress.
    #[arg(long)]
    no_progress: bool,
}

const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);

impl ProgressArgs {
    /// Starts to show progress. `what` is the command's name, `total` how many rows there will be, where
    /// that is known.
    #[must_use]
    pub fn start(self, what: &'static str, total: Option<u64>) -> Progress {
        let display = if self.no_progress {
            Display::None
        } else if io::stderr().is_terminal() {
            Display::Bar(bar(what, total))
        } else {
            let pace = if self.progress { OFTEN } else { SELDOM };
            Display::Lines(Lines::new(what, total, pace))
        };
        Progress { display }
    }
}

/// How far a command has come. Dropped, it leaves nothing on the terminal.
#[derive(Debug)]
pub struct Progress {
    display: Display,
}

#[derive(Debug)]
enum Display {
    None,
    Bar(ProgressBar),
    Lines(Lines),
}

impl Progress {
    /// So many rows are done.
    pub fn at(&self, done: u64) {
        match &self.display {
            Display::None => {}
            Display::Bar(bar) => bar.set_position(done),
            Display::Lines(lines) => {
                if let Some(line) = lines.at(done, Instant::now()) {
                    aside(&line);
                }
            }
        }
    }

    /// Says something besides, in a line of its own.
    pub fn note(&self, text: &str) {
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| aside(text)),
            Display::None | Display::Lines(_) => aside(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} rows, {rate}, {eta} left",
        None => "{msg} {spinner} {human_pos} rows, {rate}",
    };
    let style = ProgressStyle::with_template(template).map(|style| {
        // Their own rate has four decimals.
        style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        })
    });
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar
}

/// Lines, not too many of them.
#[derive(Debug)]
struct Lines {
    what: &'static str,
    total: Option<u64>,
    pace: Duration,
    started: Instant,
    told: Cell<Instant>,
}

impl Lines {
    fn new(what: &'static str, total: Option<u64>, pace: Duration) -> Self {
        let now = Instant::now();
        Self {
            what,
            total,
            pace,
            started: now,
            told: Cell::new(now),
        }
    }

    /// The line to write, if it is time for one.
    fn at(&self, done: u64, now: Instant) -> Option<String> {
        if now.duration_since(self.told.get()) < self.pace {
            return None;
        }
        self.told.set(now);
        let millis = now.duration_since(self.started).as_millis().max(1);
        let rate = u128::from(done) * 1000 / millis;
        let what = self.what;
        Some(match self.total {
            None => format!("{what}: {done} rows, {rate} rows/s"),
            Some(total) => {
                let left = u128::from(total.saturating_sub(done)) / rate.max(1);
                format!("{what}: {done} of {total} rows, {rate} rows/s, {left} s left")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_rate_and_time_left_and_are_not_too_many() {
        let lines = Lines::new("dump", Some(1_000), OFTEN);
        let second = |seconds| lines.started + Duration::from_secs(seconds);
        assert_eq!(lines.at(10, lines.started), None);
        assert_eq!(
            lines.at(200, second(2)).unwrap(),
            "dump: 200 of 1000 rows, 100 rows/s, 8 s left"
        );
        assert_eq!(lines.at(201, second(2)), None);
        // More rows than were estimated.
        assert_eq!(
            lines.at(1_200, second(4)).unwrap(),
            "dump: 1200 of 1000 rows, 300 rows/s, 0 s left"
        );
        let open = Lines::new("load", None, OFTEN);
        let line = open.at(50, open.started + Duration::from_secs(1));
        assert_eq!(line.unwrap(), "load: 50 rows, 50 rows/s");
    }
}
