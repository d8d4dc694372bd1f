//! Encrypted connections on both ends, with certificates that are checked.

use std::time::Duration;

use anyhow::{Result, ensure};
use cqrs_tests::{
    database::Database,
    ledger,
    postgres::TestDatabase,
    services::variable,
    stack::Stack,
    wait::{Seen, until},
    writers::{self, Load},
};

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn both_ends_of_relay_and_worker_may_be_encrypted() -> Result<()> {
    let authority = variable("CQRS_TEST_CA");
    let checked = format!("sslmode=verify-full&sslrootcert={authority}");
    let server = variable("CQRS_TEST_POSTGRES_TLS").replace("sslmode=require", &checked);
    ensure!(
        server.contains(&checked),
        "CQRS_TEST_POSTGRES_TLS has no sslmode=require"
    );
    let master = Database::on(TestDatabase::create_on(server.clone()).await?).await?;
    let replica = Database::on(TestDatabase::create_on(server).await?).await?;
    let mut stack = Stack::new(master, replica, variable("CQRS_TEST_RABBITMQ_TLS"))?;
    stack
        .environment
        .push(("SSL_CERT_FILE".to_owned(), authority));
    stack.prepare().await?;
    let (worker, relay) = (stack.worker("worker")?, stack.relay("relay")?);
    until("relay and worker are connected, encrypted", PATIENCE, async || {
        let sessions = stack
            .master
            .rows(
                "select application_name, ssl::text from pg_stat_ssl join pg_stat_activity using (pid)
                 where application_name like 'cqrs%' and datname = current_database()",
            )
            .await?;
        let encrypted = sessions.iter().all(|session| session[1].as_deref() == Some("true"));
        Ok(if encrypted && !sessions.is_empty() {
            Seen::Yes
        } else {
            Seen::NotYet(format!("{sessions:?}"))
        })
    })
    .await?;
    writers::write(
        &stack.master,
        Load {
            writers: 4,
            transactions: 25,
            rows: 20,
        },
    )
    .await?;
    ledger::caught_up(&stack.master, &stack.replica, PATIENCE).await?;
    ledger::verify(&stack.master, &stack.replica).await?;
    relay.terminate().await?;
    worker.terminate().await
}
