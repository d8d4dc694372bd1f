//! The service as a whole.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use axum::Router;
use cqrs_core::{Clock, SecretUrl};
use tokio::{net::TcpListener, time::interval};

use crate::{
    Buses,
    api::{Api, IdSource, router},
    commands::Commands,
    model::Database,
};

/// How long a client may repeat a command.
const REPEATABLE: Duration = Duration::from_hours(24);

/// The service on its database, with nothing listening yet.
#[derive(Debug, Clone)]
pub struct Service {
    api: Api,
}

impl Service {
    /// Opens the database, and makes what is missing in it.
    pub async fn open(database: &SecretUrl, clock: Arc<dyn Clock>, ids: IdSource) -> Result<Self> {
        let database = Database::open(database).await?;
        let buses = Buses::new(&database, Commands { clock });
        Ok(Self {
            api: Api { buses, ids },
        })
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        router(self.api.clone())
    }

    /// Serves until `stop` is done and the requests at hand are answered.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop);
        tokio::select! {
            served = serving => Ok(served?),
            () = self.forget() => Ok(()),
        }
    }

    /// Keeps the table of executed commands from growing, for ever.
    async fn forget(&self) {
        let mut pace = interval(Duration::from_hours(1));
        loop {
            pace.tick().await;
            match self.api.buses.forget(REPEATABLE).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "commands too old to be repeated"),
                Err(error) => tracing::warn!(%error, "commands could not be forgotten"),
            }
        }
    }
}
