//! `diff`, `deleted-diff` and `deleted-sync`.

use cqrs_core::content::ContentHasher;
use cqrs_replica::{Applied, ReplicaSession, ReplicaStore};
use serde_json::json;

use super::{
    live::{message, models},
    site::{Engine, Site, dump, policy, row, whole},
};

const HEADER: &str = "account,2026-11-21 01:09:08.752663+00:00";

/// A replica of ten accounts, number n at revision n.
async fn ten<E: Engine>() -> Site<E> {
    let site = Site::<E>::accounts().await;
    let rows: Vec<_> = (1..=10).map(|id| row(id, id, &format!("n{id}"))).collect();
    assert_eq!(site.load(&dump(&rows), &[]).json()["loaded"], 10);
    site
}

pub(super) async fn another_revision_no_row_and_no_state_are_found<E: Engine>() {
    let site = ten::<E>().await;
    for change in [
        "delete from account where id = 4",
        "insert into account (id, name) values (11, 'by hand')",
        "update cqrs_replica_state set deleted_at = applied_at where instance_pk = '5'",
    ] {
        site.database.execute(change).await.unwrap();
    }
    let stream = format!(
        "{HEADER}\n[[1, 1], [2, 7], [3, 3]]\n[[4,4],[5,5],[6,6]]\n[[7,7]]\n[[8,2],[11,0],[12,0]]\n[]\n"
    );
    let ended = site.pipe(&["diff"], &stream);
    assert_eq!(
        ended.stdout,
        format!("{HEADER},billing\n[2]\n[4,5]\n[8,11,12]\n[]\n"),
        "{ended:?}"
    );
    assert_eq!(ended.code, 0);
    assert!(
        ended.stderr.contains("PK to resync: [8,11,12]"),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains("10 instances compared, 6 of another revision")
    );
    // From a file, with a summary for programs.
    let file = site.write("rows", &stream);
    let ended = site.run(&["diff", "-i", &file, "--json"]);
    let summary = ended.stderr.lines().last().unwrap();
    let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
    assert_eq!(summary["other_revision"], 6);
}

