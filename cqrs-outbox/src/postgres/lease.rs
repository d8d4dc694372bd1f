//! Heartbeats and slots.

use std::time::Duration;

use cqrs_core::{Slot, StoreError};
use uuid::Uuid;

use super::{
    PostgresSession,
    rows::{get, held_arrays},
    sql,
};
use crate::{Census, Epoch, Lease, Owner, RelayBeat, store::columns::Table};

impl PostgresSession {
    pub(super) async fn renew(
        &mut self,
        owner: Owner,
        lease: Duration,
        publishing: bool,
    ) -> Result<(), StoreError> {
        self.execute(
            sqlx::query(sql::RENEW)
                .bind(owner.0)
                .bind(lease.as_secs_f64())
                .bind(publishing),
        )
        .await?;
        Ok(())
    }

    pub(super) async fn look_around(&mut self) -> Result<Census, StoreError> {
        let row = self.row(sqlx::query(sql::CENSUS)).await?;
        let owners: Vec<Uuid> = get(&row, 0)?;
        let beats: Vec<i64> = get(&row, 1)?;
        let live: Vec<bool> = get(&row, 2)?;
        let publishing: Vec<bool> = get(&row, 3)?;
        let slots: Vec<i16> = get(&row, 4)?;
        let holders: Vec<Option<Uuid>> = get(&row, 5)?;
        let epochs: Vec<i64> = get(&row, 6)?;
        let relays = owners.into_iter().zip(beats).zip(live).zip(publishing);
        let leases = slots.into_iter().zip(holders).zip(epochs);
        Ok(Census {
            relays: relays
                .map(|(((owner, beat), live), publishing)| RelayBeat {
                    owner: Owner(owner),
                    beat,
                    live,
                    publishing,
                })
                .collect(),
            leases: leases
                .map(|((slot, holder), epoch)| {
                    Ok(Lease {
                        slot: Table::LEASE.slot(slot.into())?,
                        owner: holder.map(Owner),
                        epoch: Epoch(epoch),
                    })
                })
                .collect::<Result<_, StoreError>>()?,
        })
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
        let (slots, epochs) = held_arrays(seen);
        let (holders, beats): (Vec<Uuid>, Vec<i64>) = self
            .census
            .holders_of(seen)
            .map(|relay| (relay.owner.0, relay.beat))
            .unzip();
        let taken = self
            .rows(
                sqlx::query(sql::ACQUIRE)
                    .bind(owner.0)
                    .bind(slots)
                    .bind(epochs)
                    .bind(holders)
                    .bind(beats),
            )
            .await?;
        taken
            .iter()
            .map(|row| {
                Ok((
                    Table::LEASE.slot(get::<i16>(row, 0)?.into())?,
                    Epoch(get(row, 1)?),
                ))
            })
            .collect()
    }

    pub(super) async fn give_back(
        &mut self,
        owner: Owner,
        held: &[(Slot, Epoch)],
    ) -> Result<(), StoreError> {
        if held.is_empty() {
            return Ok(());
        }
        let (slots, epochs) = held_arrays(held);
        self.execute(
            sqlx::query(sql::RELEASE)
                .bind(owner.0)
                .bind(slots)
                .bind(epochs),
        )
        .await?;
        Ok(())
    }

    pub(super) async fn forget(&mut self, owner: Owner) -> Result<(), StoreError> {
        self.execute(sqlx::query(sql::RETIRE).bind(owner.0)).await?;
        Ok(())
    }
}
