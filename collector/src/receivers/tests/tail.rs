//! Files that are followed, with a collector behind them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int32Type;
use meshlake_schema::Table;

use super::{Running, STOP_TIME_MAX, known_senders, start, stop};
use crate::lines::PART_BYTES_MAX;
use crate::receivers::TailConfig;

const LINE: &str = "10.0.0.1 - - [22/Nov/2026:07:07:07 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";

fn following(dir: &Path, pattern: &str) -> TailConfig {
    TailConfig { path: dir.join(pattern).display().to_string(), ..TailConfig::default() }
}

fn rows(running: &Running) -> usize {
    running.log.rows(Table::Requests).into_iter().sum()
}

async fn wait_for_rows(running: &Running, wanted: usize) {
    let stored = async {
        while rows(running) < wanted {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), stored).await;
    assert!(waited.is_ok(), "{} of {wanted} rows", rows(running));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_files_and_what_comes_is_stored() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("a.log"), LINE.repeat(3)).expect("written");
    let mut running = start().await;
    running.collector.follow(&[following(dir.path(), "*.log")]);
    wait_for_rows(&running, 3).await;
    std::fs::write(dir.path().join("b.log"), [LINE, "half"].concat().repeat(2)).expect("written");
    wait_for_rows(&running, 5).await;
    running.stop().await;
}

/// Scenario: the disk fails to store a part. Guarantee: it is read again, and stored once.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_not_stored_is_read_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut running = start().await;
    running.log.disk.fail_syncs(0, 1);
    std::fs::write(dir.path().join("a.log"), LINE.repeat(3)).expect("written");
    running.collector.follow(&[following(dir.path(), "*.log")]);
    wait_for_rows(&running, 3).await;
    let log = Arc::clone(&running.log);
    let path = dir.path().join("a.log").display().to_string();
    let file = (path, "default".to_owned(), "requests", "access_log", 1);
    assert_eq!(known_senders(&running.collector), [file], "refused once");
    let Running { collector, served, .. } = running;
    stop(collector, served, STOP_TIME_MAX, STOP_TIME_MAX).await;
    assert_eq!(log.rows(Table::Requests).into_iter().sum::<usize>(), 3);
}

/// Scenario: a file says its fields at its head, and others behind more lines than one part holds. Guarantee: each line is
/// read with those that stand before it.
#[tokio::test(flavor = "multi_thread")]
async fn lines_have_the_fields_that_their_file_says_before_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let padding = "x".repeat(1 << 10);
    let lines = 2 * PART_BYTES_MAX / padding.len();
    let first = format!("2026-11-22 07:07:07 200 {padding}\r\n").repeat(lines);
    let second = format!("404 {padding} 2026-11-22 07:07:07\r\n").repeat(lines);
    let file = [
        "#Software: IIS\r\n#Fields: date time sc-status x-padding\r\n",
        &first,
        "#Fields: sc-status x-padding date time\r\n",
        &second,
    ];
    std::fs::write(dir.path().join("u_ex.log"), file.concat()).expect("written");
    let mut running = start().await;
    running.collector.follow(&[following(dir.path(), "*.log")]);
    wait_for_rows(&running, 2 * lines).await;
    let mut statuses = Vec::new();
    for batch in running.log.groups().iter().flat_map(|group| &group.batches) {
        if batch.table() == Table::Requests {
            statuses.extend(batch.rows()["response_code"].as_primitive::<Int32Type>().iter());
        }
    }
    let count = |status: i32| statuses.iter().filter(|told| **told == Some(status)).count();
    assert_eq!((statuses.len(), count(200), count(404)), (2 * lines, lines, lines));
    running.stop().await;
}
