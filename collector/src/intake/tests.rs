//! The intake against a log on a simulated disk: which exports share a group, and who is told what.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use meshlake_schema::Table;
use meshlake_store::{AppendError, StoredExport};
use prost::Message as _;
use tokio::sync::oneshot;

use super::testing::{NOW, StillClock, TestLog, export_of, payload, spans};
use super::{Answer, Budget, GROUP_BYTES_MAX, Intake, IntakeThread, NotStored, Payload};
use crate::ledger::LedgerView;

const DAY: Duration = Duration::from_secs(86_400);
const WINDOW: Duration = Duration::from_secs(600);

struct Running {
    log: TestLog,
    intake: Intake,
    thread: IntakeThread,
    ledger: LedgerView,
}

fn start() -> Running {
    let (log, ledger) = (TestLog::start(), LedgerView::default());
    let (intake, thread) =
        Intake::start(log.writer.clone(), ledger.clone(), Arc::new(StillClock), DAY, WINDOW).expect("start");
    Running { log, intake, thread, ledger }
}

impl Running {
    fn submit(&self, bytes: &[u8]) -> oneshot::Receiver<Answer> {
        let (payload, answer) = payload("a", bytes);
        self.intake.submit(payload).expect("the intake runs");
        answer
    }

    /// Submits and waits for the answer: records accepted and rejected.
    fn store(&self, bytes: &[u8]) -> Result<(u64, u64), NotStored> {
        counts(self.submit(bytes))
    }
}

impl Running {
    /// Submits under a hash of the test's choice.
    fn submit_as(&self, hash: u128, bytes: &[u8]) -> oneshot::Receiver<Answer> {
        let (payload, answer) = payload("a", bytes);
        self.intake.submit(Payload { hash: Some(hash), ..payload }).expect("the intake runs");
        answer
    }

    /// Records per event of the ledger, over all groups.
    fn ledger_sums(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for batch in self.log.groups().iter().flat_map(|group| &group.batches) {
            if batch.table() == Table::Ledger {
                let events = cast(&batch.rows()["event"], &DataType::Utf8).expect("text");
                let records = batch.rows()["records"].as_primitive::<Int64Type>();
                for (event, records) in events.as_string::<i32>().iter().zip(records.values()) {
                    *sums.entry(event.expect("never null").to_owned()).or_default() += records;
                }
            }
        }
        sums
    }
}

fn counts(answer: oneshot::Receiver<Answer>) -> Result<(u64, u64), NotStored> {
    let tally = answer.blocking_recv().expect("answered")?;
    Ok((tally.accepted, tally.rejected_count()))
}

fn stop(thread: IntakeThread) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(thread.stop());
}

/// `good` spans, then `padding` bytes that no decoder knows.
fn padded(good: usize, padding: usize) -> Vec<u8> {
    let mut bytes = spans(good, 0).encode_to_vec();
    prost::encoding::bytes::encode(15, &vec![0u8; padding], &mut bytes);
    bytes
}

#[test]
fn a_lone_export_is_a_group_of_its_own() {
    let running = start();
    assert_eq!(running.store(&spans(2, 0).encode_to_vec()), Ok((2, 0)));
    assert_eq!(running.store(&spans(3, 0).encode_to_vec()), Ok((3, 0)));
    assert_eq!(running.log.rows(Table::Spans), [2, 3]);
    stop(running.thread);
}

#[test]
fn exports_that_come_while_the_log_is_busy_share_a_group() {
    let running = start();
    running.log.hold();
    let first = running.submit(&spans(1, 0).encode_to_vec());
    running.log.wait_until_held();
    let others = [2, 3, 4].map(|good| running.submit(&spans(good, 0).encode_to_vec()));
    running.log.release();
    assert_eq!(counts(first), Ok((1, 0)));
    assert_eq!(others.map(counts), [Ok((2, 0)), Ok((3, 0)), Ok((4, 0))]);
    assert_eq!(running.log.rows(Table::Spans), [1, 9]);
    let entries = &running.log.groups()[1].exports;
    let rows: Vec<_> = entries.iter().map(|entry| entry.rows.clone()).collect();
    assert_eq!(rows, [[(Table::Spans, 2)], [(Table::Spans, 3)], [(Table::Spans, 4)]]);
    stop(running.thread);
}

