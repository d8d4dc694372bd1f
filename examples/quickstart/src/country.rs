//! The model.

use anyhow::Result;
use cqrs_outbox::{InstanceKey, Master};
use serde::{Deserialize, Serialize};

/// A row of the master's table `country`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Country {
    pub(crate) alpha2: String,
    pub(crate) alpha3: String,
    pub(crate) numeric: i64,
    pub(crate) name: String,
    pub(crate) official_name: Option<String>,
    pub(crate) flag: String,
}

impl Master for Country {
    const CQRS_ID: &'static str = "country";

    fn key(&self) -> InstanceKey {
        (&*self.alpha2).into()
    }

    fn data(&self) -> impl Serialize {
        self
    }
}

/// The countries of ISO 3166-1.
pub(crate) fn all() -> Result<Vec<Country>> {
    let file = include_str!("../../data/countries.csv");
    let rows = csv::Reader::from_reader(file.as_bytes()).into_deserialize();
    Ok(rows.collect::<Result<_, _>>()?)
}
