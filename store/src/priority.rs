//! Who goes first when there are fewer cores than work: the thread that empties the buffer, not those that fill it.
//!
//! On one core with as many senders as it takes, threads that are all equal fill the buffer faster than it is
//! flushed, and senders are refused for half a second at a time. With this difference of niceness a flush keeps
//! up, and senders wait a few milliseconds longer each time instead.

use rustix::process::{getpid, getpriority_process, setpriority_process};

/// Each step is some 25 % of a contended core (sched(7)). On one core 2 still led to refusals, 4 to none, and to
/// 108 instead of 375 ms for the slowest hundredth of the acknowledgements.
const NICENESS: i32 = 4;

/// A twentieth of a core that anything else wants, so that ingest pays nothing for cells that nobody waits for.
const NICENESS_OF_SETTLING: i32 = 14;

/// Lets the calling thread give way to flushes, and to whatever else competes for its core.
pub fn give_way_to_flushes() {
    // Where the system does not allow it, all stay equal.
    let _ = set_niceness(NICENESS);
}

/// Lets the calling thread give way to everything else: what it does has no deadline.
pub(crate) fn give_way_to_all() {
    let _ = set_niceness(NICENESS_OF_SETTLING);
}

/// Measured from the first thread's, which the flushing thread has too: a thread has that of whoever started it,
/// so adding to its own would add up.
fn set_niceness(niceness: i32) -> rustix::io::Result<()> {
    let first = getpriority_process(Some(getpid()))?;
    setpriority_process(None, first + niceness)
}
