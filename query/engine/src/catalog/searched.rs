//! Searches each file of a scan when the scan opens it, and filters the rows of files that cannot be searched.
//!
//! A query with a LIMIT is content with what the first files have, so files are not searched before the scan
//! begins. Attributes of rows that a search has found are not read for its sake: that would cost three times the
//! search, because maps lie in few large pages. So the filter on attributes is the scan's own, and its source
//! is there twice: as it was asked for, for rows that are known to pass, and with the filter's answer as one
//! more column, for others. Rows that were found by their ids need not be compared with the list of them either, which for a
//! thousand ids is worked on for longer in each file than the file is read: there the source is once more without that filter.
//!
//! Everything but the opening of a file is the Parquet source's: it is wrapped, so that filters, order and columns
//! that the optimizer pushes down end up in it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource, FileStream,
    FileStreamBuilder,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use futures::{FutureExt, StreamExt, stream};
use object_store::ObjectStore;

use super::page_search::{Choice, PageSearch};

/// The column of the filter's answer, behind those that were asked for. Nobody sees it.
const PASSES: &str = "passes";

/// A file source whose files are searched for rows before they are read.
#[derive(Clone)]
pub struct SearchedSource {
    source: Arc<dyn FileSource>,
    /// The same with [`PASSES`]; none without a filter.
    filtering: Option<Arc<dyn FileSource>>,
    /// The source without filters that all rows pass which the search finds.
    of_found: Arc<dyn FileSource>,
    search: Option<Arc<PageSearch>>,
}

impl SearchedSource {
    /// `source` is one of Parquet files, with all columns, and looks at a selection of rows that a file carries.
    /// Rows come that pass `filter`, an expression over its columns that `search` understands as a whole.
    ///
    /// # Errors
    /// When the source cannot evaluate the filter.
    pub fn new(
        source: Arc<dyn FileSource>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        search: Option<Arc<PageSearch>>,
    ) -> Result<Self> {
        let with_answer = |filter| {
            let columns = source.table_schema().table_schema().fields().iter().enumerate();
            let columns = columns.map(|(i, field)| of_column(field.name(), i));
            project(&source, columns.chain([ProjectionExpr::new(filter, PASSES)]))
        };
        let filtering = filter.map(with_answer).transpose()?;
        Ok(SearchedSource { of_found: Arc::clone(&source), source, filtering, search })
    }

    /// With something done to the source, to each of it.
    fn map<E>(
        &self,
        f: impl Fn(&Arc<dyn FileSource>) -> Result<Arc<dyn FileSource>, E>,
    ) -> Result<Arc<dyn FileSource>, E> {
        let filtering = self.filtering.as_ref().map(&f).transpose()?;
        let (source, of_found) = (f(&self.source)?, f(&self.of_found)?);
        Ok(Arc::new(SearchedSource { source, filtering, of_found, search: self.search.clone() }))
    }

    /// With filters pushed down to each source.
    fn with_filters(
        &self,
        filters: &[Arc<dyn PhysicalExpr>],
        config: &ConfigOptions,
    ) -> Result<Arc<dyn FileSource>> {
        let with = |source: &Arc<dyn FileSource>, filters: Vec<Arc<dyn PhysicalExpr>>| {
            let pushed = source.try_pushdown_filters(filters, config)?;
            Ok::<_, DataFusionError>(pushed.updated_node.unwrap_or_else(|| Arc::clone(source)))
        };
        let source = with(&self.source, filters.to_vec())?;
        let filtering = self.filtering.as_ref().map(|source| with(source, filters.to_vec())).transpose()?;
        let is_proven =
            |filter: &Arc<dyn PhysicalExpr>| self.search.as_ref().is_some_and(|search| search.proves(filter));
        let unproven = filters.iter().filter(|filter| !is_proven(filter)).cloned().collect();
        let of_found = with(&self.of_found, unproven)?;
        Ok(Arc::new(SearchedSource { source, filtering, of_found, search: self.search.clone() }))
    }

    /// Which rows of a file to read.
    async fn choose(&self, file: &PartitionedFile) -> Choice {
        let Some(search) = &self.search else { return Choice::AsAsked };
        let asked = file.extension::<ParquetRowSelection>().map(ParquetRowSelection::selection);
        search.choose(&file.object_meta, asked, file.range.as_ref()).await
    }
}

fn of_column(name: &str, index: usize) -> ProjectionExpr {
    ProjectionExpr::new(Arc::new(Column::new(name, index)), name)
}

fn project(
    source: &Arc<dyn FileSource>,
    columns: impl IntoIterator<Item = ProjectionExpr>,
) -> Result<Arc<dyn FileSource>> {
    let projected = source.try_pushdown_projection(&ProjectionExprs::new(columns))?;
    projected.ok_or_else(|| internal_datafusion_err!("a source that does not project"))
}

