//! Names of columns that are called alike, which the engine wants to differ and PostgreSQL does not.
//!
//! What is renamed is called by its label, a mark, and its place; whoever shows names cuts them at the mark.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, Visit as _, Visitor};

use super::labels::label_of;

/// Between a label and what tells it apart: a character that no name has.
const MARK: char = '\u{1}';

/// The name of a column as clients see it.
pub fn shown_name(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(label, _)| label)
}

/// Gives columns that are called alike, and those beside a `*` that could hold one of their name, a name of their own.
pub fn tell_apart(body: &mut SetExpr) {
    match body {
        SetExpr::Query(query) => tell_apart(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            tell_apart(left);
            tell_apart(right);
        }
        SetExpr::Select(select) => {
            let is_named = |item: &SelectItem| {
                matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
            };
            let has_star = !select.projection.iter().all(is_named);
            let mut seen = Vec::new();
            for (item, place) in select.projection.iter_mut().zip(1..) {
                let (expr, name, is_bare) = match &*item {
                    SelectItem::UnnamedExpr(expr) => (expr, expr.to_string(), true),
                    SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value.clone(), false),
                    _ => continue,
                };
                if seen.contains(&name) || (is_bare && (has_star || has_subquery(expr))) {
                    let label = if is_bare {
                        label_of(expr).unwrap_or_else(|| last_part(&name))
                    } else {
                        name.clone()
                    };
                    let alias = Ident::with_quote('"', format!("{label}{MARK}{place}"));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
                seen.push(name);
            }
        }
        _ => {}
    }
}

/// Whether an expression has a query in it. All of those are called alike by the engine.
pub fn has_subquery(expr: &Expr) -> bool {
    expr.visit(&mut Finding).is_break()
}

struct Finding;

impl Visitor for Finding {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Of `a.b`, b.
fn last_part(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_what_tells_it_apart() {
        for (name, want) in [("oid", "oid"), ("oid\u{1}2", "oid"), ("a:b", "a:b")] {
            assert_eq!(shown_name(name), want);
        }
    }
}
