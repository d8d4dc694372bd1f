//! Heartbeats and slots.

use std::time::Duration;

use cqrs_core::{Slot, StoreError, database::sqlite::classify};

use super::{
    SqliteSession,
    rows::{get, microseconds, uuid, uuid_text},
    sql,
};
use crate::{Census, Epoch, Lease, Owner, RelayBeat, store::columns::Table};

impl SqliteSession {
    pub(super) async fn renew(
        &mut self,
        owner: Owner,
        lease: Duration,
        publishing: bool,
    ) -> Result<(), StoreError> {
        let owner = uuid_text(owner.0);
        self.transaction(async |tx| {
            for statement in [sql::LAPSE, sql::FORGET_LAPSED] {
                sqlx::query(statement)
                    .bind(&owner)
                    .execute(&mut *tx)
                    .await
                    .map_err(classify)?;
            }
            let renewal = sqlx::query(sql::RENEW)
                .bind(&owner)
                .bind(microseconds(lease))
                .bind(publishing);
            renewal.execute(&mut *tx).await.map_err(classify).map(drop)
        })
        .await
    }

    pub(super) async fn look_around(&mut self) -> Result<Census, StoreError> {
        let mut census = Census::default();
        for row in self.rows(sqlx::query(sql::RELAYS)).await? {
            census.relays.push(RelayBeat {
                owner: Owner(uuid(Table::RELAY, "owner", get(&row, 0)?)?),
                beat: get(&row, 1)?,
                live: get(&row, 2)?,
                publishing: get(&row, 3)?,
            });
        }
        for row in self.rows(sqlx::query(sql::LEASES)).await? {
            let owner: Option<&str> = get(&row, 1)?;
            census.leases.push(Lease {
                slot: Table::LEASE.slot(get(&row, 0)?)?,
                owner: Table::LEASE.parse_option("owner", owner)?.map(Owner),
                epoch: Epoch(get(&row, 2)?),
            });
        }
        Ok(census)
    }

    /// Without its row a slot is nobody's, and its rows are never sent.
    pub(super) async fn restore_leases(&mut self) -> Result<(), StoreError> {
        let slots = self.execute(sqlx::query(sql::RESTORE_LEASES)).await?;
        tracing::warn!(
            slots,
            "cqrs_relay_lease lacked slots, which are there again"
        );
        Ok(())
    }

    pub(super) async fn take_over(
        &mut self,
        owner: Owner,
        seen: &[(Slot, Epoch)],
    ) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<_> = seen
            .iter()
            .map(|named| {
                let holder = self.census.holders_of(&[*named]).next().copied();
                (
                    *named,
                    holder.map(|relay| uuid_text(relay.owner.0)),
                    holder.map(|relay| relay.beat),
                )
            })
            .collect();
        self.transaction(async |tx| {
            let mut taken = Vec::new();
            for ((slot, epoch), holder, beat) in wanted {
                let statement = sqlx::query(sql::ACQUIRE)
                    .bind(uuid_text(owner.0))
                    .bind(i64::from(slot.number()))
                    .bind(epoch.0)
                    .bind(holder)
                    .bind(beat);
                let row = statement.fetch_optional(&mut *tx).await.map_err(classify)?;
                if let Some(row) = row {
                    taken.push((slot, Epoch(get(&row, 0)?)));
                }
            }
            Ok(taken)
        })
        .await
    }

    pub(super) async fn give_back(
        &mut self,
        owner: Owner,
        held: &[(Slot, Epoch)],
    ) -> Result<(), StoreError> {
        if held.is_empty() {
            return Ok(());
        }
        self.transaction(async |tx| {
            for (slot, epoch) in held {
                let statement = sqlx::query(sql::RELEASE)
                    .bind(uuid_text(owner.0))
                    .bind(i64::from(slot.number()))
                    .bind(epoch.0);
                statement.execute(&mut *tx).await.map_err(classify)?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn forget(&mut self, owner: Owner) -> Result<(), StoreError> {
        let owner = uuid_text(owner.0);
        self.transaction(async |tx| {
            for statement in [sql::RETIRE_LEASES, sql::RETIRE] {
                sqlx::query(statement)
                    .bind(&owner)
                    .execute(&mut *tx)
                    .await
                    .map_err(classify)?;
            }
            Ok(())
        })
        .await
    }
}
