//! A crowd of customers, while what lies between the services is killed: at the end the reports say what the
//! orders' database says.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cqrs_tests::{
    database::Database,
    process::Process,
    wait::{Seen, until},
};
use futures_util::future::try_join_all;
use serde_json::Value;
use shop::traffic::{Customer, Outcome};

use crate::bed::Bed;

const CUSTOMERS: u64 = 8;
const COMMANDS: usize = 504;
const PATIENCE: Duration = Duration::from_mins(2);

/// The processes between the services.
struct Between<'a> {
    config: &'a Path,
    directory: &'a Path,
    worker: &'static str,
}

impl Between<'_> {
    fn start(&self, program: &str, label: &str) -> Result<Process> {
        let config = self.config.to_str().context("the path is UTF-8")?;
        Process::start(
            program,
            label,
            self.directory,
            &["run", "--config", config],
            &[],
        )
    }

    fn relay(&self, label: &str) -> Result<Process> {
        self.start("cqrs-relay", label)
    }

    fn worker(&self, label: &str) -> Result<Process> {
        self.start(self.worker, label)
    }
}

async fn reports_equal_the_orders_whatever_is_killed(bed: Bed) -> Result<()> {
    let between = Between {
        config: bed.config(),
        directory: bed.directory(),
        worker: match bed.replica {
            Database::Postgres { .. } => "shop-reports-worker",
            Database::Sqlite { .. } => "shop-reports-worker-sqlite",
        },
    };
    let (relay, worker) = (between.relay("relay")?, between.worker("worker")?);
    let buying = try_join_all((0..CUSTOMERS).map(async |seed| {
        let mut customer = Customer::new(&bed.orders, seed).await?;
        let mut refused = 0;
        for _ in 0..COMMANDS / usize::try_from(CUSTOMERS)? {
            refused += usize::from(customer.act().await? == Outcome::Refused);
        }
        anyhow::Ok(refused)
    }));
    let killing = async {
        let shown = "select cast(count(*) as text) from order_view";
        until("orders arrive", PATIENCE, async || {
            let count = bed.replica.number(shown).await?;
            Ok(if count >= 20 {
                Seen::Yes
            } else {
                Seen::NotYet(format!("{count} orders"))
            })
        })
        .await?;
        relay.kill().await?;
        worker.kill().await?;
        anyhow::Ok((
            between.relay("relay-again")?,
            between.worker("worker-again")?,
        ))
    };
    let (refused, again) = tokio::join!(buying, killing);
    let refused: usize = refused?.into_iter().sum();
    // The shop was asked for what its rules forbid, and for much that they do not.
    ensure!(
        (1..COMMANDS / 2).contains(&refused),
        "{refused} commands were refused"
    );
    let (relay, worker) = again?;
    let executed = "select cast(count(*) as text) from cqrs_command";
    let executed = bed.master.number(executed).await?;
    ensure!(
        usize::try_from(executed)? == COMMANDS - refused,
        "{executed} of {COMMANDS}"
    );

    until("the reports equal the orders", PATIENCE, async || {
        Ok(Seen::equal(
            &reported(&bed.replica).await?,
            &ordered(&bed.master).await?,
        ))
    })
    .await?;
    worker.terminate().await?;
    relay.terminate().await
}

