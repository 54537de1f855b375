//! Named points at which a test lets the store die, fail or wait.
//!
//! ```text
//! FAILPOINTS='before_commit=2*off->1*return(kill)'     abort at the third commit
//! FAILPOINTS='before_commit=1*return(error)'           the first commit fails with EIO
//! FAILPOINTS='before_commit=sleep(50)'                 every commit takes 50 ms longer
//! FAILPOINTS='remote_hot_logs=return(exhaust)'         take memory until there is none left
//! ```
//! The points are compiled in with the feature `failpoints`, which the tests of the binary ask for; without
//! it [`hit`] is nothing. They show, on the real binary and a real disk, what the simulated disk cannot: the
//! Delta library, threads, and a process that dies in between. A new point is one line, `hit("name")?`, and
//! one in `tests/e2e/fail_points.rs`, or where settling passes it, in `tests/e2e/settled.rs`, or the query process,
//! in `tests/e2e/query_process.rs`.

use std::io;

/// An error number on Linux: the device failed.
#[cfg(feature = "failpoints")]
const EIO: i32 = 5;

/// Does what the environment variable `FAILPOINTS` asks for at the point `name`.
///
/// # Errors
/// EIO, when asked for.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) -> io::Result<()> {
    static SETUP: std::sync::Once = std::sync::Once::new();
    // Dropping a scenario would disarm its points.
    SETUP.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    fail::fail_point!(name, |action| {
        if action.as_deref() == Some("kill") {
            std::process::abort();
        }
        if action.as_deref() == Some("exhaust") {
            exhaust();
        }
        tracing::warn!(point = name, "fail as asked");
        Err(io::Error::from_raw_os_error(EIO))
    });
    Ok(())
}

/// Takes memory, without touching it, until there is no more to be had or as much as no test has.
#[cfg(feature = "failpoints")]
fn exhaust() {
    const PIECE_BYTES: usize = 64 << 20;
    const PIECES_MAX: usize = 1 << 10;
    for _ in 0..PIECES_MAX {
        std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(PIECE_BYTES)));
    }
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_: &str) -> io::Result<()> {
    Ok(())
}
