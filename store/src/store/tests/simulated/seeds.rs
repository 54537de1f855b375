//! Runs machines from seeds: so many as the environment says, each alone on a thread, so that one replays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Runtime;

use super::Machine;

/// Runs a machine per seed, on every core; or the one seed that the environment names.
pub(super) fn run_seeds(variable: &str, seeds: u64, machine: impl Fn(u64) -> Machine + Sync) {
    if let Some(seed) = number("MESHLAKE_TEST_SEED") {
        return machine(seed).run(&runtime());
    }
    let (seeds, next) = (number(variable).unwrap_or(seeds), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = runtime();
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds
                {
                    let run = catch_unwind(AssertUnwindSafe(|| machine(seed).run(&runtime)));
                    assert!(run.is_ok(), "seed {seed} fails; replay it with MESHLAKE_TEST_SEED={seed}");
                }
            });
        }
    });
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O")
}
