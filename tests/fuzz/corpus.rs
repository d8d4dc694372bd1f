//! Runs the readers on the corpus, and on inputs that are made of it by changes like those that a fuzzer makes.
//! The seed is fixed: an input that fails, fails each time.

mod change;

use std::{fs, path::Path};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SEED: u64 = 0x0bad_5eed;
const INPUTS: usize = 20_000;
/// A longer input would show nothing more.
const LONGEST: usize = 64 * 1024;
/// Of a file that an operator writes. The parser of TOML has a limit of depth, which a longer file can get round.
const LONGEST_FILE: usize = 8 * 1024;
/// Each is checked whole, and each problem is told with its place.
const FILES: usize = 3_000;
/// What a reader may take for inputs of that length, with all that the process has besides.
const MEMORY: u64 = 2 << 30;

#[test]
fn bodies() {
    run("wire", INPUTS, LONGEST, cqrs_fuzz::body);
}

#[test]
fn key_streams() {
    run("stream", INPUTS, LONGEST, cqrs_fuzz::key_stream);
}

#[test]
fn dumps() {
    run("dump", INPUTS, LONGEST, cqrs_fuzz::dump);
}

#[test]
fn configurations() {
    run("config", FILES, LONGEST_FILE, cqrs_fuzz::config);
}

#[test]
fn filters() {
    run("filter", INPUTS, LONGEST, cqrs_fuzz::filter);
}

#[test]
fn questions() {
    run("reconcile", INPUTS, LONGEST, cqrs_fuzz::reconcile);
}

/// Shows the input when the reader panics.
struct Input<'a>(&'a [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: {}", self.0.escape_ascii());
        }
    }
}

fn run(corpus: &str, inputs: usize, longest: usize, read: impl Fn(&[u8])) {
    // An allocation beyond it ends the process.
    let memory = Rlimit {
        current: Some(MEMORY),
        ..getrlimit(Resource::As)
    };
    setrlimit(Resource::As, memory).expect("a process may lower its limit");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(corpus);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("a file of the corpus").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let corpus: Vec<_> = files
        .iter()
        .map(|file| fs::read(file).expect("a file of the corpus"))
        .collect();

    for input in &corpus {
        read(Input(input).0);
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    for _ in 0..inputs {
        let input = change::changed(&corpus, &mut random, longest);
        let shown = Input(&input);
        read(shown.0);
    }
}
