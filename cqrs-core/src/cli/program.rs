//! From `main` to the exit code.

use std::process::ExitCode;

use anyhow::ensure;
use tokio::runtime::{Builder, Handle, Runtime};

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
    let outcome =
        logging::init(format, example).and_then(|()| runtime()?.block_on(execute(arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::failure(format, &error);
            ExitCode::FAILURE
        }
    }
}

/// A runtime, which cannot be started inside of another.
fn runtime() -> anyhow::Result<Runtime> {
    ensure!(
        Handle::try_current().is_err(),
        "the program starts a runtime of its own: call it from a plain `fn main`, without `#[tokio::main]`, or \
         parse `Cli` and await `Cli::execute`"
    );
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn inside_of_a_runtime_it_says_what_to_do() {
        let error = runtime().unwrap_err().to_string();
        assert!(error.contains("without `#[tokio::main]`"), "{error}");
    }
}
