//! One table of a snapshot as one tenant sees it: files and buffered batches, each row once.
//!
//! Of the buffer no row of another tenant comes. Those of files are filtered here, by a node of the physical plan
//! below everything that SQL can say, unless the files' own footers say that there are none; a query that asks for another tenant finds no rows. Filters are taken as hints for pruning and are applied again
//! by the engine, so pruning may be coarse but never wrong. Only those on attributes are applied here, because
//! rows that were found by their attributes need not be read for them; see [`super::searched`].

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;
use meshlake_schema::Table;
use meshlake_store::snapshot::{DataFile, Snapshot};

use super::attribute_access::ATTRIBUTES_COLUMN;
use super::attribute_runs::{choose_runs, is_understood, wanted_attributes};
use super::columns::Seen;
use super::files::{FileScan, FilterUse, scan_files};
use super::footers::{are_known_always, with_footers};
use super::hot::{scan_hot, wanted_hot};
use super::page_search::{PageSearch, wanted_ids};
use super::prune::{Bounds, Pruner};
use crate::lean::Lean;

const TENANT_COLUMN: &str = "tenant";

/// Columns whose equality selects a handful of rows out of a table; those that bloom filters know first.
const ID_COLUMNS: [&str; 4] = ["trace_id", "request_id", "span_id", "parent_span_id"];

/// A table provider over one table of a [`Snapshot`].
#[derive(Debug)]
pub struct TenantTable {
    table: Table,
    seen: Seen,
    snapshot: Arc<Snapshot>,
    tenant: String,
    /// None for all of the snapshot's.
    files: Option<Vec<DataFile>>,
    has_buffered: bool,
}

impl TenantTable {
    pub fn new(table: Table, snapshot: Arc<Snapshot>, tenant: &str) -> Self {
        let (seen, tenant) = (Seen::of(table), tenant.to_owned());
        TenantTable { table, seen, snapshot, tenant, files: None, has_buffered: true }
    }

    /// The rows of these files alone.
    #[must_use]
    pub fn of_files(self, files: &[&DataFile]) -> Self {
        let files = files.iter().copied().cloned().collect();
        TenantTable { files: Some(files), has_buffered: false, ..self }
    }

    /// And those in the buffer.
    #[must_use]
    pub fn with_buffered(self) -> Self {
        TenantTable { has_buffered: true, ..self }
    }

    /// The same in the forms that `lean` asks for.
    #[must_use]
    pub fn lean(self, lean: &Lean<'_>) -> Self {
        let dictionaries = [&[TENANT_COLUMN], lean.dictionaries].concat();
        let lean = Lean { dictionaries: &dictionaries, nested: lean.nested };
        TenantTable { seen: Seen::lean(self.table, &lean), ..self }
    }

    /// The files that may hold rows the query wants.
    fn wanted_files(&self, pruner: &Pruner) -> Result<Vec<DataFile>> {
        let files = self.files.as_ref().unwrap_or_else(|| self.snapshot.files(self.table));
        let bounds = files.iter().map(|file| Bounds {
            rows: file.rows,
            time_min_micros: file.time_min_micros,
            time_max_micros: file.time_max_micros,
        });
        let wanted = pruner.keep(bounds.collect())?;
        Ok(files.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(file, _)| file.clone()).collect())
    }

    /// What files are searched for when they are opened. Few rows have an id, and they are found before
    /// attributes are decoded.
    fn search(
        &self,
        filter_use: FilterUse,
        filters: &[Expr],
        session: &dyn Session,
    ) -> Result<Option<Arc<PageSearch>>> {
        let schema = Arc::clone(&self.seen.files);
        let ids = if filter_use == FilterUse::Decode { wanted_ids(filters, &ID_COLUMNS) } else { None };
        match ids {
            Some(ids) => PageSearch::for_ids(ids, schema, session).map(Some),
            None => {
                // Of a column that files are not sorted by, rows that have a value lie everywhere.
                let beside = wanted_ids(filters, &self.table.sort_key()[..1]);
                PageSearch::for_attributes(&wanted_attributes(filters), beside, schema, session)
            }
        }
    }

    /// A scan of the rows in memory that may pass `filters` and do pass `on_attributes`, which is on attributes, with
    /// the columns `read`; none when there are no rows.
    async fn scan_of_hot(
        &self,
        read: &[usize],
        filters: &[Expr],
        on_attributes: Option<Expr>,
        pruner: &Pruner,
        session: &dyn Session,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !self.has_buffered {
            return Ok(None);
        }
        let schema = &self.seen.query;
        let mut columns = read.to_vec();
        if on_attributes.is_some() {
            let attributes = schema.index_of(ATTRIBUTES_COLUMN)?;
            columns.extend((!read.contains(&attributes)).then_some(attributes));
        }
        let hot = wanted_hot(self.table, &self.snapshot, &self.tenant, &columns, filters, pruner).await?;
        if hot.is_empty() {
            return Ok(None);
        }
        let (partitions, batch_rows) = (session.config().target_partitions(), session.config().batch_size());
        let scan = scan_hot(self.table, &self.seen, hot, &columns, partitions, batch_rows)?;
        let Some(filter) = on_attributes else { return Ok(Some(scan)) };
        let filter = physical(filter, &Arc::new(schema.project(&columns)?), session)?;
        let passing = FilterExecBuilder::new(filter, scan);
        Ok(Some(Arc::new(passing.apply_projection(Some((0..read.len()).collect()))?.build()?)))
    }

    /// The column of the tenant, if rows of others may come; none when it is known of all files that they have none.
    async fn tenant_to_compare(&self, files: &[FileScan], session: &dyn Session) -> Result<Option<usize>> {
        let are_own = are_known_always(files, TENANT_COLUMN, &self.tenant, &self.seen, session).await?;
        Ok(if are_own { None } else { Some(self.seen.query.index_of(TENANT_COLUMN)?) })
    }

    /// `tenant = <ours>`, over a plan whose column at `position` is the tenant.
    fn is_own(&self, position: usize) -> Result<Arc<dyn PhysicalExpr>> {
        let tenant = ScalarValue::from(self.tenant.as_str());
        let tenant = tenant.cast_to(self.seen.query.field_with_name(TENANT_COLUMN)?.data_type())?;
        Ok(Arc::new(BinaryExpr::new(
            Arc::new(Column::new(TENANT_COLUMN, position)),
            Operator::Eq,
            Arc::new(Literal::new(tenant)),
        )))
    }
}

