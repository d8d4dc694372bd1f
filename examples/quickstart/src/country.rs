//! The model.

use anyhow::Result;
use cqrs_outbox::Master;
use serde::Deserialize;

/// A row of the master's table `country`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Master)]
#[master(cqrs_id = "country", table = "country")]
pub(crate) struct Country {
    #[master(key)]
    pub(crate) alpha2: String,
    pub(crate) alpha3: String,
    pub(crate) numeric: i64,
    pub(crate) name: String,
    pub(crate) official_name: Option<String>,
    pub(crate) flag: String,
}

/// The countries of ISO 3166-1.
pub(crate) fn all() -> Result<Vec<Country>> {
    let file = include_str!("../../data/countries.csv");
    let rows = csv::Reader::from_reader(file.as_bytes()).into_deserialize();
    Ok(rows.collect::<Result<_, _>>()?)
}
