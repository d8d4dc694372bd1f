//! The whole configuration.

use super::{
    Broker, ConfigError, Master, Problem, Relay, Replica, Sources,
    reader::{self, KeyInfo, Reader},
};

/// Everything in `cqrs.toml`, completed from variables, flags and defaults.
///
/// One file serves all processes, and each may get its secrets in its own environment. So a section
/// that lacks a key it cannot do without is not a problem yet: it is `None`, and
/// [`require_broker`](Self::require_broker) and its siblings say what is missing. A process that
/// knows what it needs calls [`Config::load_for`] and hears of everything at once.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// `[broker]`, if its URL is known.
    pub broker: Option<Broker>,
    /// `[master]`, if its database is known.
    pub master: Option<Master>,
    /// `[relay]`.
    pub relay: Relay,
    /// `[replica]`, if its database and its queue are known.
    pub replica: Option<Replica>,
    missing: Missing,
}

/// What the sections lack that are `None`.
#[derive(Debug, Clone, PartialEq)]
struct Missing {
    broker: Vec<Problem>,
    master: Vec<Problem>,
    replica: Vec<Problem>,
}

/// A section that a process may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// `[broker]`
    Broker,
    /// `[master]`
    Master,
    /// `[replica]`
    Replica,
}

impl Config {
    /// Reads all sources and checks every value in them, also those that another source overrides.
    ///
    /// # Errors
    /// All problems, sorted by place.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::load_for(sources, &[])
    }

    /// Like [`load`](Self::load), and what the needed sections lack is among the problems.
    ///
    /// # Errors
    /// All problems, sorted by place.
    pub fn load_for(sources: &Sources, needed: &[Needed]) -> Result<Self, ConfigError> {
        let (config, mut problems, _) = read(sources);
        problems.extend(
            needed
                .iter()
                .flat_map(|section| config.missing(*section).iter().cloned()),
        );
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    /// The broker.
    ///
    /// # Errors
    /// What `[broker]` lacks, and how to add it.
    pub fn require_broker(&self) -> Result<&Broker, ConfigError> {
        self.broker
            .as_ref()
            .ok_or_else(|| self.lacks(Needed::Broker))
    }

    /// The master.
    ///
    /// # Errors
    /// What `[master]` lacks, and how to add it.
    pub fn require_master(&self) -> Result<&Master, ConfigError> {
        self.master
            .as_ref()
            .ok_or_else(|| self.lacks(Needed::Master))
    }

    /// The replica.
    ///
    /// # Errors
    /// What `[replica]` lacks, and how to add it.
    pub fn require_replica(&self) -> Result<&Replica, ConfigError> {
        self.replica
            .as_ref()
            .ok_or_else(|| self.lacks(Needed::Replica))
    }

    fn missing(&self, section: Needed) -> &[Problem] {
        match section {
            Needed::Broker => &self.missing.broker,
            Needed::Master => &self.missing.master,
            Needed::Replica => &self.missing.replica,
        }
    }

    fn lacks(&self, section: Needed) -> ConfigError {
        ConfigError::Invalid(self.missing(section).to_vec())
    }
}

/// Reads everything: what holds, what is wrong, and which keys there are.
pub(super) fn read(sources: &Sources) -> (Config, Vec<Problem>, Vec<KeyInfo>) {
    let (root, problems) = reader::parse(sources);
    let mut reader = Reader::new(sources, &root, problems);
    let (broker, broker_lacks) = reader.section("broker", Broker::read);
    let (master, master_lacks) = reader.section("master", Master::read);
    let (relay, _) = reader.section("relay", Relay::read);
    let (replica, replica_lacks) = reader.section("replica", Replica::read);
    let (problems, keys) = reader.finish();
    let missing = Missing {
        broker: broker_lacks,
        master: master_lacks,
        replica: replica_lacks,
    };
    (
        Config {
            broker,
            master,
            relay,
            replica,
            missing,
        },
        problems,
        keys,
    )
}
