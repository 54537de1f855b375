//! A collector that holds what a test gives it, and rows with every type that a column can have.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use meshlake_schema::{PerTable, Table, TableBatch, UnixNanos};
use meshlake_store::snapshot::{HotBatch, TableSnapshot};
use meshlake_store::{
    DataFile, Exports, FlushStats, Follow, FollowStream, Followed, InFlight, IntakeStatus, MinuteLsns,
    QueryStatus, ReadError, Reader, Run, Sender, SettleStats, Snapshot, SpaceStats, Status, StoreStats,
    TableStats, WriterStats,
};
use object_store::memory::InMemory;
use object_store::path::Path;

pub const MINUTE_MICROS: i64 = 60_000_000;

/// Clones are one.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tables: PerTable<TableSnapshot>,
    steps: Vec<Followed>,
}

impl Collector {
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.state().tables.clone(), Arc::new(InMemory::new()))
    }

    pub fn publish(&self, lsn: u64, batch: TableBatch) {
        let mut state = self.state();
        let hot = Arc::make_mut(&mut state.tables[batch.table()].hot);
        hot.push(HotBatch::of(lsn, batch));
    }

    pub fn set_files(&self, table: Table, files: Vec<DataFile>) {
        self.state().tables[table].files = Arc::new(files);
    }

    pub fn set_watermark(&self, table: Table, watermark: u64, kept_from_days: i32) {
        let table = &mut self.state().tables[table];
        (table.watermark, table.kept_from_days) = (watermark, kept_from_days);
    }

    pub fn follow_with(&self, steps: Vec<Followed>) {
        self.state().steps = steps;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }
}

#[async_trait]
impl Reader for Collector {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(Collector::snapshot(self))
    }

    async fn follow(&self, _: Follow) -> Result<FollowStream, ReadError> {
        Ok(stream::iter(self.state().steps.clone()).map(Ok).boxed())
    }

    /// Each number another, some of them larger than a double can say exactly.
    async fn status(&self) -> Result<Status, ReadError> {
        let mut wal =
            WriterStats { groups: u64::MAX, at_disk: Duration::from_nanos(3), ..WriterStats::default() };
        wal.fdatasync.record(1_234_567, 2);
        let space = SpaceStats {
            free_bytes: u64::MAX - 1,
            free_bytes_min: 1,
            free_bytes_resume: 2,
            has_room: true,
            reserve_bytes: 3,
            times_full: 4,
        };
        let table = |table| TableStats {
            table,
            buffered_rows: 5,
            watermark: 6,
            files: 7,
            file_bytes: 8,
            file_rows: 9,
            oldest: Some(UnixNanos(i64::MIN)),
            kept_for: Some(Duration::from_secs(7)),
        };
        let store = StoreStats {
            buffer_bytes: 10,
            buffer_bytes_max: 11,
            wal,
            flush: FlushStats { commits: 12, ..FlushStats::default() },
            space,
            settle: SettleStats { behind: Duration::from_millis(1_500), ..SettleStats::default() },
            tables: Table::ALL.map(table).to_vec(),
        };
        let text = |text: &str| text.to_owned();
        let intake = IntakeStatus {
            in_flight: vec![InFlight {
                tenant: text("t"),
                signal: text("logs"),
                source: text("s"),
                records: 13,
            }],
            exports: vec![Exports {
                receiver: text("r"),
                signal: text("logs"),
                status: text("ok"),
                count: 14,
            }],
            senders: vec![Sender {
                peer: "fe80::1".to_owned(),
                tenant: text("t"),
                signal: text("traces"),
                source: text("s"),
                agent: text("\"a\" ü"),
                exports: 15,
                refused: 16,
                last: UnixNanos(i64::MAX),
            }],
            configuration: text("[a]\nb = \"c\"\n"),
            query: Some(QueryStatus { pid: Some(17), is_serving: true, ..QueryStatus::default() }),
        };
        Ok(Status { store, intake: Some(intake) })
    }
}

