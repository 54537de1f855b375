//! Merges sorted files of one table into one sorted file, a slice of rows at a time.
//!
//! ```text
//!   file --batches--> keys --+
//!   file --batches--> keys --+--> runs of rows, in order --gather--> slice --> Parquet --> parts
//!   file --batches--> keys --+
//! ```
//! The inputs are sorted by the table's sort key, so the smallest next row is at the head of one of them,
//! and mostly a run of rows follows it: files of successive flushes hold the same services at later times.
//! Runs are copied, not rows. Sorting all rows anew would need them in memory at once. Rows of `traces` that
//! are parts of one trace become one on the way.
//!
//! Limits: holds one batch of each input, one slice, and the compressed pages of one row group: with 16
//! inputs some 100 to 200 MB of spans.

mod parts;
mod sorted;
mod input;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use meshlake_schema::attribute_filter::AttributeFilterBuilder;
use meshlake_schema::{Table, TableBatch, derived};
use parquet::arrow::ArrowSchemaConverter;

use super::row_groups::{GroupMax, RowGroups};
use super::{FileError, Origin, encode};
use parts::Parts;
use sorted::SortedRows;

pub(crate) use input::InputBytes;

/// Bytes of the file under way that are handed out at once.
const PART_BYTES: usize = 8 << 20;

/// Memory of the row group under way, which is once more in memory when it ends. A million rows of 25 bytes, as sparse
/// spans have, take less; of 70 bytes they take 111 MiB, and at this bound the file is 1.6 % larger (at 64 MiB 5 %).
const GROUP_BYTES_MAX: usize = 96 << 20;

/// A merge under way.
pub(crate) struct Merge {
    table: Table,
    rows: SortedRows,
    writer: RowGroups,
    /// Of tables that have attributes.
    filter: Option<AttributeFilterBuilder>,
    rows_done: u64,
    /// Of a derived table only: the other tables' rows stay as they are.
    parts: Option<Parts>,
}

/// All rows of `sources` in the columns of today, and the records that they came in; for tables of few rows.
///
/// # Errors
/// As [`Merge::open`].
pub(crate) fn read_rows(
    table: Table,
    sources: Vec<InputBytes>,
) -> Result<(Vec<TableBatch>, Origin), FileError> {
    let mut rows = SortedRows::open(table, sources)?;
    let mut batches = Vec::new();
    while let Some(slice) = rows.next_slice()? {
        batches.push(table_batch(table, &slice)?);
    }
    Ok((batches, rows.origin()))
}

/// A slice in the columns that the table has in memory.
fn table_batch(table: Table, slice: &RecordBatch) -> Result<TableBatch, FileError> {
    let rows = cast_to(table.schema(), slice)?;
    TableBatch::try_new(table, rows).map_err(|error| FileError::Rows(error.to_string()))
}

fn cast_to(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, FileError> {
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)?)
}

/// What a merge hands out.
#[derive(Debug)]
pub(crate) enum Step {
    /// The next bytes of the file; may be none, so that a caller can stop between slices.
    Part(Bytes),
    /// The last bytes of the file.
    End(Bytes, Merged),
}

/// The file that a merge made.
#[derive(Debug)]
pub(crate) struct Merged {
    pub rows: u64,
    /// The latest `time`, where it may be earlier than the inputs' latest.
    pub time_max_micros: Option<i64>,
    /// Delta statistics as JSON.
    pub stats: String,
}

impl Merge {
    /// Opens `sources`, files of `table`.
    ///
    /// # Errors
    /// [`FileError::Rows`] for a file that is not sorted by the table's key, is another collector's, or has
    /// columns that this version does not know: to be left alone.
    pub fn open(table: Table, sources: Vec<InputBytes>) -> Result<Self, FileError> {
        let rows = SortedRows::open(table, sources)?;
        let parquet_schema = ArrowSchemaConverter::new().convert(rows.schema())?;
        let properties = encode::properties(table, &parquet_schema, rows.origin())?;
        let max = GroupMax { rows: encode::ROW_GROUP_ROWS_MAX, bytes: GROUP_BYTES_MAX };
        let writer = RowGroups::new(rows.schema(), &parquet_schema, properties, max)?;
        let filter = encode::has_attributes(table).then(AttributeFilterBuilder::default);
        let parts = derived::of(table).map(Parts::of);
        Ok(Merge { table, rows, writer, filter, rows_done: 0, parts })
    }

    /// The records of all inputs.
    pub fn origin(&self) -> Origin {
        self.rows.origin()
    }

