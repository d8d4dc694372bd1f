//! `PostgreSQL` connections.

use std::{borrow::Cow, error::Error, net::IpAddr, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row, Transaction,
    postgres::{PgConnectOptions, PgDatabaseError, PgSslMode},
};

use super::{MigrationSet, classify_driver, within};
use crate::{SecretUrl, StoreError};

/// Where a database is and how long it may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=…`. Without `sslmode`, or with `prefer`,
    /// a connection within the machine is not encrypted.
    pub url: SecretUrl,
    /// How the connection shows in `pg_stat_activity`.
    pub application_name: &'static str,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a statement may take, here and in the server.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// After how long the server ends a transaction in which nothing happens, so that a stopped
    /// process cannot hold its peers.
    pub idle_in_transaction_timeout: Duration,
}

impl PostgresConfig {
    /// The defaults: 5 s to connect, 10 s a statement, 5 s a lock, 5 s idle in a transaction.
    #[must_use]
    pub const fn new(url: SecretUrl, application_name: &'static str) -> Self {
        Self {
            url,
            application_name,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(5),
        }
    }
}

/// Opens a connection with these limits set in the server.
///
/// # Errors
/// [`StoreError::Unavailable`] or [`StoreError::Misconfigured`].
pub async fn connect(config: &PostgresConfig) -> Result<PgConnection, StoreError> {
    let idle = milliseconds(config.idle_in_transaction_timeout);
    let options = options(config)?.options([
        ("statement_timeout", milliseconds(config.statement_timeout)),
        ("lock_timeout", milliseconds(config.lock_timeout)),
        (IDLE_IN_TRANSACTION, idle.clone()),
        // The server notices a vanished client; sqlx sets no keepalive on its side, where the
        // statement timeout takes its place.
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ]);
    open(config, options, &idle).await
}

const IDLE_IN_TRANSACTION: &str = "idle_in_transaction_session_timeout";

/// Connects, and refuses a session in which the limit of idle transactions is not as it was sent: a
/// pooler between has dropped it, and may give the next transaction to another session.
async fn open(
    config: &PostgresConfig,
    options: PgConnectOptions,
    idle: &str,
) -> Result<PgConnection, StoreError> {
    let (connection, found) = within(config.connect_timeout, connecting, async {
        let mut connection = options.connect().await?;
        let found = stay(&mut connection).await?;
        Ok((connection, found))
    })
    .await?;
    if found == idle {
        return Ok(connection);
    }
    let found = format!("{IDLE_IN_TRANSACTION} is {found} and not {idle}");
    Err(behind_a_pooler(found))
}

/// Sessions of ours may idle, and the limits above are enough. Servers before PostgreSQL 14 or 17 do not
/// know these settings. Answers with the limit of idle transactions. Not prepared: behind a pooler
/// somebody else may have a statement of the same name.
async fn stay(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    const STAY: &str = "-- cqrs: stay
        select case name when 'idle_in_transaction_session_timeout' then setting
               else set_config(name, '0', false) end
        from pg_settings
        where name in ('idle_in_transaction_session_timeout', 'idle_session_timeout',
                       'transaction_timeout')
        order by name collate \"C\"";
    let rows = sqlx::raw_sql(STAY).fetch_all(connection).await?;
    rows.first().map_or(Ok(String::new()), |row| row.try_get(0))
}

fn behind_a_pooler(source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Misconfigured {
        problem:
            "the database's URL leads to a pooler, such as PgBouncer, that keeps no settings of a \
                  session: name the PostgreSQL server itself"
                .to_owned(),
        source: source.into(),
    }
}

/// The class of an error of connecting.
fn connecting(error: sqlx::Error) -> StoreError {
    let database = error.as_database_error();
    let code = database.and_then(|error| error.code().map(Cow::into_owned));
    let text = database.map(|error| error.message().to_owned());
    match (code.as_deref(), text) {
        // protocol_violation, by PgBouncer
        (Some("08P01"), Some(text)) if text.contains("startup parameter") => behind_a_pooler(error),
        // The database takes no connections at present (`allow_connections`).
        (Some("55000"), _) => StoreError::Unavailable(error.into()),
        _ => classify(error),
    }
}

/// Begins a transaction on a pool with this statement.
///
/// # Errors
/// A failure of the database.
///
/// # Cancel safety
/// Safe. (sqlx 0.9's own `begin` is not: cancelled at the wrong moment, it gives a connection back to
/// the pool that is still inside the transaction.)
pub async fn begin(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    // Dropping the handle does not stop the task: it ends with an orderly transaction that nobody
    // takes, and rolls it back.
    #[expect(
        clippy::disallowed_methods,
        reason = "the caller's cancellation must not cut it"
    )]
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    match begun.await {
        Ok(begun) => begun.map_err(classify),
        Err(stopped) => Err(StoreError::Unavailable(stopped.into())),
    }
}

