//! Evaluations written down: samples, a query, and what it gives, in the format of Prometheus's own tests.
//!
//! The files are `tests/cases/promql/*.test` of this repository, and all of the directory in `PROMQLTEST_DIR` if that
//! is set. Each evaluation at an instant is asked over a range as well, and must give the same at that instant. Ours
//! must all pass; of others at least 95 % (what does not is listed in docs/promql.md).
//!
//! Source of the format: <https://github.com/prometheus/prometheus/tree/main/promql/promqltest>.

mod run;
mod storage;
mod script;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

/// Of all evaluations in other people's files.
const OTHERS_PASS_PERCENT: usize = 95;

#[derive(Default)]
struct Tally {
    passed: usize,
    failures: Vec<String>,
}

impl Tally {
    fn all(&self) -> usize {
        self.passed + self.failures.len()
    }
}

#[test]
fn promqltest() {
    let ours = tally(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/promql"));
    let others = std::env::var_os("PROMQLTEST_DIR").map(|directory| tally(Path::new(&directory)));
    let others = others.unwrap_or_default();
    for failure in ours.failures.iter().chain(&others.failures) {
        println!("{failure}");
    }
    println!("promqltest: {} of {} evals pass", ours.passed + others.passed, ours.all() + others.all());
    assert!(ours.all() >= 150, "{} evals of our own are there", ours.all());
    assert!(ours.failures.is_empty(), "{} evals of our own fail", ours.failures.len());
    assert!(others.passed * 100 >= others.all() * OTHERS_PASS_PERCENT, "too many evals of others fail");
}

/// Runs all files of a directory.
fn tally(directory: &Path) -> Tally {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("a directory is read to its end").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "test")).collect();
    files.sort();
    let mut tally = Tally::default();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (line, outcome) in run::run(&text) {
            match outcome {
                Ok(()) => tally.passed += 1,
                Err(reason) => tally.failures.push(format!("{name}:{line}: {reason}")),
            }
        }
    }
    tally
}
