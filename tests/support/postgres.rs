//! A `PostgreSQL` database of a test's own.

use anyhow::{Context, Result};
use cqrs_core::SecretUrl;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::services::variable;

/// A fresh, empty database on the server that `CQRS_TEST_POSTGRES` names. Dropped with this value,
/// also when the test has failed, and whoever is still connected to it.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    server: String,
}

impl TestDatabase {
    /// Makes one.
    ///
    /// # Errors
    /// The server cannot be reached.
    ///
    /// # Panics
    /// When `CQRS_TEST_POSTGRES` is not set: a test that needs a server fails without one.
    pub async fn create() -> Result<Self> {
        Self::create_on(variable("CQRS_TEST_POSTGRES")).await
    }

    /// Makes one whose texts are whatever bytes someone has written.
    ///
    /// # Errors
    /// The server cannot be reached.
    ///
    /// # Panics
    /// As [`Self::create`].
    pub async fn create_without_encoding() -> Result<Self> {
        let options = "encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'";
        Self::create_with(variable("CQRS_TEST_POSTGRES"), options).await
    }

    /// Makes one on another server, of a fault test's own.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn create_on(server: String) -> Result<Self> {
        Self::create_with(server, "encoding 'UTF8'").await
    }

    /// Makes one whose texts are in Latin-1.
    ///
    /// # Errors
    /// The server cannot be reached.
    ///
    /// # Panics
    /// As [`Self::create`].
    pub async fn create_latin1() -> Result<Self> {
        let server = variable("CQRS_TEST_POSTGRES");
        Self::create_with(server, "encoding 'LATIN1' locale 'C'").await
    }

    /// Makes one whose texts are in the order of a dictionary.
    ///
    /// # Errors
    /// The server cannot be reached.
    ///
    /// # Panics
    /// As [`Self::create`].
    pub async fn create_in_english() -> Result<Self> {
        let options = "encoding 'UTF8' locale 'C' locale_provider icu icu_locale 'en-US'";
        Self::create_with(variable("CQRS_TEST_POSTGRES"), options).await
    }

    async fn create_with(server: String, options: &str) -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "a name that no other test has")]
        let name = format!("cqrs_test_{}", Uuid::now_v7().simple());
        // `template0` can have no sessions, which would be in the way.
        run(
            &server,
            format!("create database {name} template template0 {options}"),
        )
        .await?;
        Ok(Self {
            url: with_database(&server, &name),
            name,
            server,
        })
    }

    /// Its address, with the login.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its address as configurations take it.
    #[must_use]
    pub fn secret_url(&self) -> SecretUrl {
        SecretUrl::new(self.url.clone())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let sql = format!("drop database if exists {} with (force)", self.name);
        // A runtime of its own, on a thread of its own: the test's may be gone or be this thread.
        let dropped = std::thread::spawn(move || -> Result<()> {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(run(&server, sql))
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("{} stays behind: {error:#}", self.name),
            Err(_) => eprintln!("{} stays behind: its thread panicked", self.name),
        }
    }
}

async fn run(server: &str, sql: String) -> Result<()> {
    let mut connection = PgConnection::connect(server)
        .await
        .context("CQRS_TEST_POSTGRES names no server: run `scripts/services start postgres`")?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await?;
    Ok(())
}

/// The server's URL with another database in its path.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = match server.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (server, String::new()),
    };
    let path = address.find("://").map_or(0, |at| at + 3);
    let end = address[path..]
        .find('/')
        .map_or(address.len(), |slash| path + slash);
    format!("{}/{name}{query}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_is_another() {
        for (server, own) in [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/own"),
            ("postgres://u@h", "postgres://u@h/own"),
            (
                "postgres://h/a?sslmode=require",
                "postgres://h/own?sslmode=require",
            ),
        ] {
            assert_eq!(with_database(server, "own"), own);
        }
    }
}
