//! Searches each file of a scan when the scan opens it.
//!
//! A query with a LIMIT is content with what the first files have, so files are not searched before the scan
//! begins. Everything but the opening of a file is the Parquet source's: it is wrapped, so that filters, order
//! and columns that the optimizer pushes down end up in it.

use std::fmt;
use std::sync::Arc;

use datafusion::common::ColumnStatistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
    FileStreamBuilder,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use futures::{FutureExt, StreamExt, stream};
use object_store::ObjectStore;

use super::page_search::{Choice, PageSearch};

/// A file source whose files are searched for rows before they are read.
#[derive(Clone)]
pub struct SearchedSource {
    source: Arc<dyn FileSource>,
    search: Arc<PageSearch>,
}

impl SearchedSource {
    /// `source` is one of Parquet files, and looks at a selection of rows that a file carries.
    pub fn new(source: Arc<dyn FileSource>, search: Arc<PageSearch>) -> Self {
        SearchedSource { source, search }
    }

    fn with_source(&self, source: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(SearchedSource { source, search: Arc::clone(&self.search) })
    }
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
        self.with_source(self.source.with_batch_size(batch_size))
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
        let pushed = self.source.try_pushdown_filters(filters, config)?;
        let updated_node = pushed.updated_node.map(|source| self.with_source(source));
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        eq_properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        let pushed = self.source.try_pushdown_sort(order, eq_properties)?;
        Ok(pushed.map(|source| self.with_source(source)))
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.source.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let pushed = self.source.try_pushdown_projection(projection)?;
        Ok(pushed.map(|source| self.with_source(source)))
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
            let asked = file.extension::<ParquetRowSelection>().map(ParquetRowSelection::selection);
            let choice = searched.search.choose(&file.object_meta, asked, file.range.as_ref()).await;
            let file = match choice {
                Choice::AsAsked => file,
                Choice::Rows { rows, constants } => {
                    with_constants(file.with_extension(ParquetRowSelection::new(rows)), constants)
                }
                Choice::Nothing => return Ok(stream::empty().boxed()),
            };
            let group = vec![FileGroup::new(vec![file])];
            let config = FileScanConfigBuilder::from(config).with_file_groups(group).build();
            let stream = FileStreamBuilder::new(&config)
                .with_partition(0)
                .with_morselizer(searched.source.create_morselizer(store, &config, 0)?)
                // Of its own, because the scan counts the rows again.
                .with_metrics(&ExecutionPlanMetricsSet::new())
                .build()?;
            Ok(stream.boxed())
        };
        Ok(opened.boxed())
    }
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
