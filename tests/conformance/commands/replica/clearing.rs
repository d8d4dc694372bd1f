//! `load --clear`.

use super::site::{ACCOUNT, Engine, Site, dump, row};

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
    let cleared = site.load(&dump(&rows), &["--clear"]);
    assert_eq!(cleared.code, 0, "{cleared:?}");
    assert_eq!(cleared.json()["removed"], 597, "{cleared:?}");
    let expected = ["1|n1|1", "2|n2|1", "3|n3|1", "4|live|9", "2000|live too|50"];
    assert_eq!(site.account().await, expected);
    // What was removed does not come back by an old message, and the same load changes nothing.
    site.load(&dump(&[row(77, 1, "late")]), &[]).json();
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
