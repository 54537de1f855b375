//! What both roles need of ports: who may come to one, and how several end together; and what is said of rows that a stop
//! did not put into files.

use std::time::{Duration, Instant};

use meshlake_listen::{Cap, Door, Role, Served};
use meshlake_schema::Table;

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

/// What whoever stopped the process must know of rows that are in the log alone: programs that read the tables without
/// this one, DuckDB say, do not see them.
pub fn rows_left(left: &[(Table, u64)]) -> String {
    let rows: u64 = left.iter().map(|(_, rows)| rows).sum();
    let by_table: Vec<_> = left.iter().map(|(table, rows)| format!("{} {rows}", table.name())).collect();
    format!(
        "meshlake: {rows} rows are in the write-ahead log alone ({}): the stop had no time for their files, or could not \
         write them. Nothing is lost: the next start reads them and writes their files. Until then other programs that \
         read the tables do not see them.",
        by_table.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_left_are_told_by_table() {
        let told = rows_left(&[(Table::Spans, 1200), (Table::Logs, 30)]);
        assert!(told.starts_with("meshlake: 1230 rows"), "{told}");
        assert!(told.contains("(spans 1200, logs 30)"), "{told}");
    }
}
