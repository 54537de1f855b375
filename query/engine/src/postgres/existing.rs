//! `EXISTS` and `IN (SELECT ...)` among the columns of a SELECT, which the engine plans only where rows are filtered
//! by them.
//!
//! `SELECT EXISTS (SELECT ... FROM t WHERE ...)` becomes `SELECT (SELECT count(*) > 0 FROM ...)`. Where the sub-query
//! stands alone it is cut after its first row, so that nothing is counted; where it depends on the row around it, it is
//! counted as it is, for the engine joins no other shape. `x IN (SELECT y ...)` becomes a look into the list of all y.
//! Limits: nulls in that list are passed over.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, UnaryOperator,
    Value, Visit as _, VisitMut as _, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::casts::call;
use super::emptied::{aggregates, names_of};

/// Rewrites both in the columns of `select`.
pub fn count_existing(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = expr.visit(&mut Counting { depth: 0 });
        }
    }
}

/// Leaves sub-queries alone: what filters rows there can be planned.
struct Counting {
    depth: usize,
}

impl VisitorMut for Counting {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let (value, negated) = match &*expr {
            Expr::Exists { subquery, negated } => (counted(subquery), *negated),
            Expr::InSubquery { expr, subquery, negated } => (listed(expr, subquery), *negated),
            _ => return ControlFlow::Continue(()),
        };
        if let Some(value) = value {
            let not = |value| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(value) };
            *expr = if negated { not(value) } else { value };
        }
        ControlFlow::Continue(())
    }
}

/// Whether `value` is among the rows of `subquery`: null for a null.
fn listed(value: &Expr, subquery: &Query) -> Option<Expr> {
    let list = Expr::Subquery(as_list(subquery)?);
    let never = Expr::Value(Value::Boolean(false).into());
    let is_in = call("coalesce", vec![call("array_has", vec![list, value.clone()]), never]);
    // `(value IS NULL AND NULL) OR ...`
    let null =
        binary(Expr::IsNull(Box::new(value.clone())), BinaryOperator::And, Expr::Value(Value::Null.into()));
    Some(Expr::Nested(Box::new(binary(Expr::Nested(Box::new(null)), BinaryOperator::Or, is_in))))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// All rows of a query of one column, as one value.
pub fn as_list(query: &Query) -> Option<Box<Query>> {
    let mut query = Box::new(query.clone());
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [item] = select.projection.as_mut_slice() else { return None };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return None };
    *item = SelectItem::UnnamedExpr(call("array_agg", vec![expr.clone()]));
    query.order_by = None;
    Some(query)
}

/// Whether `subquery` has a row, as a value.
fn counted(subquery: &Query) -> Option<Expr> {
    let mut outer = parsed("SELECT count(*) > 0 FROM (SELECT 1 LIMIT 1) AS existing")?;
    let SetExpr::Select(shell) = outer.body.as_mut() else { return None };
    if let SetExpr::Select(select) = subquery.body.as_ref()
        && depends(select)
    {
        let is_plain = subquery.with.is_none()
            && subquery.limit_clause.is_none()
            && select.having.is_none()
            && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty())
            && !aggregates(select);
        let mut select = Select::clone(select);
        select.projection.clone_from(&shell.projection);
        select.distinct = None;
        **shell = select;
        return is_plain.then_some(Expr::Subquery(outer));
    }
    let TableFactor::Derived { subquery: inner, .. } = &mut shell.from.first_mut()?.relation else {
        return None;
    };
    let mut alone = subquery.clone();
    if let SetExpr::Select(select) = alone.body.as_mut()
        && select.projection.is_empty()
    {
        // `EXISTS (SELECT FROM t)`
        select.projection.push(SelectItem::UnnamedExpr(Expr::Value(Value::Null.into())));
    }
    if alone.limit_clause.is_none() {
        alone.limit_clause.clone_from(&inner.limit_clause);
    }
    alone.order_by = None;
    **inner = alone;
    Some(Expr::Subquery(outer))
}

fn parsed(sql: &str) -> Option<Box<Query>> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).ok()?.parse_query().ok()
}

/// Whether a SELECT names columns of tables that it does not read.
fn depends(select: &Select) -> bool {
    let mut own = Vec::new();
    for from in &select.from {
        let joined = from.joins.iter().map(|join| &join.relation);
        own.extend(std::iter::once(&from.relation).chain(joined).filter_map(name_of));
    }
    let mut foreign = Foreign { own: &own, is_found: false };
    let _ = select.visit(&mut foreign);
    foreign.is_found
}

fn name_of(table: &TableFactor) -> Option<String> {
    match table {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(folded(&alias.name))
        }
        TableFactor::Table { name, .. } => names_of(name).pop(),
        _ => None,
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

struct Foreign<'a> {
    own: &'a [String],
    is_found: bool,
}

impl Visitor for Foreign<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let [.., table, _] = names.as_slice()
        {
            self.is_found |= !self.own.contains(&folded(table));
        }
        ControlFlow::Continue(())
    }
}