/// A file with rows of minutes 0 to 2, of which the last came in record `lsn`.
pub fn file(path: &str, lsn: u64) -> DataFile {
    DataFile {
        path: Path::from(path),
        size_bytes: 1 << 60,
        rows: 3,
        date_days: -1,
        time_min_micros: i64::MIN,
        time_max_micros: 2 * MINUTE_MICROS,
        is_derived_from: true,
        came_days: Some(1),
        minutes: [Run { first: 0, last: 1, lsn: 1 }, Run { first: 2, last: 2, lsn }]
            .into_iter()
            .collect::<MinuteLsns>(),
    }
}

/// `count` rows of `table`, the i-th of tenant-(i % 2); whatever may be null is so in every third.
pub fn rows(table: Table, count: usize) -> TableBatch {
    let columns = table.schema().fields().iter().map(|field| match field.name().as_str() {
        "tenant" => {
            let tenants = (0..count).map(|i| if i % 2 == 0 { "tenant-0" } else { "tenant-1" });
            Arc::new(tenants.collect::<DictionaryArray<Int32Type>>()) as ArrayRef
        }
        "event" => Arc::new(std::iter::repeat_n("accepted", count).collect::<DictionaryArray<Int32Type>>()),
        _ => array(field, count),
    });
    let rows =
        RecordBatch::try_new(Arc::clone(table.schema()), columns.collect()).expect("arrays of the fields");
    TableBatch::try_new(table, rows).expect("columns of the table")
}

/// One span of tenant-0 with a trace id of so many bytes.
pub fn spans_of_text(bytes: usize) -> TableBatch {
    let one = rows(Table::Spans, 1);
    let schema = one.rows().schema();
    let (place, field) = schema.fields().find("trace_id").expect("a column of spans");
    assert_eq!(field.data_type(), &DataType::Utf8);
    let mut columns = one.rows().columns().to_vec();
    columns[place] = Arc::new(StringArray::from(vec!["x".repeat(bytes)]));
    let rows = RecordBatch::try_new(schema, columns).expect("arrays of the fields");
    TableBatch::try_new(Table::Spans, rows).expect("columns of the table")
}

fn array(field: &Field, count: usize) -> ArrayRef {
    let is_null = |i: usize| field.is_nullable() && i.is_multiple_of(3);
    let ints = || (0..count).map(|i| (!is_null(i)).then_some(i as i64));
    let texts = || (0..count).map(|i| (!is_null(i)).then(|| format!("{}-{}", field.name(), i % 5)));
    let nulls = || field.is_nullable().then(|| (0..count).map(|i| !is_null(i)).collect::<NullBuffer>());
    // Two elements in every row but those that are null.
    let offsets = || OffsetBuffer::<i32>::from_lengths((0..count).map(|i| if is_null(i) { 0 } else { 2 }));
    let elements = || offsets().last().map_or(0, |last| *last as usize);
    match field.data_type() {
        DataType::Utf8 => Arc::new(texts().collect::<StringArray>()),
        DataType::Dictionary(_, _) => {
            let texts: Vec<_> = texts().collect();
            Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
        }
        DataType::Int32 => Arc::new(ints().map(|int| int.map(|int| int as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(ints().collect::<Int64Array>()),
        DataType::UInt64 => Arc::new(ints().map(|int| int.map(|int| int as u64)).collect::<UInt64Array>()),
        DataType::Float64 => {
            Arc::new(ints().map(|int| int.map(|int| int as f64 / 3.0)).collect::<Float64Array>())
        }
        DataType::Boolean => {
            Arc::new(ints().map(|int| int.map(|int| int % 2 == 0)).collect::<BooleanArray>())
        }
        DataType::Timestamp(_, _) => {
            let times = ints().map(|int| int.map(|int| int * MINUTE_MICROS / 4));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| array(field, count)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls()))
        }
        DataType::List(element) => {
            let elements = array(element, elements());
            Arc::new(ListArray::new(Arc::clone(element), offsets(), elements, nulls()))
        }
        DataType::Map(entry, is_sorted) => {
            let DataType::Struct(fields) = entry.data_type() else { panic!("{entry} is a key and a value") };
            let columns = fields.iter().map(|field| array(field, elements())).collect();
            let entries = StructArray::new(fields.clone(), columns, None);
            Arc::new(MapArray::new(Arc::clone(entry), offsets(), entries, nulls(), *is_sorted))
        }
        other => panic!("no column of {other} is known to this test"),
    }
}
