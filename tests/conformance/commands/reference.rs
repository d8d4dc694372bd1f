//! `docs/reference/commands.md` is what the programs say of themselves.

use std::{fmt::Write, fs, path::Path};

use clap::{Command, CommandFactory};

const HEAD: &str = "# Commands

What `--help` says of each command, made of the programs themselves. Options that all commands take stand at the
program; every key of [the configuration](../configuration.md) can also be set in the environment. Programs of
your own with `cli::main_with` have the same commands.
";

/// The programs with their subcommands, depth first.
fn leaves(path: &str, command: &Command, found: &mut Vec<(String, Command)>) {
    let subcommands: Vec<_> = command
        .get_subcommands()
        .filter(|subcommand| subcommand.get_name() != "help")
        .collect();
    if subcommands.is_empty() {
        found.push((path.to_owned(), command.clone()));
    }
    for subcommand in subcommands {
        leaves(
            &format!("{path} {}", subcommand.get_name()),
            subcommand,
            found,
        );
    }
}

/// Every command with its path.
pub(super) fn all() -> Vec<(String, Command)> {
    let mut commands = Vec::new();
    for program in programs() {
        leaves(program.get_name(), &program, &mut commands);
    }
    commands
}

fn programs() -> [Command; 2] {
    [
        cqrs_relay::cli::Cli::command().name("cqrs-relay"),
        cqrs_replica::cli::Cli::command().name("cqrs-replica"),
    ]
}

/// The help of a command. Options that stand at the program are not handed down here.
fn help(path: &str, command: &Command) -> String {
    let program = path.split(' ').next().unwrap().to_owned();
    let name = path.to_owned();
    let mut command = command
        .clone()
        .bin_name(name)
        .display_name(program)
        .term_width(100)
        .mut_args(|arg| arg.hide_env_values(true))
        .disable_help_flag(true)
        .disable_version_flag(true);
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    for program in programs() {
        let name = program.get_name().to_owned();
        let _ = write!(
            text,
            "\n## {name}\n\n```text\n{}\n```\n",
            help(&name, &program)
        );
        let mut commands = Vec::new();
        leaves(&name, &program, &mut commands);
        for (path, command) in commands {
            let _ = write!(
                text,
                "\n### {path}\n\n```text\n{}\n```\n",
                help(&path, &command)
            );
        }
    }
    text
}

#[test]
fn the_reference_in_the_docs_is_the_one_of_the_programs() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let right = reference();
    let found = fs::read_to_string(workspace.join("docs/reference/commands.md"));
    if found.unwrap_or_default() != right {
        fs::create_dir_all(workspace.join("target")).unwrap();
        fs::write(workspace.join("target/commands.md"), right).unwrap();
        panic!("docs/reference/commands.md is out of date: cp target/commands.md docs/reference/");
    }
}

#[test]
fn the_help_of_each_command_shows_an_example() {
    let mut without = Vec::new();
    let commands = all();
    for (path, command) in &commands {
        let after = command.get_after_help().map(ToString::to_string);
        let program = path.split(' ').next().unwrap();
        if !after.is_some_and(|after| after.contains("Example") && after.contains(program)) {
            without.push(path);
        }
    }
    assert!(without.is_empty(), "no example: {without:?}");
    assert!(commands.len() >= 28, "{}", commands.len());
}
