//! Customers: commands of all kinds over HTTP, some of which the shop has to refuse.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Somebody who opens accounts and orders things, and remembers what was answered.
#[derive(Debug)]
pub struct Customer {
    http: Client,
    orders: String,
    random: fastrand::Rng,
    products: Vec<String>,
    accounts: Vec<Seen>,
    placed: Vec<Seen>,
}

/// What the customer knows of an account or an order.
#[derive(Debug, Clone)]
struct Seen {
    id: String,
    version: i64,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// By a rule of the shop.
    Refused,
}

impl Customer {
    /// A customer of the shop at this address, who is the same for the same seed.
    pub async fn new(orders: &str, seed: u64) -> Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(20)).build()?;
        let products: Vec<Value> = http
            .get(format!("{orders}/products"))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let products = products.iter().filter_map(|product| product["id"].as_str());
        let products: Vec<_> = products.map(ToOwned::to_owned).collect();
        ensure!(!products.is_empty(), "the shop sells nothing");
        Ok(Self {
            http,
            orders: orders.to_owned(),
            random: fastrand::Rng::with_seed(seed),
            products,
            accounts: Vec::new(),
            placed: Vec::new(),
        })
    }

    /// Sends one command.
    pub async fn act(&mut self) -> Result<Outcome> {
        if self.accounts.is_empty() {
            return self.open_account().await;
        }
        match self.random.u32(0..100) {
            0..8 => self.open_account().await,
            8..14 => self.rename().await,
            14..18 => self.close().await,
            18..60 => self.place().await,
            draw => {
                if self.placed.is_empty() {
                    return self.place().await;
                }
                match draw {
                    60..75 => self.add_line().await,
                    75..90 => self.end_order("ship").await,
                    _ => self.end_order("cancel").await,
                }
            }
        }
    }

    async fn open_account(&mut self) -> Result<Outcome> {
        let name = format!("Customer {:06}", self.random.u32(0..1_000_000));
        let answer = self
            .send(Method::POST, "/accounts", json!({"name": name}))
            .await?;
        Ok(remember(&mut self.accounts, answer))
    }

    async fn rename(&mut self) -> Result<Outcome> {
        let at = self.random.usize(0..self.accounts.len());
        let Seen { id, version } = self.accounts[at].clone();
        let name = format!("Renamed {:06}", self.random.u32(0..1_000_000));
        let body = json!({"name": name, "version": version});
        let answer = self
            .send(Method::PATCH, &format!("/accounts/{id}"), body)
            .await?;
        Ok(update(&mut self.accounts[at], answer))
    }

    async fn close(&mut self) -> Result<Outcome> {
        let at = self.random.usize(0..self.accounts.len());
        let Seen { id, version } = self.accounts[at].clone();
        let path = format!("/accounts/{id}/close");
        let answer = self
            .send(Method::POST, &path, json!({"version": version}))
            .await?;
        // A closed account is kept in mind: it is there to be refused.
        Ok(update(&mut self.accounts[at], answer))
    }

    async fn place(&mut self) -> Result<Outcome> {
        let at = self.random.usize(0..self.accounts.len());
        let lines: Vec<_> = (0..self.random.usize(1..=3)).map(|_| self.line()).collect();
        let body = json!({"account_id": self.accounts[at].id, "lines": lines});
        let answer = self.send(Method::POST, "/orders", body).await?;
        Ok(remember(&mut self.placed, answer))
    }

    async fn add_line(&mut self) -> Result<Outcome> {
        let at = self.random.usize(0..self.placed.len());
        let Seen { id, version } = self.placed[at].clone();
        let mut body = self.line();
        // Now and then, that of a customer who has not looked for long.
        let stale = i64::from(version > 0 && self.random.u8(..) < 25);
        body["version"] = json!(version - stale);
        let path = format!("/orders/{id}/lines");
        let answer = self.send(Method::POST, &path, body).await?;
        Ok(update(&mut self.placed[at], answer))
    }

    async fn end_order(&mut self, how: &str) -> Result<Outcome> {
        let at = self.random.usize(0..self.placed.len());
        let Seen { id, version } = self.placed.swap_remove(at);
        let path = format!("/orders/{id}/{how}");
        let answer = self
            .send(Method::POST, &path, json!({"version": version}))
            .await?;
        Ok(answer.map_or(Outcome::Refused, |_| Outcome::Done))
    }

    fn line(&mut self) -> Value {
        let product = self.random.usize(0..self.products.len());
        json!({"product_id": self.products[product], "quantity": self.random.i64(1..=3)})
    }

    /// The answer; none if the shop has refused. Whatever goes wrong on the way, the command is sent again
    /// with its id: it is executed once.
    async fn send(&mut self, method: Method, path: &str, body: Value) -> Result<Option<Value>> {
        let id = Uuid::from_u128(self.random.u128(..));
        let mut last = None;
        for _ in 0..10 {
            let sent = self
                .http
                .request(method.clone(), format!("{}{path}", self.orders))
                .header("Idempotency-Key", id.to_string())
                .json(&body)
                .send()
                .await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(error) => {
                    last = Some(error.into());
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let status = answer.status();
            let text = answer.text().await?;
            match status {
                StatusCode::OK | StatusCode::CREATED => {
                    return Ok(Some(serde_json::from_str(&text)?));
                }
                StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => return Ok(None),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    last = Some(anyhow::anyhow!("{status}: {text}"));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                _ => bail!("{method} {path}: {status}: {text}"),
            }
        }
        Err(last.context("nothing was sent")?).with_context(|| format!("{method} {path}"))
    }
}

/// Keeps a new account or order in mind.
fn remember(seen: &mut Vec<Seen>, answer: Option<Value>) -> Outcome {
    let Some(answer) = answer else {
        return Outcome::Refused;
    };
    seen.push(Seen {
        id: answer["id"].as_str().unwrap_or_default().to_owned(),
        version: answer["version"].as_i64().unwrap_or_default(),
    });
    Outcome::Done
}

fn update(seen: &mut Seen, answer: Option<Value>) -> Outcome {
    let Some(answer) = answer else {
        return Outcome::Refused;
    };
    seen.version = answer["version"].as_i64().unwrap_or(seen.version);
    Outcome::Done
}

/// So many commands a second, until `stop`.
pub async fn run(orders: String, a_second: u32, seed: u64, stop: CancellationToken) -> Result<()> {
    let mut customer = Customer::new(&orders, seed).await?;
    let mut pace = interval(Duration::from_secs(1) / a_second);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = pace.tick() => {}
        }
        if let Err(error) = customer.act().await {
            tracing::warn!("a command failed: {error:#}");
        }
        // A shop that runs for days is not to be kept in the customer's mind.
        customer.placed.truncate(1_000);
        customer.accounts.truncate(1_000);
    }
}
