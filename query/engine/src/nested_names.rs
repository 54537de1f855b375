//! Gives a name to every query in FROM that has none.
//!
//! Without one its columns are called as those of the query around it, and DataFusion 55 takes one for the other. Two
//! projections in a row that are written alike it takes for one (`merge_consecutive_projections_one_level`): of
//! `SELECT a + 1 AS a FROM (SELECT a + 1 AS a FROM t)` it left `a + 1`. And of `SELECT b AS a, a AS b FROM (...) ORDER BY a`
//! it sorted by the column that `a` was before, which the answer calls b. Columns of a query with a name are `name.a`
//! beside `a`, so nothing is mistaken. Names are given in the parsed statement, before anything is planned; what they add
//! to the names of columns that have none of their own, as `sum(a)`, is taken off again.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Ident, TableAlias, TableFactor, VisitMut as _, VisitorMut};

/// Begins the names; a number follows. A statement that says such a name of its own gets an error at worst.
const MARK: &str = "__nested_";

/// Names every query in FROM, wherever in the statement.
pub fn give(statement: &mut Statement) {
    match statement {
        Statement::Statement(parsed) => {
            let _ = parsed.visit(&mut Naming { given: 0 });
        }
        Statement::Explain(explain) => give(&mut explain.statement),
        _ => {}
    }
}

/// `plan` with columns that are called as the statement says. Those that would then be called alike stay as they are.
pub fn take_off(plan: LogicalPlan) -> Result<LogicalPlan> {
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)) {
        return Ok(plan);
    }
    let shown: Vec<String> = plan.schema().fields().iter().map(|field| without(field.name())).collect();
    let is_known = |name: &String| shown.iter().filter(|other| *other == name).count() == 1;
    let is_other = |(column, name): &(datafusion::common::Column, &String)| column.name != **name;
    if !plan.schema().columns().into_iter().zip(&shown).any(|named| is_other(&named) && is_known(named.1)) {
        return Ok(plan);
    }
    let columns = plan.schema().columns().into_iter().zip(&shown).map(|(column, name)| {
        if column.name == *name || !is_known(name) {
            Expr::Column(column)
        } else {
            Expr::Column(column).alias(name)
        }
    });
    let columns = columns.collect::<Vec<_>>();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// `sum(a)` of `sum(__nested_1.a)`.
fn without(name: &str) -> String {
    let mut parts = name.split(MARK);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let behind = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        shown + behind.strip_prefix('.').unwrap_or(behind)
    })
}

struct Naming {
    given: usize,
}

impl VisitorMut for Naming {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { alias: alias @ None, .. } = table {
            self.given += 1;
            let name = Ident::new(format!("{MARK}{}", self.given));
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_off_wherever_they_stand() {
        for (name, shown) in [
            ("sum(__nested_12.a)", "sum(a)"),
            ("__nested_1.a + __nested_2.b", "a + b"),
            ("count(*)", "count(*)"),
            ("a", "a"),
        ] {
            assert_eq!(without(name), shown);
        }
    }
}
