//! What both roles need of ports: who may come to one, and how several end together.

use std::time::{Duration, Instant};

use meshlake_listen::{Cap, Door, Role, Served};

use super::listening::Port;

/// Connections to the admin port: a scraper, probes, somebody who looks.
pub const ADMIN_CONNECTIONS_MAX: u64 = 64;

/// A page of the admin port may be sent to its end for this long when all else has stopped: a scraper that is there reads in
/// milliseconds, and one that keeps its connection is told to go.
pub const ADMIN_STOP_TIME_MAX: Duration = Duration::from_millis(250);

pub fn door(role: Role, connections_max: u64) -> Door {
    Door { role, cap: Cap::new(connections_max), wrap: None }
}

/// Stops some of `serving` together, which have `time_max` for it.
pub async fn stop_ports(
    serving: &mut Vec<(Port, Served)>,
    stopping: &[Port],
    time_max: Duration,
    began: Instant,
) {
    let deadline = tokio::time::Instant::now() + time_max;
    let stopped: Vec<_> = serving.extract_if(.., |(port, _)| stopping.contains(port)).collect();
    stopped.iter().for_each(|(_, served)| served.begin_stop());
    for (port, served) in stopped.into_iter().rev() {
        tell(port.name(), served.stop(deadline).await, began);
    }
}

/// Says how a step of a stop went that began at `began`.
pub fn tell(step: &str, in_time: bool, began: Instant) {
    let elapsed_ms = began.elapsed().as_millis();
    if in_time {
        tracing::info!(step, elapsed_ms, "stopped");
    } else {
        tracing::warn!(
            step,
            elapsed_ms,
            "did not stop in time and is cut off; all that was acknowledged is in the log"
        );
    }
}
