//! Two services that keep copies: one of the whole row, one of two columns under other names.

use std::path::Path;

use anyhow::{Result, bail};
use cqrs_core::{CqrsId, SecretUrl};
use cqrs_replica::{Model, Models, TableModel, sqlite::SqliteReplica};
use sqlx::{AssertSqlSafe, Row, SqlitePool, sqlite::SqliteConnectOptions};

use crate::country::Country;

/// What one replica keeps.
pub(crate) struct Replica {
    /// Its service: queue, database file and configuration file are called so.
    pub(crate) name: &'static str,
    /// Its table.
    pub(crate) table: &'static str,
    create: &'static str,
    /// Members of the event and the columns they go into; in the first column the key.
    columns: &'static [(&'static str, &'static str)],
    /// What the master's row should look like here.
    expected: fn(&Country) -> Vec<Option<String>>,
}

pub(crate) const ATLAS: Replica = Replica {
    name: "atlas",
    table: "country",
    create: "create table country (alpha2 text primary key, alpha3 text not null,
        numeric integer not null, name text not null, official_name text, flag text not null)",
    columns: &[
        ("alpha2", "alpha2"),
        ("alpha3", "alpha3"),
        ("numeric", "numeric"),
        ("name", "name"),
        ("official_name", "official_name"),
        ("flag", "flag"),
    ],
    expected: |c| {
        vec![
            Some(c.alpha2.clone()),
            Some(c.alpha3.clone()),
            Some(c.numeric.to_string()),
            Some(c.name.clone()),
            c.official_name.clone(),
            Some(c.flag.clone()),
        ]
    },
};

pub(crate) const PHONEBOOK: Replica = Replica {
    name: "phonebook",
    table: "place",
    create: "create table place (code text primary key, label text not null)",
    columns: &[("alpha2", "code"), ("name", "label")],
    expected: |c| vec![Some(c.alpha2.clone()), Some(c.name.clone())],
};

impl Replica {
    pub(crate) async fn create(&self, file: &Path) -> Result<SqlitePool> {
        cqrs_replica::migrate(&SecretUrl::new(format!("sqlite://{}", file.display()))).await?;
        let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file)).await?;
        sqlx::query(self.create).execute(&pool).await?;
        Ok(pool)
    }

    pub(crate) fn models(&self) -> Result<Models<SqliteReplica>> {
        let table = TableModel::new(self.table, self.columns[0].1)
            .with_columns(self.columns.iter().copied());
        Ok(Models::new([Model::table(CqrsId::new("country")?, table)])?)
    }

    /// The `[[replica.model]]` that tells the stock worker the same.
    pub(crate) fn toml(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|(member, column)| format!("{member} = \"{column}\""))
            .collect();
        format!(
            "[[replica.model]]\ncqrs_id = \"country\"\ntable = \"{}\"\nkey = \"{}\"\n\
             columns = {{ {} }}\n",
            self.table,
            self.columns[0].1,
            columns.join(", ")
        )
    }

    /// How many events have been applied, by the same count as the master's.
    pub(crate) async fn events(pool: &SqlitePool) -> Result<u64> {
        let sum = "select coalesce(sum(revision + 1), 0) from cqrs_replica_state";
        Ok(sqlx::query_scalar(sum).fetch_one(pool).await?)
    }

    /// Compares the copy with the master, row by row.
    pub(crate) async fn compare(&self, pool: &SqlitePool, master: &[Country]) -> Result<()> {
        let columns: Vec<_> = self.columns.iter().map(|(_, column)| *column).collect();
        // Table and columns are the constants above.
        let select = AssertSqlSafe(format!(
            "select {} from {} order by 1",
            columns
                .iter()
                .map(|c| format!("cast({c} as text)"))
                .collect::<Vec<_>>()
                .join(", "),
            self.table
        ));
        let rows = sqlx::query(select).fetch_all(pool).await?;
        let mut copy = Vec::with_capacity(rows.len());
        for row in &rows {
            let values = (0..columns.len()).map(|column| row.try_get(column));
            copy.push(values.collect::<Result<Vec<Option<String>>, _>>()?);
        }
        let expected: Vec<_> = master.iter().map(self.expected).collect();
        if copy == expected {
            return Ok(());
        }
        let missing = expected.iter().filter(|row| !copy.contains(row)).take(3);
        let surplus = copy.iter().filter(|row| !expected.contains(row)).take(3);
        bail!(
            "{} differs from the master: {} rows for {}; missing or old: {:?}; surplus: {:?}",
            self.name,
            copy.len(),
            expected.len(),
            missing.collect::<Vec<_>>(),
            surplus.collect::<Vec<_>>()
        )
    }
}