#[async_trait]
impl TableProvider for TenantTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.seen.query)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = |filter: &&Expr| {
            let is_applied = is_understood(filter);
            if is_applied { TableProviderFilterPushDown::Exact } else { TableProviderFilterPushDown::Inexact }
        };
        Ok(filters.iter().map(pushed).collect())
    }

    /// A scan of all rows of the tenant that may pass `filters`, and do pass those on attributes. `limit` is left
    /// to the nodes above, because the tenant filter must come first.
    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = &self.seen.query;
        let asked = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let pruner = Pruner::new(self.table, schema, filters, session)?;
        let filter_use = filter_use(filters)?;
        let files = choose_runs(self.wanted_files(&pruner)?, filters, session).await?;
        let files = with_footers(files, &self.seen, session).await?;
        let tenant = self.tenant_to_compare(&files, session).await?;
        let mut read = asked.clone();
        read.extend(tenant.filter(|tenant| !asked.contains(tenant)));
        let search = self.search(filter_use, filters, session)?;
        let on_attributes = conjunction(filters.iter().filter(|filter| is_understood(filter)).cloned());
        let mut parts = Vec::with_capacity(2);
        if !files.is_empty() {
            let filter = on_attributes.clone().map(|filter| physical(filter, schema, session)).transpose()?;
            parts.push(scan_files(&self.seen, &files, &read, filter_use, filter, search, session)?);
        }
        parts.extend(self.scan_of_hot(&read, filters, on_attributes, &pruner, session).await?);
        let all = match parts.len() {
            0 => return Ok(Arc::new(EmptyExec::new(Arc::new(schema.project(&asked)?)))),
            1 => parts.swap_remove(0),
            _ => UnionExec::try_new(parts)?,
        };
        let Some(tenant_position) = read.iter().position(|column| Some(*column) == tenant) else {
            return Ok(all);
        };
        let own = FilterExecBuilder::new(self.is_own(tenant_position)?, all)
            .apply_projection(Some((0..asked.len()).collect()))?
            .build()?;
        Ok(Arc::new(own))
    }
}

/// An expression over the columns of `schema`.
fn physical(filter: Expr, schema: &SchemaRef, session: &dyn Session) -> Result<Arc<dyn PhysicalExpr>> {
    session.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(schema))?)
}

/// Decoding with filters pays off when one of them asks for an id, or for a text inside of a column: few rows have those, and the
/// column is a fraction of the row.
fn filter_use(filters: &[Expr]) -> Result<FilterUse> {
    let mut asks_for_id = false;
    for filter in filters {
        filter.apply(|node| {
            let column = match node {
                Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
                    binary.left.try_as_col().or_else(|| binary.right.try_as_col())
                }
                Expr::InList(list) if !list.negated => list.expr.try_as_col(),
                _ => None,
            };
            asks_for_id |= column.is_some_and(|column| ID_COLUMNS.contains(&column.name.as_str()));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let is_narrow = asks_for_id || filters.iter().any(asks_for_text);
    Ok(if is_narrow { FilterUse::Decode } else { FilterUse::Prune })
}

/// Whether rows that pass have one of some texts inside of a column.
fn asks_for_text(filter: &Expr) -> bool {
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::And => {
            asks_for_text(&binary.left) || asks_for_text(&binary.right)
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            asks_for_text(&binary.left) && asks_for_text(&binary.right)
        }
        Expr::ScalarFunction(call) => {
            let is_of_column = matches!(&call.args[..], [Expr::Column(_), Expr::Literal(..)]);
            is_of_column && call.func.name() == "contains"
        }
        _ => false,
    }
}
