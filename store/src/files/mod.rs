//! A flush's rows become sorted Parquet files, each inside one window of time.
//!
//! ```text
//!   hot batches --window--> rows per window --order--> sorted --gather, parquet--> bytes, one file a window
//! ```
//!
//! A file never crosses a window of 15 minutes nor a date, so that a query over an hour opens four
//! windows' files, compaction merges within a window, and retention drops whole dates. At most
//! [`window::WINDOWS_MAX`] windows a flush get a file of their own; rows of the others share one file per
//! date, tagged mixed. So do the ledger's, once their date is over.
//!
//! Rows are never copied as a whole: a file is written column by column in slices, so beside the rows
//! themselves a flush holds one slice of one column and the compressed file (some 45 bytes a span).
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod ledger;
mod cells;
pub(crate) mod window;
mod order;
pub(crate) mod merge;
mod encode;
mod row_groups;
mod gather;
mod text_maps;
mod dictionary;
mod checksums;
mod hybrid;
mod pages;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use bytes::Bytes;
use meshlake_schema::{DeriveError, Table, TableBatch, UnixNanos, derived};
use object_store::path::Path;
use parquet::errors::ParquetError;
use thiserror::Error;

use crate::catalog::NewFile;
use crate::data_dir::table_path;
use crate::group::Lsn;
use crate::minutes::{MICROS_PER_MINUTE, MinuteLsns};
use crate::snapshot::DataFile;

pub(crate) use cells::cells_of;

/// Rows that came at most so many dates after their own are kept by their own: nobody meant to bring back old ones.
const PROMPT_DAYS_MAX: i32 = 1;

/// A row: which of the flush's batches, and which row of it.
type RowIndex = (u32, u32);

/// Whose rows, of which records; goes into each file's name and metadata.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub collector_id: u128,
    pub lsn_first: Lsn,
    pub lsn_last: Lsn,
}

impl Origin {
    /// The records of both, which are one collector's.
    pub fn joined(self, other: Origin) -> Origin {
        Origin {
            collector_id: self.collector_id,
            lsn_first: self.lsn_first.min(other.lsn_first),
            lsn_last: self.lsn_last.max(other.lsn_last),
        }
    }
}

/// A file in memory, ready to be put.
#[derive(Debug)]
pub(crate) struct EncodedFile {
    pub new: NewFile,
    pub bytes: Bytes,
}

