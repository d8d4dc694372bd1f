//! What the catalog says of a model's table.

use cqrs_core::{StoreError, database::postgres::classify};
use sqlx::PgConnection;

use super::{rows::get, sql};
use crate::source::{Catalog, Dialect, Source, SourceColumn, SourceModel};

impl Source {
    /// Compares a model with its table in `PostgreSQL`.
    ///
    /// # Errors
    /// [`StoreError::Schema`] with all that does not fit, each with its remedy; otherwise a failure
    /// of the database.
    ///
    /// # Cancel safety
    /// Safe: it reads.
    pub async fn in_postgres(
        connection: &mut PgConnection,
        model: SourceModel,
    ) -> Result<Self, StoreError> {
        let table = cqrs_core::database::TableName::new(&model.table).quoted();
        let columns = sqlx::query(sql::SOURCE_COLUMNS)
            .bind(&table)
            .fetch_all(&mut *connection)
            .await
            .map_err(classify)?;
        let mut catalog: Option<Catalog> = None;
        for row in &columns {
            let column = SourceColumn {
                name: get(row, 0)?,
                type_name: get(row, 1)?,
            };
            let table: String = get(row, 2)?;
            let catalog = catalog.get_or_insert(Catalog {
                table,
                columns: Vec::new(),
                unique: Vec::new(),
            });
            catalog.columns.push(column);
        }
        if let Some(catalog) = &mut catalog {
            catalog.unique = sqlx::query_scalar(sql::SOURCE_KEYS)
                .bind(&table)
                .fetch_all(connection)
                .await
                .map_err(classify)?;
        }
        Self::new(model, Dialect::Postgres, catalog)
    }
}
