//! Names of columns that are called alike, which the engine wants to differ and PostgreSQL does not.
//!
//! What is renamed is called by its label, a mark, and its place; whoever shows names cuts them at the mark. Every other way
//! to ask is served alike: a statement that PostgreSQL or DuckDB answers is no error here.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Visit, VisitMut, Visitor, VisitorMut,
};

use super::labels::label_of;

/// Between a label and what tells it apart: a character that no name has.
const MARK: char = '\u{1}';

/// The name of a column as clients see it.
pub fn shown_name(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(label, _)| label)
}

/// Who shows the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A client of PostgreSQL.
    Postgres,
    /// Every other way to ask, as the engine calls them.
    Plain,
}

impl Shown {
    /// What a column without a name is called.
    fn label(self, expr: &Expr) -> String {
        let text = expr.to_string();
        match (self, expr) {
            (Shown::Postgres, _) => label_of(expr).unwrap_or_else(|| last_part(&text)),
            (Shown::Plain, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => last_part(&text),
            (Shown::Plain, _) => text,
        }
    }

    /// Whether a column without a name may be called as another that is not written down beside it.
    fn may_meet(self, expr: &Expr, has_star: bool) -> bool {
        match self {
            Shown::Postgres => has_star || has_subquery(expr),
            Shown::Plain => has_star && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)),
        }
    }
}

/// Gives columns that are called alike, and those beside a `*` that could hold one of their name, a name of their own.
pub fn tell_apart(body: &mut SetExpr, shown: Shown) {
    match body {
        SetExpr::Query(query) => tell_apart(&mut query.body, shown),
        SetExpr::SetOperation { left, right, .. } => {
            tell_apart(left, shown);
            tell_apart(right, shown);
        }
        SetExpr::Select(select) => {
            let is_named = |item: &SelectItem| {
                matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
            };
            let has_star = !select.projection.iter().all(is_named);
            let mut seen = Vec::new();
            for (item, place) in select.projection.iter_mut().zip(1..) {
                let (expr, name, is_bare) = match &*item {
                    SelectItem::UnnamedExpr(expr) => (expr, engine_name(expr), true),
                    SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value.clone(), false),
                    _ => continue,
                };
                if seen.contains(&name) || (is_bare && shown.may_meet(expr, has_star)) {
                    let label = if is_bare { shown.label(expr) } else { name.clone() };
                    let alias = Ident::with_quote('"', format!("{label}{MARK}{place}"));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
                seen.push(name);
            }
        }
        _ => {}
    }
}

/// What tells an expression from others to the engine, which does not see what it is cast to, nor which query it asks.
fn engine_name(expr: &Expr) -> String {
    let mut bare = expr.clone();
    let _ = VisitMut::visit(&mut bare, &mut Baring);
    bare.to_string()
}

/// Takes off casts and parentheses.
struct Baring;

impl VisitorMut for Baring {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
            *expr = Expr::clone(inner);
        }
        if matches!(expr, Expr::Subquery(_)) {
            *expr = Expr::Identifier(Ident::new("(subquery)"));
        }
        ControlFlow::Continue(())
    }
}

/// Whether an expression has a query in it. All of those are called alike by the engine.
pub fn has_subquery(expr: &Expr) -> bool {
    Visit::visit(expr, &mut Finding).is_break()
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
