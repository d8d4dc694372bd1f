//! The buses on `PostgreSQL`.

use std::time::Duration;

use cqrs_core::{SecretUrl, StoreError, bus::postgres::PostgresQueries};
use cqrs_outbox::postgres::PostgresCommands;
use cqrs_tests::database::Database;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::bed::{Bed, PURSE, Statements};

pub(crate) struct PostgresBed {
    database: Database,
}

impl PostgresBed {
    pub(crate) fn pool(&self) -> &PgPool {
        match &self.database {
            Database::Postgres { pool, .. } => pool,
            Database::Sqlite { .. } => unreachable!("it was made on PostgreSQL"),
        }
    }
}

impl Bed for PostgresBed {
    type Open = Transaction<'static, Postgres>;
    type Commands = PostgresCommands;
    type Queries = PostgresQueries;

    async fn new() -> Self {
        let database = Database::postgres().await.unwrap();
        let url = SecretUrl::new(database.url().to_owned());
        cqrs_outbox::migrate(&url).await.unwrap();
        database.execute(PURSE).await.unwrap();
        Self { database }
    }

    fn commands(&self) -> PostgresCommands {
        PostgresCommands::new(self.pool().clone())
    }

    fn queries(&self) -> PostgresQueries {
        PostgresQueries::new(self.pool().clone())
    }

    fn database(&self) -> &Database {
        &self.database
    }

    async fn forget(&self, older_than: Duration) -> Result<u64, StoreError> {
        self.commands().forget(older_than).await
    }
}

impl Statements for PgConnection {
    async fn execute(&mut self, sql: &'static str, values: &[i64]) -> Result<u64, sqlx::Error> {
        let mut query = sqlx::query(sql);
        for value in values {
            query = query.bind(*value);
        }
        Ok(query.execute(&mut *self).await?.rows_affected())
    }

    async fn number(
        &mut self,
        sql: &'static str,
        values: &[i64],
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut query = sqlx::query_scalar(sql);
        for value in values {
            query = query.bind(*value);
        }
        query.fetch_optional(&mut *self).await
    }
}

suite!(PostgresBed);

mod only_here {
    //! What only a server has.

    use std::sync::Arc;

    use cqrs_core::bus::CommandBus;
    use tokio::sync::Barrier;

    use super::PostgresBed;
    use crate::{
        bed::Bed,
        handlers::{Move, Purses, Total, id},
    };

    /// Two commands lock the same rows in opposite orders; one of them is the deadlock's victim.
    #[tokio::test]
    async fn a_deadlock_is_tried_again() {
        let bed = PostgresBed::new().await;
        let insert = "insert into purse values (1, 10), (2, 10)";
        bed.database().execute(insert).await.unwrap();
        let purses = Purses {
            meet: Some(Arc::new(Barrier::new(2))),
            ..Purses::default()
        };
        let bus = CommandBus::new(bed.commands(), purses);
        let (forth, back) = (Move { from: 1, to: 2 }, Move { from: 2, to: 1 });
        let (forth, back) = tokio::join!(bus.execute(id(1), &forth), bus.execute(id(2), &back));
        let attempts = [forth.unwrap().output, back.unwrap().output];
        assert!(attempts == [1, 2] || attempts == [2, 1], "{attempts:?}");
        let amounts = "select cast(count(*) as text) from purse where amount = 10";
        assert_eq!(bed.number(amounts).await, 2);
    }

    /// Each reads what the other writes: one of them has to be run again.
    #[tokio::test]
    async fn a_serialization_failure_is_tried_again() {
        let bed = PostgresBed::new().await;
        let purses = Purses {
            meet: Some(Arc::new(Barrier::new(2))),
            ..Purses::default()
        };
        let bus = CommandBus::new(bed.commands().serializable(), purses);
        let (one, two) = (Total { id: 1 }, Total { id: 2 });
        let (one, two) = tokio::join!(bus.execute(id(1), &one), bus.execute(id(2), &two));
        let mut seen = [one.unwrap().output, two.unwrap().output];
        seen.sort_unstable();
        // As if one had come after the other.
        assert_eq!(seen, [0, 1]);
    }

    /// What triggers and the SQL function record is in the token too.
    #[tokio::test]
    async fn what_sql_records_is_in_the_token() {
        let bed = PostgresBed::new().await;
        let bus = CommandBus::new(bed.commands(), Purses::default());
        let done = bus.execute(id(1), &crate::handlers::InSql).await.unwrap();
        let events: Vec<_> = done.token.events().collect();
        assert_eq!(events, [("purse", "7", cqrs_core::Revision(0))]);
    }
}
