//! Watches the steps of a plan that can take much memory and tell nobody.
//!
//! DataFusion's pool is asked by sorts, aggregates, and the sides of joins that are kept. It is not asked for
//! one batch, nor by windows, which keep all their rows; and one batch can be anything: a join writes a wide
//! row eight thousand times, a window writes its text once a row, a constant becomes a column. So between two
//! steps of a plan, where the second multiplies what the first hands over, a node looks at what passes:
//! `narrow` hands on fewer rows at once or refuses those that are too wide, `windows` has the pool count what
//! a window holds, and `cut` makes batches of the usual length of what was handed over at once. Plans without such steps are
//! as they were.
//!
//! Limits: sizes are found by looking at rows, so what one step makes within its bounds is there before it is
//! counted; a join whose computed columns, lists or maps are wider than [`ROW_BYTES_MAX`] is refused, however
//! few rows it has.

mod narrow;
mod windows;
mod aggregates;
mod fitted;
mod cut;
mod node;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec, SymmetricHashJoinExec,
};
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use crate::error::QueryError;
use crate::stop::Stop;
use cut::Cut;
use fitted::{Fitted, has_nested};
use narrow::{Narrow, Step};
use node::Passing;
use windows::watched_windows;

pub use aggregates::CountWindows;

/// Rows of a batch, as the engine cuts them.
const BATCH_ROWS: usize = 8_192;

/// Bytes of a row that a join writes once a pair, or that stand beside a list that becomes rows: a batch of
/// them is 256 MiB at worst.
const ROW_BYTES_MAX: usize = 32 << 10;

/// Bytes of the constants of one step that are written once a row, and of the value of a query in its place:
/// 128 MiB a batch. A shorter text than [`LONG_TEXT_BYTES`] is not counted, as lists of ids are.
const CONSTANT_BYTES_MAX: usize = 16 << 10;

/// A statement has 64 KiB.
const LONG_TEXT_BYTES: usize = 1 << 10;

/// As often as a step may read its columns of texts and lists without its batches being looked at: sixteen
/// copies of an ordinary batch of some MiB.
const COPIES_UNWATCHED: usize = 16;

/// `plan`, with nodes that watch its steps; `stop` stops its windows.
///
/// # Errors
/// [`QueryError::Refused`] for constants that are too long.
pub fn watched(
    plan: Arc<dyn ExecutionPlan>,
    pool: &Arc<dyn MemoryPool>,
    stop: &Stop,
) -> Result<Arc<dyn ExecutionPlan>> {
    let watched = plan.transform_up(|node| {
        check_constants(&node)?;
        let node = watched_windows(node, pool, stop)?;
        if let Some(aggregate) =
            node.downcast_ref::<AggregateExec>().filter(|node| has_nested(&node.input_schema()))
        {
            let input = Arc::new(Passing::new(Arc::clone(aggregate.input()), Fitted));
            return replaced(node, vec![input]).map(Transformed::yes);
        }
        match steps(&node)? {
            steps if steps.iter().all(Option::is_none) => Ok(Transformed::no(node)),
            steps => {
                let children = node.children().into_iter().zip(steps).map(|(child, step)| match step {
                    Some(step) => Arc::new(Passing::new(Arc::clone(child), Narrow(step))) as _,
                    None => Arc::clone(child),
                });
                let children = children.collect();
                let unnests = node.is::<UnnestExec>();
                let node = replaced(node, children)?;
                let node = if unnests { Arc::new(Passing::new(node, Cut)) as _ } else { node };
                Ok(Transformed::yes(node))
            }
        }
    })?;
    Ok(watched.data)
}

fn replaced(
    node: Arc<dyn ExecutionPlan>,
    children: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    node.replace_children(children, options)
}

/// What is to be known of the rows of each child of `node`.
fn steps(node: &Arc<dyn ExecutionPlan>) -> Result<Vec<Option<Step>>> {
    let children = node.children();
    if is_join(node) {
        let is_written_again = children.iter().map(|child| has_spelt(&child.schema()));
        return Ok(is_written_again.map(|is| is.then_some(Step::Repeats(Vec::new()))).collect());
    }
    if let Some(unnest) = node.downcast_ref::<UnnestExec>() {
        let lists = unnest.list_column_indices().iter().map(|list| list.index_in_input_schema).collect();
        return Ok(vec![Some(Step::Repeats(lists))]);
    }
    if node.is::<ScalarSubqueryExec>() {
        let inner = children.iter().skip(1).map(|_| Some(Step::Constant));
        return Ok(std::iter::once(None).chain(inner).collect());
    }
    match children.as_slice() {
        [child] => Ok(vec![copies(node, &child.schema())?]),
        children => Ok(vec![None; children.len()]),
    }
}

fn is_join(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<SymmetricHashJoinExec>()
}

/// How often a step reads each column, where it does so often. A column that is only handed on is not copied.
fn copies(node: &Arc<dyn ExecutionPlan>, schema: &Schema) -> Result<Option<Step>> {
    let mut uses = vec![0; schema.fields().len()];
    node.apply_expressions(&mut |expr| {
        if !expr.is::<Column>() {
            expr.apply(|part| {
                if let Some(column) = part.downcast_ref::<Column>()
                    && let Some(uses) = uses.get_mut(column.index())
                {
                    *uses += 1;
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    for (uses, field) in uses.iter_mut().zip(schema.fields()) {
        if field.data_type().primitive_width().is_some() {
            *uses = 0;
        }
    }
    Ok((uses.iter().sum::<usize>() > COPIES_UNWATCHED).then_some(Step::Copies(uses)))
}

/// Whether rows have columns that are written again in full where a row is repeated.
fn has_spelt(schema: &Schema) -> bool {
    let is_shared = |kind: &DataType| {
        kind.primitive_width().is_some()
            || matches!(
                kind,
                DataType::Boolean
                    | DataType::Null
                    | DataType::Utf8View
                    | DataType::BinaryView
                    | DataType::Dictionary(..)
            )
    };
    !schema.fields().iter().all(|field| is_shared(field.data_type()))
}

/// A constant may be written once a row; over one row it may be as long as a statement can make it.
fn check_constants(node: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let children = node.children();
    if children.iter().all(|child| child.is::<PlaceholderRowExec>()) {
        return Ok(());
    }
    let mut bytes = 0;
    node.apply_expressions(&mut |expr: &Arc<dyn PhysicalExpr>| {
        expr.apply(|part| {
            let value = part.downcast_ref::<Literal>().map_or(0, |literal| literal.value().size());
            bytes += if value > LONG_TEXT_BYTES { value } else { 0 };
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if bytes > CONSTANT_BYTES_MAX {
        let message =
            format!("constants of {bytes} bytes beside rows, at most {CONSTANT_BYTES_MAX} are allowed");
        return Err(QueryError::Refused(message).into());
    }
    Ok(())
}
