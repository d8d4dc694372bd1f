//! The shop's services, listening, on databases of a test's own.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use cqrs_core::{SecretUrl, Shutdown, SystemClock};
use cqrs_tests::{
    database::Database,
    wait::{Seen, until},
};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use shop::{pipeline, place::Place};
use shop_orders::api::IdSource;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

/// Both services, and what lies between them once it is started.
pub(crate) struct Bed {
    pub(crate) orders: String,
    pub(crate) reports: String,
    pub(crate) master: Database,
    pub(crate) replica: Database,
    http: Client,
    place: Place,
    _tasks: JoinSet<()>,
    directory: TempDir,
}

/// What a service has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    pub(crate) token: Option<String>,
    pub(crate) behind: bool,
    pub(crate) body: Value,
}

impl Bed {
    pub(crate) async fn embedded() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let master = Database::sqlite(&file("orders.db")).await.unwrap();
        let replica = Database::sqlite(&file("reports.db")).await.unwrap();
        let broker = format!("embedded://{}", file("broker.db").display());
        Self::on(master, replica, &broker, directory).await
    }

    #[cfg(feature = "servers")]
    pub(crate) async fn servers() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let master = Database::postgres().await.unwrap();
        let replica = Database::postgres().await.unwrap();
        let broker = cqrs_tests::rabbitmq::url().expose().to_owned();
        Self::on(master, replica, &broker, directory).await
    }

    async fn on(master: Database, replica: Database, broker: &str, directory: TempDir) -> Self {
        let id = Uuid::from_u128(fastrand::u128(..)).simple();
        let file = directory.path().join("cqrs.toml");
        let toml = format!(
            "[broker]\nurl = \"{broker}\"\nexchange = \"exchange_{id}\"\n\n\
             [master]\ndatabase = \"{}\"\n\n\
             [replica]\ndatabase = \"{}\"\nqueue = \"queue_{id}\"\nretry_initial = \"100ms\"\n",
            master.url(),
            replica.url()
        );
        std::fs::write(&file, toml).unwrap();
        let place = Place::of_file(&file).unwrap();
        let url = SecretUrl::new(master.url().to_owned());
        let ids = IdSource::new(|| Uuid::from_u128(fastrand::u128(..)));
        let clock = Arc::new(SystemClock);
        let orders = shop_orders::Service::open(&url, clock, ids).await.unwrap();
        let url = SecretUrl::new(replica.url().to_owned());
        let queue = place.config.require_replica().unwrap().queue.clone();
        let reports = shop_reports::Service::open(&url, queue).await.unwrap();
        let mut tasks = JoinSet::new();
        let (listener, to_orders) = listen().await;
        tasks.spawn(async move {
            orders
                .serve(listener, std::future::pending())
                .await
                .unwrap();
        });
        let (listener, to_reports) = listen().await;
        tasks.spawn(async move {
            reports
                .serve(listener, std::future::pending())
                .await
                .unwrap();
        });
        Self {
            orders: format!("http://{to_orders}"),
            reports: format!("http://{to_reports}"),
            master,
            replica,
            http: Client::new(),
            place,
            _tasks: tasks,
            directory,
        }
    }

    /// Runs a relay and a worker while `play` runs.
    pub(crate) async fn with_pipeline<T>(&self, play: impl Future<Output = T>) -> T {
        let shutdown = Shutdown::new();
        let running = pipeline::run(&self.place.config, shutdown.clone());
        let playing = async {
            let played = play.await;
            shutdown.drain.cancel();
            played
        };
        let (ran, played) = tokio::join!(running, playing);
        ran.unwrap();
        played
    }

    /// A command, with an id of its own.
    pub(crate) async fn command(&self, method: Method, path: &str, body: Value) -> Answer {
        self.command_as(&new_id(), method, path, body).await
    }

    /// A command with this id.
    pub(crate) async fn command_as(
        &self,
        id: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.orders));
        let request = request.header("Idempotency-Key", id).json(&body);
        answer(request).await
    }

    pub(crate) async fn ask_orders(&self, path: &str) -> Answer {
        answer(self.http.get(format!("{}{path}", self.orders))).await
    }

    pub(crate) async fn ask_reports(&self, path: &str) -> Answer {
        answer(self.http.get(format!("{}{path}", self.reports))).await
    }

    /// A question of somebody who has just sent a command.
    pub(crate) async fn ask_reports_after(&self, token: &str, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.reports));
        answer(request.header("Consistency-Token", token)).await
    }

    /// Anything at all.
    pub(crate) async fn raw(
        &self,
        request: impl FnOnce(&Client) -> reqwest::RequestBuilder,
    ) -> Answer {
        answer(request(&self.http)).await
    }

    /// A new account's id.
    pub(crate) async fn account(&self, name: &str) -> String {
        let body = serde_json::json!({"name": name});
        let answer = self.command(Method::POST, "/accounts", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the reports say this of a path.
    pub(crate) async fn until_reported(&self, path: &str, pointer: &str, expected: &Value) {
        let look = async || {
            let answer = self.ask_reports(path).await;
            let found = answer.body.pointer(pointer).unwrap_or(&Value::Null);
            Ok(Seen::equal(found, expected))
        };
        until(path, Duration::from_mins(1), look).await.unwrap();
    }

    /// What the processes between the services read.
    pub(crate) fn config(&self) -> &Path {
        &self.place.file
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn new_id() -> String {
    Uuid::from_u128(fastrand::u128(..)).to_string()
}

/// A product of the catalogue: they are numbered from 1.
pub(crate) fn product(number: u128) -> String {
    Uuid::from_u128(0x01a0_0000_0000_7000_8000_0000_0000_0000 + number).to_string()
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (status, kind) = (answer.status(), header("content-type").unwrap_or_default());
    let (token, behind) = (header("consistency-token"), header("behind").is_some());
    let text = answer.text().await.unwrap();
    Answer {
        status,
        kind,
        token,
        behind,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}
