//! EXPLAIN and EXPLAIN ANALYZE: how a statement is answered, and what of the stored data it reads.
//!
//! The plans are DataFusion's own texts, but for the paths of files: where data lies is nobody's business who may ask
//! for rows. What DataFusion cannot tell is how many files never came into the plan, because this engine leaves them out
//! by time and by the filters of attributes before it makes one; so one row more says it for each table:
//!
//! ```text
//! plan_type  plan
//! files      spans: 3 of 14 files read, 11 skipped; row groups: 5 of 9 read, 4 skipped; 1200 rows
//! ```
//! Row groups and rows are known only when the statement has run, as EXPLAIN ANALYZE lets it: within the deadline of
//! a query, its rows counted and thrown away. Limits: rows that are not in files yet are in no count of this line;
//! files are those of the table, whoever's rows they hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::{ExplainFormat, LogicalPlan};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use meshlake_schema::Table;
use meshlake_store::snapshot::Snapshot;

use crate::error::QueryError;

/// How files are listed in the text of a plan, from here to the next [`FILES_END`].
const FILES_BEGIN: &str = "file_groups={";
const FILES_END: &str = "]}";

/// A statement that is to be explained.
#[derive(Debug, Clone)]
pub struct Explain {
    statement: Arc<LogicalPlan>,
    schema: SchemaRef,
    format: ExplainFormat,
    is_verbose: bool,
    /// Whether it is to be run as well.
    analyzes: bool,
}

/// The plans of a statement.
#[derive(Debug)]
pub struct Explained {
    explain: Explain,
    logical: LogicalPlan,
    pub physical: Arc<dyn ExecutionPlan>,
}

impl Explain {
    /// What `plan` explains; none when it is another statement.
    ///
    /// # Errors
    /// [`QueryError::Refused`] for formats that no page or program has asked for so far.
    pub fn of(plan: &LogicalPlan) -> Result<Option<Explain>, QueryError> {
        let (statement, schema, format, is_verbose, analyzes) = match plan {
            LogicalPlan::Explain(explain) => {
                (&explain.plan, &explain.schema, &explain.explain_format, explain.verbose, false)
            }
            LogicalPlan::Analyze(analyze) => {
                (&analyze.input, &analyze.schema, &analyze.format, analyze.verbose, true)
            }
            _ => return Ok(None),
        };
        if !matches!(format, ExplainFormat::Indent | ExplainFormat::Tree) {
            let message = format!("EXPLAIN has the formats indent and tree, not {format}");
            return Err(QueryError::Refused(message));
        }
        Ok(Some(Explain {
            statement: Arc::clone(statement),
            schema: Arc::new(schema.as_arrow().clone()),
            format: format.clone(),
            is_verbose,
            analyzes,
        }))
    }

    /// Plans the statement as it would be run.
    pub async fn plan(self, session: &SessionContext) -> Result<Explained> {
        let state = session.state();
        let logical = state.optimize(&self.statement)?;
        let physical = state.query_planner().create_physical_plan(&logical, &state).await?;
        Ok(Explained { explain: self, logical, physical })
    }
}

impl Explained {
    pub fn schema(&self) -> &SchemaRef {
        &self.explain.schema
    }

    /// Whether it is to be run before it is explained.
    pub fn analyzes(&self) -> bool {
        self.explain.analyzes
    }

    /// The rows that explain it; after it has run, with what was measured.
    pub fn rows(&self, snapshot: &Snapshot) -> Result<RecordBatch> {
        let plan = self.physical.as_ref();
        let shown = if self.explain.analyzes {
            DisplayableExecutionPlan::with_metrics(plan)
        } else {
            displayable(plan)
        };
        let physical = match self.explain.format {
            ExplainFormat::Tree => shown.tree_render().to_string(),
            _ => shown.indent(self.explain.is_verbose).to_string(),
        };
        let physical = without_paths(&physical);
        let files = self.files(snapshot)?;
        let (kinds, plans) = if self.explain.analyzes {
            (vec!["Plan with Metrics", "files"], vec![physical, files])
        } else {
            let logical = self.logical.display_indent().to_string();
            (vec!["logical_plan", "physical_plan", "files"], vec![logical, physical, files])
        };
        let columns = [StringArray::from(kinds), StringArray::from(plans)];
        Ok(RecordBatch::try_new(
            Arc::clone(&self.explain.schema),
            columns.into_iter().map(|column| Arc::new(column) as _).collect(),
        )?)
    }

