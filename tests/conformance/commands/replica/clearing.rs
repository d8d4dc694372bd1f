//! `load --clear`.

use cqrs_core::stream::DumpEnd;
use cqrs_replica::{Applied, ReplicaSession, ReplicaStore};

use super::{
    live::{message, models},
    site::{ACCOUNT, Engine, Site, dump, policy, row, whole},
};

pub(super) async fn the_table_holds_the_dump_and_what_has_come_since<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let rows: Vec<_> = (1..=600).map(|id| row(id, 1, &format!("n{id}"))).collect();
    site.load(&dump(&rows), &[]).json();
    for change in [
        "update account set name = 'by hand' where id = 2",
        "delete from account where id = 3",
        "insert into account (id, name) values (1000, 'by hand too')",
    ] {
        site.database.execute(change).await.unwrap();
    }
    // Live events that the dump does not have: a change, and a new instance.
    let live = [row(4, 9, "live"), row(2000, 50, "live too")];
    site.load(&dump(&live), &[]).json();
    // The dump: 1 to 4, everything else is gone.
    let rows: Vec<_> = (1..=4).map(|id| row(id, 1, &format!("n{id}"))).collect();
    let refused = site.load(&dump(&rows), &["--clear"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let words = "597 of 602 rows would be deleted, and the limit is 100";
    assert!(refused.stderr.contains(words), "{refused:?}");
    let refused = site.load(&dump(&rows), &["--clear", "--max-deletes", "596"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(site.account().await.len(), 602);
    let cleared = site.load(&dump(&rows), &["--clear", "--yes"]);
    assert_eq!(cleared.code, 0, "{cleared:?}");
    assert_eq!(cleared.json()["removed"], 597, "{cleared:?}");
    let expected = ["1|n1|1", "2|n2|1", "3|n3|1", "4|live|9", "2000|live too|50"];
    assert_eq!(site.account().await, expected);
    // What was removed does not come back by an old message, and the same load changes nothing.
    let mut session = site.store.session().await.unwrap();
    let late = [message("SAVE", 77, 1, "late", true)];
    let answers = session.apply(&models(), &policy(), &late).await.unwrap();
    assert!(matches!(answers[0], Applied::Skipped(_)), "{answers:?}");
    session.close().await;
    let again = site.load(&dump(&rows), &["--clear"]);
    assert_eq!(again.json()["removed"], 0, "{again:?}");
    assert_eq!(site.account().await, expected);
}

pub(super) async fn nothing_is_removed_when_a_row_fails<E: Engine>() {
    let site = Site::<E>::accounts().await;
    site.load(&dump(&[row(1, 1, "a"), row(2, 1, "b")]), &[])
        .json();
    let cleared = site.load(&dump(&[row(1, 1, "a"), "{".to_owned()]), &["--clear"]);
    assert_eq!(cleared.code, 1);
    assert!(cleared.stderr.contains("none was removed"), "{cleared:?}");
    assert_eq!(site.account().await, ["1|a|1", "2|b|1"]);
    let partly = site.load(&dump(&[row(1, 1, "a")]), &["--clear", "--from-line", "3"]);
    assert_eq!(partly.code, 2, "{partly:?}");
}

/// In Python `--clear=False` clears.
pub(super) async fn clear_is_a_switch_and_takes_no_value<E: Engine>() {
    let site = Site::<E>::new(ACCOUNT, &[super::site::ACCOUNTS]).await;
    let refused = site.load(&dump(&[row(1, 1, "a")]), &["--clear=False"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(site.account().await.is_empty());
}

/// Whatever ends a dump before its end, nothing is removed for it.
pub(super) async fn an_incomplete_dump_removes_nothing<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let rows: Vec<_> = (1..=20).map(|id| row(id, 1, &format!("n{id}"))).collect();
    let all = dump(&rows);
    site.load(&all, &[]).json();
    let before = site.account().await;
    let text = |rows: &[String]| format!("account\n{}", rows.join("\n"));
    let marked = |end: DumpEnd| format!("{}\n{end}", text(&rows[..5]));
    let end = |rows, failed, filtered| DumpEnd {
        rows,
        failed,
        filtered,
    };
    for (dump, words) in [
        ("account\n".to_owned(), "0 rows read, and no end mark"),
        (text(&rows[..5]), "5 rows read, and no end mark"),
        (all[..all.len() - 10].to_owned(), "no end mark"),
        (
            marked(end(20, 0, false)),
            "5 rows read, and its end mark counts 20",
        ),
        (marked(end(5, 2, false)), "2 rows of the master's table"),
        (marked(end(5, 0, true)), "--filter"),
    ] {
        let cleared = site.load(&dump, &["--clear"]);
        assert_eq!(cleared.code, 1, "{words}: {cleared:?}");
        assert_eq!(cleared.json()["removed"], serde_json::Value::Null);
        assert!(cleared.stderr.contains("none was removed"), "{cleared:?}");
        assert!(cleared.stderr.contains(words), "{words}: {cleared:?}");
        assert_eq!(site.account().await, before);
    }
    // Without --clear too the command does not say that all is well.
    let cut = site.load(&text(&rows[..5]), &[]);
    assert_eq!(cut.code, 1, "{cut:?}");
    assert!(cut.stderr.contains("the dump is incomplete"), "{cut:?}");
    // Django's have no end mark.
    let django = ["--clear", "--without-end-mark"];
    let cleared = site.load(&text(&rows[..5]), &django);
    assert_eq!((cleared.code, &cleared.json()["removed"]), (0, &15.into()));
    // A dump that is whole brings back what another one has taken.
    let again = site.load(&whole(&text(&rows)), &[]);
    assert_eq!(again.json()["loaded"], 15, "{again:?}");
    assert_eq!(site.account().await, before);
}
