//! From arguments, environment and file to what the library takes.

use cqrs_core::{
    RetryPolicy,
    cli::{
        Options,
        settings::{self, Flag},
    },
    config::{Broker, Config, ConfigError, ExpiredRow, Needed, Relay},
};

use super::Command;
use crate::{OnExpired, RelayConfig};

/// The whole configuration: flags over environment over file.
pub(super) fn load(options: &Options, command: &Command) -> Result<Config, ConfigError> {
    let mut flags: Vec<Flag<'_>> = Vec::new();
    let mut needed = vec![Needed::Master];
    if let Command::Run(run) = command {
        needed.push(Needed::Broker);
        flags.extend([
            (
                "relay.batch_size",
                "--batch-size",
                run.batch_size.as_deref(),
            ),
            ("relay.window", "--window", run.window.as_deref()),
            (
                "relay.publishers",
                "--publishers",
                run.publishers.as_deref(),
            ),
            ("relay.lease", "--lease", run.lease.as_deref()),
            (
                "relay.poll_interval",
                "--poll-interval",
                run.poll_interval.as_deref(),
            ),
            (
                "relay.drain_timeout",
                "--drain-timeout",
                run.drain_timeout.as_deref(),
            ),
        ]);
    }
    let sources = settings::sources(options, "master.database", flags)?;
    Config::load_for(&sources, &needed)
}

/// The library's half of `[relay]` and `[broker]`.
pub(super) fn relay(relay: &Relay, broker: &Broker) -> RelayConfig {
    RelayConfig {
        batch_size: relay.batch_size.into(),
        window: relay.window,
        max_message_bytes: broker.max_message_bytes,
        publishers: relay.publishers,
        lease: relay.lease,
        poll_interval: relay.poll_interval,
        retry: relay.retry(),
        destination_retry: relay.destination_retry(),
        // A lost connection is to be back before others have to take over.
        reconnect: RetryPolicy::reconnect(relay.lease),
        on_expired: match relay.on_expired {
            ExpiredRow::Dead => OnExpired::Dead,
            ExpiredRow::Send => OnExpired::Send,
        },
        drain_timeout: relay.drain_timeout,
        ..RelayConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_file_are_those_of_the_library() {
        let broker = Broker::new(cqrs_core::SecretUrl::new("embedded://b"));
        assert_eq!(relay(&Relay::default(), &broker), RelayConfig::default());
    }
}
