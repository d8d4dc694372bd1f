//! The bytes of files and streams are those of django-cqrs's commands.

use anyhow::Result;

use super::fixture::World;

const MODEL: &str = "cqrs_id = \"acc\"\ntable = \"account\"\nkey = \"id\"\n\
                     columns = { id = \"id\", name = \"name\" }\nfilter = '{\"open\": true}'";

async fn accounts<W: World>(world: &W) -> Result<()> {
    world.configure(MODEL)?;
    world
        .run(
            "create table account (id bigint primary key, name text, open boolean);
             insert into account values (1, 'n1', true), (2, 'n2', true), (3, 'n3', false),
                 (4, 'line\nbreak \"é', true);",
        )
        .await?;
    world
        .run(world.choose(
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted) values
             ('acc', '1', 0, '2026-11-21 01:09:08.722970+00', false),
             ('acc', '2', 5, '2026-11-21 01:09:08+00', false),
             ('acc', '4', 7, '2026-11-21 01:09:08.000001+00', false)",
            "insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted) values
             ('acc', '1', 0, 1795223348722970, 0), ('acc', '2', 5, 1795223348000000, 0),
             ('acc', '4', 7, 1795223348000001, 0)",
        ))
        .await
}

const DUMP: &str = "acc\n\
    {\"id\":1,\"name\":\"n1\",\"cqrs_revision\":0,\"cqrs_updated\":\"2026-11-21 01:09:08.722970+00:00\"}\n\
    {\"id\":2,\"name\":\"n2\",\"cqrs_revision\":5,\"cqrs_updated\":\"2026-11-21 01:09:08+00:00\"}\n\
    {\"id\":4,\"name\":\"line\\nbreak \\\"é\",\"cqrs_revision\":7,\"cqrs_updated\":\"2026-11-21 01:09:08.000001+00:00\"}";

/// What ours has behind it.
const END: &str = "\n{\"cqrs_end\":{\"rows\":3,\"failed\":0,\"filtered\":false}}";

pub(crate) async fn a_dump_is_that_of_django<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    for batch in ["1", "2", "1000"] {
        let dump = ["dump", "--model", "acc", "-o", "-", "-b", batch];
        let ended = world.relay(&dump).await?.good()?;
        assert_eq!(ended.stdout, format!("{DUMP}{END}"), "{batch}");
        assert!(
            ended.stderr.contains("3 instances dumped"),
            "{}",
            ended.stderr
        );
    }
    let django = ["dump", "--model", "acc", "-o", "-", "--without-end-mark"];
    assert_eq!(world.relay(&django).await?.good()?.stdout, DUMP);
    let filtered = [
        "dump",
        "--model",
        "acc",
        "-o",
        "-",
        "--filter",
        r#"{"name": "n2"}"#,
    ];
    let ended = world.relay(&filtered).await?.good()?;
    assert_eq!(ended.stdout.lines().count(), 3);
    assert!(
        ended.stdout.ends_with(r#""filtered":true}}"#),
        "{}",
        ended.stdout
    );
    Ok(())
}

pub(crate) async fn a_file_is_whole_or_not_there<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let file = world.directory().join("acc.dump");
    let ended = world
        .relay(&["dump", "-c", "acc", "--json"])
        .await?
        .good()?;
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(summary["rows"], 3);
    assert_eq!(std::fs::read_to_string(&file)?, format!("{DUMP}{END}"));
    std::fs::write(&file, "mine")?;
    world
        .relay(&["dump", "--cqrs-id", "acc"])
        .await?
        .says("--force")?;
    assert_eq!(std::fs::read_to_string(&file)?, "mine");
    world.relay(&["dump", "-c", "acc", "-f"]).await?.good()?;
    assert_eq!(std::fs::read_to_string(&file)?, format!("{DUMP}{END}"));
    // A table that cannot be read leaves the file alone.
    world.database().execute("drop table account").await?;
    world
        .relay(&["dump", "-c", "acc", "-f"])
        .await?
        .says("no table \"account\"")?;
    assert_eq!(std::fs::read_to_string(&file)?, format!("{DUMP}{END}"));
    Ok(())
}

