//! `cqrs-replica`: see `cqrs_replica::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cqrs_replica::cli::main()
}
