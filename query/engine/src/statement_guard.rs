//! Refuses statements that are short as text and endless to plan, and those that the planner would read as others.
//!
//! A common table is put in wherever it is named, so twenty that each name the last one twice are a million queries; a
//! query inside of an expression is gone through twice a level; `CUBE` of twenty columns is a million groupings. None
//! of it can be stopped once it is planned, so it is counted on the parsed statement. What expressions
//! become that name each other is counted on the plan (`expansion`).
//!
//! Some clauses the planner of DataFusion 55 passes over without a word (`TABLESAMPLE`, `PREWHERE`, `GROUP BY a WITH
//! ROLLUP`): an answer to another question than was asked. They are refused by name.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, ObjectName, Query, Select, TableFactor, Visit as _, Visitor,
};

use crate::error::QueryError;

/// Queries and tables of one statement, common tables counted wherever they are named. The plan may have as many steps.
const EXPANDED_MAX: u64 = 300;

/// Levels of queries inside of expressions. Each doubles what planning takes: 14 took 80 ms, 20 some seconds.
const NESTED_MAX: usize = 8;

/// Groupings of all `CUBE`, `ROLLUP` and `GROUPING SETS` of one statement. 4,096 took a second.
const GROUPINGS_MAX: u64 = 1_024;

/// Checks a statement before it is planned.
///
/// # Errors
/// [`QueryError::Refused`] naming the bound or the clause.
pub fn check(statement: &Statement) -> Result<(), QueryError> {
    let parsed = match statement {
        Statement::Statement(parsed) => parsed,
        Statement::Explain(explain) => return check(&explain.statement),
        // The plan's own guard refuses the others.
        _ => return Ok(()),
    };
    let mut counts = Counts { groupings: 1, ..Counts::default() };
    match parsed.visit(&mut counts) {
        ControlFlow::Break(reason) => Err(QueryError::Refused(reason)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct Counts {
    /// Queries around the place, the innermost last.
    open: Vec<Open>,
    nested: usize,
    groupings: u64,
}

/// A query that is being gone through.
#[derive(Default)]
struct Open {
    /// Queries and tables in it so far.
    expanded: u64,
    /// Its common tables, by where their query is: their name.
    common: HashMap<*const Query, String>,
    /// What those that were gone through are made of.
    known: HashMap<String, u64>,
}

impl Counts {
    fn add(&mut self, expanded: u64) -> ControlFlow<String> {
        let Some(open) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        open.expanded = open.expanded.saturating_add(expanded);
        at_most(open.expanded, EXPANDED_MAX, "queries and tables, each counted wherever it is named")
    }
}

fn at_most(count: u64, max: u64, what: &str) -> ControlFlow<String> {
    if count <= max {
        return ControlFlow::Continue(());
    }
    ControlFlow::Break(format!("the statement needs more than {max} {what}"))
}

fn passed_over(clause: &str) -> ControlFlow<String> {
    ControlFlow::Break(format!("{clause} is not supported"))
}

impl Visitor for Counts {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return passed_over("FOR");
        }
        if query.settings.is_some() || query.format_clause.is_some() {
            return passed_over("SETTINGS and FORMAT");
        }
        let common = query.with.iter().flat_map(|with| &with.cte_tables);
        let common =
            common.map(|table| (std::ptr::from_ref(&*table.query), name_of(&table.alias.name.value)));
        self.open.push(Open { common: common.collect(), ..Open::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let Some(ended) = self.open.pop() else { return ControlFlow::Continue(()) };
        let Some(around) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        match around.common.get(&std::ptr::from_ref(query)) {
            // What nobody names costs nothing more.
            Some(name) => {
                around.known.insert(name.clone(), ended.expanded);
                ControlFlow::Continue(())
            }
            None => self.add(ended.expanded),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        if select.prewhere.is_some() {
            return passed_over("PREWHERE");
        }
        if !select.connect_by.is_empty() {
            return passed_over("CONNECT BY");
        }
        let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
        if !modifiers.is_empty() {
            let message =
                "GROUP BY ... WITH is not supported: write GROUP BY ROLLUP (...) or GROUP BY CUBE (...)";
            return ControlFlow::Break(message.to_owned());
        }
        self.add(1)
    }

    fn pre_visit_relation(&mut self, table: &ObjectName) -> ControlFlow<String> {
        let [part] = table.0.as_slice() else { return self.add(1) };
        let name = part.as_ident().map(|ident| name_of(&ident.value)).unwrap_or_default();
        let known = self.open.iter().rev().find_map(|open| open.known.get(&name).copied());
        self.add(known.unwrap_or(1))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<String> {
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                passed_over("TABLESAMPLE")
            }
            TableFactor::Table { version: Some(_), .. } => passed_over("a table AS OF a time"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.nested += usize::from(holds_query(expr));
        if self.nested > NESTED_MAX {
            let message = format!("queries in expressions are nested more than {NESTED_MAX} levels deep");
            return ControlFlow::Break(message);
        }
        let groupings = match expr {
            Expr::Cube(columns) => 1_u64.checked_shl(u32::try_from(columns.len()).unwrap_or(u32::MAX)),
            Expr::Rollup(columns) => Some(columns.len() as u64 + 1),
            Expr::GroupingSets(sets) => Some(sets.len() as u64),
            _ => Some(1),
        };
        self.groupings = self.groupings.saturating_mul(groupings.unwrap_or(u64::MAX).max(1));
        at_most(self.groupings, GROUPINGS_MAX, "groupings")
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.nested -= usize::from(holds_query(expr));
        ControlFlow::Continue(())
    }
}

fn holds_query(expr: &Expr) -> bool {
    matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. })
}

/// Names that differ in their letters' case are held for one: that counts too much, never too little.
fn name_of(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    fn refusal(sql: &str) -> Option<String> {
        let state = SessionContext::new().state();
        let statement = state.sql_to_statement(sql, &datafusion::config::Dialect::Generic);
        check(&statement.expect("a statement that parses")).err().map(|error| error.to_string())
    }

    fn check_at(max: &str, at: &str, beyond: &str) {
        assert_eq!(refusal(at), None, "{at}");
        assert!(refusal(beyond).is_some_and(|told| told.contains(max)), "{beyond}: {:?}", refusal(beyond));
    }

    #[test]
    fn common_tables_count_wherever_they_are_named() {
        // t0 is one SELECT of one table: 2. Each of the others is a SELECT and twice the last.
        let chain = |tables: usize| {
            let last = (1..tables).map(|n| format!(", t{n} AS (SELECT * FROM t{} a, T{} b)", n - 1, n - 1));
            let last = last.collect::<String>();
            format!("WITH t0 AS (SELECT * FROM spans){last} SELECT * FROM t{}", tables - 1)
        };
        // 2, 5, 11, 23, 47, 95, 191 and the SELECT around; the next is 383.
        check_at("300", &chain(7), &chain(8));
        // Named in a query below, and by another of its own below that.
        let inner =
            "WITH t0 AS (SELECT 1) SELECT * FROM (WITH t1 AS (SELECT * FROM t0, t0 b) SELECT * FROM t1) x";
        assert_eq!(refusal(inner), None);
        assert_eq!(refusal(&format!("EXPLAIN {}", chain(8))), refusal(&chain(8)));
    }

    #[test]
    fn queries_in_expressions_are_as_deep_as_they_may_be() {
        let scalar = |depth: usize| format!("SELECT {}1{}", "(SELECT ".repeat(depth), ")".repeat(depth));
        check_at("8", &scalar(NESTED_MAX), &scalar(NESTED_MAX + 1));
        let within = |depth: usize| {
            format!("SELECT 1 WHERE {}true{}", "1 IN (SELECT 1 WHERE ".repeat(depth), ")".repeat(depth))
        };
        check_at("8", &within(NESTED_MAX), &within(NESTED_MAX + 1));
        // Beside one another they are not nested, and in FROM they are ordinary.
        let beside = vec!["(SELECT 1)"; 20].join(" + ");
        assert_eq!(refusal(&format!("SELECT {beside}")), None);
        let from = |depth: usize| {
            format!("SELECT * FROM {}spans{}", "(SELECT * FROM ".repeat(depth), ")".repeat(depth))
        };
        assert_eq!(refusal(&from(20)), None);
    }

    #[test]
    fn groupings_are_those_of_all_sets_together() {
        let cube = |columns: usize| {
            let columns = (0..columns).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
            format!("SELECT 1 FROM t GROUP BY CUBE ({columns})")
        };
        check_at("1024", &cube(10), &cube(11));
        let both = |more: &str| format!("{}, ROLLUP (a{more})", cube(9));
        // 512 times two, then three.
        check_at("1024", &both(""), &both(", b"));
        assert!(refusal(&cube(70)).is_some());
    }

    #[test]
    fn clauses_that_would_be_passed_over_are_refused() {
        for (sql, clause) in [
            ("SELECT * FROM spans TABLESAMPLE BERNOULLI (1)", "TABLESAMPLE"),
            ("SELECT * FROM t PREWHERE a = 1", "PREWHERE"),
            ("SELECT a FROM t GROUP BY a WITH ROLLUP", "ROLLUP"),
            ("SELECT a FROM t GROUP BY ALL WITH TOTALS", "GROUP BY"),
            ("SELECT a FROM t FOR UPDATE", "FOR"),
            ("SELECT a FROM t SETTINGS max_threads = 1", "SETTINGS"),
            ("SELECT 1 FROM (SELECT * FROM t PREWHERE a = 1) x", "PREWHERE"),
        ] {
            assert!(refusal(sql).is_some_and(|told| told.contains(clause)), "{sql}: {:?}", refusal(sql));
        }
        assert_eq!(refusal("SELECT a FROM t GROUP BY ROLLUP (a) ORDER BY a LIMIT 1 OFFSET 2"), None);
    }
}
