//! The end of a query: `FETCH FIRST n ROWS ONLY`, and ORDER BY with sub-queries, neither of which the engine plans.
//!
//! `SELECT a FROM t ORDER BY x IN (SELECT ...)` becomes
//! `SELECT c1 AS a FROM (SELECT a AS c1, x IN (SELECT ...) AS o1 FROM t) ORDER BY o1`: what is ordered by is a column.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::existing::count_existing;
use super::named_apart::has_subquery;

/// The limit that FETCH is.
pub fn limit_by_fetch(query: &mut Query) {
    let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent) else { return };
    let rows = fetch.quantity.unwrap_or_else(|| Expr::Value(Value::Number("1".to_owned(), false).into()));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(rows),
        limit_clause => {
            *limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
        }
    }
}

/// Makes columns of what a SELECT is ordered by, where that has sub-queries.
pub fn order_by_columns(query: &mut Query) {
    let Some(order_by) = &mut query.order_by else { return };
    let OrderByKind::Expressions(orders) = &mut order_by.kind else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if select.distinct.is_some() || !orders.iter().any(|order| has_subquery(&order.expr)) {
        return;
    }
    if let Some(outer) = with_columns(select, orders) {
        *select = outer;
    }
}

fn with_columns(select: &Select, orders: &mut [OrderByExpr]) -> Option<Box<Select>> {
    let mut inner = select.clone();
    let mut names = Vec::new();
    for (item, number) in inner.projection.iter_mut().zip(1..) {
        let (expr, name) = match &*item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name_of(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.clone()),
            _ => return None,
        };
        *item = SelectItem::ExprWithAlias { expr, alias: column("c", number) };
        names.push(name);
    }
    for (order, number) in orders.iter_mut().zip(1..) {
        let by = match &order.expr {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => continue,
            Expr::Identifier(name) => names.iter().position(|known| known.value == name.value),
            _ => None,
        };
        let by = match by {
            Some(place) => column("c", place + 1),
            None => {
                let alias = column("o", number);
                let expr = order.expr.clone();
                inner.projection.push(SelectItem::ExprWithAlias { expr, alias: alias.clone() });
                alias
            }
        };
        order.expr = Expr::Identifier(by);
    }
    count_existing(&mut inner);
    let mut shell =
        Parser::new(&PostgreSqlDialect {}).try_with_sql("SELECT 1 FROM (SELECT 1) AS ordered").ok()?;
    let SetExpr::Select(mut outer) = *shell.parse_query().ok()?.body else { return None };
    let TableFactor::Derived { subquery, .. } = &mut outer.from.first_mut()?.relation else { return None };
    *subquery.body = SetExpr::Select(Box::new(inner));
    let columns = names.into_iter().zip(1..).map(|(alias, number)| SelectItem::ExprWithAlias {
        expr: Expr::Identifier(column("c", number)),
        alias,
    });
    outer.projection = columns.collect();
    Some(outer)
}

fn column(kind: &str, number: usize) -> Ident {
    Ident::with_quote('"', format!("{kind}{number}"))
}

fn name_of(expr: &Expr) -> Ident {
    match expr {
        Expr::Identifier(name) => name.clone(),
        Expr::CompoundIdentifier(names) if !names.is_empty() => names[names.len() - 1].clone(),
        expr => Ident::with_quote('"', expr.to_string()),
    }
}
