//! What a record costs on PostgreSQL.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cqrs_outbox::{Change, Master, bulk_create, bulk_update, record, record_all};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    task::JoinSet,
};

use super::{
    fixture::{Account, Fixture},
    postgres::PostgresFixture,
};

/// Counts the times the server has said that it is ready for the next query: once for each round
/// trip of the driver.
async fn count_round_trips(
    mut server: OwnedReadHalf,
    mut client: impl AsyncWriteExt + Unpin,
    count: Arc<AtomicUsize>,
) {
    loop {
        let mut head = [0; 5];
        if server.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut rest = vec![0; length - 4];
        server.read_exact(&mut rest).await.unwrap();
        if head[0] == b'Z' {
            count.fetch_add(1, Ordering::SeqCst);
        }
        client.write_all(&head).await.unwrap();
        client.write_all(&rest).await.unwrap();
    }
}

/// A connection whose round trips are counted.
struct Counted {
    connection: PgConnection,
    count: Arc<AtomicUsize>,
    _proxy: JoinSet<()>,
}

impl Counted {
    async fn to(db: &PostgresFixture) -> Self {
        let options: PgConnectOptions = db.database.url().parse().unwrap();
        let options = options.ssl_mode(PgSslMode::Disable);
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let mut proxy = JoinSet::new();
        proxy.spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let (server_read, mut server_write) =
                TcpStream::connect(server).await.unwrap().into_split();
            let (mut client_read, client_write) = client.into_split();
            let there = async {
                tokio::io::copy(&mut client_read, &mut server_write)
                    .await
                    .map(drop)
            };
            let back = count_round_trips(server_read, client_write, counter);
            let _ = tokio::join!(there, back);
        });
        let options = options.host("127.0.0.1").port(port);
        Self {
            connection: options.connect().await.unwrap(),
            count,
            _proxy: proxy,
        }
    }
}

#[tokio::test]
async fn a_record_is_one_round_trip_and_so_are_many() {
    let db = PostgresFixture::new().await;
    let mut counted = Counted::to(&db).await;
    let count = || counted.count.load(Ordering::SeqCst);
    let mut tx = counted.connection.begin().await.unwrap();
    // The first one also prepares the statement.
    record(&mut tx, Change::saved(&Account::new(1)))
        .await
        .unwrap();
    let before = count();
    record(&mut tx, Change::saved(&Account::new(2)))
        .await
        .unwrap();
    record(&mut tx, Change::saved(&Account::hidden(3)))
        .await
        .unwrap();
    assert_eq!(count() - before, 2);
    let changes = (10..200).map(|id| Change::saved(&Account::new(id)));
    record_all(&mut tx, changes).await.unwrap();
    assert_eq!(count() - before, 3);
}

/// A table beside the search path.
#[derive(Debug, Master)]
#[master(cqrs_id = "stock", table = "shop.my stock", tracked(all))]
struct Stock {
    #[master(key)]
    id: i64,
    pieces: i32,
}

#[tokio::test]
async fn rows_and_their_events_are_two_round_trips() {
    let db = PostgresFixture::new().await;
    let mut counted = Counted::to(&db).await;
    let count = || counted.count.load(Ordering::SeqCst);
    let stock = |ids: std::ops::Range<i64>, pieces: i32| -> Vec<_> {
        ids.map(|id| Stock { id, pieces }).collect()
    };
    let create = "create schema shop;
                  create table shop.\"my stock\" (id bigint primary key, pieces int)";
    db.pool.execute(create).await.unwrap();
    let (few, many) = (stock(0..2, 0), stock(2..202, 0));
    let mut tx = counted.connection.begin().await.unwrap();
    // The first one also prepares the statements.
    bulk_create(&mut tx, &few).await.unwrap();
    let before = count();
    bulk_create(&mut tx, &many).await.unwrap();
    assert_eq!(count() - before, 2);
    tx.commit().await.unwrap();

    let mut tx = counted.connection.begin().await.unwrap();
    bulk_update(&mut tx, few.iter().zip(&stock(0..2, 1)))
        .await
        .unwrap();
    let before = count();
    bulk_update(&mut tx, many.iter().zip(&stock(2..202, 1)))
        .await
        .unwrap();
    assert_eq!(count() - before, 2);
    tx.commit().await.unwrap();
    let pieces: i64 = sqlx::query_scalar("select sum(pieces) from shop.\"my stock\"")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(pieces, 202);
}
