//! The buses, on whichever database the service has.

use cqrs_core::StoreError;
use cqrs_core::bus::{
    BusError, Command, CommandBus, CommandHandler, Done, Query, QueryBus, QueryHandler,
    postgres::PostgresQueries, sqlite::SqliteQueries,
};
use cqrs_outbox::{postgres::PostgresCommands, sqlite::SqliteCommands};
use std::time::Duration;
use uuid::Uuid;

use crate::{
    commands::Commands,
    model::{Database, ShopError},
    queries::Queries,
};

/// Executes commands and answers queries. Here the two databases part: above are views that do not know
/// them, below handlers that do not either.
#[derive(Debug, Clone)]
pub enum Buses {
    Postgres {
        store: PostgresCommands,
        commands: CommandBus<PostgresCommands, Commands>,
        queries: QueryBus<PostgresQueries, Queries>,
    },
    Sqlite {
        store: SqliteCommands,
        commands: CommandBus<SqliteCommands, Commands>,
        queries: QueryBus<SqliteQueries, Queries>,
    },
}

impl Buses {
    pub fn new(database: &Database, commands: Commands) -> Self {
        match database {
            Database::Postgres(pool) => {
                let store = PostgresCommands::new(pool.clone());
                Self::Postgres {
                    commands: CommandBus::new(store.clone(), commands),
                    queries: QueryBus::new(PostgresQueries::new(pool.clone()), Queries),
                    store,
                }
            }
            Database::Sqlite(pool) => {
                let store = SqliteCommands::new(pool.clone());
                Self::Sqlite {
                    commands: CommandBus::new(store.clone(), commands),
                    queries: QueryBus::new(SqliteQueries::new(pool), Queries),
                    store,
                }
            }
        }
    }

    pub async fn execute<C>(
        &self,
        id: Uuid,
        command: &C,
    ) -> Result<Done<C::Output>, BusError<ShopError>>
    where
        C: Command,
        Commands: CommandHandler<C, PostgresCommands, Error = ShopError>
            + CommandHandler<C, SqliteCommands, Error = ShopError>,
    {
        match self {
            Self::Postgres { commands, .. } => commands.execute(id, command).await,
            Self::Sqlite { commands, .. } => commands.execute(id, command).await,
        }
    }

    pub async fn ask<Q>(&self, query: &Q) -> Result<Q::Output, BusError<ShopError>>
    where
        Q: Query,
        Queries: QueryHandler<Q, PostgresQueries, Error = ShopError>
            + QueryHandler<Q, SqliteQueries, Error = ShopError>,
    {
        match self {
            Self::Postgres { queries, .. } => queries.ask(query).await,
            Self::Sqlite { queries, .. } => queries.ask(query).await,
        }
    }

    /// Forgets the ids of commands that nobody repeats any more.
    pub async fn forget(&self, older_than: Duration) -> Result<u64, StoreError> {
        match self {
            Self::Postgres { store, .. } => store.forget(older_than).await,
            Self::Sqlite { store, .. } => store.forget(older_than).await,
        }
    }
}
