//! Capture in `PostgreSQL`.

use cqrs_core::{CqrsId, StoreError};
use sqlx::PgConnection;

use crate::{
    capture::{Capture, CaptureState, Installed},
    source::SourceModel,
};

impl Capture for PgConnection {
    async fn sql(&mut self, _: &SourceModel) -> Result<Vec<String>, StoreError> {
        Err(missing())
    }

    async fn install(&mut self, _: &SourceModel) -> Result<Installed, StoreError> {
        Err(missing())
    }

    async fn remove(&mut self, _: &CqrsId) -> Result<bool, StoreError> {
        Err(missing())
    }

    async fn status(&mut self, _: &SourceModel) -> Result<CaptureState, StoreError> {
        Err(missing())
    }

    async fn captured(&mut self) -> Result<Vec<CqrsId>, StoreError> {
        Err(missing())
    }
}

fn missing() -> StoreError {
    StoreError::Backend("capture on PostgreSQL is to come".into())
}
