//! `dead-letters` with filters, `dump` and `purge`.

use serde_json::Value;

use super::site::{Engine, Site, dump, row};

/// Three letters: two of rows without a name, one of a name that is taken.
async fn three<E: Engine>() -> Site<E> {
    let site = Site::<E>::accounts().await;
    let mut rows: Vec<_> = (1..=4).map(|id| row(id, 0, &format!("n{id}"))).collect();
    rows[1] = rows[1].replace("\"name\"", "\"nom\"");
    rows[2] = rows[2].replace("\"name\"", "\"nom\"");
    rows[3] = row(4, 0, "n1");
    let models = "max_attempts = 1\n";
    site.configure(models);
    assert_eq!(
        site.load(&dump(&rows), &["--lanes", "1"]).json()["failed"],
        3
    );
    let dead = "select cast(count(*) as text) from cqrs_dead_letter where state = 'dead'";
    assert_eq!(site.rows(dead).await, ["3"]);
    site
}

fn instances(list: &str) -> Vec<String> {
    let letters: Vec<Value> = serde_json::from_str(list).unwrap();
    let mut pks: Vec<_> = letters
        .iter()
        .map(|letter| letter["instance_pk"].as_str().unwrap().to_owned())
        .collect();
    pks.sort();
    pks
}

pub(super) async fn letters_are_chosen_by_model_reason_and_fingerprint<E: Engine>() {
    let site = three::<E>().await;
    let list = |filter: &[&str]| {
        let all = [&["dead-letters", "list", "--json"], filter].concat();
        site.run(&all).ok()
    };
    assert_eq!(
        instances(&list(&["--reason", "missing_column"])),
        ["2", "3"]
    );
    assert_eq!(instances(&list(&["--reason", "constraint"])), ["4"]);
    assert_eq!(instances(&list(&["--cqrs-id", "account"])), ["2", "3", "4"]);
    assert!(instances(&list(&["--cqrs-id", "other"])).is_empty());
    let letters: Vec<Value> = serde_json::from_str(&list(&["--reason", "constraint"])).unwrap();
    let fingerprint = letters[0]["fingerprint"].as_str().unwrap();
    assert_eq!(instances(&list(&["--fingerprint", fingerprint])), ["4"]);
    // The old name of the command.
    let discard = ["dead", "discard", "--reason", "missing_column"];
    let refused = site.run(&discard);
    assert!(
        refused.code == 1 && refused.stderr.contains("give up 2 letters"),
        "{refused:?}"
    );
    assert_eq!(instances(&list(&[])), ["2", "3", "4"]);
    let discard = [&discard[..], &["--yes"]].concat();
    assert_eq!(site.run(&discard).ok(), "2 letters discarded\n");
    assert_eq!(instances(&list(&[])), ["4"]);
    let retry = ["dead-letters", "retry", "--fingerprint", fingerprint];
    assert_eq!(site.run(&retry).ok(), "1 letter due now\n");
}

pub(super) async fn bodies_are_dumped_and_stay<E: Engine>() {
    let site = three::<E>().await;
    for _ in 0..2 {
        let bodies = site.run(&["dead-letters", "dump"]).ok();
        let bodies: Vec<Value> = bodies
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        let keys: Vec<_> = bodies
            .iter()
            .map(|body| body["instance_pk"].clone())
            .collect();
        assert_eq!(keys, [2, 3, 4], "{bodies:?}");
        assert_eq!(bodies[0]["signal_type"], "SAVE");
    }
    let lines = [
        "dead-letters",
        "dump",
        "--format",
        "json",
        "--reason",
        "constraint",
    ];
    let letter: Value = serde_json::from_str(&site.run(&lines).ok()).unwrap();
    assert_eq!(letter["instance_pk"], "4");
    assert!(
        letter["error"].is_string() && letter["body"].is_string(),
        "{letter}"
    );
}

pub(super) async fn what_is_purged_is_gone_for_good<E: Engine>() {
    let site = three::<E>().await;
    let refused = site.run(&["dead-letters", "purge", "--reason", "missing_column"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("delete 2 letters"),
        "{refused:?}"
    );
    let discard = ["dead-letters", "discard", "--reason", "constraint", "--yes"];
    site.run(&discard).ok();
    let purge = ["dead-letters", "purge", "--all", "--yes"];
    assert_eq!(site.run(&purge).ok(), "2 letters purged\n");
    let discarded = [
        "dead-letters",
        "purge",
        "--all",
        "--state",
        "discarded",
        "--yes",
    ];
    assert_eq!(site.run(&discarded).ok(), "1 letter purged\n");
    assert!(
        site.rows("select reason from cqrs_dead_letter")
            .await
            .is_empty()
    );
    let nothing = site.run(&["dead-letters", "purge", "4711", "--yes"]);
    assert!(
        nothing.code == 1 && nothing.stderr.contains("not there"),
        "{nothing:?}"
    );
}
