//! Many rows of a model's table and their events, in two statements.

mod row_set;

pub(crate) use row_set::RowSet;

use crate::{Change, OpenTransaction, RecordError, Recorded, Recorder, Table};

/// Inserts rows and records them as saved: one `INSERT` and one [`record_all`](crate::record_all),
/// on `PostgreSQL` two round trips, whatever their number.
///
/// The caller gives the keys; where the database makes them, insert with `RETURNING` and
/// [`record_all`](crate::record_all) what came. All rows travel in one parameter, so keep a call to
/// some thousands.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example(pool: sqlx::PgPool, accounts: Vec<impl cqrs_outbox::Table + Sync>) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_outbox as outbox;
///
/// let mut tx = outbox::begin(&pool).await?;
/// outbox::bulk_create(&mut tx, &accounts).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`record_all`](crate::record_all); [`RecordError::Table`] when the database refuses the rows,
/// [`RecordError::Rows`] when a trigger kept some out.
///
/// # Cancel safety
/// As [`record`](crate::record).
pub async fn bulk_create<'m, T, M>(
    tx: &mut T,
    models: impl IntoIterator<Item = &'m M> + Send,
) -> Result<Vec<Recorded>, RecordError>
where
    T: OpenTransaction + ?Sized,
    M: Table + 'm,
{
    Recorder::new().bulk_create(tx, models).await
}

/// Writes rows, found by their keys, and records them as saved, with the old values of tracked
/// fields: one `UPDATE` and one [`record_all`](crate::record_all).
///
/// Each pair is a row before and after. The whole row after is written, so lock the rows when you
/// read them (`SELECT … FOR UPDATE`) if others write them too.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example(tx: &mut sqlx::Transaction<'_, sqlx::Postgres>, before: Vec<impl cqrs_outbox::Table + Clone + Sync>) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_outbox as outbox;
///
/// let after = before.clone(); // … and changed
/// outbox::bulk_update(tx, before.iter().zip(&after)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`record_all`](crate::record_all), also when the two of a pair have different keys;
/// [`RecordError::Table`] when the database refuses the rows, [`RecordError::Rows`] when some are
/// not there.
///
/// # Cancel safety
/// As [`record`](crate::record).
pub async fn bulk_update<'m, T, M>(
    tx: &mut T,
    pairs: impl IntoIterator<Item = (&'m M, &'m M)> + Send,
) -> Result<Vec<Recorded>, RecordError>
where
    T: OpenTransaction + ?Sized,
    M: Table + 'm,
{
    Recorder::new().bulk_update(tx, pairs).await
}

impl Recorder {
    /// As [`crate::bulk_create`].
    ///
    /// # Errors
    /// As [`crate::bulk_create`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn bulk_create<'m, T, M>(
        &self,
        tx: &mut T,
        models: impl IntoIterator<Item = &'m M> + Send,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction + ?Sized,
        M: Table + 'm,
    {
        let mut rows = RowSet::of::<M>();
        let mut drafts = Vec::new();
        for model in models {
            rows.add(model)?;
            drafts.push(Change::saved(model).into_draft()?);
        }
        let folded = self.fold(drafts, tx.command())?;
        if !rows.is_empty() {
            rows.sort_by_key();
            let written = tx.insert(&rows).await?;
            rows.check_count(written)?;
        }
        self.write_folded(tx, &folded, true).await
    }

    /// As [`crate::bulk_update`].
    ///
    /// # Errors
    /// As [`crate::bulk_update`].
    ///
    /// # Cancel safety
    /// As [`crate::record`].
    pub async fn bulk_update<'m, T, M>(
        &self,
        tx: &mut T,
        pairs: impl IntoIterator<Item = (&'m M, &'m M)> + Send,
    ) -> Result<Vec<Recorded>, RecordError>
    where
        T: OpenTransaction + ?Sized,
        M: Table + 'm,
    {
        let mut rows = RowSet::of::<M>();
        let mut drafts = Vec::new();
        for (before, after) in pairs {
            rows.add(after)?;
            drafts.push(Change::updated(before, after).into_draft()?);
        }
        let folded = self.fold(drafts, tx.command())?;
        if !rows.is_empty() {
            let written = tx.update(&rows).await?;
            rows.check_count(written)?;
        }
        self.write_folded(tx, &folded, true).await
    }
}
