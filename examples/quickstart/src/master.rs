//! The master: a service that owns the table `country` and records what it does to it.

use std::path::Path;

use anyhow::Result;
use cqrs_core::SecretUrl;
use cqrs_outbox::{self as outbox, Change};
use sqlx::{
    Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow},
};

use crate::country::Country;

/// How many rows change in one transaction.
const BATCH: usize = 25;

pub(crate) struct Master {
    pool: SqlitePool,
}

impl Master {
    pub(crate) async fn create(file: &Path) -> Result<Self> {
        outbox::migrate(&SecretUrl::new(format!("sqlite://{}", file.display()))).await?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePool::connect_with(options).await?;
        sqlx::query(
            "create table country (alpha2 text primary key, alpha3 text not null,
             numeric integer not null, name text not null, official_name text, flag text not null)",
        )
        .execute(&pool)
        .await?;
        Ok(Self { pool })
    }

    /// Inserts countries and records each, `BATCH` to a transaction.
    pub(crate) async fn insert(&self, countries: &[Country]) -> Result<usize> {
        for batch in countries.chunks(BATCH) {
            let mut tx = outbox::begin(&self.pool).await?;
            outbox::bulk_create(&mut tx, batch).await?;
            tx.commit().await?;
        }
        Ok(countries.len())
    }

    /// Gives each country that has an official name that name.
    pub(crate) async fn make_formal(&self) -> Result<usize> {
        let formal: Vec<_> = self
            .rows()
            .await?
            .into_iter()
            .filter(|c| c.official_name.is_some())
            .collect();
        for batch in formal.chunks(BATCH) {
            let mut tx = outbox::begin(&self.pool).await?;
            for country in batch {
                let row = sqlx::query(
                    "update country set name = official_name where alpha2 = $1 returning *",
                )
                .bind(&country.alpha2)
                .fetch_one(&mut *tx)
                .await?;
                outbox::record(&mut tx, Change::saved(&read(&row)?)).await?;
            }
            tx.commit().await?;
        }
        Ok(formal.len())
    }

    /// Deletes the countries whose number ends in 0.
    pub(crate) async fn delete_some(&self) -> Result<Vec<Country>> {
        let mut gone = self.rows().await?;
        gone.retain(|country| country.numeric % 10 == 0);
        let mut tx = outbox::begin(&self.pool).await?;
        for country in &gone {
            delete(&mut tx, country).await?;
        }
        outbox::record_all(&mut tx, gone.iter().map(Change::deleted)).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Deletes everything, records that, and then thinks better of it.
    pub(crate) async fn delete_all_and_roll_back(&self) -> Result<usize> {
        let all = self.rows().await?;
        let mut tx = outbox::begin(&self.pool).await?;
        for country in &all {
            delete(&mut tx, country).await?;
        }
        outbox::record_all(&mut tx, all.iter().map(Change::deleted)).await?;
        tx.rollback().await?;
        Ok(all.len())
    }

    pub(crate) async fn rows(&self) -> Result<Vec<Country>> {
        let rows = sqlx::query("select * from country order by alpha2")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// How many events have been recorded: revisions count from 0 and have no gaps.
    pub(crate) async fn events(&self) -> Result<u64> {
        let sum = "select coalesce(sum(revision + 1), 0) from cqrs_revision";
        Ok(sqlx::query_scalar(sum).fetch_one(&self.pool).await?)
    }
}

async fn delete(tx: &mut SqliteConnection, country: &Country) -> Result<()> {
    sqlx::query("delete from country where alpha2 = $1")
        .bind(&country.alpha2)
        .execute(tx)
        .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<Country> {
    Ok(Country {
        alpha2: row.try_get("alpha2")?,
        alpha3: row.try_get("alpha3")?,
        numeric: row.try_get("numeric")?,
        name: row.try_get("name")?,
        official_name: row.try_get("official_name")?,
        flag: row.try_get("flag")?,
    })
}
