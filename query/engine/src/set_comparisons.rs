//! Gives the column of a query that values are compared with by ANY or ALL a name of its own.
//!
//! DataFusion 55 makes `x > ANY (SELECT x FROM t)` a search for a row of the query with `x > x`, and where both are called alike
//! (the same table, most of all) compares each row with itself: nothing is greater, and the answer wrong. So the column is
//! renamed in the parsed statement. `= ANY` and `<> ALL` are `IN` and `NOT IN`, which the engine knows everywhere.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, SelectItem, SetExpr, VisitMut, VisitorMut,
};

/// Begins the names; a number follows.
const MARK: &str = "__compared_";

/// Renames the columns, wherever in the statement.
pub fn name_apart(statement: &mut Statement) {
    match statement {
        Statement::Statement(parsed) => {
            let _ = VisitMut::visit(parsed.as_mut(), &mut Naming { given: 0 });
        }
        Statement::Explain(explain) => name_apart(&mut explain.statement),
        _ => {}
    }
}

struct Naming {
    given: usize,
}

impl VisitorMut for Naming {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (left, op, right, is_any) = match expr {
            Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, true),
            Expr::AllOp { left, compare_op, right } => (left, compare_op, right, false),
            _ => return ControlFlow::Continue(()),
        };
        let Expr::Subquery(query) = right.as_mut() else { return ControlFlow::Continue(()) };
        match (&*op, is_any) {
            (BinaryOperator::Eq, true) | (BinaryOperator::NotEq, false) => {
                let (left, subquery) = (left.clone(), query.clone());
                *expr = Expr::InSubquery { expr: left, subquery, negated: !is_any };
            }
            _ => self.rename(query),
        }
        ControlFlow::Continue(())
    }
}

impl Naming {
    fn rename(&mut self, query: &mut Query) {
        let SetExpr::Select(select) = query.body.as_mut() else { return };
        let [item] = select.projection.as_mut_slice() else { return };
        if let SelectItem::UnnamedExpr(expr) = item {
            self.given += 1;
            let alias = Ident::new(format!("{MARK}{}", self.given));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}
