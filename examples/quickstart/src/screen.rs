//! What the quickstart shows.

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) fn title(text: &str) {
    line(&format!("quickstart: {text}"));
}

pub(crate) fn count(what: &str, number: usize, of: &str) {
    line(&format!("  {what:<12}{number:>5} {of}"));
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn bar(total: u64) -> ProgressBar {
    let form = "  applied     {pos:>5} of {len} events {bar:30} {elapsed}";
    let style = ProgressStyle::with_template(form);
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(crate) fn commands() {
    line(
        "look into it:
  sqlite3 target/quickstart/atlas.db 'select * from country limit 5'
  sqlite3 target/quickstart/master.db 'select * from cqrs_revision where deleted'
run the stock binaries on it:
  cargo run -p cqrs-relay -- status --config target/quickstart/atlas.toml
  cargo run -p cqrs-replica -- status --config target/quickstart/phonebook.toml",
    );
}

#[expect(clippy::print_stdout, reason = "showing is what the quickstart is for")]
fn line(text: &str) {
    println!("{text}");
}
