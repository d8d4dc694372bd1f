//! The bus of queries, on whichever database the service has.

use cqrs_core::bus::{
    BusError, Query, QueryBus, QueryHandler, postgres::PostgresQueries, sqlite::SqliteQueries,
};

use crate::{
    model::Database,
    queries::{Queries, ReportError},
};

/// Answers queries. Here the two databases part: above are views that do not know them, below handlers
/// that do not either.
#[derive(Debug, Clone)]
pub enum Bus {
    Postgres(QueryBus<PostgresQueries, Queries>),
    Sqlite(QueryBus<SqliteQueries, Queries>),
}

impl Bus {
    pub fn new(database: &Database) -> Self {
        match database {
            Database::Postgres(pool) => {
                Self::Postgres(QueryBus::new(PostgresQueries::new(pool.clone()), Queries))
            }
            Database::Sqlite(pool) => {
                Self::Sqlite(QueryBus::new(SqliteQueries::new(pool), Queries))
            }
        }
    }

    pub async fn ask<Q>(&self, query: &Q) -> Result<Q::Output, BusError<ReportError>>
    where
        Q: Query,
        Queries: QueryHandler<Q, PostgresQueries, Error = ReportError>
            + QueryHandler<Q, SqliteQueries, Error = ReportError>,
    {
        match self {
            Self::Postgres(bus) => bus.ask(query).await,
            Self::Sqlite(bus) => bus.ask(query).await,
        }
    }
}