/// Applies the missing migrations of a set on a connection of its own, which may take its time.
///
/// # Errors
/// Any [`StoreError`]; [`StoreError::Schema`] when the database is newer than this program.
pub async fn migrate(config: &PostgresConfig, set: &MigrationSet) -> Result<(), StoreError> {
    // Without limits but this one, which nothing here reaches: to know that settings are kept.
    let idle = milliseconds(Duration::from_hours(24));
    let options = options(config)?.options([(IDLE_IN_TRANSACTION, idle.clone())]);
    let mut connection = open(config, options, &idle).await?;
    let migrated = match set.run(&mut connection, classify).await {
        Ok(true) => Ok(()),
        Ok(false) => check_schema(&mut connection, set).await,
        Err(error) => Err(error),
    };
    // Closing also frees the advisory lock that sqlx keeps when a migration fails.
    let closed = connection.close().await.map_err(classify);
    migrated.and(closed)
}

/// Refuses a database whose schema is not the one this program knows.
///
/// # Errors
/// [`StoreError::Schema`] with the remedy, or a failure of the connection, also when there is no answer
/// within 15 s.
pub async fn check_schema(
    connection: &mut PgConnection,
    set: &MigrationSet,
) -> Result<(), StoreError> {
    let check = async {
        match sqlx::query_as(set.applied()).fetch_one(connection).await {
            Err(sqlx::Error::Database(error))
                if error.code().as_deref() == Some(UNDEFINED_TABLE) =>
            {
                Ok(Err(set.missing("missing", Some(error))))
            }
            applied => applied.map(|applied| set.check(applied)),
        }
    };
    within(CHECK_LIMIT, classify, check).await?
}

/// How long a look at the migrations may take: a connection that is cut off without a word must not
/// hold up its task.
const CHECK_LIMIT: Duration = Duration::from_secs(15);

/// The parameters of a URL that the driver reads. Of another one it logs the value, and goes on.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
];

fn options(config: &PostgresConfig) -> Result<PgConnectOptions, StoreError> {
    if let Err(unknown) = config.url.check_parameters(PARAMETERS) {
        return Err(StoreError::Misconfigured {
            problem: format!("the database's URL {} cannot be used", config.url),
            source: unknown.into(),
        });
    }
    let options = PgConnectOptions::from_str(config.url.expose()).map_err(classify)?;
    // `prefer`, the driver's default, checks no certificate and falls back to plain text, so within
    // one machine it protects nothing; but sqlx 0.9.0 leaves Nagle's algorithm on, and a statement of
    // more than one TLS record then waits 40 ms for the peer's delayed acknowledgement.
    let options = match options.get_ssl_mode() {
        PgSslMode::Prefer if is_loopback(options.get_host()) => {
            options.ssl_mode(PgSslMode::Disable)
        }
        _ => options,
    };
    Ok(options
        .application_name(config.application_name)
        .disable_statement_logging())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
}

const UNDEFINED_TABLE: &str = "42P01";

/// The class of a driver's error.
#[must_use]
pub fn classify(error: sqlx::Error) -> StoreError {
    let error = match classify_driver(error) {
        Ok(error) => error,
        Err(classified) => return classified,
    };
    let code = error
        .try_downcast_ref::<PgDatabaseError>()
        .map(|error| error.code().to_owned())
        .unwrap_or_default();
    match code.as_str() {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => StoreError::Conflict(error),
        // query_canceled by statement_timeout; read_only_sql_transaction after a failover;
        // a transaction ended for idling; database_dropped and shutdowns; resources; connections.
        "57014" | "25006" | "25P03" => StoreError::Unavailable(error),
        _ if ["08", "53", "57P", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            StoreError::Unavailable(error)
        }
        // invalid_password, invalid_authorization, invalid_catalog_name
        "28P01" | "28000" | "3D000" => StoreError::Misconfigured {
            problem: format!("the database refused the connection: {}", error.message()),
            source: error,
        },
        // insufficient_privilege
        "42501" => StoreError::Misconfigured {
            problem: format!("the database user lacks a right: {}", error.message()),
            source: error,
        },
        // undefined_table, undefined_column, undefined_function, invalid_schema_name
        UNDEFINED_TABLE | "42703" | "42883" | "3F000" => StoreError::Schema {
            problem: error.message().to_owned(),
            source: Some(error),
        },
        _ => StoreError::Backend(error),
    }
}

/// Whether the server ended the statement since it took too long. The connection is still good.
#[must_use]
pub fn is_statement_timeout(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(source)
            if source.downcast_ref::<PgDatabaseError>().is_some_and(|error| error.code() == "57014")
    )
}

/// Whether the database refused a value and not the statement: of many rows, the others may be well.
#[must_use]
pub fn is_of_data(error: &StoreError) -> bool {
    let StoreError::Backend(source) = error else {
        return false;
    };
    let error = source.downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| error.code().starts_with("22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.example.com",
            "10.0.0.1",
            "127.0.0.1.example.com",
            "db",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    /// A service migrates in a task of its own at its start.
    #[test]
    fn migrating_can_be_spawned() {
        const fn is_send<T: Send>(_: &T) {}
        let config = PostgresConfig::new(SecretUrl::new("postgres://localhost"), "test");
        let set = MigrationSet {
            table: "t",
            command: "c",
            additive: &[],
            migrations: &[],
        };
        is_send(&migrate(&config, &set));
    }
}
