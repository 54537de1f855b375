//! Named points at which a test lets the store die, fail or wait.
//!
//! ```text
//! FAILPOINTS='before_commit=2*off->1*return(kill)'     abort at the third commit
//! FAILPOINTS='before_commit=1*return(error)'           the first commit fails with EIO
//! FAILPOINTS='before_commit=sleep(50)'                 every commit takes 50 ms longer
//! FAILPOINTS='remote_hot_logs=return(exhaust)'         take memory until there is none left
//! FAILPOINTS='remote_hot_logs=return(hoard)'           the same step by step, while anybody waits for it
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
    set_up();
    fail::fail_point!(name, |action| act(name, action.as_deref()));
    Ok(())
}

/// The same for one that is waited for, and can be left in between.
///
/// # Errors
/// As [`hit`].
#[cfg(feature = "failpoints")]
pub async fn hit_awaited(name: &str) -> io::Result<()> {
    set_up();
    // An action without a value has none within.
    let Some(action) = fail::eval(name, |action| action) else { return Ok(()) };
    if action.as_deref() == Some("hoard") {
        hoard().await;
    }
    act(name, action.as_deref())
}

#[cfg(feature = "failpoints")]
fn set_up() {
    static SETUP: std::sync::Once = std::sync::Once::new();
    // Dropping a scenario would disarm its points.
    SETUP.call_once(|| std::mem::forget(fail::FailScenario::setup()));
}

#[cfg(feature = "failpoints")]
fn act(name: &str, action: Option<&str>) -> io::Result<()> {
    match action {
        Some("kill") => std::process::abort(),
        Some("exhaust") => exhaust(),
        _ => {}
    }
    tracing::warn!(point = name, "fail as asked");
    Err(io::Error::from_raw_os_error(EIO))
}

/// Of the memory that these take at once, and in all; no test has as much.
#[cfg(feature = "failpoints")]
const PIECE_BYTES: usize = 64 << 20;
#[cfg(feature = "failpoints")]
const PIECES_MAX: usize = 1 << 10;

/// Takes memory, without touching it, until there is no more to be had.
#[cfg(feature = "failpoints")]
fn exhaust() {
    for _ in 0..PIECES_MAX {
        std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(PIECE_BYTES)));
    }
}

/// Takes memory, without touching it, a gigabyte a second, and gives it back when it is dropped.
#[cfg(feature = "failpoints")]
async fn hoard() {
    let mut pieces = Vec::new();
    while pieces.len() < PIECES_MAX {
        pieces.push(std::hint::black_box(Vec::<u8>::with_capacity(PIECE_BYTES)));
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub async fn hit_awaited(_: &str) -> io::Result<()> {
    Ok(())
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_: &str) -> io::Result<()> {
    Ok(())
}
