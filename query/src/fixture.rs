//! Snapshots made by hand for tests: rows are written out by column name, the rest is null or empty.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Schema, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use meshlake_schema::attribute_filter::{AttributeFilterBuilder, FOOTER_KEY, footer_value};
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_schema::{Kind, Table, TableBatch, UnixNanos, traces};
use meshlake_store::group::Lsn;
use meshlake_store::snapshot::{DataFile, HotBatch, ReadError, Snapshot, TableSnapshot};
use meshlake_store::{Follow, FollowStream, Reader, Status};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// One value of a row.
#[derive(Debug, Clone)]
pub enum Cell {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Attributes(Vec<(String, String)>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<i64> for Cell {
    fn from(int: i64) -> Self {
        Cell::Int(int)
    }
}

impl From<f64> for Cell {
    fn from(float: f64) -> Self {
        Cell::Float(float)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<&[(&str, &str)]> for Cell {
    fn from(entries: &[(&str, &str)]) -> Self {
        Cell::Attributes(
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        )
    }
}

/// A row: values by column name. Columns left out are null, or empty where null is not allowed.
pub type Row = HashMap<&'static str, Cell>;

/// A row that starts at `nanos`, of tenant `default`, with those values.
pub fn row<const N: usize>(nanos: i64, cells: [(&'static str, Cell); N]) -> Row {
    let start = [
        ("tenant", Cell::from("default")),
        ("time", Cell::Int(UnixNanos(nanos).micros())),
        ("time_unix_nano", Cell::Int(nanos)),
        ("resource", Cell::from("{}")),
    ];
    start.into_iter().chain(cells).collect()
}

/// The rows as a batch of `table`.
pub fn batch(table: Table, rows: &[Row]) -> TableBatch {
    let columns = table.columns().iter().map(|column| {
        let cells: Vec<Option<&Cell>> = rows.iter().map(|row| row.get(column.name)).collect();
        array(column.kind, column.nullable, &cells)
    });
    let schema = Arc::clone(table.schema());
    let rows = RecordBatch::try_new(schema, columns.collect()).expect("arrays are of the column's kind");
    TableBatch::try_new(table, rows).expect("the batch was made from the table's columns")
}

fn array(kind: Kind, nullable: bool, cells: &[Option<&Cell>]) -> ArrayRef {
    let ints = || {
        cells.iter().map(|cell| match cell {
            Some(Cell::Int(int)) => Some(*int),
            _ => (!nullable).then_some(0),
        })
    };
    match kind {
        Kind::Text | Kind::Dictionary => {
            let texts = cells.iter().map(|cell| match cell {
                Some(Cell::Text(text)) => Some(text.as_str()),
                _ => (!nullable).then_some(""),
            });
            cast(&StringArray::from_iter(texts), &kind.hot_type()).expect("strings become dictionaries")
        }
        Kind::Int32 => {
            Arc::new(Int32Array::from_iter(ints().map(|int| int.and_then(|int| i32::try_from(int).ok()))))
        }
        Kind::Int64 => Arc::new(Int64Array::from_iter(ints())),
        Kind::Timestamp => Arc::new(TimestampMicrosecondArray::from_iter(ints()).with_timezone("UTC")),
        Kind::Float64 => Arc::new(Float64Array::from_iter(cells.iter().map(|cell| match cell {
            Some(Cell::Float(float)) => Some(*float),
            _ => (!nullable).then_some(0.0),
        }))),
        Kind::Boolean => Arc::new(BooleanArray::from_iter(cells.iter().map(|cell| match cell {
            Some(Cell::Bool(value)) => Some(*value),
            _ => (!nullable).then_some(false),
        }))),
        Kind::Attributes => attributes(cells),
        other => empty_lists(&other.hot_type(), cells.len()),
    }
}

fn attributes(cells: &[Option<&Cell>]) -> ArrayRef {
    let maps: Vec<&[(String, String)]> = cells
        .iter()
        .map(|cell| match cell {
            Some(Cell::Attributes(entries)) => entries.as_slice(),
            _ => &[],
        })
        .collect();
    let DataType::Map(entry, sorted) = Kind::Attributes.hot_type() else { panic!("attributes are a map") };
    let DataType::Struct(fields) = entry.data_type() else { panic!("map entries are structs") };
    let (keys, values): (Vec<_>, Vec<_>) = maps.iter().flat_map(|map| map.iter().cloned()).unzip();
    let (keys, values) = (StringArray::from(keys), StringArray::from(values));
    let entries = StructArray::new(fields.clone(), vec![Arc::new(keys), Arc::new(values)], None);
    let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.len()));
    Arc::new(MapArray::new(entry, offsets, entries, None, sorted))
}

fn empty_lists(list: &DataType, rows: usize) -> ArrayRef {
    let DataType::List(element) = list else { panic!("nested columns are lists") };
    let values = new_empty_array(element.data_type());
    Arc::new(ListArray::new(Arc::clone(element), OffsetBuffer::new_zeroed(rows), values, None))
}

/// Collects files and hot batches into a snapshot.
pub struct SnapshotBuilder {
    tables: [TableSnapshot; Table::ALL.len()],
    store: Arc<InMemory>,
}

impl SnapshotBuilder {
    pub fn new() -> Self {
        SnapshotBuilder { tables: Default::default(), store: Arc::new(InMemory::new()) }
    }

    /// Adds the rows as one buffered batch of the record `lsn`.
    pub fn hot(mut self, table: Table, lsn: Lsn, rows: &[Row]) -> Self {
        let hot = HotBatch { lsn_first: lsn, lsn_last: lsn, batch: batch(table, rows) };
        Arc::make_mut(&mut self.tables[usize::from(table.id())].hot).push(hot);
        self
    }

    /// Rows of `table` in files have LSNs up to here.
    pub fn watermark(mut self, table: Table, lsn: Lsn) -> Self {
        self.tables[usize::from(table.id())].watermark = lsn;
        self
    }

    /// Adds the rows, all of one date, as a Parquet file as other writers would write it: plain types, no
    /// Arrow schema, a bloom filter on `trace_id`, without the columns in `lacking`.
    pub async fn file(self, table: Table, rows: &[Row], lacking: &[&str]) -> Self {
        self.put(&batch(table, rows), lacking).await
    }

    /// Adds the spans, all of one date, as a flush does: with the traces that they make.
    pub async fn traced_file(self, spans: &[Row]) -> Self {
        let spans = batch(Table::Spans, spans);
        let traces = traces::derive(std::slice::from_ref(&spans)).expect("few spans");
        self.put(&traces, &[]).await.put(&spans, &[]).await.in_traces()
    }

    /// Makes the newest file of spans one whose rows are counted in `traces`.
    pub fn in_traces(mut self) -> Self {
        let files = Arc::make_mut(&mut self.tables[usize::from(Table::Spans.id())].files);
        files.last_mut().expect("there is a file").is_in_traces = true;
        self
    }

    /// Adds the spans, all of one date, as a file whose attribute filter is that of `filtered`: of the same
    /// rows as the store would write it, of others to see that it is believed.
    pub async fn filtered_file(self, spans: &[Row], filtered: &[Row]) -> Self {
        let mut filter = AttributeFilterBuilder::default();
        let filtered = batch(Table::Spans, filtered);
        filter.push(filtered.rows().column_by_name("attributes").expect("spans have attributes"));
        self.put_with(&batch(Table::Spans, spans), &[], Some(filter.finish())).await
    }

    /// Adds the rows as a file, as [`SnapshotBuilder::file`] does.
    pub async fn put(self, rows: &TableBatch, lacking: &[&str]) -> Self {
        self.put_with(rows, lacking, None).await
    }

    async fn put_with(mut self, rows: &TableBatch, lacking: &[&str], filter: Option<Vec<u8>>) -> Self {
        let table = rows.table();
        let (fields, columns): (Vec<_>, Vec<_>) = table
            .open_schema()
            .fields()
            .iter()
            .filter(|field| field.name() != DATE_COLUMN && !lacking.contains(&field.name().as_str()))
            .map(|field| {
                let column = rows.rows().column_by_name(field.name()).expect("open columns are hot columns");
                (Arc::clone(field), cast(column, field.data_type()).expect("dictionaries become strings"))
            })
            .unzip();
        let open = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns were cast");
        let bytes = parquet(&open, filter);
        let files = &mut self.tables[usize::from(table.id())].files;
        let path = Path::from(format!("tables/{}/{}.parquet", table.name(), files.len()));
        let times = rows.rows().column_by_name("time").expect("every table has a time");
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let time_min_micros = min(times).expect("a file has rows");
        Arc::make_mut(files).push(DataFile {
            path: path.clone(),
            size_bytes: bytes.len() as u64,
            rows: rows.row_count() as u64,
            date_days: UnixNanos(time_min_micros * 1_000).days(),
            time_min_micros,
            time_max_micros: max(times).expect("a file has rows"),
            is_in_traces: false,
        });
        self.store.put(&path, bytes.into()).await.expect("memory takes every file");
        self
    }

    /// Adds a Parquet file as it is, of any time and one row or more.
    pub async fn kept_file(mut self, table: Table, bytes: Vec<u8>) -> Self {
        let files = &mut self.tables[usize::from(table.id())].files;
        let path = Path::from(format!("tables/{}/{}.parquet", table.name(), files.len()));
        Arc::make_mut(files).push(DataFile {
            path: path.clone(),
            size_bytes: bytes.len() as u64,
            rows: 1,
            date_days: 0,
            time_min_micros: i64::MIN,
            time_max_micros: i64::MAX,
            is_in_traces: false,
        });
        self.store.put(&path, bytes.into()).await.expect("memory takes every file");
        self
    }

    /// Adds a file to the list that does not exist: a query that opens it fails.
    pub fn unreadable_file(mut self, table: Table, nanos: i64) -> Self {
        let micros = UnixNanos(nanos).micros();
        Arc::make_mut(&mut self.tables[usize::from(table.id())].files).push(DataFile {
            path: Path::from("tables/absent.parquet"),
            size_bytes: 1_000,
            rows: 1,
            date_days: UnixNanos(nanos).days(),
            time_min_micros: micros,
            time_max_micros: micros,
            is_in_traces: false,
        });
        self
    }

    pub fn build(self) -> Snapshot {
        let store: Arc<dyn ObjectStore> = self.store;
        Snapshot::new(self.tables, store)
    }

    /// A reader that always sees this snapshot.
    pub fn reader(self) -> Arc<dyn Reader> {
        Arc::new(Fixed(self.build()))
    }
}

fn parquet(rows: &RecordBatch, filter: Option<Vec<u8>>) -> Vec<u8> {
    let properties =
        WriterProperties::builder().set_column_bloom_filter_enabled("trace_id".into(), true).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).expect("plain types");
    writer.write(rows).expect("memory takes every row");
    if let Some(filter) = filter {
        writer.flush().expect("memory takes every row group");
        let place = footer_value(writer.bytes_written() as u64, filter.len() as u64);
        writer.write_all(&filter).expect("memory takes every filter");
        writer.append_key_value_metadata(KeyValue::new(FOOTER_KEY.to_owned(), place));
    }
    writer.into_inner().expect("memory takes every footer")
}

struct Fixed(Snapshot);

#[async_trait]
impl Reader for Fixed {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(self.0.clone())
    }

    async fn follow(&self, _: Follow) -> Result<FollowStream, ReadError> {
        Err(ReadError("a fixed snapshot is not written to".to_owned()))
    }

    async fn status(&self) -> Result<Status, ReadError> {
        Err(ReadError("a fixed snapshot has no collector".to_owned()))
    }
}