impl FileSource for SearchedSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Ok(Arc::new(Opener { store: object_store, config: base_config.clone(), searched: self.clone() }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.source.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let sized = self.map(|source| Ok::<_, Infallible>(source.with_batch_size(batch_size)));
        sized.unwrap_or_else(|never| match never {})
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.source.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.source.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.source.metrics()
    }

    fn file_type(&self) -> &str {
        self.source.file_type()
    }

    fn fmt_extra(&self, format: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt_extra(format, formatter)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.source.try_pushdown_filters(filters.clone(), config)?;
        let is_changed = pushed.updated_node.is_some();
        let updated_node = is_changed.then(|| self.with_filters(&filters, config)).transpose()?;
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        eq_properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        let pushed = self.source.try_pushdown_sort(order, eq_properties)?;
        let with_order = |source: &Arc<dyn FileSource>| {
            let pushed = source.try_pushdown_sort(order, eq_properties)?;
            Ok::<_, DataFusionError>(pushed.into_inner().unwrap_or_else(|| Arc::clone(source)))
        };
        pushed.try_map(|_| self.map(with_order))
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.source.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let source = project(&self.source, projection.iter().cloned())?;
        let of_found = project(&self.of_found, projection.iter().cloned())?;
        let with_answer = |filtering: &Arc<dyn FileSource>| {
            let answer = filtering.projection().map_or(0, |columns| columns.iter().count() - 1);
            project(filtering, projection.iter().cloned().chain([of_column(PASSES, answer)]))
        };
        let filtering = self.filtering.as_ref().map(with_answer).transpose()?;
        Ok(Some(Arc::new(SearchedSource { source, filtering, of_found, search: self.search.clone() })))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.source.apply_expressions(f)
    }
}

/// Opens the files of one part of a scan.
#[derive(Clone)]
struct Opener {
    store: Arc<dyn ObjectStore>,
    config: FileScanConfig,
    searched: SearchedSource,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let Opener { store, config, searched } = self.clone();
        let opened = async move {
            let (file, source, is_filtered) = match searched.choose(&file).await {
                Choice::AsAsked => (file, searched.source, false),
                Choice::Rows { rows, is_filtered, constants } => {
                    let file = file.with_extension(ParquetRowSelection::new(rows));
                    (with_constants(file, constants), searched.of_found, is_filtered)
                }
                Choice::Nothing => return Ok(stream::empty().boxed()),
            };
            let group = vec![FileGroup::new(vec![file])];
            let config = FileScanConfigBuilder::from(config).with_file_groups(group);
            let Some(filtering) = searched.filtering.filter(|_| !is_filtered) else {
                return Ok(rows_of(&source, config, store)?.boxed());
            };
            // A limit counts rows that pass.
            let rows = rows_of(&filtering, config.with_limit(None), store)?;
            Ok(rows.map(|rows| passing(&rows?)).boxed())
        };
        Ok(opened.boxed())
    }
}

/// The rows of the one file of `config`, as `source` reads it.
fn rows_of(
    source: &Arc<dyn FileSource>,
    config: FileScanConfigBuilder,
    store: Arc<dyn ObjectStore>,
) -> Result<FileStream> {
    let config = config.with_source(Arc::clone(source)).build();
    FileStreamBuilder::new(&config)
        .with_partition(0)
        .with_morselizer(source.create_morselizer(store, &config, 0)?)
        // Of its own, because the scan counts the rows again.
        .with_metrics(&ExecutionPlanMetricsSet::new())
        .build()
}

/// The rows that pass, without the column that says so.
fn passing(rows: &RecordBatch) -> Result<RecordBatch> {
    let asked: Vec<usize> = (0..rows.num_columns() - 1).collect();
    let passes = rows.column(asked.len()).as_boolean();
    Ok(filter_record_batch(&rows.project(&asked)?, passes)?)
}

/// `file`, of which the scan reads rows in which some columns have one value each.
fn with_constants(mut file: PartitionedFile, constants: Vec<(usize, ColumnStatistics)>) -> PartitionedFile {
    if let Some(statistics) = file.statistics.as_mut().map(Arc::make_mut) {
        for (column, constant) in constants {
            if let Some(statistics) = statistics.column_statistics.get_mut(column) {
                *statistics = constant;
            }
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::physical_plan::execute_stream;
    use futures::TryStreamExt;
    use meshlake_schema::Table;

    use super::super::columns::{Seen, file_schema};
    use super::super::files::{FileScan, FilterUse, scan_files};
    use super::super::only_store::OnlyStore;
    use super::*;
    use meshlake_fixture::{SnapshotBuilder, row};

    /// A query that has enough drops the rows of the files before, and files behind are not touched.
    #[tokio::test]
    async fn files_are_searched_one_after_the_other_as_they_are_opened() {
        let span = |value: &str| row(1, [("attributes", [("k", value)].as_slice().into())]);
        let mut builder = SnapshotBuilder::new();
        for _ in 0..3 {
            builder = builder.file(Table::Spans, &[span("v"), span("w")], &[]).await;
        }
        let snapshot = builder.build();
        let registry = OnlyStore::new(Arc::clone(snapshot.object_store()));
        let runtime = datafusion::execution::runtime_env::RuntimeEnvBuilder::new()
            .with_object_store_registry(Arc::new(registry))
            .build_arc()
            .expect("a runtime");
        let config = datafusion::prelude::SessionConfig::new().with_target_partitions(1);
        let session = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).build();
        let wanted = [vec![("k".to_owned(), "v".to_owned())]];
        let schema = Arc::clone(file_schema(Table::Spans));
        let search = PageSearch::for_attributes(&wanted, None, schema, &session).expect("a store");
        let files: Vec<FileScan> =
            snapshot.files(Table::Spans).iter().cloned().map(FileScan::whole).collect();
        let scan =
            scan_files(&Seen::of(Table::Spans), &files, &[0], FilterUse::Prune, None, search, &session);
        let mut rows = execute_stream(scan.expect("a plan"), session.task_ctx()).expect("a stream");
        let footers = session.runtime_env().cache_manager.get_file_metadata_cache();
        for opened in 1..=3 {
            let batch = rows.try_next().await.expect("whole files").expect("a batch of each file");
            assert_eq!((batch.num_rows(), footers.list_entries().len()), (1, opened));
        }
        assert!(rows.try_next().await.expect("whole files").is_none());
    }
}
