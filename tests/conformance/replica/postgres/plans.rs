//! The hot statements find their rows by index, also in a large table that was never analysed.

use cqrs_replica::postgres::statements;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{super::fixture::Fixture, Database};

async fn plan(connection: &mut PgConnection, name: &str, parameters: &str) -> String {
    let (_, sql) = statements()
        .iter()
        .find(|(found, _)| *found == name)
        .unwrap();
    let types = match name {
        "lock" | "states" | "applied_revisions" => "text, text[], text[]",
        "others" => "text, text[], text[], bigint[], bigint[], bigint[], uuid[]",
        "take_due" | "wake_referring" => "text, text[], bigint",
        "save" => {
            "text, text[], text[], bigint[], timestamptz[], boolean[], boolean[], uuid[], \
                   timestamptz[]"
        }
        "supersede" | "letters_holding" => "text, text[], text[], bigint[]",
        "prune_letters" => "text, text, bigint, bigint",
        "prune_tombstones" => "text, bigint, bigint",
        "take_unpublished" => "text, text[], bigint, bigint",
        "import_letter" => {
            "text, boolean, text, integer, uuid, text, bytea, text, boolean, boolean, text, text, text, \
             bigint"
        }
        other => panic!("{other} is not known here"),
    };
    let run = |sql: String| sqlx::query(AssertSqlSafe(sql));
    run(format!("prepare {name} ({types}) as {sql}"))
        .execute(&mut *connection)
        .await
        .unwrap();
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "explain execute {name} ({parameters})"
    )))
    .fetch_all(connection)
    .await
    .unwrap();
    rows.join("\n")
}

#[tokio::test]
async fn hot_statements_use_their_indexes() {
    let database = Database::new().await;
    for analysed in [false, true] {
        if analysed {
            database.execute("analyze").await;
        } else {
            fill(&database).await;
        }
        let mut connection = database.pool.acquire().await.unwrap();
        sqlx::query("set plan_cache_mode = force_generic_plan")
            .execute(&mut *connection)
            .await
            .unwrap();
        for (name, parameters, indexes) in [
            (
                "states",
                "'q', array['account'], array['7']",
                vec!["cqrs_replica_state_pkey"],
            ),
            (
                "applied_revisions",
                "'q', array['account'], array['7']",
                vec!["cqrs_replica_state_pkey"],
            ),
            (
                "letters_holding",
                "'q', array['account'], array['7'], array[1]",
                vec!["cqrs_dead_letter_instance", "cqrs_dead_letter_dead"],
            ),
            (
                "others",
                "'q', array['account'], array['7'], array[1], array[1], array[2], array[null]::uuid[]",
                vec!["cqrs_dead_letter_instance", "cqrs_dead_letter_message"],
            ),
            (
                "take_due",
                "'q', array['account'], 100",
                vec!["cqrs_dead_letter_due", "cqrs_dead_letter_unknown"],
            ),
            (
                "supersede",
                "'q', array['account'], array['7'], array[1]",
                vec!["cqrs_dead_letter_instance"],
            ),
            (
                "take_unpublished",
                "'q', array['account'], 100, 1000000",
                vec!["cqrs_dead_letter_unpublished"],
            ),
            (
                "import_letter",
                "'q', false, '', 1, gen_random_uuid(), '', '', '', true, false, 'account', '7', '', 1",
                vec!["cqrs_dead_letter_message", "cqrs_dead_letter_instance"],
            ),
            (
                "prune_letters",
                "'q', 'resolved', 1000000, 1000",
                vec!["cqrs_dead_letter_age"],
            ),
            (
                "prune_tombstones",
                "'q', 1000000, 1000",
                vec!["cqrs_replica_state_tombstone", "cqrs_dead_letter_dead"],
            ),
            (
                "wake_referring",
                "'q', array['account 7', 'account 8'], 500",
                vec!["cqrs_dead_letter_reference"],
            ),
        ] {
            let plan = plan(&mut connection, name, parameters).await;
            for index in indexes {
                assert!(plan.contains(index), "{name} does not use {index}:\n{plan}");
            }
            assert!(
                !plan.contains("Seq Scan"),
                "{name} reads a whole table:\n{plan}"
            );
        }
        for name in ["lock", "save"] {
            let parameters = match name {
                "lock" => "'q', array['account'], array['7']",
                _ => {
                    "'q', array['account'], array['7'], array[1], array[now()], array[false], \
                     array[true], array[null]::uuid[], array[null]::timestamptz[]"
                }
            };
            let plan = plan(&mut connection, name, parameters).await;
            assert!(
                plan.contains("Conflict Arbiter Indexes: cqrs_replica_state_pkey"),
                "{plan}"
            );
        }
        connection.detach();
    }
}

async fn fill(database: &Database) {
    database
        .execute(
            "insert into cqrs_replica_state (queue, cqrs_id, instance_pk, revision, updated)
             select 'q', 'account', n::text, 1, now() from generate_series(1, 100000) n",
        )
        .await;
    // Most letters are done with, as after years.
    database
        .execute(
            "insert into cqrs_dead_letter (queue, state, reason, next_attempt_at, message_id,
                 routing_key, body, counted, cqrs_id, instance_pk, signal, revision)
             select 'q', s.state, 'handler',
                    case when s.state = 'retrying' then now() + interval '1 hour' end,
                    gen_random_uuid(), 'account', 'x', true, 'account', n::text, 'SAVE', 1
             from generate_series(1, 30000) n,
                  lateral (select case when n % 10 = 0 then 'retrying' else 'resolved' end) s(state)",
        )
        .await;
}

/// A lock writes no new version of a row: a batch that changes nothing leaves no trace.
#[tokio::test]
async fn a_lock_writes_nothing() {
    let database = Database::new().await;
    fill(&database).await;
    let (_, lock) = statements()
        .iter()
        .find(|(name, _)| *name == "lock")
        .unwrap();
    let before = database
        .rows("select ctid::text from cqrs_replica_state where instance_pk = '7'")
        .await;
    sqlx::query(*lock)
        .bind("q")
        .bind(vec!["account"])
        .bind(vec!["7"])
        .execute(&database.pool)
        .await
        .unwrap();
    let after = database
        .rows("select ctid::text from cqrs_replica_state where instance_pk = '7'")
        .await;
    assert_eq!(before, after);
}
