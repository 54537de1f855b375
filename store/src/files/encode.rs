//! Encodes sorted rows as one Parquet file, column by column.
//!
//! The properties were measured on spans (bytes a span, zstd): ids and exact times without a dictionary,
//! 8 MiB of dictionary for `trace_id` (with the default 1 MiB it overflows and costs 14 bytes a span
//! instead of 4) and addresses (3.3 instead of 4.5), times delta-packed but for `ingest_time`, which all rows of
//! a request share (1.3 with a dictionary, 2.4 without), text without a dictionary in one piece with the lengths
//! apart (`span_id` takes 8.1 instead of 8.9), zstd level 1 (higher levels gain under 1 %). The Arrow schema is not
//! embedded, so that every reader sees the same plain types: UTF8, MAP, TIMESTAMP(us, UTC).
//!
//! Limits: row groups hold at most 1,048,576 rows; columns inside lists and maps have no bloom filters.

use bytes::Bytes;
use meshlake_schema::attribute_filter::{AttributeFilterBuilder, FOOTER_KEY, footer_value};
use meshlake_schema::{Column, Kind, Table, TableBatch};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData, SortingColumn};
use parquet::file::properties::{
    BloomFilterPosition, BloomFilterProperties, EnabledStatistics, WriterProperties, WriterPropertiesBuilder,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use arrow::temporal_conversions::timestamp_us_to_datetime;

use super::checksums::Pages;
use super::pages::{INDEX_TEXT_BYTES_MAX, PAGE_ROWS_MAX, ZSTD_LEVEL};
use super::{FileError, Origin, RowIndex, dictionary, gather};

/// Fewer, larger row groups share dictionaries: 1M rows take 8 to 16 % less than 128k (measured).
pub(super) const ROW_GROUP_ROWS_MAX: usize = 1_048_576;

/// Rows gathered at a time: large enough to make the cost per call vanish, and a slice of the widest
/// column (attributes, some 500 bytes a row) stays under 10 MB.
const SLICE_ROWS: usize = 16_384;

/// Distinct values of a full row group of [`LARGE_DICTIONARY`]: 233,016 ids of 32 digits and their lengths.
const LARGE_DICTIONARY_BYTES_MAX: usize = 8 << 20;

/// Columns whose values repeat, but are too many for the usual dictionary of 1 MiB.
const LARGE_DICTIONARY: [&str; 3] = ["trace_id", "client_address", "network_peer_address"];

/// Bytes per data page of ids that are new in every row: some 4,000 of 16 digits, 1,820 of 32 and their lengths. A
/// trace has its spans all over a file, and each costs a page. They compress as well as in pages of
/// [`PAGE_ROWS_MAX`]; parents' ids, which repeat, do not: 7.9 bytes instead of 4.5 (measured without
/// DELTA_LENGTH_BYTE_ARRAY).
const OWN_ID_PAGE_BYTES_MAX: usize = 64 << 10;

const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Columns whose values hardly ever repeat: a dictionary only adds to them (2 bytes a span on span ids).
const NO_DICTIONARY: [&str; 10] = [
    "span_id",
    "parent_span_id",
    "time_unix_nano",
    "duration_nano",
    "observed_time_unix_nano",
    "stream_id",
    "end_unix_nano",
    "last_start_unix_nano",
    "root_time_unix_nano",
    "root_duration_nano",
];

/// Integers that rise slowly within a sorted file.
const DELTA_PACKED: [&str; 4] =
    ["time_unix_nano", "duration_nano", "observed_time_unix_nano", "start_time_unix_nano"];

/// The column whose entries are filtered; see `schema/src/attribute_filter.rs`.
pub(super) const ATTRIBUTES_COLUMN: &str = "attributes";

/// Footer keys: who wrote the rows, and which records they came in.
pub(super) const KEY_COLLECTOR: &str = "meshlake.collector";
pub(super) const KEY_LSN_FIRST: &str = "meshlake.lsn_first";
pub(super) const KEY_LSN_LAST: &str = "meshlake.lsn_last";

/// One file's bytes, and its Delta statistics as JSON.
pub(super) struct Encoded {
    pub bytes: Bytes,
    pub stats: String,
}

/// Writes `rows` of `batches` in the order given, which must be that of the table's sort key.
///
/// # Errors
/// Whatever Arrow or Parquet refuse; nothing of it depends on the values of rows.
pub(super) fn encode(
    table: Table,
    batches: &[TableBatch],
    rows: &[RowIndex],
    origin: Origin,
) -> Result<Encoded, FileError> {
    let schema = table.schema();
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    let properties = Arc::new(properties(table, &parquet_schema, origin)?);
    let mut writer =
        SerializedFileWriter::new(Vec::new(), parquet_schema.root_schema_ptr(), Arc::clone(&properties))?;
    let mut filter = AttributeFilterBuilder::default();
    let pages = Pages::default();
    let row_groups = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(schema))
        .with_page_store_factory(Arc::new(pages.clone()));
    for (index, rows) in rows.chunks(ROW_GROUP_ROWS_MAX).enumerate() {
        let mut leaves = row_groups.create_column_writers(index)?.into_iter().enumerate();
        let mut row_group = writer.next_row_group()?;
        for (position, field) in schema.fields().iter().enumerate() {
            let column = gather::Column::new(batches, position)?;
            if let Some((values, keys)) = column.gather_keys(rows) {
                let leaf = leaf_of(&parquet_schema, field.name())?;
                let bytes_max = properties.column_dictionary_page_size_limit(leaf.path());
                if dictionary::append(&leaf, values, &keys, bytes_max, &mut row_group)? {
                    leaves.next();
                    continue;
                }
            }
            let mut own_leaves = Vec::new();
            for slice in rows.chunks(SLICE_ROWS) {
                let values = column.gather(slice)?;
                if field.name() == ATTRIBUTES_COLUMN {
                    filter.push(&values);
                }
                for (i, leaf) in compute_leaves(field, &values)?.iter().enumerate() {
                    if own_leaves.len() == i {
                        let next = leaves
                            .next()
                            .ok_or_else(|| ParquetError::General(format!("no writer for {field}")))?;
                        own_leaves.push(next);
                    }
                    own_leaves[i].1.write(leaf)?;
                }
            }
            for (column, leaf) in own_leaves {
                pages.append(column, leaf.close()?, &mut row_group)?;
            }
        }
        row_group.close()?;
    }
    if has_attributes(table) {
        let filter = filter.finish();
        let place = filter_place(writer.bytes_written(), &filter);
        writer.write_all(&filter)?;
        writer.append_key_value_metadata(place);
    }
    let metadata = writer.finish()?;
    let stats = statistics(table, &metadata).to_string();
    // Finishing has flushed; `into_inner` would write the footer a second time.
    Ok(Encoded { bytes: Bytes::from(std::mem::take(writer.inner_mut())), stats })
}

