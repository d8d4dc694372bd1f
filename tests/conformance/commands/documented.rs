//! Every command line of the documentation is one that the programs take.

use clap::{CommandFactory, Parser, error::ErrorKind};
use cqrs_tests::pages;

const PROGRAMS: [&str; 2] = ["cqrs-relay", "cqrs-replica"];

/// The commands of a line of shell, as words: without comments and redirections.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut found, mut words) = (Vec::new(), Vec::<String>::new());
    let (mut word, mut quote) = (None::<String>, None);
    for character in line.chars().chain([' ']) {
        match character {
            _ if quote == Some(character) => quote = None,
            _ if quote.is_some() => word.get_or_insert_default().push(character),
            '\'' | '"' => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            '#' if word.is_none() => break,
            ' ' => match word.take() {
                Some(end) if ["|", "&", "&&", ";"].contains(&end.as_str()) => {
                    found.push(std::mem::take(&mut words));
                }
                Some(end) => words.push(end),
                None => {}
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    found.push(words);
    for words in &mut found {
        if let Some(redirected) = words.iter().position(|word| word.starts_with('>')) {
            words.truncate(redirected);
        }
        if words.starts_with(&["cargo", "run", "-p"].map(String::from)) {
            words.drain(..3);
            words.retain(|word| word != "--");
        }
    }
    found.retain(|words| {
        words
            .first()
            .is_some_and(|word| PROGRAMS.contains(&word.as_str()))
    });
    found
}

/// `list|show` stands for two commands.
fn alternatives(words: &[String]) -> Vec<Vec<String>> {
    let Some(at) = words.iter().position(|word| {
        word.contains('|')
            && word
                .split('|')
                .all(|part| part.bytes().all(|b| b.is_ascii_lowercase()))
    }) else {
        return vec![words.to_vec()];
    };
    let parts = words[at].split('|');
    parts
        .map(|part| {
            let mut words = words.to_vec();
            part.clone_into(&mut words[at]);
            words
        })
        .collect()
}

/// Whether the words only name a command: `cqrs-relay dead list`.
fn only_names(words: &[String]) -> bool {
    let mut command = if words[0] == PROGRAMS[0] {
        cqrs_relay::cli::Cli::command()
    } else {
        cqrs_replica::cli::Cli::command()
    };
    for word in &words[1..] {
        match command.find_subcommand(word) {
            Some(found) => command = found.clone(),
            None => return false,
        }
    }
    true
}

/// These pages prove what they say with tests: `cqrs-relay relay` is one of that crate.
fn names_a_test(page: &str, words: &[String]) -> bool {
    ["docs/guarantees.md", "docs/django-cqrs.md"].contains(&page)
        && words.len() == 2
        && !only_names(words)
}

fn refused(words: &[String]) -> Option<String> {
    let error = if words[0] == PROGRAMS[0] {
        cqrs_relay::cli::Cli::try_parse_from(words).err()?
    } else {
        cqrs_replica::cli::Cli::try_parse_from(words).err()?
    };
    let told = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    (!told.contains(&error.kind())).then(|| error.to_string())
}

#[test]
fn every_command_of_the_documentation_is_taken() {
    let (mut count, mut problems) = (0, Vec::new());
    for page in pages::all().unwrap() {
        let (fences, prose) = pages::fences(&pages::read(&page).unwrap());
        let shell = |info: &str| {
            ["sh", "console", "text"]
                .iter()
                .any(|it| info.starts_with(it))
        };
        let fences = fences.into_iter().filter(|(info, _)| shell(info));
        let blocks = fences.flat_map(|(_, lines)| {
            let text = lines.join("\n").replace("\\\n", " ");
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines
        });
        // In prose a command may be named without its arguments; what is left out is "…".
        let prose = prose.replace("\n|", "\n\n|");
        let spans = prose
            .split("\n\n")
            .flat_map(|text| text.split('`').skip(1).step_by(2));
        let spans = spans.map(|span| span.replace("\\|", "|").replace('\n', " "));
        // The reference is wrapped; its examples are those of `--help`, below.
        let blocks = blocks.filter(|_| page != "docs/reference/commands.md");
        let lines = blocks
            .map(|line| (false, line))
            .chain(spans.map(|span| (true, span)));
        for (prose, line) in lines {
            let line = line.trim().trim_start_matches("$ ").to_owned();
            for words in commands(&line).iter().flat_map(|words| alternatives(words)) {
                let left_out = line.contains('…') || (prose && only_names(&words));
                if left_out || names_a_test(&page, &words) {
                    continue;
                }
                count += 1;
                if let Some(why) = refused(&words) {
                    problems.push(format!("{page}: {line}\n{why}"));
                }
            }
        }
    }
    for (path, command) in super::reference::all() {
        let after = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        for line in after.lines() {
            for words in commands(line.trim().trim_start_matches("Example: ")) {
                count += 1;
                problems.extend(refused(&words).map(|why| format!("{path} --help: {line}\n{why}")));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 100, "only {count} were found");
}

/// README's `Cargo.toml` names features that there are, and the sqlx of the workspace.
#[test]
fn the_dependencies_that_readme_names_are_there() {
    let page = pages::read("README.md").unwrap();
    let block = pages::sample(&page, "toml Cargo.toml", "[dependencies]").unwrap();
    let root = pages::read("Cargo.toml").unwrap();
    for line in block.lines().filter(|line| line.contains(" = {")) {
        let (name, rest) = line.split_once(" = ").unwrap();
        let version = rest
            .split_once("version = \"")
            .map(|(_, rest)| rest.split('"').next().unwrap());
        if let Some(version) = version {
            let ours = root
                .lines()
                .find(|line| line.starts_with(&format!("{name} = ")));
            assert!(
                ours.unwrap().contains(&format!("version = \"{version}")),
                "{line}"
            );
            continue;
        }
        let manifest = pages::read(&format!("{name}/Cargo.toml")).unwrap();
        let features = rest
            .split_once("features = [")
            .unwrap()
            .1
            .split(']')
            .next()
            .unwrap();
        for feature in features
            .split(',')
            .map(|feature| feature.trim().trim_matches('"'))
        {
            let declared = manifest
                .lines()
                .any(|line| line.starts_with(&format!("{feature} = [")));
            assert!(declared, "{name} has no feature {feature}");
        }
    }
}