pub(super) async fn another_content_at_the_same_revision_is_found<E: Engine>() {
    let site = ten::<E>().await;
    site.database
        .execute("update account set name = 'by hand' where id = 3")
        .await
        .unwrap();
    let mut hasher = ContentHasher::new();
    let mut hash = |id: u64| {
        let content = format!(r#"{{"qty":{id},"id":{id},"name":"n{id}"}}"#);
        hasher.hash(&content).unwrap()
    };
    let rows: Vec<_> = (1..=4)
        .map(|id| format!("[{id},{id},\"{}\"]", hash(id)))
        .collect();
    let ended = site.pipe(&["diff"], &format!("{HEADER}\n[{}]\n[]\n", rows.join(",")));
    assert_eq!(
        ended.stdout,
        format!("{HEADER},billing\n[3]\n[]\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("1 of another content"), "{ended:?}");
}

pub(super) async fn what_is_no_stream_is_refused<E: Engine>() {
    let site = ten::<E>().await;
    for (command, stream, words) in [
        ("diff", "", "nothing to read"),
        (
            "diff",
            "invoice,2026-11-21 01:09:08+00:00\n",
            "known are: account",
        ),
        (
            "diff",
            "account,2026-11-21 01:09:08+00:00\n\n[1]\n",
            "line 3",
        ),
        ("deleted-sync", "account\n", "no time"),
        (
            "deleted-sync",
            "account,2026-11-21 01:09:08+00:00\n[[1,2.5]]\n",
            "line 2",
        ),
    ] {
        let ended = site.pipe(&[command], stream);
        assert!(
            ended.code == 1 && ended.stderr.contains(words),
            "{words}: {ended:?}"
        );
    }
    let ended = site.run(&[
        "deleted-diff",
        "--model",
        "account",
        "--filter",
        "{\"naem\":1}",
    ]);
    assert!(
        ended.code == 1 && ended.stderr.contains("\"naem\""),
        "{ended:?}"
    );
}

pub(super) async fn keys_are_listed_in_order_and_by_filter<E: Engine>() {
    let site = ten::<E>().await;
    let listed = site
        .run(&["deleted-diff", "--model", "account", "--batch", "4"])
        .ok();
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("account,20"), "{listed}");
    assert_eq!(lines[1..], ["[1,2,3,4]", "[5,6,7,8]", "[9,10]", "[]"]);
    let filter = r#"{"or": [{"id__gt": 8}, {"name__in": ["n2", "x"]}], "qty__isnull": false}"#;
    let listed = site
        .run(&["deleted-diff", "-c", "account", "-f", filter])
        .ok();
    assert_eq!(listed.lines().nth(1), Some("[2,9,10]"));
}

pub(super) async fn composite_and_text_keys_are_listed_and_compared<E: Engine>() {
    let site = Site::<E>::new(
        "[[replica.model]]\ncqrs_id = 'line'\ntable = 'line'\nkey = ['doc', 'no']\n",
        &["create table line (doc varchar(20), no integer, text text, primary key (doc, no))"],
    )
    .await;
    let end = r#""cqrs_revision":2,"cqrs_updated":"2026-11-21 01:00:00+00:00"}"#;
    let rows: Vec<_> = ["a", "b\\\"c"]
        .iter()
        .flat_map(|doc| (1..=2).map(move |no| format!("{{\"doc\":\"{doc}\",\"no\":{no},{end}")))
        .collect();
    assert_eq!(
        site.load(&whole(&format!("line\n{}", rows.join("\n"))), &[])
            .json()["loaded"],
        4
    );
    let listed = site.run(&["deleted-diff", "-c", "line", "-b", "3"]).ok();
    let keys: Vec<_> = listed.lines().skip(1).collect();
    assert_eq!(
        keys,
        [
            "[[\"a\",1],[\"a\",2],[\"b\\\"c\",1]]",
            "[[\"b\\\"c\",2]]",
            "[]"
        ]
    );
    let stream =
        "line,2026-11-21 01:00:00+00:00\n[[[\"a\",1],2],[[\"b\\\"c\",2],3],[[\"z\",1],0]]\n[]\n";
    let diff = site.pipe(&["diff"], stream).ok();
    assert_eq!(diff.lines().nth(1), Some("[[\"b\\\"c\",2],[\"z\",1]]"));
    let gone = "line,2999-01-01 00:00:00+00:00\n[[\"b\\\"c\",1]]\n[]\n";
    site.pipe(&["deleted-sync"], gone).ok();
    assert_eq!(
        site.rows("select cast(count(*) as text) from line").await,
        ["3"]
    );
}

pub(super) async fn what_has_changed_since_is_spared<E: Engine>() {
    let site = ten::<E>().await;
    let listed = site
        .run(&["deleted-diff", "-c", "account", "-b", "100"])
        .ok();
    let header = listed.lines().next().unwrap();
    // Meanwhile 3 has come again.
    site.load(&dump(&[row(3, 30, "again")]), &[]).json();
    site.database
        .execute("insert into account (id, name) values (20, 'by hand')")
        .await
        .unwrap();
    let stream = format!("{header}\n[2,3]\n[20,99]\n[]\n");
    let ended = site.pipe(&["deleted-sync", "--json"], &stream);
    assert_eq!(ended.code, 0, "{ended:?}");
    let expected = json!({"deleted": 2, "spared": 1, "absent": 1, "failed": 0});
    assert_eq!(ended.json(), expected);
    let left = site
        .rows("select cast(id as text) from account order by account.id")
        .await;
    assert_eq!(left, ["1", "3", "4", "5", "6", "7", "8", "9", "10"]);
    // A row that someone puts back by hand goes again.
    site.database
        .execute("insert into account (id, name) values (20, 'by hand')")
        .await
        .unwrap();
    let again = site.pipe(
        &["deleted-sync", "--json"],
        &format!("{header}\n[20]\n[]\n"),
    );
    assert_eq!(again.json()["deleted"], 1, "{again:?}");
    // A tombstone stays, and a new life is let in.
    let mut session = site.store.session().await.unwrap();
    let late = [message("SAVE", 2, 2, "late", true)];
    let answers = session.apply(&models(), &policy(), &late).await.unwrap();
    assert!(matches!(answers[0], Applied::Skipped(_)), "{answers:?}");
    session.close().await;
    site.load(&dump(&[row(2, 3, "new life")]), &[]).json();
    assert_eq!(
        site.rows("select name from account where id = 2").await,
        ["new life"]
    );
}

pub(super) async fn a_stream_without_its_end_is_not_taken_for_whole<E: Engine>() {
    let site = ten::<E>().await;
    let rows = format!("{HEADER}\n[[1,1],[2,2]]\n");
    let keys = format!("{HEADER}\n[1]\n");
    for (command, stream) in [("diff", &rows), ("deleted-sync", &keys)] {
        let cut = site.pipe(&[command], stream);
        assert_eq!(cut.code, 1, "{cut:?}");
        assert!(cut.stderr.contains("the stream has no end mark"), "{cut:?}");
        // What comes behind it is not told that all is there.
        assert!(!cut.stdout.contains("[]"), "{cut:?}");
        let django = site.pipe(&[command, "--without-end-mark"], stream);
        assert_eq!(django.code, 0, "{django:?}");
    }
}

/// What a comparison has removed, a sync of the same state brings back, and so does a dump.
pub(super) async fn what_was_removed_by_mistake_comes_back<E: Engine>() {
    let site = ten::<E>().await;
    let before = site.account().await;
    let listed = site.run(&["deleted-diff", "-c", "account"]).ok();
    let refused = site.pipe(&["deleted-sync", "--max-deletes", "9"], &listed);
    assert_eq!(refused.code, 1, "{refused:?}");
    let words = "10 of 10 rows would be deleted, and the limit is 9";
    assert!(refused.stderr.contains(words), "{refused:?}");
    assert_eq!(site.account().await, before);
    site.pipe(&["deleted-sync"], &listed).ok();
    assert_eq!(site.account().await.len(), 0);
    let mut session = site.store.session().await.unwrap();
    let synced = [message("SYNC", 7, 7, "n7", true)];
    session.apply(&models(), &policy(), &synced).await.unwrap();
    session.close().await;
    assert_eq!(site.account().await, ["7|n7|7"]);
    let earlier = site.load(&dump(&[row(8, 7, "n8")]), &[]);
    assert_eq!(earlier.json()["not_newer"], 1, "{earlier:?}");
    let rows: Vec<_> = (1..=10).map(|id| row(id, id, &format!("n{id}"))).collect();
    let again = site.load(&dump(&rows), &[]);
    assert_eq!(again.json()["loaded"], 9, "{again:?}");
    assert_eq!(site.account().await, before);
}

/// Also what is replaced between the look at it and the delete, within a moment of its predecessor.
#[cfg(feature = "servers")]
pub(super) async fn what_changes_at_the_last_moment_is_spared<E: Engine>() {
    use sqlx::Connection;

    let site = ten::<E>().await;
    let listed = site.run(&["deleted-diff", "-c", "account"]).ok();
    let header = listed.lines().next().unwrap().to_owned();
    let mut other = sqlx::PgConnection::connect(site.database.url())
        .await
        .unwrap();
    let mut open = other.begin().await.unwrap();
    let newer = "update cqrs_replica_state
                 set revision = revision + 1, updated = updated + interval '1 second'
                 where instance_pk = '3'";
    sqlx::query(newer).execute(&mut *open).await.unwrap();
    let mut deleting = site.program(&["deleted-sync", "--json"]).spawn().unwrap();
    let mut stdin = deleting.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{header}\n[3]\n[]\n").as_bytes()).unwrap();
    drop(stdin);
    let waiting = "select 'yes' from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    while site.rows(waiting).await.is_empty() {
        let ended = deleting.try_wait().unwrap();
        assert!(ended.is_none(), "it has ended without a wait: {ended:?}");
    }
    open.commit().await.unwrap();
    let output = deleting.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let ended: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = json!({"deleted": 0, "spared": 1, "absent": 0, "failed": 0});
    assert_eq!(ended, expected);
}