pub(crate) async fn a_diff_is_that_of_django<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let ended = world
        .relay(&["diff", "-c", "acc", "-b", "2"])
        .await?
        .good()?;
    let (header, lines) = ended.stdout.split_once('\n').unwrap();
    assert_eq!(lines, "[[1,0],[2,5]]\n[[4,7]]\n[]\n");
    let header = cqrs_core::stream::StreamHeader::parse(header)?;
    assert_eq!(header.cqrs_id.as_str(), "acc");
    assert_eq!(header.to_string().matches(',').count(), 1);

    let ended = world.relay(&["diff", "-c", "acc", "--content"]).await?;
    let line = ended.good()?.stdout.lines().nth(1).unwrap().to_owned();
    let rows = cqrs_core::stream::parse_rows(&line)?;
    let expected = cqrs_core::content::ContentHasher::new().hash(r#"{"name":"n1","id":1}"#)?;
    assert_eq!(rows[0].content, Some(expected.to_string()));

    // Nothing to compare is no failure of the pipe.
    let none = ["diff", "-c", "acc", "--filter", r#"{"id": 9}"#];
    let ended = world.relay(&none).await?.good()?;
    assert_eq!(ended.stdout.lines().skip(1).collect::<Vec<_>>(), ["[]"]);
    Ok(())
}

pub(crate) async fn a_deleted_diff_is_that_of_django<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let header = "acc,2026-11-21 01:09:08.762627+00:00\n";
    // 3 is not for replicas, 500 is nowhere.
    let input = format!("{header}[1, 2, 3, 500]\n[4]\n[600]\n[]\n");
    let ended = world.relay_with(&["deleted-diff"], &input).await?.good()?;
    assert_eq!(ended.stdout, format!("{header}[3,500]\n[600]\n[]\n"));
    assert!(
        ended.stderr.contains("PK to delete: [3,500]"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("6 keys read, 3 to delete"));

    // Many are not told one by one.
    let many: Vec<_> = (1_000..2_000).map(|key| key.to_string()).collect();
    let input = format!("{header}[{}]\n[]\n", many.join(","));
    let ended = world.relay_with(&["deleted-diff"], &input).await?.good()?;
    assert!(ended.stderr.len() < 1_000);
    assert!(ended.stderr.contains("and 980 more"), "{}", ended.stderr);
    Ok(())
}

pub(crate) async fn a_stream_that_is_none_is_refused_by_its_line<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    let deleted = &["deleted-diff"];
    world.relay(deleted).await?.says("nothing to read")?;
    let ended = world.relay_with(deleted, "nobody,2026-11-21 01:09:08+00:00\n");
    ended.await?.says("no model \"nobody\"")?;
    let ended = world.relay_with(deleted, "acc,2026-11-21 01:09:08+00:00\n[1]\n{}\n");
    ended.await?.says("line 3")?;
    let sync = world.relay_with(&["diff-sync"], "acc,2026-11-21 01:09:08+00:00\n[[1,2]]\n");
    sync.await?.says("(id)")?;
    // One whose writer has died.
    let cut = "acc,2026-11-21 01:09:08+00:00\n[1]\n[500]\n";
    for command in ["deleted-diff", "diff-sync"] {
        let ended = world.relay_with(&[command], cut).await?;
        assert!(!ended.stdout.contains("[]"), "{ended:?}");
        ended.says("the stream has no end mark")?;
        let django = [command, "--without-end-mark"];
        world.relay_with(&django, cut).await?.good()?;
    }
    Ok(())
}

pub(crate) async fn a_reader_that_leaves_is_told_of<W: World>(world: W) -> Result<()> {
    accounts(&world).await?;
    world
        .run(
            "with recursive g (i) as (select 10 union all select i + 1 from g where i < 5000)
             insert into account select i, 'a long name to fill the pipe with', true from g",
        )
        .await?;
    let mut child = world.command(&["dump", "-c", "acc", "-o", "-"])?.spawn()?;
    drop(child.stdout.take());
    let ended = super::fixture::Ended::of(child.wait_with_output().await?)?;
    ended.says("output closed before the command finished")?;
    Ok(())
}
