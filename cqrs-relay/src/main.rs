//! `cqrs-relay`: see `cqrs_relay::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cqrs_relay::cli::main()
}
