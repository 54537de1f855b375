//! Allows a logical plan only if every node of it is one that reads, and there are not too many.
//!
//! An allow-list, because DataFusion's own read-only option is a deny-list of four kinds and lets recursive queries
//! and extensions pass. Depth is bounded because plans and expressions are executed
//! recursively on ordinary 2 MiB stacks. Which tables exist is the catalogue's to say: each has a list of its own.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

use crate::error::QueryError;

/// Nodes of a plan, subqueries included. The largest dashboards have some dozens.
const NODES_MAX: usize = 300;

/// Tables of telemetry read by one statement, counted with repetition; joins of more than a few are runaway cross joins.
pub const SCANS_MAX: usize = 16;

/// Tables of a catalogue, which are small: drivers that ask what a type consists of read some twenty.
pub const CATALOGUE_SCANS_MAX: usize = 48;

/// Rows of VALUES.
const VALUES_ROWS_MAX: usize = 1_000;

/// Depth of one expression: evaluation needs about 2 KiB of stack per level in release builds and six times
/// that without optimisation.
const EXPRESSION_DEPTH_MAX: usize = 100;

const ONLY_READS: &str = "read-only: only SELECT, EXPLAIN, DESCRIBE and SHOW TABLES are allowed";

/// The tables that may be read through one catalogue.
#[derive(Debug)]
pub struct AllowList {
    /// Where names without a schema are looked for.
    pub default_schema: &'static str,
    /// Schemas with their tables.
    pub tables: Vec<(&'static str, Vec<&'static str>)>,
    /// Scans of functions, which are in no schema.
    pub functions: Vec<String>,
    /// How many scans one statement may have.
    pub scans_max: usize,
    /// Whether a query may build on its own rows. It ends with the deadline if not before, and only a catalogue is small
    /// enough for that to cost little.
    pub recurs: bool,
}

impl AllowList {
    fn allows(&self, schema: Option<&str>, table: &str) -> bool {
        if schema.is_none() && self.functions.iter().any(|function| function == table) {
            return true;
        }
        let schema = schema.unwrap_or(self.default_schema);
        let known = self.tables.iter().find(|(known, _)| *known == schema);
        known.is_some_and(|(_, tables)| tables.contains(&table))
    }
}

/// Checks `plan`, its subqueries and all their expressions; it may read what `allowed` lists.
///
/// # Errors
/// [`QueryError::Refused`] with the reason.
pub fn check(plan: &LogicalPlan, allowed: &AllowList) -> Result<(), QueryError> {
    let (mut nodes, mut scans) = (0, 0);
    let mut refusal = None;
    // Queries that build on their own rows read those by their own name, in no schema.
    let mut own = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            own.push(query.name.clone());
        }
        nodes += 1;
        scans += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        refusal = check_node(node, allowed, &own)?.or_else(|| too_many(nodes, NODES_MAX, "steps"));
        refusal = refusal.take().or_else(|| too_many(scans, allowed.scans_max, "tables"));
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refusal.map_or(Ok(()), |reason| Err(QueryError::Refused(reason)))
}

fn too_many(count: usize, max: usize, what: &str) -> Option<String> {
    (count > max).then(|| format!("the statement needs more than {max} {what}"))
}

/// The reason to refuse this node, if there is one.
fn check_node(node: &LogicalPlan, allowed: &AllowList, own: &[String]) -> Result<Option<String>> {
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
        | LogicalPlan::Analyze(_)
        | LogicalPlan::DescribeTable(_) => None,
        LogicalPlan::TableScan(scan) => check_scan(scan, allowed, own),
        LogicalPlan::Values(values) => too_many(values.values.len(), VALUES_ROWS_MAX, "rows of VALUES"),
        LogicalPlan::RecursiveQuery(_) if allowed.recurs => None,
        LogicalPlan::RecursiveQuery(_) => Some("recursive queries are not allowed".to_owned()),
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

/// Only the tables of the list exist as far as a statement is concerned.
fn check_scan(scan: &TableScan, allowed: &AllowList, own: &[String]) -> Option<String> {
    let name = scan.table_name.table();
    let is_own = scan.table_name.schema().is_none() && own.iter().any(|own| own == name);
    let is_allowed = is_own || allowed.allows(scan.table_name.schema(), name);
    (!is_allowed).then(|| format!("table {name} cannot be read"))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use datafusion::logical_expr::builder::LogicalTableSource;
    use datafusion::logical_expr::{LogicalPlanBuilder, exists};

    use super::*;

    fn scan(table: &str) -> LogicalPlanBuilder {
        let source = LogicalTableSource::new(Arc::new(Schema::empty()));
        LogicalPlanBuilder::scan(table, Arc::new(source), None).expect("a table without columns")
    }

    fn refusal(plan: &LogicalPlan, allowed: &AllowList) -> Option<String> {
        check(plan, allowed).err().map(|error| error.to_string())
    }

    #[test]
    fn a_plan_of_one_catalogue_is_refused_in_another() {
        let rows = AllowList {
            default_schema: "public",
            tables: vec![("public", vec!["spans"]), ("information_schema", vec!["tables"])],
            functions: vec!["golden()".to_owned()],
            scans_max: SCANS_MAX,
            recurs: false,
        };
        let metadata = AllowList {
            default_schema: "pg_catalog",
            tables: vec![("pg_catalog", vec!["pg_class"])],
            functions: Vec::new(),
            scans_max: CATALOGUE_SCANS_MAX,
            recurs: true,
        };
        let cases = [
            ("spans", true, false),
            ("public.spans", true, false),
            ("information_schema.tables", true, false),
            ("pg_class", false, true),
            ("pg_catalog.pg_class", false, true),
            // A name is allowed where its schema lists it, not wherever some schema does.
            ("public.tables", false, false),
            ("information_schema.spans", false, false),
            ("golden()", true, false),
            ("public.golden()", false, false),
            ("golden", false, false),
        ];
        for (table, in_rows, in_metadata) in cases {
            let plan = scan(table).build().expect("a scan");
            let allowed = [&rows, &metadata].map(|list| refusal(&plan, list).is_none());
            assert_eq!(allowed, [in_rows, in_metadata], "{table}");
        }
    }

    #[test]
    fn subqueries_are_held_against_the_list_too() {
        let tables = vec![("public", vec!["spans"])];
        let list = AllowList {
            default_schema: "public",
            tables,
            functions: Vec::new(),
            scans_max: SCANS_MAX,
            recurs: false,
        };
        let hidden = exists(Arc::new(scan("pg_class").build().expect("a scan")));
        let plan = scan("spans").filter(hidden).and_then(LogicalPlanBuilder::build).expect("a filter");
        assert_eq!(refusal(&plan, &list).as_deref(), Some("table pg_class cannot be read"));
    }
}