    pub fn rows_done(&self) -> u64 {
        self.rows_done
    }

    /// Merges some more rows. Takes some 50 ms; run it where blocking is allowed. Not to be called again
    /// after [`Step::End`].
    pub fn step(&mut self) -> Result<Step, FileError> {
        let Some(slice) = self.rows.next_slice()? else { return self.end() };
        self.rows_done += slice.num_rows() as u64;
        if let (Some(filter), Some(column)) =
            (&mut self.filter, slice.column_by_name(encode::ATTRIBUTES_COLUMN))
        {
            filter.push(column);
        }
        match &mut self.parts {
            None => self.writer.write(&slice)?,
            Some(parts) => {
                let complete = parts.push(table_batch(self.table, &slice)?)?;
                self.writer.write(&cast_to(self.rows.schema(), complete.rows())?)?;
            }
        }
        let is_due = self.writer.ready_bytes() >= PART_BYTES;
        let part = if is_due { self.writer.take_ready() } else { Vec::new() };
        Ok(Step::Part(Bytes::from(part)))
    }

    fn end(&mut self) -> Result<Step, FileError> {
        if let Some(held) = self.parts.as_mut().map(Parts::end).transpose()?.flatten() {
            self.writer.write(&cast_to(self.rows.schema(), held.rows())?)?;
        }
        if let Some(filter) = self.filter.take() {
            let filter = filter.finish();
            self.writer.append(&filter, |offset| encode::filter_place(offset, &filter))?;
        }
        let metadata = self.writer.finish()?;
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        if self.parts.is_none() && rows != self.rows.rows_total() {
            return Err(FileError::Rows(format!("merged {} rows into {rows}", self.rows.rows_total())));
        }
        let stats = encode::statistics(self.table, &metadata).to_string();
        let bytes = Bytes::from(self.writer.take_ready());
        let time_max_micros = self.parts.as_ref().and_then(Parts::time_max_micros);
        Ok(Step::End(bytes, Merged { rows, stats, time_max_micros }))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use meshlake_schema::attribute_filter::{self, AttributeFilter};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::arrow::arrow_writer::ArrowWriterOptions;

    use super::input::Keys;
    use super::*;
    use crate::files::tests::{decode, encode, row_bytes};
    use crate::test_rows::{MIDNIGHT, rows, span_rows};

    fn source(table: Table, times: &[i64]) -> InputBytes {
        let files = encode(table, vec![rows(table, times)]);
        assert_eq!(files.len(), 1, "the times are of one window");
        InputBytes::Bytes(files[0].bytes.clone())
    }

    fn merge(table: Table, sources: Vec<InputBytes>) -> (RecordBatch, Merged, Origin) {
        let mut merge = Merge::open(table, sources).expect("files of ours");
        let origin = merge.origin();
        let mut file = Vec::new();
        loop {
            match merge.step().expect("rows merge") {
                Step::Part(part) => file.extend_from_slice(&part),
                Step::End(part, merged) => {
                    file.extend_from_slice(&part);
                    return (decode(&Bytes::from(file)), merged, origin);
                }
            }
        }
    }

    fn times(rows: &RecordBatch) -> Vec<i64> {
        let times = rows.column_by_name("time").expect("a column");
        times.as_primitive::<TimestampMicrosecondType>().values().to_vec()
    }

    #[test]
    fn every_table_merges_into_the_same_rows_in_order() {
        for table in Table::ALL {
            // Three files whose rows interleave, of more than one batch and slice together.
            let files = [0, 1, 2].map(|n| (0..7_000).map(|i| MIDNIGHT + i * 3 + n).collect::<Vec<i64>>());
            let sources = files.iter().map(|times| source(table, times)).collect();
            let (merged, made, origin) = merge(table, sources);
            let inputs = files.iter().flat_map(|times| row_bytes(rows(table, times).rows()));
            let mut want: Vec<_> = inputs.collect();
            want.sort();
            if table != Table::Ledger && table.source().is_none() {
                assert!(row_bytes(&merged) == want, "{} has other rows", table.name());
                assert_eq!(made.rows, 21_000);
            }
            assert_eq!((origin.lsn_first, origin.lsn_last), (3, 9));
            let keys = Keys::new(table, merged.schema_ref()).expect("key columns").of(&merged).expect("keys");
            assert!(keys.iter().is_sorted(), "{} is not sorted", table.name());
        }
    }

    /// Three files with a part of each of 20,000 traces: more than a slice, so that slices end among the parts
    /// of a trace. Every part of test rows counts as many spans as the number of its row.
    #[test]
    fn parts_of_a_trace_become_one_row() {
        const TRACES: i64 = 20_000;
        let files = [2, 0, 1].map(|n| source(Table::Traces, &vec![MIDNIGHT + n; TRACES as usize]));
        let (merged, made, _) = merge(Table::Traces, files.into());
        assert_eq!((made.rows, made.time_max_micros), (TRACES as u64, Some(MIDNIGHT)));
        assert_eq!(times(&merged), vec![MIDNIGHT; TRACES as usize]);
        let counts = merged.column_by_name("span_count").expect("a column");
        let counts = counts.as_primitive::<arrow::datatypes::Int64Type>();
        let ids = merged.column_by_name("trace_id").expect("a column").as_string::<i32>();
        for (id, count) in ids.iter().zip(counts) {
            let (id, count) = (id.expect("an id"), count.expect("a count"));
            assert_eq!(id, format!("trace_id-{}", count / 3), "three parts count {count}");
        }
        // What was merged is merged again, with a row of a window of its own beside it.
        let again = [source(Table::Traces, &[MIDNIGHT]), source(Table::Traces, &[MIDNIGHT + 900_000_000])];
        assert_eq!(merge(Table::Traces, again.into()).1.rows, 2);
    }

    /// The same of series, of which a whole file may have one name: what is held back is a series' rows, not a name's.
    #[test]
    fn parts_of_a_series_become_one_row() {
        const SERIES: i64 = 20_000;
        let table = Table::MetricPointsSeries;
        let files = [2, 0, 1].map(|n| source(table, &vec![MIDNIGHT + n; SERIES as usize]));
        let (merged, made, _) = merge(table, files.into());
        assert_eq!((made.rows, made.time_max_micros), (SERIES as u64, Some(MIDNIGHT)));
        let column = |name: &str| merged.column_by_name(name).expect("a column").clone();
        let (ids, counts) = (column("series_id"), column("point_count"));
        let (ids, counts) = (ids.as_primitive::<Int64Type>(), counts.as_primitive::<Int64Type>());
        assert!(ids.values().iter().zip(counts.values()).all(|(id, count)| *count == 3 * id));
    }

    /// The attribute filter that the footer of `file` points to.
    fn filter_of(file: &Bytes) -> Option<AttributeFilter> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).expect("a Parquet file");
        let pairs = reader.metadata().file_metadata().key_value_metadata().expect("footer keys");
        let pair = pairs.iter().find(|pair| pair.key == attribute_filter::FOOTER_KEY)?;
        let place = attribute_filter::parse_footer_value(pair.value.as_deref()?);
        let (offset, length) = place.expect("a place");
        let bytes = file.slice(offset as usize..(offset + length) as usize);
        Some(AttributeFilter::parse(&bytes).expect("whole bytes"))
    }

    /// Test rows have `key` = `value-<row of the file>`: after the merge of files of 7,000 and 3,000 rows,
    /// 7,000 of them.
    #[test]
    fn flushed_and_merged_files_carry_attribute_filters() {
        for table in [Table::Spans, Table::Logs, Table::Requests, Table::MetricPoints] {
            let times: Vec<i64> = (0..7_000).map(|i| MIDNIGHT + i).collect();
            let flushed = encode(table, vec![rows(table, &times)])[0].bytes.clone();
            let sources = vec![InputBytes::Bytes(flushed.clone()), source(table, &times[..3_000])];
            let mut merge = Merge::open(table, sources).expect("files of ours");
            let mut merged = Vec::new();
            loop {
                match merge.step().expect("rows merge") {
                    Step::Part(part) => merged.extend_from_slice(&part),
                    Step::End(part, _) => break merged.extend_from_slice(&part),
                }
            }
            for file in [flushed, Bytes::from(merged)] {
                let filter = filter_of(&file).expect("a filter");
                assert_eq!(filter.run_count(), 1, "{}", table.name());
                let may_hold = |value: &str| filter.may_hold(0, attribute_filter::entry_hash("key", value));
                let held = (0..7_000).filter(|i| may_hold(&format!("value-{i}"))).count();
                let false_positives = (0..7_000).filter(|i| may_hold(&format!("absent-{i}"))).count();
                assert_eq!(held, 7_000, "{}", table.name());
                assert!(false_positives < 140, "{}: {false_positives}", table.name());
            }
        }
        assert_eq!(filter_of(&encode(Table::Traces, vec![span_rows(&[MIDNIGHT])])[0].bytes), None);
    }

    #[test]
    fn one_file_after_another_is_merged_in_long_runs() {
        let (first, second) = (vec![MIDNIGHT; 9], vec![MIDNIGHT + 1; 9]);
        let sources = vec![source(Table::Spans, &first), source(Table::Spans, &second)];
        let (merged, made, _) = merge(Table::Spans, sources);
        assert_eq!(made.rows, 18);
        assert_eq!(times(&merged).iter().filter(|time| **time == MIDNIGHT).count(), 9);
        let stats: serde_json::Value = serde_json::from_str(&made.stats).expect("JSON");
        assert_eq!(stats["numRecords"], 18);
        assert_eq!(stats["maxValues"]["time"], "2026-11-23T00:00:00.000001Z");
    }

    /// A file as it was before its table had the column `name`.
    fn older_file(name: &str, times: &[i64]) -> InputBytes {
        let newer = decode(&encode(Table::Spans, vec![span_rows(times)])[0].bytes);
        let kept: Vec<usize> =
            (0..newer.num_columns()).filter(|i| newer.schema().field(*i).name() != name).collect();
        let older = newer.project(&kept).expect("columns exist");
        let schema = ArrowSchemaConverter::new().convert(&older.schema()).expect("plain types");
        let origin = Origin { collector_id: 0xab, lsn_first: 1, lsn_last: 2 };
        let options = ArrowWriterOptions::new()
            .with_properties(encode::properties(Table::Spans, &schema, origin).expect("sort columns"))
            .with_skip_arrow_metadata(true);
        let mut writer =
            ArrowWriter::try_new_with_options(Vec::new(), older.schema(), options).expect("a writer");
        writer.write(&older).expect("rows");
        InputBytes::Bytes(Bytes::from(writer.into_inner().expect("a file")))
    }

    #[test]
    fn a_column_that_an_older_file_lacks_is_null_there() {
        for name in ["http_route", "trace_id"] {
            let sources = vec![older_file(name, &[MIDNIGHT; 3]), source(Table::Spans, &[MIDNIGHT + 1; 3])];
            let (merged, _, origin) = merge(Table::Spans, sources);
            assert_eq!((origin.lsn_first, origin.lsn_last), (1, 9));
            let column = merged.column_by_name(name).expect("today's column");
            for (row, time) in times(&merged).into_iter().enumerate().filter(|(_, time)| *time == MIDNIGHT) {
                assert!(column.is_null(row), "{name} at {time}");
            }
            // Test rows have every third value of an optional column null.
            let nulls = if name == "trace_id" { 3 } else { 4 };
            assert_eq!(column.null_count(), nulls, "{name}");
        }
    }

    #[test]
    fn files_of_others_are_refused() {
        let refused = |sources| Merge::open(Table::Spans, sources).err().expect("refused").to_string();
        let unsorted = decode(&encode(Table::Spans, vec![span_rows(&[MIDNIGHT])])[0].bytes);
        let mut writer = ArrowWriter::try_new(Vec::new(), unsorted.schema(), None).expect("a writer");
        writer.write(&unsorted).expect("rows");
        let unsorted = InputBytes::Bytes(Bytes::from(writer.into_inner().expect("a file")));
        assert!(refused(vec![unsorted]).contains("not sorted by the table's key"));

        let newer = source(Table::Logs, &[MIDNIGHT]);
        assert!(refused(vec![newer]).contains("is not known to this version"));
        assert!(refused(vec![InputBytes::Bytes(Bytes::from_static(b"PAR1"))]).contains("Parquet"));
    }

    #[test]
    fn what_was_merged_is_merged_again() {
        let sources = vec![source(Table::Logs, &[MIDNIGHT]), source(Table::Logs, &[MIDNIGHT + 1])];
        let mut first = Merge::open(Table::Logs, sources).expect("files of ours");
        let mut bytes = Vec::new();
        loop {
            match first.step().expect("rows merge") {
                Step::Part(part) => bytes.extend_from_slice(&part),
                Step::End(part, _) => break bytes.extend_from_slice(&part),
            }
        }
        let sources = vec![InputBytes::Bytes(Bytes::from(bytes)), source(Table::Logs, &[MIDNIGHT + 2])];
        let (merged, _, _) = merge(Table::Logs, sources);
        assert_eq!(times(&merged), [MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + 2]);
    }
}