#[test]
fn a_group_is_closed_before_it_outgrows_its_maximum() {
    let running = start();
    running.log.hold();
    let first = running.submit(&spans(1, 0).encode_to_vec());
    running.log.wait_until_held();
    // Two of these are more than the maximum, so each is a group: the second takes the slot of the log, the
    // thread waits with the third.
    let large = padded(2, GROUP_BYTES_MAX / 2);
    let others = [(); 3].map(|()| running.submit(&large));
    running.log.release();
    assert_eq!(counts(first), Ok((1, 0)));
    assert_eq!(others.map(counts), [Ok((2, 0)), Ok((2, 0)), Ok((2, 0))]);
    assert_eq!(running.log.rows(Table::Spans), [1, 2, 2, 2]);
    stop(running.thread);
}

/// Exports of short records are larger as rows: three of half the maximum and one byte are two groups, and the third.
#[test]
fn what_rows_take_counts_for_the_maximum() {
    let running = start();
    running.log.hold();
    let first = running.submit(&spans(1, 0).encode_to_vec());
    running.log.wait_until_held();
    let others = [(); 3].map(|()| {
        let (payload, answer) = payload("a", &spans(2, 0).encode_to_vec());
        let payload = Payload { column_bytes: GROUP_BYTES_MAX / 2 + 1, ..payload };
        running.intake.submit(payload).expect("the intake runs");
        answer
    });
    running.log.release();
    assert_eq!(counts(first), Ok((1, 0)));
    assert_eq!(others.map(counts), [Ok((2, 0)), Ok((2, 0)), Ok((2, 0))]);
    assert_eq!(running.log.rows(Table::Spans), [1, 2, 2, 2]);
    stop(running.thread);
}

/// A payload that passed validation and cannot be decoded is a bug; it must cost nobody else a row. Here it
/// breaks off after a whole span, so the shared columns do hold rows of it when decoding fails.
#[test]
fn a_payload_that_fails_to_decode_leaves_its_neighbours_whole() {
    let running = start();
    running.log.hold();
    let first = running.submit(&spans(1, 0).encode_to_vec());
    running.log.wait_until_held();
    let before = running.submit(&spans(2, 1).encode_to_vec());
    let mut broken = spans(5, 0).encode_to_vec();
    broken.push(0x0a);
    let broken = running.submit(&broken);
    let after = running.submit(&spans(3, 0).encode_to_vec());
    running.log.release();
    assert_eq!(counts(first), Ok((1, 0)));
    assert!(matches!(counts(broken), Err(NotStored::Undecodable(_))));
    assert_eq!((counts(before), counts(after)), (Ok((2, 1)), Ok((3, 0))));
    assert_eq!(running.log.rows(Table::Spans), [1, 5]);
    assert_eq!(running.log.groups()[1].exports.len(), 2);
    stop(running.thread);
}

#[test]
fn a_failed_write_is_told_and_the_next_one_succeeds() {
    let running = start();
    running.log.disk.fail_syncs(0, 1);
    let failed = running.store(&spans(1, 0).encode_to_vec());
    assert!(matches!(failed, Err(NotStored::Append(AppendError::Disk(_)))), "{failed:?}");
    assert_eq!(running.ledger.in_flight(), []);
    assert_eq!(running.ledger.totals(), []);
    assert_eq!(running.store(&spans(2, 0).encode_to_vec()), Ok((2, 0)));
    assert_eq!(running.log.rows(Table::Spans), [2]);
    stop(running.thread);
}

#[test]
fn refused_records_are_in_the_ledger_even_without_rows() {
    let running = start();
    assert_eq!(running.store(&spans(0, 2).encode_to_vec()), Ok((0, 2)));
    assert!(running.log.rows(Table::Spans).is_empty());
    // received = 2, rejected for invalid_trace_id = 2.
    assert_eq!(running.log.rows(Table::Ledger), [2]);
    stop(running.thread);
}

