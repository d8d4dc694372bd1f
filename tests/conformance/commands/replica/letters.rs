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
    assert_eq!(site.run(&retry).ok(), "1 letter queued for retry\n");
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
        nothing.code == 1 && nothing.stderr.contains("there is no letter 4711"),
        "{nothing:?}"
    );
}

pub(super) async fn lists_say_what_they_leave_out<E: Engine>() {
    let site = three::<E>().await;
    let list = |more: &[&str]| site.run(&[&["dead-letters", "list"], more].concat());
    let some = list(&["--limit", "1"]);
    assert!(some.stderr.contains("1 of 3 letters: --limit"), "{some:?}");
    assert!(list(&[]).stderr.is_empty());
    let groups: Vec<Value> = serde_json::from_str(&list(&["--group", "--json"]).ok()).unwrap();
    let counts: Vec<_> = groups
        .iter()
        .map(|group| {
            (
                group["count"].as_u64().unwrap(),
                group["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(counts, [(2, "missing_column"), (1, "constraint")]);
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap();
    assert!(list(&["--group"]).ok().contains(fingerprint));
    assert_eq!(list(&[]).ok().matches(fingerprint).count(), 2);
    let mistyped = list(&["--reason", "nonsense"]);
    assert!(
        mistyped.code == 2 && mistyped.stderr.contains("missing_column"),
        "{mistyped:?}"
    );
    let unknown = list(&["--cqrs-id", "acount"]);
    assert_eq!(unknown.stdout, "no letters\n");
    assert!(
        unknown.stderr.contains("there are letters of account"),
        "{unknown:?}"
    );
}

pub(super) async fn discarded_letters_come_back<E: Engine>() {
    let site = three::<E>().await;
    let command = |line: &str| {
        let line = format!("dead-letters {line}");
        site.run(&line.split(' ').collect::<Vec<_>>())
    };
    let discard = command("discard 1 --json");
    assert_eq!(
        serde_json::from_str::<Value>(&discard.ok()).unwrap(),
        serde_json::json!({ "discarded": 1 })
    );
    let again = command("discard 1 2 99");
    assert_eq!((again.code, &again.stdout[..]), (1, "1 letter discarded\n"));
    let why = "letter 1 is discarded, there is no letter 99; only dead letters can be discarded";
    assert!(again.stderr.contains(why), "{again:?}");
    assert_eq!(command("retry 1").ok(), "1 letter queued for retry\n");
    let states = "select state from cqrs_dead_letter order by id";
    assert_eq!(site.rows(states).await, ["retrying", "discarded", "dead"]);
    // Nobody is there to try them.
    let waited = command("retry --all --wait=1ms --json");
    assert!(
        waited.code == 1 && waited.stderr.contains("is a worker running?"),
        "{waited:?}"
    );
    assert_eq!(waited.json()["pending"], 1);
}
