//! Looks after questions from a thread of its own, which nothing that they do can keep busy.
//!
//! A question that takes more memory than anybody counted, or more time than it was given because it does not stop, is at the
//! cost of all others. Memory is looked at often, because it can be filled within a second; what is stuck once a
//! second. When too much is stuck the process ends, and whoever started it starts another.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use meshlake_query::Engine;

use super::confine::{Memory, Shortage};

/// Between two looks at memory, which hostile statements filled by some 500 MiB a second. Guess, not measured.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks at memory to one at what is stuck: a second.
const LOOKS_A_SECOND: u64 = 20;

/// Looks until another question is ended: two seconds. The last one has to notice, and what it gave back goes to the system
/// within half a second.
const LOOKS_BETWEEN: u64 = 2 * LOOKS_A_SECOND;

/// Unless memory grows on, by more than a question takes until it has noticed; there is twice as much below the bound.
const GROWTH_BYTES: u64 = 384 << 20;

/// Watches until it is dropped.
pub struct Watching {
    /// None while it is dropped.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Watches the questions of `engine` and the `memory` of this process. `stuck` is called when it is time for another one.
///
/// # Errors
/// The thread cannot be started.
pub fn watch(
    engine: Engine,
    memory: Option<Memory>,
    stuck: impl Fn() + Send + 'static,
) -> io::Result<Watching> {
    let (stop, stopped) = mpsc::channel::<()>();
    let looking = move || {
        let mut last = None;
        for look in 1.. {
            if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if let Some(shortage) = memory.as_ref().and_then(Memory::shortage)
                && is_next(look, &shortage, last)
                && let Some(ended) = engine.end_oldest(shortage.to_string())
            {
                last = Some((look, shortage.bytes));
                tracing::warn!(ended, %shortage, "a query was ended because memory is short");
            }
            if look % LOOKS_A_SECOND == 0
                && let Err(error) = engine.leave_stuck()
            {
                tracing::error!(%error, "this process ends for another");
                stuck();
            }
        }
    };
    let thread = std::thread::Builder::new().name("watching".to_owned()).spawn(looking)?;
    Ok(Watching { stop: Some(stop), thread: Some(thread) })
}

/// Whether another question is to be ended at this look, when the last was at another, with so many bytes in memory.
fn is_next(look: u64, shortage: &Shortage, last: Option<(u64, u64)>) -> bool {
    last.is_none_or(|(at, bytes)| look - at >= LOOKS_BETWEEN || shortage.bytes > bytes + GROWTH_BYTES)
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends now; a panic in it was told when it happened.
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_question_is_ended_two_seconds_later_or_when_memory_grows_on() {
        let short = |bytes| Shortage { bytes, bytes_max: 1 };
        let last = Some((100, 1 << 30));
        assert!(is_next(7, &short(2), None));
        assert!(!is_next(100 + LOOKS_BETWEEN - 1, &short(1 << 30), last));
        assert!(is_next(100 + LOOKS_BETWEEN, &short(1 << 30), last));
        assert!(!is_next(101, &short((1 << 30) + GROWTH_BYTES), last));
        assert!(is_next(101, &short((1 << 30) + GROWTH_BYTES + 1), last));
    }
}
