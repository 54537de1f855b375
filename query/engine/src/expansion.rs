//! Refuses plans whose expressions would grow without end once what they name is put in its place.
//!
//! Moving a filter below the query that computes what it asks, DataFusion writes the computation in place of the name, as
//! often as it is named. Of twenty queries that each add the last one's column to itself that makes an expression of a
//! million parts within one step of planning, which nothing can stop. So it is counted beforehand how many parts each
//! expression would have if every name in it were replaced, down to the columns of tables, which is the most that any
//! order of steps can make of it.

use std::collections::HashMap;

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::error::QueryError;

/// Parts of all expressions of a plan. The longest text that may be asked has 5,000 tokens; 4,096 parts in one
/// filter took 0.7 s to plan.
const PARTS_MAX: u64 = 10_000;

/// Checks `plan`, whose number of steps is bounded.
///
/// # Errors
/// [`QueryError::Refused`].
pub fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut parts = 0;
    columns(plan, &mut parts)?;
    if parts <= PARTS_MAX {
        return Ok(());
    }
    let message = format!(
        "expressions that name each other come to {parts} parts when written out, at most {PARTS_MAX} are allowed"
    );
    Err(QueryError::Refused(message))
}

/// Of each column of `plan`, how many parts it is made of; `parts` is added what all expressions are made of.
fn columns(plan: &LogicalPlan, parts: &mut u64) -> Result<Vec<u64>> {
    let mut inputs = Vec::new();
    for input in plan.inputs() {
        inputs.push(columns(input, parts)?);
    }
    let named = plan.inputs().into_iter().zip(&inputs);
    let named =
        named.flat_map(|(input, made)| input.schema().columns().into_iter().zip(made.iter().copied()));
    let named = named.collect::<HashMap<_, _>>();
    let mut own = Vec::new();
    plan.apply_expressions(|expr| {
        own.push(made_of(expr, &named, parts)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    *parts = own.iter().fold(*parts, |sum, made| sum.saturating_add(*made));
    let count = plan.schema().fields().len();
    Ok(match plan {
        LogicalPlan::Projection(_) => own,
        // What is computed of many rows is never written in place of its name.
        LogicalPlan::Aggregate(aggregate) => {
            let groups = grouping_set_to_exprlist(&aggregate.group_expr)?;
            let groups =
                groups.into_iter().map(|expr| made_of(expr, &named, &mut 0)).collect::<Result<Vec<_>>>()?;
            padded(groups, count)
        }
        LogicalPlan::Union(_) => {
            (0..count).map(|at| largest(inputs.iter().filter_map(|made| made.get(at)))).collect()
        }
        _ => {
            let all = inputs.concat();
            if matches!(plan, LogicalPlan::Window(_)) || all.len() == count {
                padded(all, count)
            } else {
                let known = |column: &Column| named.get(column).copied();
                let most = largest(all.iter());
                plan.schema().columns().iter().map(|column| known(column).unwrap_or(most)).collect()
            }
        }
    })
}

fn padded(mut made: Vec<u64>, count: usize) -> Vec<u64> {
    made.resize(count, 1);
    made
}

fn largest<'a>(made: impl Iterator<Item = &'a u64>) -> u64 {
    made.copied().max().unwrap_or(1)
}

/// How many parts `expr` has with all names replaced; a query in it has those of all its expressions.
fn made_of(expr: &Expr, named: &HashMap<Column, u64>, parts: &mut u64) -> Result<u64> {
    let mut made = 0_u64;
    expr.apply(|part| {
        let more = match part {
            Expr::Column(column) => named.get(column).copied().unwrap_or(1),
            Expr::ScalarSubquery(query) => inside(&query.subquery, parts)?,
            Expr::Exists(exists) => inside(&exists.subquery.subquery, parts)?,
            Expr::InSubquery(within) => inside(&within.subquery.subquery, parts)?,
            Expr::SetComparison(within) => inside(&within.subquery.subquery, parts)?,
            _ => 1,
        };
        made = made.saturating_add(more);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(made)
}

/// What a query in an expression is made of, which is counted once more wherever the expression is named.
fn inside(query: &LogicalPlan, parts: &mut u64) -> Result<u64> {
    let mut inner = 0;
    columns(query, &mut inner)?;
    *parts = parts.saturating_add(inner);
    Ok(inner.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::builder::LogicalTableSource;
    use datafusion::logical_expr::{LogicalPlanBuilder, col, scalar_subquery};
    use datafusion::prelude::lit;

    use super::*;

    fn table() -> LogicalPlanBuilder {
        let schema = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
        LogicalPlanBuilder::scan("t", Arc::new(LogicalTableSource::new(Arc::new(schema))), None)
            .expect("a table")
    }

    fn parts_of(plan: &LogicalPlan) -> u64 {
        let mut parts = 0;
        columns(plan, &mut parts).expect("a plan");
        parts
    }

    /// `x + x` of the query below, so many times.
    fn doubled(times: usize) -> LogicalPlanBuilder {
        (0..times).fold(table(), |plan, _| {
            plan.project([(col("x") + col("x")).alias("x")])
                .and_then(|plan| plan.alias("t"))
                .expect("a column x")
        })
    }

    #[test]
    fn what_names_itself_twice_doubles() {
        // An alias, a sum and two names: 4 parts, then 2 + 2 * 4, then 2 + 2 * 10.
        let plan = |times| doubled(times).build().expect("a plan");
        assert_eq!([1, 2, 3].map(|times| parts_of(&plan(times))), [4, 4 + 10, 4 + 10 + 22]);
        // The sum of 3 * 2^k - 2: ten levels have 6 * 1,024 - 26 = 6,118 parts, eleven 6 * 2,048 - 28 = 12,260.
        assert!(check(&plan(10)).is_ok());
        let refused = check(&plan(11)).expect_err("too many").to_string();
        assert!(refused.contains("12260 parts") && refused.contains("10000"), "{refused}");
        assert!(check(&plan(70)).is_err(), "more than any number");
    }

    #[test]
    fn filters_groups_and_windows_are_counted_and_sums_are_not_written_out() {
        let filtered =
            doubled(3).filter(col("x").gt(lit(1))).and_then(LogicalPlanBuilder::build).expect("a plan");
        // The comparison, the constant, and the name of 22 parts.
        assert_eq!(parts_of(&filtered), 36 + 24);
        let none: [Expr; 0] = [];
        let sum = datafusion::functions_aggregate::expr_fn::sum(col("x")).alias("x");
        let summed = doubled(3).aggregate(none, [sum]).expect("a sum");
        let before = parts_of(&summed.clone().build().expect("a plan"));
        let more = summed.project([col("x") + col("x")]).and_then(LogicalPlanBuilder::build).expect("a plan");
        assert_eq!(parts_of(&more) - before, 3);
    }

    #[test]
    fn a_query_in_an_expression_counts_wherever_that_is_named() {
        let query = doubled(3).build().expect("a plan");
        let plan = table().project([scalar_subquery(Arc::new(query)).alias("x")]);
        let plan =
            plan.and_then(|plan| plan.project([col("x") + col("x")])).and_then(LogicalPlanBuilder::build);
        // 36 in the query; its name and the alias: 38; then a sum of two of these.
        assert_eq!(parts_of(&plan.expect("a plan")), 36 + 38 + (1 + 2 * 38));
    }
}