/// All there is, as comparable text: what by what key.
type Everything = BTreeMap<(&'static str, String), String>;

/// What the orders' database says.
async fn ordered(master: &Database) -> Result<Everything> {
    let (accounts, products, orders) = match master {
        Database::Postgres { .. } => (
            "select id::text, name || ' ' || status from account",
            "select id::text, name || ' ' || price::text || ' ' || stock::text from product",
            "select id::text, account_id::text, status, to_char(placed_at at time zone 'UTC', 'YYYY-MM-DD'), \
             total::text, version::text, lines::text from customer_order",
        ),
        Database::Sqlite { .. } => (
            "select lower(hex(id)), name || ' ' || status from account",
            "select lower(hex(id)), name || ' ' || price || ' ' || stock from product",
            "select lower(hex(id)), lower(hex(account_id)), status, substr(placed_at, 1, 10), \
             cast(total as text), cast(version as text), lines from customer_order",
        ),
    };
    let mut all = Everything::new();
    pairs(&mut all, "account", master, accounts).await?;
    pairs(&mut all, "product", master, products).await?;
    let mut days = BTreeMap::<String, (i64, i64)>::new();
    for row in master.rows(orders).await? {
        let [id, account, status, day, total, version, lines] = texts(row)?;
        let lines: Value = serde_json::from_str(&lines)?;
        for (position, line) in lines.as_array().context("lines")?.iter().enumerate() {
            let product = plain(line["product_id"].as_str().unwrap_or_default());
            let text = format!("{product} {} {}", line["quantity"], line["price"]);
            all.insert(("line", format!("{} {position}", plain(&id))), text);
        }
        if status != "cancelled" {
            let sums = days.entry(day.clone()).or_default();
            *sums = (sums.0 + 1, sums.1 + total.parse::<i64>()?);
        }
        let text = format!("{} {status} {day} {total} {version}", plain(&account));
        all.insert(("order", plain(&id)), text);
    }
    for (day, (orders, revenue)) in days {
        all.insert(("day", day), format!("{orders} {revenue}"));
    }
    Ok(all)
}

/// What the reports' database says.
async fn reported(replica: &Database) -> Result<Everything> {
    let mut all = Everything::new();
    let accounts = "select id, name || ' ' || status from account_ref";
    pairs(&mut all, "account", replica, accounts).await?;
    let products = "select id, name || ' ' || cast(price as text) || ' ' || cast(stock as text) \
                    from product_ref";
    pairs(&mut all, "product", replica, products).await?;
    let lines = "select order_id || ' ' || cast(position as text), \
                 product_id || ' ' || cast(quantity as text) || ' ' || cast(price as text) from order_line";
    pairs(&mut all, "line", replica, lines).await?;
    let days = "select day, cast(orders as text) || ' ' || cast(revenue as text) from revenue_day \
                where orders <> 0 or revenue <> 0";
    pairs(&mut all, "day", replica, days).await?;
    let orders = match replica {
        Database::Postgres { .. } => {
            "select id, account_id || ' ' || status || ' ' || \
             to_char(to_timestamp(placed_at / 1000000) at time zone 'UTC', 'YYYY-MM-DD') || ' ' || \
             total::text || ' ' || version::text from order_view"
        }
        Database::Sqlite { .. } => {
            "select id, account_id || ' ' || status || ' ' || date(placed_at / 1000000, 'unixepoch') \
             || ' ' || total || ' ' || version from order_view"
        }
    };
    pairs(&mut all, "order", replica, orders).await?;
    Ok(all)
}

async fn pairs(
    all: &mut Everything,
    what: &'static str,
    database: &Database,
    sql: &'static str,
) -> Result<()> {
    for row in database.rows(sql).await? {
        let [key, text] = texts(row)?;
        let key = if what == "day" { key } else { plain(&key) };
        let text = if matches!(what, "order" | "line") {
            plain_first(&text)
        } else {
            text
        };
        all.insert((what, key), text);
    }
    Ok(())
}

fn texts<const N: usize>(row: Vec<Option<String>>) -> Result<[String; N]> {
    let row = row
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .context("a null")?;
    row.try_into().ok().context("another number of columns")
}

/// An id without hyphens, which only some have.
fn plain(id: &str) -> String {
    id.replace('-', "")
}

/// A text whose first word is an id.
fn plain_first(text: &str) -> String {
    match text.split_once(' ') {
        Some((id, rest)) => format!("{} {rest}", plain(id)),
        None => plain(text),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_equal_the_orders_whatever_is_killed_embedded() -> Result<()> {
    reports_equal_the_orders_whatever_is_killed(Bed::embedded().await).await
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_equal_the_orders_whatever_is_killed_on_servers() -> Result<()> {
    reports_equal_the_orders_whatever_is_killed(Bed::servers().await).await
}
