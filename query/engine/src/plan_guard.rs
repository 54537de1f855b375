//! Allows a logical plan only if every node of it is one that reads, and there are not too many.
//!
//! An allow-list, because DataFusion's own read-only option is a deny-list of four kinds and lets ANALYZE,
//! recursive queries and extensions pass. Depth is bounded because plans and expressions are executed
//! recursively on ordinary 2 MiB stacks.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use meshlake_schema::Table;

use crate::error::QueryError;

/// Nodes of a plan, subqueries included. The largest dashboards have some dozens.
const NODES_MAX: usize = 300;

/// Tables read by one statement, counted with repetition; joins of more than a few are runaway cross joins.
const SCANS_MAX: usize = 16;

/// Rows of VALUES.
const VALUES_ROWS_MAX: usize = 1_000;

/// Depth of one expression: evaluation needs about 2 KiB of stack per level in release builds and six times
/// that without optimisation.
const EXPRESSION_DEPTH_MAX: usize = 100;

/// Tables of `information_schema` that may be read; the others tell of settings and functions.
const INFORMATION_TABLES: [&str; 2] = ["tables", "columns"];

const ONLY_READS: &str = "read-only: only SELECT, EXPLAIN, DESCRIBE and SHOW TABLES are allowed";

/// Checks `plan`, its subqueries and all their expressions.
///
/// # Errors
/// [`QueryError::Refused`] with the reason.
pub fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let (mut nodes, mut scans) = (0, 0);
    let mut refusal = None;
    plan.apply_with_subqueries(|node| {
        nodes += 1;
        scans += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        refusal = check_node(node)?.or_else(|| too_many(nodes, NODES_MAX, "steps"));
        refusal = refusal.take().or_else(|| too_many(scans, SCANS_MAX, "tables"));
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refusal.map_or(Ok(()), |reason| Err(QueryError::Refused(reason)))
}

fn too_many(count: usize, max: usize, what: &str) -> Option<String> {
    (count > max).then(|| format!("the statement needs more than {max} {what}"))
}

/// The reason to refuse this node, if there is one.
fn check_node(node: &LogicalPlan) -> Result<Option<String>> {
    let refusal = match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::DescribeTable(_) => None,
        LogicalPlan::TableScan(scan) => check_scan(scan),
        LogicalPlan::Values(values) => too_many(values.values.len(), VALUES_ROWS_MAX, "rows of VALUES"),
        LogicalPlan::RecursiveQuery(_) => Some("recursive queries are not allowed".to_owned()),
        LogicalPlan::Analyze(_) => Some("EXPLAIN ANALYZE is not allowed".to_owned()),
        LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_) => Some(ONLY_READS.to_owned()),
    };
    if refusal.is_some() {
        return Ok(refusal);
    }
    let mut deepest = 0;
    node.apply_expressions(|expr| {
        deepest = deepest.max(depth_of(expr)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(too_many(deepest, EXPRESSION_DEPTH_MAX, "levels in one expression"))
}

/// Only our tables and two of `information_schema` exist as far as a statement is concerned.
fn check_scan(scan: &TableScan) -> Option<String> {
    let name = scan.table_name.table();
    let allowed = match scan.table_name.schema() {
        Some("information_schema") => INFORMATION_TABLES.contains(&name),
        _ => Table::ALL.iter().any(|table| table.name() == name),
    };
    (!allowed).then(|| format!("table {name} cannot be read"))
}

fn depth_of(expr: &Expr) -> Result<usize> {
    let mut deepest = 0;
    let mut level = vec![expr];
    while !level.is_empty() {
        deepest += 1;
        let mut next = Vec::new();
        for expr in level {
            expr.apply_children(|child| {
                next.push(child);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        level = next;
    }
    Ok(deepest)
}
