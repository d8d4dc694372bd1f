//! All of it, in one process.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use axum::Router;
use cqrs_core::{Shutdown, SystemClock};
use shop_orders::api::IdSource;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{page, pipeline, place::Place};

/// The services, opened and listening, with nothing running yet.
#[derive(Debug)]
pub struct System {
    place: Place,
    orders: shop_orders::Service,
    reports: shop_reports::Service,
    listeners: [TcpListener; 3],
    /// Of the page, the orders and the reports.
    pub addresses: [SocketAddr; 3],
}

impl System {
    /// Makes what is missing in the databases, and listens.
    pub async fn open(place: Place, listen: [SocketAddr; 3], ids: IdSource) -> Result<Self> {
        let config = &place.config;
        let orders = shop_orders::Service::open(
            &config.require_master()?.database,
            Arc::new(SystemClock),
            ids,
        )
        .await?;
        let replica = config.require_replica()?;
        let reports = shop_reports::Service::open(&replica.database, replica.queue.clone()).await?;
        let [page, to_orders, to_reports] = listen;
        let listeners = [
            bind(page).await?,
            bind(to_orders).await?,
            bind(to_reports).await?,
        ];
        let [page, to_orders, to_reports] = &listeners;
        let addresses = [
            page.local_addr()?,
            to_orders.local_addr()?,
            to_reports.local_addr()?,
        ];
        Ok(Self {
            place,
            orders,
            reports,
            listeners,
            addresses,
        })
    }

    /// Runs until it is told to stop, or a part of it ends by itself.
    pub async fn run(self, shutdown: Shutdown) -> Result<()> {
        let Self {
            place,
            orders,
            reports,
            listeners: [page, to_orders, to_reports],
            ..
        } = self;
        // The page talks to both services, so it serves them too, and no browser has to be told that
        // another origin may be trusted.
        let whole = Router::new()
            .merge(page::router())
            .nest("/orders-api", orders.router())
            .nest("/reports-api", reports.router());
        let mut services = JoinSet::new();
        let stop = || shutdown.drain.clone().cancelled_owned();
        let until = stop();
        services.spawn(async move {
            let serving = axum::serve(page, whole).with_graceful_shutdown(until);
            serving.await.context("serving the page")
        });
        let until = stop();
        services.spawn(async move { orders.serve(to_orders, until).await });
        let until = stop();
        services.spawn(async move { reports.serve(to_reports, until).await });
        let pipeline = async {
            let ended = pipeline::run(&place.config, shutdown.clone()).await;
            shutdown.drain.cancel();
            ended
        };
        let watching = async {
            let mut first = Ok(());
            while let Some(ended) = services.join_next().await {
                // One that ends takes the others along.
                shutdown.drain.cancel();
                first = first.and(ended.map_err(Into::into).and_then(|ended| ended));
            }
            first
        };
        let (carried, served) = tokio::join!(pipeline, watching);
        carried.and(served)
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}"))
}
