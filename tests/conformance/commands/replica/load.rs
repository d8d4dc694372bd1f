//! `load`, when all is well.

use serde_json::json;

use super::site::{ACCOUNT, Engine, Site, dump, row, whole};

pub(super) async fn a_dump_of_django_and_one_of_ours_are_loaded<E: Engine>() {
    let site = Site::<E>::accounts().await;
    // As cqrs_bulk_dump writes it: no new line at the end, escaped slashes, a field we do not keep.
    let django = "account\n\
        {\"id\":1,\"cqrs_revision\":0,\"cqrs_updated\":\"2026-11-21 01:09:08.722970+00:00\",\"name\":\"a\\/b\",\"qty\":null,\"x\":[1]}\n\
        {\"id\":2,\"cqrs_revision\":4,\"cqrs_updated\":\"2026-11-21 01:09:08.723016+00:00\",\"name\":\"\\u00fc\",\"qty\":7}";
    let loaded = site.load(django, &["--model", "account", "--without-end-mark"]);
    assert_eq!(loaded.code, 0, "{loaded:?}");
    let expected =
        json!({"cqrs_id": "account", "loaded": 2, "not_newer": 0, "waiting": 0, "failed": 0});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&loaded.json()[name], value, "{name}");
    }
    let ours = format!("{}\n", dump(&[row(3, 1, "c"), row(2, 5, "b")]));
    assert_eq!(site.load(&ours, &[]).json()["loaded"], 2);
    assert_eq!(site.account().await, ["1|a/b|-", "2|b|5", "3|c|1"]);
    let states = site
        .rows(
            "select instance_pk, cast(revision as text) from cqrs_replica_state
                            where queue = 'billing' and cqrs_id = 'account' order by instance_pk",
        )
        .await;
    assert_eq!(states, ["1|0", "2|5", "3|1"]);
}

pub(super) async fn a_dump_given_twice_changes_nothing<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let rows: Vec<_> = (1..=500)
        .map(|id| row(id, id % 7, &format!("n{id}")))
        .collect();
    let first = site.load(&dump(&rows), &["--batch", "64", "--lanes", "3"]);
    assert_eq!(first.json()["loaded"], 500, "{first:?}");
    site.database
        .execute("update account set qty = -1 where id = 7")
        .await
        .unwrap();
    let second = site.load(&dump(&rows), &[]);
    assert_eq!((second.code, &second.json()["not_newer"]), (0, &json!(500)));
    assert_eq!(
        site.rows("select cast(qty as text) from account where id = 7")
            .await,
        ["-1"]
    );
}

pub(super) async fn only_what_is_newer_is_written<E: Engine>() {
    let site = Site::<E>::accounts().await;
    site.load(&dump(&[row(1, 5, "new"), row(2, 1, "old")]), &[])
        .json();
    let loaded = site.load(&dump(&[row(1, 4, "older"), row(2, 2, "newer")]), &[]);
    assert_eq!(loaded.json()["loaded"], 1);
    assert_eq!(loaded.json()["not_newer"], 1);
    assert_eq!(site.account().await, ["1|new|5", "2|newer|2"]);
}

pub(super) async fn keys_may_be_text_uuids_or_composite<E: Engine>() {
    let models = "[[replica.model]]\ncqrs_id = 'word'\ntable = 'word'\nkey = 'word'\n\
        [[replica.model]]\ncqrs_id = 'thing'\ntable = 'thing'\nkey = 'thing_id'\ncolumns = { name = 'name' }\n\
        [[replica.model]]\ncqrs_id = 'line'\ntable = 'line'\nkey = ['doc', 'no']\ncolumns = { document = 'doc', no = 'no', text = 'text' }\n";
    let site = Site::<E>::new(
        models,
        &[
            "create table word (word varchar(20) primary key, n integer)",
            "create table thing (thing_id uuid primary key, name text)",
            "create table line (doc varchar(20), no integer, text text, primary key (doc, no))",
        ],
    )
    .await;
    let end = r#""cqrs_revision":0,"cqrs_updated":"2026-11-21 01:00:00+00:00"}"#;
    for dump in [
        format!("word\n{{\"word\":\"it's\",\"n\":1,{end}"),
        // The master calls it `id`.
        format!("thing\n{{\"id\":\"0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11\",\"name\":\"t\",{end}"),
        format!("line\n{{\"document\":\"d\",\"no\":3,\"text\":\"x\",{end}"),
    ] {
        let loaded = site.load(&whole(&dump), &[]);
        assert_eq!(loaded.json()["loaded"], 1, "{loaded:?}");
    }
    assert_eq!(
        site.rows("select word, cast(n as text) from word").await,
        ["it's|1"]
    );
    assert_eq!(site.rows("select name from thing").await, ["t"]);
    assert_eq!(
        site.rows("select doc, cast(no as text), text from line")
            .await,
        ["d|3|x"]
    );
    let keys = site
        .rows("select instance_pk from cqrs_replica_state order by cqrs_id")
        .await;
    assert_eq!(
        keys,
        ["[\"d\",3]", "0189d2f0-7a5e-7cc2-98ab-3f0f6e3b2a11", "it's"]
    );
}

pub(super) async fn what_is_no_dump_of_a_known_model_is_refused<E: Engine>() {
    let site = Site::<E>::accounts().await;
    for (dump, arguments, words) in [
        ("", vec![], "the dump is empty"),
        ("invoice\n{}", vec![], "known are: account"),
        (
            "account\n{}",
            vec!["--model", "invoice"],
            "and not of invoice",
        ),
        ("[1,2]\n", vec![], "known are: account"),
    ] {
        let refused = site.load(dump, &arguments);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let missing = site.run(&["load", "-i", "nothing.dump"]);
    assert!(
        missing.code == 1 && missing.stderr.contains("nothing.dump"),
        "{missing:?}"
    );
    // A table that is not there costs no row.
    let site = Site::<E>::new(ACCOUNT, &[]).await;
    let refused = site.load(&dump(&[row(1, 0, "a")]), &[]);
    assert!(
        refused.code == 1 && refused.stderr.contains("no table"),
        "{refused:?}"
    );
    assert!(
        site.rows("select reason from cqrs_dead_letter")
            .await
            .is_empty()
    );
}

pub(super) async fn a_load_may_begin_at_a_later_line<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let rows = [
        row(1, 0, "a"),
        "no row".to_owned(),
        row(3, 0, "c"),
        row(4, 0, "d"),
    ];
    let loaded = site.load(&dump(&rows), &["--from-line", "4"]);
    assert_eq!((loaded.code, &loaded.json()["loaded"]), (0, &json!(2)));
    assert_eq!(site.account().await, ["3|c|0", "4|d|0"]);
}

pub(super) async fn standard_input_is_read<E: Engine>() {
    let site = Site::<E>::accounts().await;
    let told = site
        .pipe(&["load", "-i", "-"], &dump(&[row(1, 0, "a")]))
        .ok();
    assert!(
        told.contains("1 instance loaded, 0 not newer, 0 failed"),
        "{told}"
    );
    assert_eq!(site.account().await, ["1|a|0"]);
}
