//! Puts the check before functions that a statement calls without their names.
//!
//! `[a, b]` is `make_array`, a struct and `||` of lists are functions too, and the planner takes them from
//! the engine's library rather than from the session. So they are looked for once more in the plan, and so are
//! operators of texts. Here a call also learns of its statement, which can be stopped.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Like, Operator, ScalarUDF};

use super::growth::Growth;
use super::operation::Operation;
use super::{Capped, capped_in};
use crate::ongoing::Ongoing;

/// To be registered with a session.
#[derive(Debug)]
pub struct CapCalls {
    pool: Arc<dyn MemoryPool>,
}

impl CapCalls {
    pub fn new(pool: &Arc<dyn MemoryPool>) -> CapCalls {
        CapCalls { pool: Arc::clone(pool) }
    }
}

impl FunctionRewrite for CapCalls {
    fn name(&self) -> &'static str {
        "cap_calls"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let operation = match &expr {
            Expr::ScalarFunction(call) => {
                let func = capped_in(Arc::clone(&call.func), &self.pool, &Ongoing::of(config));
                let args = call.args.clone();
                return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })));
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                let is_nested = left.get_type(schema)?.is_nested() || right.get_type(schema)?.is_nested();
                (!is_nested).then_some((Operator::StringConcat, "||", left, right))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                name_of(*op).map(|name| (*op, name, left, right))
            }
            // Another escape is refused by the engine, in its own words.
            Expr::Like(like) if like.escape_char.is_none() => {
                let (operator, name) = like_operator(like);
                Some((operator, name, &like.expr, &like.pattern))
            }
            Expr::SimilarTo(like) if like.escape_char.is_none() => {
                let operator = similar_operator(like);
                name_of(operator).map(|name| (operator, name, &like.expr, &like.pattern))
            }
            _ => None,
        };
        let Some((operator, name, left, right)) = operation else { return Ok(Transformed::no(expr)) };
        if operator != Operator::StringConcat && is_plain(operator, left, right) {
            return Ok(Transformed::no(expr));
        }
        let function = Arc::new(ScalarUDF::from(Operation::new(operator, name)));
        let func = capped_in(function, &self.pool, &Ongoing::of(config));
        let args = vec![Expr::clone(left), Expr::clone(right)];
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}

/// Operators that compile a pattern, as a statement writes them.
fn name_of(operator: Operator) -> Option<&'static str> {
    match operator {
        Operator::RegexMatch => Some("~"),
        Operator::RegexIMatch => Some("~*"),
        Operator::RegexNotMatch => Some("!~"),
        Operator::RegexNotIMatch => Some("!~*"),
        _ => None,
    }
}

fn like_operator(like: &Like) -> (Operator, &'static str) {
    match (like.negated, like.case_insensitive) {
        (false, false) => (Operator::LikeMatch, "LIKE"),
        (true, false) => (Operator::NotLikeMatch, "NOT LIKE"),
        (false, true) => (Operator::ILikeMatch, "ILIKE"),
        (true, true) => (Operator::NotILikeMatch, "NOT ILIKE"),
    }
}

/// The engine reads the pattern of SIMILAR TO as a regular expression.
fn similar_operator(like: &Like) -> Operator {
    match (like.negated, like.case_insensitive) {
        (false, false) => Operator::RegexMatch,
        (true, false) => Operator::RegexNotMatch,
        (false, true) => Operator::RegexIMatch,
        (true, true) => Operator::RegexNotIMatch,
    }
}

/// Whether matching is quick whatever the text, or the text no longer than those that are stored: such an operator is left
/// to the optimiser, which may know which files to leave out.
fn is_plain(operator: Operator, text: &Expr, pattern: &Expr) -> bool {
    let Expr::Literal(pattern, _) = pattern else { return false };
    let is_regex = name_of(operator).is_some();
    let is_simple = pattern
        .try_as_str()
        .flatten()
        .is_none_or(|pattern| !pattern.contains(['*', '+', '?', '{', '[', '(', '\\']));
    (!is_regex || is_simple) && !is_made(text)
}

/// Whether a text is made by a function that makes it longer, or by a query.
fn is_made(text: &Expr) -> bool {
    let is_made = |part: &Expr| match part {
        Expr::ScalarFunction(call) => {
            call.func.inner().downcast_ref::<Capped>().is_some_and(|call| call.growth != Growth::None)
        }
        other => matches!(other, Expr::ScalarSubquery(_)),
    };
    text.exists(|part| Ok(is_made(part))).unwrap_or(true)
}