fn leaf_of(schema: &SchemaDescriptor, name: &str) -> Result<ColumnDescPtr, ParquetError> {
    let leaf = schema.columns().iter().find(|leaf| leaf.path().parts() == [name]);
    leaf.cloned().ok_or_else(|| ParquetError::General(format!("no leaf {name}")))
}

/// Whether files of `table` carry attribute filters.
pub(super) fn has_attributes(table: Table) -> bool {
    table.columns().iter().any(|column| column.name == ATTRIBUTES_COLUMN)
}

/// The footer entry for `filter`, which is to be written after `bytes_written` bytes of the file.
pub(super) fn filter_place(bytes_written: usize, filter: &[u8]) -> KeyValue {
    let value = footer_value(bytes_written as u64, filter.len() as u64);
    KeyValue::new(FOOTER_KEY.to_owned(), value)
}

/// How a file of `table` is written.
pub(super) fn properties(
    table: Table,
    schema: &SchemaDescriptor,
    origin: Origin,
) -> Result<WriterProperties, FileError> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_column_index_truncate_length(Some(INDEX_TEXT_BYTES_MAX))
        .set_statistics_truncate_length(Some(INDEX_TEXT_BYTES_MAX))
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_created_by(format!("meshlake {}", env!("CARGO_PKG_VERSION")))
        .set_sorting_columns(Some(sorting_columns(table, schema)?))
        .set_key_value_metadata(Some(vec![
            pair(KEY_LSN_FIRST, origin.lsn_first.to_string()),
            pair(KEY_LSN_LAST, origin.lsn_last.to_string()),
            pair(KEY_COLLECTOR, format!("{:032x}", origin.collector_id)),
        ]));
    let builder =
        table.columns().iter().fold(builder, |builder, column| column_properties(table, column, builder));
    Ok(schema.columns().iter().fold(builder, |builder, leaf| leaf_properties(leaf.path(), builder)).build())
}

