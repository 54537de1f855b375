//! What tests of the intake and of the receivers share: payloads, and a log whose disk obeys the test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use bytes::Bytes;
use meshlake_schema::{Clock, Table, TableBatch, UnixNanos};
use meshlake_store::disk::Disk as _;
use meshlake_store::disk::sim::SimDisk;
use meshlake_store::wal::{Recovery, Wal, WalConfig};
use meshlake_store::writer::WriterThread;
use meshlake_store::{Group, Writer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::oneshot;

use super::{Answer, Budget, Payload};
use crate::decode::otlp::formats::OVER_GRPC;

/// The time at which all tests happen: 2026-11-23, 20,780 days after the epoch.
pub(crate) const NOW: UnixNanos = UnixNanos(20_780 * 86_400 * 1_000_000_000);

/// A clock that stands still at [`NOW`].
pub(crate) struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> UnixNanos {
        NOW
    }
}

/// A traces payload of `tenant` and where its answer comes. None is a repeat of another.
pub(crate) fn payload(tenant: &str, bytes: &[u8]) -> (Payload, oneshot::Receiver<Answer>) {
    static NEXT_HASH: AtomicU64 = AtomicU64::new(1);
    let (reply, answer) = oneshot::channel();
    let payload = Payload {
        tenant: Arc::from(tenant),
        format: &OVER_GRPC.traces,
        sender: None,
        bytes: Bytes::copy_from_slice(bytes),
        column_bytes: 0,
        any_age: false,
        hash: Some(NEXT_HASH.fetch_add(1, Ordering::Relaxed).into()),
        tickets: Budget::new(1 << 30).take(bytes.len()).expect("free"),
        reply,
    };
    (payload, answer)
}

/// An export of spans that start at [`NOW`], one for each of `trace_ids`.
pub(crate) fn export_of(trace_ids: &[Vec<u8>]) -> ExportTraceServiceRequest {
    let spans = trace_ids.iter().map(|trace_id| Span {
        trace_id: trace_id.clone(),
        span_id: vec![2; 8],
        name: "GET /".to_owned(),
        start_time_unix_nano: u64::try_from(NOW.0).expect("after 1970"),
        end_time_unix_nano: u64::try_from(NOW.0).expect("after 1970"),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
    }
}

/// An export of `good` spans and of `bad` ones, whose trace id is empty.
pub(crate) fn spans(good: usize, bad: usize) -> ExportTraceServiceRequest {
    export_of(&[vec![vec![1; 16]; good], vec![Vec::new(); bad]].concat())
}

/// A log on a simulated disk. Groups become visible in `groups` and can be held between fdatasync and ack.
pub(crate) struct TestLog {
    pub(crate) writer: Writer,
    pub(crate) disk: SimDisk,
    shared: Arc<Shared>,
    _thread: WriterThread,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    groups: Vec<Group>,
    hold: bool,
    is_held: bool,
}

impl TestLog {
    pub(crate) fn start() -> TestLog {
        let disk = SimDisk::default();
        let config = WalConfig { dir: PathBuf::from("wal"), collector_id: [7; 16], segment_bytes: 1 << 20 };
        disk.create_dir_all(&config.dir.join("0")).expect("a new disk");
        let wal = Wal::open(Arc::new(disk.clone()), config, Recovery::default(), 1).expect("open the log");
        let shared = Arc::new(Shared::default());
        let publishing = Arc::clone(&shared);
        let publish = Box::new(move |_, group| publishing.publish(group));
        let (writer, thread) = Writer::start(wal, publish).expect("start a thread");
        TestLog { writer, disk, shared, _thread: thread }
    }

    /// Holds the next groups after their fdatasync, before anybody is told.
    pub(crate) fn hold(&self) {
        self.shared.lock().hold = true;
    }

    /// Returns when a group is held.
    pub(crate) fn wait_until_held(&self) {
        let state = self.shared.lock();
        drop(self.shared.changed.wait_while(state, |state| !state.is_held).expect("no panic under the lock"));
    }

    pub(crate) fn release(&self) {
        self.shared.lock().hold = false;
        self.shared.changed.notify_all();
    }

    /// Rows of `table` per group, groups without the table left out.
    pub(crate) fn rows(&self, table: Table) -> Vec<usize> {
        let groups = &self.shared.lock().groups;
        let batches = groups.iter().flat_map(|group| &group.batches);
        batches.filter(|batch| batch.table() == table).map(TableBatch::row_count).collect()
    }

    /// The groups that became durable.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.shared.lock().groups.clone()
    }
}

impl Shared {
    fn publish(&self, group: Group) {
        let mut state = self.lock();
        state.groups.push(group);
        state.is_held = state.hold;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.hold).expect("no panic under the lock");
        state.is_held = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }
}
