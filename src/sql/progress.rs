//! Says on standard error that a statement still runs, and how much of its answer has come.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval_at};

/// What takes no longer needs no progress.
const QUIET_TIME: Duration = Duration::from_secs(1);

const DRAW_INTERVAL: Duration = Duration::from_millis(500);

/// Back to the line's start, and nothing behind. Source: ECMA-48, EL.
const CLEAR_LINE: &str = "\r\u{1b}[K";

/// Waits for `work`, which counts the bytes that have come in `received`.
pub async fn shown<T>(work: impl Future<Output = T>, received: &AtomicU64) -> T {
    if !stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut ticks = interval_at(began + QUIET_TIME, DRAW_INTERVAL);
    let (mut work, mut has_drawn) = (pin!(work), false);
    loop {
        tokio::select! {
            done = &mut work => {
                if has_drawn {
                    draw(CLEAR_LINE);
                }
                return done;
            }
            _ = ticks.tick() => {
                let (seconds, bytes) = (began.elapsed().as_secs(), received.load(Ordering::Relaxed));
                draw(&format!("{CLEAR_LINE}{seconds} s, {bytes} bytes of the answer; Ctrl-C stops it"));
                has_drawn = true;
            }
        }
    }
}

/// A terminal that is gone is nothing to fail for.
fn draw(text: &str) {
    let mut terminal = stderr().lock();
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
