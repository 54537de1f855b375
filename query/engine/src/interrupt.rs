//! Makes a plan stop soon after nobody waits for it any more.
//!
//! DataFusion's sources give way to other tasks, and with them most of what reads from them. A join does not: it goes
//! through all pairs of rows that it has in memory, for as long as none passes its filter within one step that cannot
//! be dropped, timed out or stopped, and its thread is gone for hours. So the filter of each join is asked by way of
//! [`Asked`], which fails once the query has been stopped; and a join, which makes many rows of few, gives way after
//! some batches. Functions and windows ask for themselves (`capped`, `watched`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};

use crate::stop::Stop;

/// `plan`, which ends with an error soon after `stop` says so.
pub fn stoppable(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    let made = plan.transform_up(|node| {
        let join: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            let filter = match join.filter() {
                Some(filter) => Some(asked(filter, stop)),
                None if hands_over_late(*join.join_type()) => Some(asked(&every(), stop)),
                None => None,
            };
            let projection = join.projection().as_ref().map(|columns| columns.to_vec());
            let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
            Arc::new(NestedLoopJoinExec::try_new(left, right, filter, join.join_type(), projection)?)
        } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            match join.filter() {
                Some(filter) => join.builder().with_filter(Some(asked(filter, stop))).build_exec()?,
                // With nulls in mind, as NOT IN is, it takes no filter.
                None if !join.null_aware && hands_over_late(*join.join_type()) => {
                    join.builder().with_filter(Some(asked(&every(), stop))).build_exec()?
                }
                None => node,
            }
        } else if node.is::<CrossJoinExec>() {
            node
        } else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(made.data)
}

/// Whether a join goes through all pairs of a batch, however many, before it hands over a row: it tells only which rows
/// have a partner.
fn hands_over_late(join_type: JoinType) -> bool {
    matches!(
        join_type,
        JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::RightMark
    )
}

/// A filter that every pair passes.
fn every() -> JoinFilter {
    JoinFilter::new(Arc::new(Literal::new(true.into())), vec![], Arc::new(Schema::empty()))
}

fn asked(filter: &JoinFilter, stop: &Stop) -> JoinFilter {
    let expression = Asked { inner: Arc::clone(filter.expression()), stop: stop.clone() };
    JoinFilter::new(Arc::new(expression), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// An expression that fails once its query was stopped.
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Asked {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Asked { inner, stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::collect;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// How many rows `sql` gives, or that it was stopped.
    async fn rows(sql: &str, stop: &Stop) -> std::result::Result<usize, String> {
        let session = SessionContext::new();
        let plan = session.sql(sql).await.expect("a statement").create_physical_plan().await.expect("a plan");
        let plan = stoppable(plan, stop).expect("a plan");
        let batches = collect(plan, session.task_ctx()).await.map_err(|error| error.to_string())?;
        Ok(batches.iter().map(RecordBatch::num_rows).sum())
    }

    /// A join that hands over no row before it has gone through all pairs asks for each of them, with a filter or without.
    #[tokio::test]
    async fn joins_that_ask_for_partners_alone_are_stopped_between_pairs() {
        let (few, many) = ("(VALUES (1), (2), (NULL)) AS t(a)", "(VALUES (1), (1), (2), (3)) AS u(b)");
        for (sql, count) in [
            (format!("SELECT a FROM {few} WHERE EXISTS (SELECT 1 FROM {many} WHERE a = b)"), 2),
            (format!("SELECT a FROM {few} WHERE NOT EXISTS (SELECT 1 FROM {many} WHERE a = b)"), 1),
            (format!("SELECT a FROM {few} WHERE a IN (SELECT b FROM {many}) OR a = 2"), 2),
            (format!("SELECT b FROM {many} WHERE b IN (SELECT a FROM {few})"), 3),
            (format!("SELECT a FROM {few} WHERE EXISTS (SELECT 1 FROM {many} WHERE a = b AND a + b > 2)"), 1),
            (format!("SELECT a FROM {few} INTERSECT SELECT b FROM {many}"), 2),
            // Without anything to compare.
            (format!("SELECT a FROM {few} WHERE EXISTS (SELECT 1 FROM {many})"), 3),
            (format!("SELECT a FROM {few} WHERE NOT EXISTS (SELECT 1 FROM {many})"), 0),
            (format!("SELECT a FROM {few} WHERE a = 1 OR EXISTS (SELECT 1 FROM {many} WHERE b > 2)"), 3),
            // Of a list with a null nobody knows what is in it.
            (format!("SELECT b FROM {many} WHERE b NOT IN (SELECT a FROM {few})"), 0),
        ] {
            let stop = Stop::default();
            assert_eq!(rows(&sql, &stop).await, Ok(count), "{sql}");
            stop.stop();
            let stopped = rows(&sql, &stop).await;
            let takes_no_filter = sql.contains("b NOT IN");
            assert_eq!(stopped.is_err_and(|told| told.contains("stopped")), !takes_no_filter, "{sql}");
        }
    }
}
