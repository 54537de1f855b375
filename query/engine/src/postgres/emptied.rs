//! Takes questions about things of which we have none out of a statement.
//!
//! What tools ask about indexes, policies, publications and the like leans on all that PostgreSQL has: sets of rows out
//! of a column, sub-queries in any place. None of it needs to be planned where a SELECT reads a table that never has a
//! row: it has no rows then, whatever it computes. Its columns are kept, as nulls.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
    Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Value, Visit as _, Visitor,
};

use super::labels::label_of;
use super::relations::is_empty;

/// Functions that have a row also where there are none.
const AGGREGATES: [&str; 10] =
    ["count", "max", "min", "sum", "avg", "array_agg", "string_agg", "bool_and", "bool_or", "every"];

/// Replaces every SELECT of `query` that has no rows; true when nothing else is left.
pub fn empty_query(query: &mut Query) -> bool {
    let is_emptied = query.with.is_none() && empty_body(&mut query.body);
    if is_emptied {
        // There is nothing to be ordered, and the columns to order by are gone.
        query.order_by = None;
    }
    is_emptied
}

fn empty_body(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let is_emptied = has_no_rows(select);
            if is_emptied {
                empty_select(select);
            }
            is_emptied
        }
        SetExpr::Query(query) => empty_query(query),
        SetExpr::SetOperation { left, right, .. } => {
            let (left, right) = (empty_body(left), empty_body(right));
            left && right
        }
        _ => false,
    }
}

fn has_no_rows(select: &Select) -> bool {
    let has_columns = select
        .projection
        .iter()
        .all(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let is_plain = !is_grouped && !aggregates(select);
    has_columns && is_plain && select.from.iter().any(is_without_rows)
}

/// An outer join has the rows of its outer side.
fn is_without_rows(from: &TableWithJoins) -> bool {
    let mut is_without = is_empty_table(&from.relation);
    for join in &from.joins {
        let is_empty = is_empty_table(&join.relation);
        is_without = match &join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                is_without || is_empty
            }
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => is_without,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => is_empty,
            JoinOperator::FullOuter(JoinConstraint::On(_)) => is_without && is_empty,
            _ => false,
        };
    }
    is_without
}

fn is_empty_table(table: &TableFactor) -> bool {
    match table {
        TableFactor::Table { name, .. } => is_empty(&names_of(name)),
        TableFactor::NestedJoin { table_with_joins, .. } => is_without_rows(table_with_joins),
        _ => false,
    }
}

/// Whether [`empty_query`] has left nothing of a query.
pub fn is_emptied(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let never = Expr::Value(Value::Boolean(false).into());
    select.from.is_empty() && select.selection == Some(never)
}

/// The parts of a name, in lower case unless they have quotes.
pub fn names_of(name: &ObjectName) -> Vec<String> {
    let parts = name.0.iter().filter_map(ObjectNamePart::as_ident);
    parts
        .map(|part| if part.quote_style.is_some() { part.value.clone() } else { part.value.to_lowercase() })
        .collect()
}

fn empty_select(select: &mut Select) {
    let mut parameters = Parameters::default();
    let _ = select.visit(&mut parameters);
    for item in &mut select.projection {
        let alias = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                names.last().cloned().unwrap_or_else(|| Ident::new("column"))
            }
            SelectItem::UnnamedExpr(expr) => {
                Ident::with_quote('"', label_of(expr).unwrap_or_else(|| "column".to_owned()))
            }
            _ => continue,
        };
        *item = SelectItem::ExprWithAlias { expr: Expr::Value(Value::Null.into()), alias };
    }
    select.from.clear();
    select.distinct = None;
    select.having = None;
    // A client gives as many values as its statement has parameters, so each is still named.
    let never = Expr::Value(Value::Boolean(false).into());
    select.selection = Some(parameters.0.into_iter().fold(never, |never, parameter| Expr::BinaryOp {
        left: Box::new(never),
        op: BinaryOperator::And,
        right: Box::new(Expr::IsNull(Box::new(parameter))),
    }));
}

/// Collects parameters, which are counted wherever they stand.
#[derive(Default)]
struct Parameters(Vec<Expr>);

impl Visitor for Parameters {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && matches!(value.value, Value::Placeholder(_))
            && !self.0.contains(expr)
        {
            self.0.push(expr.clone());
        }
        ControlFlow::Continue(())
    }
}

/// Whether one of the columns of a SELECT is an aggregate, outside of its sub-queries.
pub fn aggregates(select: &Select) -> bool {
    select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_aggregate(expr),
        _ => false,
    })
}

fn is_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => {
            let name = names_of(&function.name).pop().unwrap_or_default();
            function.over.is_none() && AGGREGATES.contains(&name.as_str())
        }
        Expr::Cast { expr, .. } | Expr::Nested(expr) | Expr::UnaryOp { expr, .. } => is_aggregate(expr),
        Expr::BinaryOp { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        _ => false,
    }
}