/// Why rows could not be made a file: always a bug of ours, since batches are proven and memory is real.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("sort or gather rows: {0}")]
    Arrow(#[from] ArrowError),
    #[error("derive rows: {0}")]
    Derive(#[from] DeriveError),
    #[error("encode Parquet: {0}")]
    Parquet(#[from] ParquetError),
    #[error("name a file: {0}")]
    Random(#[from] std::io::Error),
    #[error("{0}")]
    Rows(String),
}

/// The files of one flush, in time order, made one at a time: each is encoded when asked for, so that
/// only one is in memory.
pub(crate) struct Files {
    table: Table,
    origin: Origin,
    batches: Vec<TableBatch>,
    pieces: std::vec::IntoIter<window::Piece>,
    minutes: MinuteLsns,
    /// The date on which the last row came, of requests.
    came_days: Option<i32>,
}

impl Files {
    /// Splits the rows of `batches` into files. They are of `table`, or of its source: then its rows are
    /// derived from them first. The ledger's rows are added up first.
    ///
    /// # Errors
    /// [`FileError::Rows`] when the batches have more than 2^32 rows.
    pub fn plan(table: Table, batches: Vec<TableBatch>, origin: Origin) -> Result<Self, FileError> {
        let batches = match derived::of(table) {
            Some(derived) if is_of(derived.source(), &batches) => vec![derived.derive(&batches)?],
            None if table == Table::Ledger => vec![ledger::coalesce(&batches)?],
            _ => batches,
        };
        let pieces = window::split(&batches)?.into_iter();
        let came_days = came_days(table, &batches);
        Ok(Files { table, origin, batches, pieces, minutes: MinuteLsns::default(), came_days })
    }

    /// Tells each file what `minutes`, of all rows, say of its minutes. A file of several windows is told more than it
    /// holds, nothing that other files of the same flush are not told as well.
    pub fn with_minutes(self, minutes: MinuteLsns) -> Self {
        Files { minutes, ..self }
    }

    /// One file of cells, which are of one window of time, and of no rows if there are none; `minutes` says for which
    /// minutes they are all that there is.
    ///
    /// # Errors
    /// As [`Files::plan`].
    pub fn plan_cells(
        table: Table,
        batches: Vec<TableBatch>,
        origin: Origin,
        minutes: MinuteLsns,
    ) -> Result<Self, FileError> {
        let first = minutes.runs().first().map(|run| run.first * MICROS_PER_MINUTE);
        let empty = || first.map(window::empty);
        let pieces: Vec<_> = window::whole(&batches)?.or_else(empty).into_iter().collect();
        Ok(Files { table, origin, batches, pieces: pieces.into_iter(), minutes, came_days: None })
    }

    /// Adds up the ledger's rows of one date into one file, whatever their windows.
    ///
    /// # Errors
    /// As [`Files::plan`].
    pub fn plan_added_up(batches: &[TableBatch], origin: Origin) -> Result<Self, FileError> {
        let batches = vec![ledger::coalesce(batches)?];
        let pieces: Vec<_> = window::whole(&batches)?.into_iter().collect();
        let pieces = pieces.into_iter();
        let (table, minutes) = (Table::Ledger, MinuteLsns::default());
        Ok(Files { table, origin, batches, pieces, minutes, came_days: None })
    }

    /// Encodes the next file; none after the last. What is derived from its rows is taken to be in files when this one
    /// is committed. Takes about a second per million rows: run it where
    /// blocking is allowed.
    pub fn encode_next(&mut self) -> Result<Option<EncodedFile>, FileError> {
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        let rows = order::sort(self.table, &self.batches, piece.rows)?;
        let encoded = encode::encode(self.table, &self.batches, &rows, self.origin)?;
        let minutes = match self.table.cell_seconds() {
            Some(_) => self.minutes.clone(),
            None => self.minutes.within(piece.time_min_micros, piece.time_max_micros).bounded(),
        };
        let file = DataFile {
            path: path(self.table, &piece.place, self.origin)?,
            size_bytes: encoded.bytes.len() as u64,
            rows: rows.len() as u64,
            date_days: piece.place.date_days,
            time_min_micros: piece.time_min_micros,
            time_max_micros: piece.time_max_micros,
            is_derived_from: self.table.derived().next().is_some(),
            came_days: self.came_days.filter(|came| *came > piece.place.date_days + PROMPT_DAYS_MAX),
            minutes,
        };
        let new = NewFile { file, stats: encoded.stats, is_mixed: piece.place.is_mixed() };
        Ok(Some(EncodedFile { new, bytes: encoded.bytes }))
    }
}

/// The date on which the last row of `batches` came, of requests: other rows are kept by their own time.
fn came_days(table: Table, batches: &[TableBatch]) -> Option<i32> {
    if table != Table::Requests {
        return None;
    }
    let times = batches.iter().filter_map(|batch| {
        let times = batch.rows().column_by_name("ingest_time")?;
        arrow::compute::max(times.as_primitive_opt::<TimestampMicrosecondType>()?)
    });
    times.max().map(|micros| UnixNanos::from_micros(micros).days())
}

fn is_of(table: Table, batches: &[TableBatch]) -> bool {
    batches.first().is_some_and(|batch| batch.table() == table)
}

/// `tables/<table>/date=YYYY-MM-DD/<window start HHMM or mixed>-<first LSN>-<last LSN>-<random>.parquet`.
///
/// The random part is new at every attempt: a file that a commit of unknown outcome may name is never
/// written again.
pub(crate) fn path(table: Table, place: &window::Place, origin: Origin) -> Result<Path, FileError> {
    let date = place.date_text().ok_or_else(|| FileError::Rows(format!("no date for {place:?}")))?;
    let random = crate::data_dir::random_bits()? as u64;
    let (window, first, last) = (place.window_text(), origin.lsn_first, origin.lsn_last);
    let name = format!("{window}-{first}-{last}-{random:016x}.parquet");
    Ok(table_path(table).join(format!("date={date}")).join(name))
}

#[cfg(test)]
mod bit_flips;

#[cfg(test)]
pub(crate) mod tests {
    use arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray};
    use arrow::compute::{cast, concat_batches};
    use arrow::datatypes::{DataType, TimestampMicrosecondType};
    use arrow::row::{RowConverter, SortField};
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::test_rows::{MIDNIGHT, ledger_rows, rows, span_rows};

    const MINUTE: i64 = 60_000_000;

    fn origin() -> Origin {
        Origin { collector_id: 0xab, lsn_first: 3, lsn_last: 9 }
    }

    pub(crate) fn encode(table: Table, batches: Vec<TableBatch>) -> Vec<EncodedFile> {
        let mut files = Files::plan(table, batches, origin()).expect("rows can be planned");
        std::iter::from_fn(|| files.encode_next().expect("rows can be encoded")).collect()
    }

    pub(crate) fn decode(file: &Bytes) -> RecordBatch {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).expect("a Parquet file");
        let reader = reader.build().expect("readable");
        let batches: Vec<_> = reader.map(|batch| batch.expect("readable")).collect();
        concat_batches(&batches[0].schema(), &batches).expect("one schema")
    }

    /// Every row as bytes that compare equal exactly when the rows are equal; dictionaries, lists and maps as plain
    /// text.
    pub(crate) fn row_bytes(rows: &RecordBatch) -> Vec<Vec<u8>> {
        let columns: Vec<_> = rows
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Dictionary(_, values) => cast(column, values).expect("dictionary to text"),
                // RowConverter has no maps, also not in lists: their text says as much.
                DataType::Map(_, _) | DataType::List(_) => {
                    let options = FormatOptions::new().with_null("null");
                    let texts =
                        ArrayFormatter::try_new(column, &options).expect("a column that can be shown");
                    let texts = (0..rows.num_rows()).map(|row| texts.value(row).to_string());
                    std::sync::Arc::new(texts.map(Some).collect::<StringArray>())
                }
                _ => column.clone(),
            })
            .collect();
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let converter = RowConverter::new(fields).expect("sortable columns");
        let rows = converter.convert_columns(&columns).expect("same columns");
        let mut rows: Vec<_> = rows.iter().map(|row| row.as_ref().to_vec()).collect();
        rows.sort();
        rows
    }

    #[test]
    fn every_table_reads_back_as_the_same_rows() {
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Ledger) {
            let times: Vec<i64> = (0..50).map(|i| MIDNIGHT + (i * 7 % 50) * 1_000).collect();
            let batches = vec![rows(table, &times[..20]), rows(table, &times[20..])];
            let want: Vec<_> = batches.iter().flat_map(|b| row_bytes(b.rows())).collect();
            let mut want = want;
            want.sort();
            let files = encode(table, batches);
            assert_eq!(files.len(), 1, "{}", table.name());
            assert_eq!(row_bytes(&decode(&files[0].bytes)), want, "{}", table.name());
            assert_eq!(files[0].new.file.rows, 50);
        }
    }

    #[test]
    fn rows_lie_in_the_order_of_the_sort_key() {
        let batches =
            vec![span_rows(&[MIDNIGHT + 5, MIDNIGHT + 1, MIDNIGHT + 3]), span_rows(&[MIDNIGHT + 2; 9])];
        let read = decode(&encode(Table::Spans, batches)[0].bytes);
        let key = |row: usize| {
            let text = |name: &str| {
                let column = read.column_by_name(name).expect("a column").as_string::<i32>().clone();
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            let time = read.column_by_name("time").expect("a column");
            (text("service_name"), text("name"), time.as_primitive::<TimestampMicrosecondType>().value(row))
        };
        let keys: Vec<_> = (0..read.num_rows()).map(key).collect();
        assert!(keys.is_sorted(), "nulls first: {keys:?}");
    }

    #[test]
    fn files_split_at_the_window_and_the_date() {
        let last = MIDNIGHT - 1;
        let times = [last, MIDNIGHT, MIDNIGHT + 15 * MINUTE - 1, MIDNIGHT + 15 * MINUTE];
        let files = encode(Table::Spans, vec![span_rows(&times)]);
        let paths: Vec<_> = files
            .iter()
            .map(|file| {
                let path = file.new.file.path.to_string();
                path[..path.rfind('-').expect("a random part")].to_owned()
            })
            .collect();
        assert_eq!(
            paths,
            [
                "tables/spans/date=2026-11-22/2345-3-9",
                "tables/spans/date=2026-11-23/0000-3-9",
                "tables/spans/date=2026-11-23/0015-3-9",
            ]
        );
        let bounds = |file: &EncodedFile| (file.new.file.time_min_micros, file.new.file.time_max_micros);
        assert_eq!(bounds(&files[1]), (times[1], times[2]));
        assert_eq!(files[0].new.file.date_days, 20_779);
    }

    #[test]
    fn other_readers_see_plain_types() {
        use parquet::basic::{LogicalType, TimeUnit};
        let files = encode(Table::Spans, vec![span_rows(&[MIDNIGHT])]);
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(files[0].bytes.clone()).expect("a Parquet file");
        let metadata = reader.metadata().file_metadata();
        let key_values = metadata.key_value_metadata().expect("key-value metadata");
        let value = |key: &str| {
            let pair = key_values.iter().find(|pair| pair.key == key);
            pair.and_then(|pair| pair.value.clone())
        };
        assert_eq!(value("ARROW:schema"), None);
        assert_eq!(value("meshlake.lsn_first").as_deref(), Some("3"));
        assert_eq!(value("meshlake.lsn_last").as_deref(), Some("9"));
        assert_eq!(value("meshlake.collector").as_deref(), Some("000000000000000000000000000000ab"));
        let root = metadata.schema();
        let logical = |name: &str| {
            let field = root.get_fields().iter().find(|field| field.name() == name).expect("a field");
            field.get_basic_info().logical_type_ref().cloned()
        };
        assert_eq!(logical("service_name"), Some(LogicalType::String));
        assert_eq!(logical("attributes"), Some(LogicalType::Map));
        assert_eq!(logical("time"), Some(LogicalType::timestamp(true, TimeUnit::MICROS)));
    }

    #[test]
    fn ids_have_bloom_filters_and_sorting_columns_are_named() {
        let files = encode(Table::Spans, vec![span_rows(&[MIDNIGHT])]);
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(files[0].bytes.clone()).expect("a Parquet file");
        let group = reader.metadata().row_group(0);
        let with_filter: Vec<_> = group
            .columns()
            .iter()
            .filter(|column| column.bloom_filter_offset().is_some())
            .map(|column| column.column_path().string())
            .collect();
        assert_eq!(with_filter, ["trace_id"]);
        let sorting = group.sorting_columns().expect("sorting columns");
        let names: Vec<_> = sorting
            .iter()
            .map(|column| group.column(column.column_idx as usize).column_path().string())
            .collect();
        assert_eq!(names, ["service_name", "name", "time"]);
    }

    #[test]
    fn statistics_bound_the_sort_key_and_count_rows() {
        let files = encode(Table::Spans, vec![span_rows(&[MIDNIGHT + 1, MIDNIGHT + 2, MIDNIGHT + 3])]);
        let stats: serde_json::Value = serde_json::from_str(&files[0].new.stats).expect("JSON");
        assert_eq!(stats["numRecords"], 3);
        assert_eq!(stats["minValues"]["time"], "2026-11-23T00:00:00.000001Z");
        assert_eq!(stats["maxValues"]["time"], "2026-11-23T00:00:00.000003Z");
        // Rows 0..3 are null, service_name-1, service_name-2.
        assert_eq!(stats["minValues"]["service_name"], "service_name-1");
        assert_eq!(stats["maxValues"]["service_name"], "service_name-2");
        assert_eq!(stats["nullCount"]["service_name"], 1);
    }

    /// Two spans in a window have two ids by construction; the window after has one.
    #[test]
    fn traces_are_derived_from_spans_and_split_by_window() {
        let spans = [MIDNIGHT + 2, MIDNIGHT + 1, MIDNIGHT + 15 * MINUTE];
        let files = encode(Table::Traces, vec![span_rows(&spans[..2]), span_rows(&spans[1..])]);
        let rows: Vec<_> = files
            .iter()
            .map(|file| {
                let read = decode(&file.bytes);
                let ids = read.column_by_name("trace_id").expect("a column").as_string::<i32>();
                let ids: Vec<String> = ids.iter().flatten().map(str::to_owned).collect();
                let counts = read.column_by_name("span_count").expect("a column");
                let counts = counts.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
                (file.new.file.time_min_micros, ids, counts)
            })
            .collect();
        let [first, second] = ["trace_id-0".to_owned(), "trace_id-1".to_owned()];
        // trace_id-0 is at +2 and +1; trace_id-1 at +1 and, alone, a window later.
        let want = [
            (MIDNIGHT + 1, vec![first, second.clone()], vec![2, 1]),
            (MIDNIGHT + 15 * MINUTE, vec![second], vec![1]),
        ];
        assert_eq!(rows, want);
    }

    #[test]
    fn ledger_rows_of_one_window_are_added_up() {
        let batches = vec![
            ledger_rows(&[(MIDNIGHT + 2, 5), (MIDNIGHT + 1, 7)]),
            ledger_rows(&[(MIDNIGHT + 3, -2), (MIDNIGHT + 15 * MINUTE, 1)]),
        ];
        let files = encode(Table::Ledger, batches);
        let rows: Vec<_> = files
            .iter()
            .map(|file| {
                let read = decode(&file.bytes);
                let records = read.column_by_name("records").expect("a column");
                let records = records.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
                (file.new.file.time_min_micros, records)
            })
            .collect();
        // 5 + 7 - 2, at the earliest of the three times.
        assert_eq!(rows, [(MIDNIGHT + 1, vec![10]), (MIDNIGHT + 15 * MINUTE, vec![1])]);
    }
}
