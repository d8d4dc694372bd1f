//! The statements, one file each.

macro_rules! statements {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(pub(super) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)*

        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

statements! {
    ACKNOWLEDGE = "acknowledge",
    ADOPT = "adopt",
    BIND_QUEUE = "bind_queue",
    BURY = "bury",
    CLAIM = "claim",
    DATA_VERSION = "data_version",
    DECLARE_EXCHANGE = "declare_exchange",
    DECLARE_QUEUE = "declare_queue",
    DEPTH = "depth",
    ENQUEUE = "enqueue",
    FIND_EXCHANGE = "find_exchange",
    FIND_QUEUE = "find_queue",
    FORGET = "forget",
    IDENTIFY = "identify",
    INSERT_MESSAGE = "insert_message",
    IS_BOUND = "is_bound",
    JOIN_QUEUE = "join_queue",
    LEAVE_QUEUE = "leave_queue",
    LOCK = "lock",
    LOOK = "look",
    NEXT_MESSAGES = "next_messages",
    PEERS = "peers",
    RELEASE = "release",
    RENEW = "renew",
    SWEEP_TEMPORARY = "sweep_temporary",
    SYNC_LESS = "sync_less",
    UNBIND_QUEUE = "unbind_queue",
    USE_WAL = "use_wal",
}

/// Several statements: run with [`sqlx::raw_sql`].
pub(super) const SCHEMA: &str = include_str!("sql/schema.sql");
/// From the version before to that of [`SCHEMA`].
pub(super) const UPGRADE: &str = include_str!("sql/upgrade.sql");

#[cfg(test)]
mod tests {
    use sqlx::{Connection, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn every_statement_prepares() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(SCHEMA)
            .execute(&mut connection)
            .await
            .unwrap();
        for (file, statement) in ALL {
            assert!(
                statement.starts_with(&format!("-- cqrs-core: {file}\n")),
                "{file}"
            );
            let plan = format!("EXPLAIN {statement}");
            let prepared = sqlx::query(sqlx::AssertSqlSafe(plan))
                .fetch_all(&mut connection)
                .await;
            assert!(prepared.is_ok(), "{file}: {prepared:?}");
        }
    }
}
