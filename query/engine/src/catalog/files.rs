//! Scans a table's Parquet files.
//!
//! Stock `DataSourceExec` over a `ParquetSource`: row groups and pages are pruned by statistics, ids by bloom
//! filter, and footers are cached by path, which is safe because a file's name is never used twice. Files
//! that lack a column of today read as null there.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetRowSelection};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use meshlake_schema::tables::DATE_COLUMN;
use meshlake_store::snapshot::DataFile;
use object_store::ObjectMeta;

use super::columns::Seen;
use super::only_store::{FOOTER_READ_BYTES, OnlyStore};
use super::page_search::PageSearch;
use super::searched::SearchedSource;

/// How a file scan should go about its filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterUse {
    /// Prune row groups and pages; rows are filtered after decoding. Best for wide aggregates.
    Prune,
    /// Also evaluate filters while decoding, so that the other columns of rows that fail are never decoded.
    /// Best when very few rows pass, as with an id.
    Decode,
}

/// A file and which of its rows to read.
#[derive(Debug, Clone)]
pub struct FileScan {
    pub file: DataFile,
    /// None for all.
    pub rows: Option<RowSelection>,
    /// As what its columns are read; none for the plain types that the file says.
    pub schema: Option<SchemaRef>,
    /// Columns, by their places among those of files, that are known to have one value in all rows.
    pub constants: Vec<(usize, ColumnStatistics)>,
}

impl FileScan {
    pub fn whole(file: DataFile) -> Self {
        FileScan { file, rows: None, schema: None, constants: Vec::new() }
    }
}

/// How readers and the cache of footers know `file`.
pub fn object_meta(file: &DataFile) -> ObjectMeta {
    let mut meta = PartitionedFile::new(String::new(), file.size_bytes).object_meta;
    meta.location = file.path.clone();
    meta
}

/// A scan of `files` with the columns `projection` of the schema seen, in that order: of the rows that pass
/// `filter`, an expression over that schema. Each file is searched first, if there is a `search`, which must
/// understand the filter as a whole.
pub fn scan_files(
    seen: &Seen,
    files: &[FileScan],
    projection: &[usize],
    filter_use: FilterUse,
    filter: Option<Arc<dyn PhysicalExpr>>,
    search: Option<Arc<PageSearch>>,
    session: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let date = Arc::new(Field::new(DATE_COLUMN, DataType::Date32, true));
    let schema = TableSchema::builder(Arc::clone(&seen.files)).with_table_partition_cols(vec![date]).build();
    let runtime = session.runtime_env();
    let reader = CachedParquetFileReaderFactory::new(
        runtime.object_store(OnlyStore::url())?,
        runtime.cache_manager.get_file_metadata_cache(),
    );
    let source = ParquetSource::new(schema)
        .with_parquet_file_reader_factory(Arc::new(reader))
        .with_metadata_size_hint(FOOTER_READ_BYTES)
        .with_pushdown_filters(filter_use == FilterUse::Decode)
        .with_reorder_filters(filter_use == FilterUse::Decode);
    let mut source: Arc<dyn FileSource> = Arc::new(source);
    let is_filtered = filter.is_some();
    if is_filtered || search.is_some() {
        source = Arc::new(SearchedSource::new(source, filter, search)?);
    }
    let files = file_groups(&seen.files, files, is_filtered, session.config().target_partitions());
    let config = FileScanConfigBuilder::new(OnlyStore::url(), source)
        .with_file_groups(files)
        .with_projection_indices(Some(projection.to_vec()))?
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Deals the files out to at most `count` groups that are read in parallel, the largest files first and
/// each to the group with the fewest bytes.
fn file_groups(schema: &Schema, files: &[FileScan], is_filtered: bool, count: usize) -> Vec<FileGroup> {
    let mut by_size: Vec<&FileScan> = files.iter().collect();
    by_size.sort_by(|a, b| {
        b.file.size_bytes.cmp(&a.file.size_bytes).then_with(|| a.file.path.cmp(&b.file.path))
    });
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> =
        vec![(0, Vec::new()); count.clamp(1, files.len().max(1))];
    for scan in by_size {
        let smallest =
            groups.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there is at least one group");
        smallest.0 += scan.file.size_bytes;
        smallest.1.push(partitioned_file(schema, scan, is_filtered));
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}

fn partitioned_file(schema: &Schema, scan: &FileScan, is_filtered: bool) -> PartitionedFile {
    let mut partitioned = PartitionedFile::new(String::new(), scan.file.size_bytes);
    partitioned.object_meta = object_meta(&scan.file);
    let partitioned = partitioned.with_partition_values(vec![ScalarValue::Date32(Some(scan.file.date_days))]);
    let mut statistics = file_statistics(schema, &scan.file);
    // They are of all rows, so for some of them they are bounds only.
    if is_filtered || scan.rows.is_some() {
        statistics = statistics.to_inexact();
    }
    for (column, constant) in &scan.constants {
        statistics.column_statistics[*column] = constant.clone();
    }
    let mut partitioned = partitioned.with_statistics(Arc::new(statistics));
    partitioned.arrow_schema.clone_from(&scan.schema);
    match &scan.rows {
        None => partitioned,
        Some(rows) => partitioned.with_extension(ParquetRowSelection::new(rows.clone())),
    }
}

fn file_statistics(schema: &Schema, file: &DataFile) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = usize::try_from(file.rows).map_or(Precision::Absent, Precision::Exact);
    if let Ok(time) = schema.index_of("time") {
        // Those of other writers' files are bounds only.
        let bound =
            |micros| Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        statistics.column_statistics[time] = ColumnStatistics::new_unknown()
            .with_null_count(Precision::Exact(0))
            .with_min_value(bound(file.time_min_micros))
            .with_max_value(bound(file.time_max_micros));
    }
    statistics
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Table;
    use meshlake_store::MinuteLsns;

    use super::super::columns::file_schema;
    use super::*;

    fn file(name: &str, size_bytes: u64) -> FileScan {
        let path = object_store::path::Path::from(name);
        FileScan::whole(DataFile {
            path,
            size_bytes,
            rows: 1,
            date_days: 0,
            time_min_micros: 0,
            time_max_micros: 0,
            is_derived_from: false,
            came_days: None,
            minutes: MinuteLsns::default(),
        })
    }

    #[test]
    fn groups_are_balanced_by_bytes() {
        let files = [file("a", 1), file("b", 6), file("c", 3), file("d", 2)];
        let groups = file_groups(file_schema(Table::Spans), &files, false, 2);
        let bytes: Vec<u64> = groups.iter().map(|g| g.iter().map(|f| f.object_meta.size).sum()).collect();
        assert_eq!(bytes, [6, 6]); // 6 | 3 + 2 + 1
    }

    #[test]
    fn there_are_no_empty_groups() {
        assert_eq!(file_groups(file_schema(Table::Spans), &[file("a", 1)], false, 8).len(), 1);
    }
}