#[test]
fn an_export_without_records_is_answered_and_appends_nothing() {
    let running = start();
    for tenant in ["a", "b", "c"] {
        let (payload, answer) = payload(tenant, b"");
        running.intake.submit(payload).expect("the intake runs");
        assert_eq!(counts(answer), Ok((0, 0)));
    }
    assert!(running.log.groups().is_empty());
    // Nor do they leave anything for the next group: received and accepted of the one tenant with a span.
    assert_eq!(running.store(&spans(1, 0).encode_to_vec()), Ok((1, 0)));
    assert_eq!(running.log.rows(Table::Ledger), [2]);
    stop(running.thread);
}

#[test]
fn an_answered_export_tells_how_long_its_bytes_were_held() {
    let running = start();
    let budget = Budget::new(1 << 20);
    let held = || budget.take(2 << 20).map(drop).map_err(|over| over.held);
    let bytes = spans(1, 0).encode_to_vec();
    let (payload, answer) = payload("a", &bytes);
    let tickets = budget.take(bytes.len()).expect("free");
    assert_eq!(held(), Err(Duration::ZERO));
    running.intake.submit(Payload { tickets, ..payload }).expect("the intake runs");
    assert_eq!(counts(answer), Ok((1, 0)));
    assert!(held() > Err(Duration::ZERO), "{:?}", held());
    stop(running.thread);
}

#[test]
fn a_cancelled_handler_changes_nothing() {
    let running = start();
    running.log.hold();
    drop(running.submit(&spans(1, 0).encode_to_vec()));
    running.log.wait_until_held();
    drop(running.submit(&spans(2, 0).encode_to_vec()));
    running.log.release();
    stop(running.thread);
    assert_eq!(running.log.rows(Table::Spans), [1, 2]);
}

#[test]
fn records_are_in_flight_until_they_are_durable() {
    let running = start();
    running.log.hold();
    let answer = running.submit(&spans(3, 1).encode_to_vec());
    running.log.wait_until_held();
    let in_flight: Vec<_> = running.ledger.in_flight().iter().map(|entry| entry.records).collect();
    assert_eq!(in_flight, [3]);
    running.log.release();
    assert_eq!(counts(answer), Ok((3, 1)));
    assert_eq!(running.ledger.in_flight(), []);
    assert_eq!(running.ledger.totals()[0].tally.received, 4);
    stop(running.thread);
}

#[test]
fn records_outside_the_window_are_rejected() {
    let running = start();
    let mut request = export_of(&[vec![1; 16], vec![2; 16], vec![3; 16], vec![4; 16]]);
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    let (day, hour) = (DAY.as_nanos() as u64, 3_600_000_000_000);
    spans[0].start_time_unix_nano -= day;
    spans[1].start_time_unix_nano -= day + 1;
    spans[2].start_time_unix_nano += hour;
    spans[3].start_time_unix_nano += hour + 1;
    assert_eq!(running.store(&request.encode_to_vec()), Ok((2, 2)));
    stop(running.thread);
}

#[test]
fn stopping_answers_what_was_taken_in_and_refuses_the_rest() {
    let Running { log, intake, thread, .. } = start();
    log.hold();
    let (first, first_answer) = payload("a", &spans(1, 0).encode_to_vec());
    let (second, second_answer) = payload("a", &spans(2, 0).encode_to_vec());
    intake.submit(first).expect("the intake runs");
    log.wait_until_held();
    intake.submit(second).expect("the intake runs");
    let mut stopping = pin!(thread.stop());
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(stopping.as_mut().poll(&mut context), Poll::Pending), "a group is at the disk");
    let refused = intake.submit(payload("a", b"").0);
    assert_eq!(refused, Err(NotStored::Stopping));
    log.release();
    assert_eq!((counts(first_answer), counts(second_answer)), (Ok((1, 0)), Ok((2, 0))));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(stopping);
}

