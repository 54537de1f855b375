//! Takes questions about things of which we have none out of a statement.
//!
//! What tools ask about indexes, policies, publications and the like leans on all that PostgreSQL has: sets of rows out
//! of a column, sub-queries in any place. None of it needs to be planned where a SELECT reads a table that never has a
//! row: it has no rows then, whatever it computes. Its columns are kept, as nulls.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Value, Visit as _, Visitor,
};

use super::labels::label_of;
use super::relations::is_empty;

/// Functions that have a row also where there are none.
const AGGREGATES: [&str; 10] =
    ["count", "max", "min", "sum", "avg", "array_agg", "string_agg", "bool_and", "bool_or", "every"];

/// Replaces every SELECT of `query` that has no rows; true when nothing else is left.
pub fn empty_query(query: &mut Query) -> bool {
    let empty = names_without_rows(query);
    let is_emptied = empty_body(&mut query.body, &empty);
    if is_emptied {
        // There is nothing to be ordered, and the columns to order by are gone.
        query.order_by = None;
    }
    is_emptied
}

fn empty_body(body: &mut SetExpr, empty: &[String]) -> bool {
    match body {
        SetExpr::Select(select) => {
            let has_columns = select
                .projection
                .iter()
                .all(|item| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
            let is_emptied = has_columns && has_no_rows(select, empty);
            if is_emptied {
                empty_select(select);
            }
            is_emptied
        }
        SetExpr::Query(query) => empty_query(query),
        SetExpr::SetOperation { left, right, .. } => {
            let (left, right) = (empty_body(left, empty), empty_body(right, empty));
            left && right
        }
        _ => false,
    }
}

/// The names of WITH whose queries have no rows.
fn names_without_rows(query: &Query) -> Vec<String> {
    let mut empty = Vec::new();
    for table in query.with.iter().flat_map(|with| &with.cte_tables) {
        if is_query_without_rows(&table.query, &empty) {
            empty.push(table.alias.name.value.clone());
        }
    }
    empty
}

fn is_query_without_rows(query: &Query, empty: &[String]) -> bool {
    let empty = [empty, names_without_rows(query).as_slice()].concat();
    is_body_without_rows(&query.body, &empty)
}

fn is_body_without_rows(body: &SetExpr, empty: &[String]) -> bool {
    match body {
        SetExpr::Select(select) => has_no_rows(select, empty),
        SetExpr::Query(query) => is_query_without_rows(query, empty),
        SetExpr::SetOperation { left, right, .. } => {
            is_body_without_rows(left, empty) && is_body_without_rows(right, empty)
        }
        _ => false,
    }
}

fn has_no_rows(select: &Select, empty: &[String]) -> bool {
    let is_plain = is_grouped(&select.group_by) || !aggregates(select);
    is_plain && select.from.iter().any(|from| is_without_rows(from, empty))
}

/// Whether there is a row a group, and so none where there are no rows; ROLLUP and its like have one also then.
fn is_grouped(group_by: &GroupByExpr) -> bool {
    let GroupByExpr::Expressions(by, modifiers) = group_by else { return false };
    let is_set = |expr: &Expr| matches!(expr, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    !by.is_empty() && modifiers.is_empty() && !by.iter().any(is_set)
}

/// An outer join has the rows of its outer side.
fn is_without_rows(from: &TableWithJoins, empty: &[String]) -> bool {
    let mut is_without = is_empty_table(&from.relation, empty);
    for join in &from.joins {
        let is_empty = is_empty_table(&join.relation, empty);
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

fn is_empty_table(table: &TableFactor, empty: &[String]) -> bool {
    match table {
        TableFactor::Table { name, .. } => {
            let names = names_of(name);
            matches!(names.as_slice(), [only] if empty.contains(only)) || is_empty(&names)
        }
        TableFactor::Derived { subquery, .. } => is_query_without_rows(subquery, empty),
        TableFactor::NestedJoin { table_with_joins, .. } => is_without_rows(table_with_joins, empty),
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
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
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
            let FunctionArguments::List(list) = &function.args else { return false };
            let of_arguments = || {
                list.args.iter().any(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_aggregate(expr),
                    _ => false,
                })
            };
            function.over.is_none() && (AGGREGATES.contains(&name.as_str()) || of_arguments())
        }
        Expr::Cast { expr, .. } | Expr::Nested(expr) | Expr::UnaryOp { expr, .. } => is_aggregate(expr),
        Expr::BinaryOp { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        _ => false,
    }
}
