//! From `main` to the exit code.

use std::process::ExitCode;

use super::{LogFormat, logging};

/// Sets logging and the runtime up, executes what the arguments say, and tells its outcome. `example`
/// is a crate whose lines someone may want to see: `cqrs_relay`.
#[must_use]
pub fn run<A>(
    arguments: A,
    format: LogFormat,
    example: &str,
    execute: impl AsyncFnOnce(A) -> anyhow::Result<()>,
) -> ExitCode {
    let outcome = logging::init(format, example).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(execute(arguments))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::failure(format, &error);
            ExitCode::FAILURE
        }
    }
}