/// Scenario: an acknowledgement is lost, the client sends the export again. Guarantee: it is acknowledged, its
/// rows are there once, and the ledger says how many came again: received = accepted = 3, deduplicated = 3.
#[test]
fn a_repeat_is_acknowledged_and_not_stored_again() {
    let running = start();
    let bytes = spans(3, 1).encode_to_vec();
    assert_eq!(counts(running.submit_as(7, &bytes)), Ok((3, 1)));
    let repeat = running.submit_as(7, &bytes).blocking_recv().expect("answered").expect("stored");
    assert_eq!((repeat.received, repeat.accepted, repeat.deduplicated), (0, 0, 3));
    assert_eq!(counts(running.submit_as(8, &bytes)), Ok((3, 1)), "another request");
    assert_eq!(running.log.rows(Table::Spans), [3, 3]);
    let sums = [("accepted", 6), ("deduplicated", 3), ("received", 8), ("rejected", 2)];
    assert_eq!(running.ledger_sums(), sums.map(|(event, sum)| (event.to_owned(), sum)).into());
    stop(running.thread);
}

/// Scenario: the client gives up and sends the export again while it is at the disk, which then fails.
/// Guarantee: the repeat waits for the first one's fate and, as that was not stored, is stored itself.
#[test]
fn a_repeat_waits_for_the_disk_and_takes_the_place_of_what_failed() {
    let running = start();
    let bytes = spans(2, 0).encode_to_vec();
    running.log.disk.hold_syncs();
    running.log.disk.fail_syncs(0, 1);
    let first = running.submit_as(7, &bytes);
    let repeats = [running.submit_as(7, &bytes), running.submit_as(7, &bytes)];
    running.log.disk.release_syncs();
    assert!(matches!(counts(first), Err(NotStored::Append(AppendError::Disk(_)))));
    let answers = repeats.map(|answer| answer.blocking_recv().expect("answered").expect("stored"));
    let answers = answers.map(|tally| (tally.accepted, tally.deduplicated));
    assert_eq!(answers, [(2, 0), (0, 2)]);
    assert_eq!(running.log.rows(Table::Spans), [2]);
    stop(running.thread);
}

/// An export of which nothing was stored has no repeat: each is told what was wrong.
#[test]
fn an_export_that_was_rejected_whole_is_not_remembered() {
    let running = start();
    let bytes = spans(0, 2).encode_to_vec();
    assert_eq!(counts(running.submit_as(7, &bytes)), Ok((0, 2)));
    assert_eq!(counts(running.submit_as(7, &bytes)), Ok((0, 2)));
    stop(running.thread);
}

/// Scenario: a sender without a clock exports two events that look alike. Guarantee: both are stored, and neither
/// process nor log remembers them.
#[test]
fn what_cannot_be_told_from_a_repeat_is_stored_each_time() {
    let running = start();
    let known = payload("a", &spans(1, 0).encode_to_vec());
    let mut exports = vec![known];
    for _ in 0..2 {
        let (export, answer) = payload("a", &spans(1, 0).encode_to_vec());
        exports.push((Payload { hash: None, ..export }, answer));
    }
    for (export, answer) in exports {
        running.intake.submit(export).expect("the intake runs");
        assert_eq!(counts(answer), Ok((1, 0)));
    }
    let remembered: Vec<_> = running.log.groups().iter().map(|group| group.exports.len()).collect();
    assert_eq!(remembered, [1, 0, 0]);
    stop(running.thread);
}

#[test]
fn exports_of_an_earlier_process_are_remembered() {
    let running = start();
    let seconds = u32::try_from(NOW.0 / 1_000_000_000).expect("before 2106");
    running.intake.remember(vec![StoredExport { hash: 7, rows: 5, seconds: seconds - 600 }]);
    let repeat = running.submit_as(7, b"").blocking_recv().expect("answered").expect("stored");
    assert_eq!(repeat.deduplicated, 5);
    assert_eq!(running.store(&spans(1, 0).encode_to_vec()), Ok((1, 0)));
    stop(running.thread);
}
