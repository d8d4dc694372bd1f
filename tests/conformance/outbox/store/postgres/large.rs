//! One transaction with very many rows, read page by page while others go on.

use cqrs_outbox::OutboxSession;
use sqlx::Executor;

use super::Database;
use crate::store::fixture::{Fixture, Series, all_slots, row};

/// 100 instances have 2,000 rows each.
const BULK: &str = "insert into cqrs_outbox
        (message_id, slot, cqrs_id, instance_pk, signal, revision, body)
    select gen_random_uuid(), n % 64, 'account', (n % 100)::text, 'SAVE', n / 100,
        convert_to(repeat('x', 300), 'UTF8')
    from generate_series(1, 200000) as n";

#[tokio::test]
async fn others_are_served_while_a_large_transaction_is_read() {
    let fixture = Database::new().await;
    let mut session = fixture.session().await;
    let mut series = Series::default();
    let mut bulk = fixture.begin().await;
    (&mut *bulk).execute(BULK).await.unwrap();
    // A poll while it is open: its rows will be late ones.
    let found = series.drain(&mut session, &all_slots(), 500).await;
    assert!(found.is_empty());
    Database::commit(bulk).await;
    let mut others = Vec::new();
    for n in 0..1_000 {
        // One that has nothing to do with it, and one behind 2,000 rows of its instance.
        let added = fixture
            .add(&[row(1, &format!("other {n}")), row(17, "17")])
            .await;
        others.push((added[0].id, added[1].id));
    }

    let (mut pages, mut turns) = (0, Vec::new());
    loop {
        let fetched = session
            .fetch(&all_slots(), &series.position, 500)
            .await
            .unwrap();
        pages += 1;
        for row in &fetched.rows {
            assert!(series.found.insert(row.id), "row {} came twice", row.id);
            if row.id > 200_000 {
                turns.push((row.id, pages));
            } else {
                assert!(
                    row.instance.instance_pk != "17"
                        || turns.iter().all(|(id, _)| *id != others[0].1),
                    "a row came before an earlier one of its instance"
                );
            }
        }
        series.position = fetched.position;
        if !fetched.more {
            break;
        }
    }
    assert_eq!(series.found.len(), 202_000);
    let page = |wanted| turns.iter().find(|(id, _)| *id == wanted).unwrap().1;
    for (turn, (other, behind)) in others.iter().enumerate() {
        assert!(
            page(*other) <= 3 + turn / 50,
            "page {} of {pages}",
            page(*other)
        );
        assert!(page(*behind) > 300, "page {}", page(*behind));
    }
}