    /// A line for each table that the statement names.
    fn files(&self, snapshot: &Snapshot) -> Result<String> {
        let mut lines = String::new();
        for table in tables_of(&self.logical)? {
            let paths = snapshot.files(table).iter().map(|file| file.path.as_ref()).collect();
            let read = Read::of(&self.physical, &paths)?;
            if !lines.is_empty() {
                lines.push('\n');
            }
            write!(lines, "{}: {}", table.name(), read.told(paths.len(), self.explain.analyzes))
                .expect("writing to a String cannot fail");
        }
        Ok(lines)
    }
}

/// The tables that `plan` scans, each once, in the order of [`Table::ALL`].
fn tables_of(plan: &LogicalPlan) -> Result<Vec<Table>> {
    let mut names = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.insert(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(Table::ALL.into_iter().filter(|table| names.contains(table.name())).collect())
}

/// What a plan reads of one table's files.
#[derive(Debug, Default)]
struct Read<'a> {
    files: BTreeSet<&'a str>,
    row_groups: usize,
    row_groups_skipped: usize,
    rows: usize,
}

impl<'a> Read<'a> {
    fn of(plan: &Arc<dyn ExecutionPlan>, paths: &BTreeSet<&'a str>) -> Result<Read<'a>> {
        let mut read = Read::default();
        plan.apply(|node| {
            let scan = node.downcast_ref::<DataSourceExec>();
            if let Some(config) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) {
                read.add(config, &node.metrics().unwrap_or_default(), paths);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(read)
    }

    fn add(&mut self, config: &FileScanConfig, metrics: &MetricsSet, paths: &BTreeSet<&'a str>) {
        let files = config.file_groups.iter().flat_map(FileGroup::files);
        let known: Vec<&str> =
            files.filter_map(|file| paths.get(file.object_meta.location.as_ref()).copied()).collect();
        // A scan is of one table.
        if known.is_empty() {
            return;
        }
        self.files.extend(known);
        let (skipped, matched) = pruning(metrics, "row_groups_pruned_statistics");
        let (by_filters, _) = pruning(metrics, "row_groups_pruned_bloom_filter");
        let (by_limit, _) = pruning(metrics, "limit_pruned_row_groups");
        self.row_groups += skipped + matched;
        self.row_groups_skipped += skipped + by_filters + by_limit;
        self.rows += metrics.output_rows().unwrap_or_default();
    }

    fn told(&self, files: usize, has_run: bool) -> String {
        let (read, skipped) = (self.files.len(), files - self.files.len());
        let mut told = format!("{read} of {files} files read, {skipped} skipped");
        if has_run {
            let (row_groups, skipped) = (self.row_groups, self.row_groups_skipped);
            let (read, rows) = (row_groups.saturating_sub(skipped), self.rows);
            write!(told, "; row groups: {read} of {row_groups} read, {skipped} skipped; {rows} rows")
                .expect("writing to a String cannot fail");
        }
        told
    }
}

/// How many were left out, and how many not.
fn pruning(metrics: &MetricsSet, name: &str) -> (usize, usize) {
    match metrics.sum_by_name(name) {
        Some(MetricValue::PruningMetrics { pruning_metrics, .. }) => {
            (pruning_metrics.pruned(), pruning_metrics.matched())
        }
        _ => (0, 0),
    }
}

/// `file_groups={2 groups: [[a, b], [c]]}` without what is behind the colon.
fn without_paths(plan: &str) -> String {
    let mut out = String::with_capacity(plan.len());
    let mut rest = plan;
    while let Some(begin) = rest.find(FILES_BEGIN) {
        let listed = begin + FILES_BEGIN.len();
        out.push_str(&rest[..listed]);
        let (list, after) = rest[listed..].split_once(FILES_END).unwrap_or((&rest[listed..], ""));
        out.push_str(list.split(':').next().unwrap_or_default());
        out.push('}');
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_not_shown() {
        let plan = "DataSourceExec: file_groups={2 groups: [[spans/a.parquet:0..5, b], [c, ...]]}, projection=[x]\n\
                    DataSourceExec: file_groups={1 group: [[logs/d]]}, limit=3";
        let want = "DataSourceExec: file_groups={2 groups}, projection=[x]\n\
                    DataSourceExec: file_groups={1 group}, limit=3";
        assert_eq!(without_paths(plan), want);
        assert_eq!(without_paths("file_groups={1 group: [[cut off"), "file_groups={1 group}");
        assert_eq!(without_paths("no files"), "no files");
    }
}