/// Leaves inside maps and lists: nobody asks for the smallest of all attributes' values, and telling it takes two
/// comparisons a value.
fn leaf_properties(leaf: &ColumnPath, builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    match leaf.parts() {
        [_] => builder,
        _ => builder.set_column_statistics_enabled(leaf.clone(), EnabledStatistics::None),
    }
}

fn column_properties(
    table: Table,
    column: &Column,
    builder: WriterPropertiesBuilder,
) -> WriterPropertiesBuilder {
    let path = || ColumnPath::from(column.name);
    let mut builder = builder;
    // Hardly a trace has two rows in one file.
    let is_own_id = table == Table::Traces && column.name == "trace_id";
    let is_time = column.kind == Kind::Timestamp && column.name != "ingest_time";
    if is_own_id || NO_DICTIONARY.contains(&column.name) || is_time {
        builder = builder.set_column_dictionary_enabled(path(), false);
    }
    if DELTA_PACKED.contains(&column.name) || column.kind == Kind::Timestamp {
        builder = builder.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
    }
    if matches!(column.kind, Kind::Text | Kind::Dictionary) && column.name != "trace_id" {
        builder = builder.set_column_encoding(path(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    if is_own_id || column.name == "span_id" {
        builder = builder.set_column_data_page_size_limit(path(), OWN_ID_PAGE_BYTES_MAX);
    }
    if LARGE_DICTIONARY.contains(&column.name) {
        builder = builder.set_column_dictionary_page_size_limit(path(), LARGE_DICTIONARY_BYTES_MAX);
    }
    if bloom_columns(table).contains(&column.name) {
        // The filter is made for a full row group and folded to what the values need when it is written.
        let filter = BloomFilterProperties::builder()
            .with_fpp(BLOOM_FALSE_POSITIVES)
            .with_max_ndv(ROW_GROUP_ROWS_MAX as u64)
            .build();
        builder = builder.set_column_bloom_filter_properties(path(), filter);
    }
    builder
}

/// Columns that are looked up by a single value.
fn bloom_columns(table: Table) -> &'static [&'static str] {
    match table {
        // Not `span_id`, new in every row: 1.25 bytes a span, and whoever knows a span's id knows its trace's.
        Table::Spans | Table::Logs | Table::Traces => &["trace_id"],
        Table::Requests => &["trace_id", "request_id"],
        Table::MetricPoints
        | Table::MetricHistograms
        | Table::MetricExpHistograms
        | Table::MetricSummaries
        | Table::MetricPointsSeries
        | Table::MetricHistogramsSeries
        | Table::MetricExpHistogramsSeries
        | Table::MetricSummariesSeries
        | Table::Ledger
        | Table::Calls10s
        | Table::Calls1m
        | Table::Calls10m => &[],
    }
}

/// The sort key, as positions among the file's leaf columns.
pub(super) fn sorting_columns(
    table: Table,
    schema: &SchemaDescriptor,
) -> Result<Vec<SortingColumn>, FileError> {
    let position = |name: &&str| {
        let leaf = schema.columns().iter().position(|leaf| leaf.path().parts() == [*name]);
        let column_idx = leaf.and_then(|leaf| i32::try_from(leaf).ok());
        column_idx.ok_or_else(|| FileError::Rows(format!("no sort column {name}")))
    };
    let sorting = |name| {
        position(name).map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
    };
    table.sort_key().iter().map(sorting).collect()
}

/// Delta's per-file statistics of the sort key: rows, smallest, largest, nulls. Source: Delta protocol,
/// "Per-file Statistics"; time stamps are ISO 8601 UTC.
pub(super) fn statistics(table: Table, metadata: &ParquetMetaData) -> Value {
    let (mut min, mut max, mut null_count) = (Map::new(), Map::new(), Map::new());
    for name in table.sort_key() {
        let chunks: Vec<&Statistics> = metadata
            .row_groups()
            .iter()
            .flat_map(RowGroupMetaData::columns)
            .filter(|chunk| chunk.column_path().parts() == [*name])
            .filter_map(|chunk| chunk.statistics())
            .collect();
        if chunks.len() != metadata.num_row_groups() {
            continue;
        }
        let is_time = table.columns().iter().any(|c| c.name == *name && c.kind == Kind::Timestamp);
        if let Some((smallest, largest)) = bounds(&chunks, is_time) {
            min.insert((*name).to_owned(), smallest);
            max.insert((*name).to_owned(), largest);
        }
        let nulls: u64 = chunks.iter().filter_map(|chunk| chunk.null_count_opt()).sum();
        null_count.insert((*name).to_owned(), nulls.into());
    }
    let rows = metadata.file_metadata().num_rows();
    json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": null_count })
}

/// None when every value is null or the bounds are not known.
fn bounds(chunks: &[&Statistics], is_time: bool) -> Option<(Value, Value)> {
    let with_values = || chunks.iter().filter(|chunk| chunk.min_bytes_opt().is_some());
    match chunks.first()? {
        Statistics::Int64(_) => {
            let integers = |chunk: &&&Statistics| match chunk {
                Statistics::Int64(values) => values.min_opt().copied().zip(values.max_opt().copied()),
                _ => None,
            };
            let pairs: Vec<(i64, i64)> = with_values().filter_map(|chunk| integers(&chunk)).collect();
            let smallest = pairs.iter().map(|(min, _)| *min).min()?;
            let largest = pairs.iter().map(|(_, max)| *max).max()?;
            if is_time {
                return iso_time(smallest).zip(iso_time(largest));
            }
            Some((smallest.into(), largest.into()))
        }
        Statistics::ByteArray(_) => {
            // A cut-off maximum is rounded up by the writer, so both still bound the values.
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            let smallest = with_values().filter_map(|chunk| chunk.min_bytes_opt()).min().and_then(text)?;
            let largest = with_values().filter_map(|chunk| chunk.max_bytes_opt()).max().and_then(text)?;
            Some((smallest.into(), largest.into()))
        }
        _ => None,
    }
}

/// With all six digits, which tell that nothing is cut off.
fn iso_time(micros: i64) -> Option<Value> {
    let datetime = timestamp_us_to_datetime(micros)?;
    Some(format!("{}T{}Z", datetime.date(), datetime.time().format("%H:%M:%S%.6f")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_with_micros() {
        assert_eq!(iso_time(0), Some("1970-01-01T00:00:00.000000Z".into()));
        assert_eq!(iso_time(-1), Some("1969-12-31T23:59:59.999999Z".into()));
    }

    /// Ids that are new in every row have small pages; those that repeat need the large ones to compress.
    #[test]
    fn ids_that_are_new_in_every_row_have_small_pages() {
        let page_bytes = |table: Table, column: &'static str| {
            let schema = ArrowSchemaConverter::new().convert(table.schema()).expect("plain types");
            let origin = Origin { collector_id: 1, lsn_first: 1, lsn_last: 1 };
            let properties = properties(table, &schema, origin).expect("the sort key's columns exist");
            properties.column_data_page_size_limit(&ColumnPath::from(column))
        };
        assert_eq!(page_bytes(Table::Spans, "span_id"), 65_536);
        assert_eq!(page_bytes(Table::Traces, "trace_id"), 65_536);
        assert_eq!(page_bytes(Table::Spans, "parent_span_id"), 1_048_576);
        assert_eq!(page_bytes(Table::Spans, "trace_id"), 1_048_576);
    }

    #[test]
    fn bloom_columns_exist() {
        for table in Table::ALL {
            for name in bloom_columns(table) {
                assert!(table.columns().iter().any(|column| column.name == *name), "{name}");
            }
        }
    }
}
