//! Puts the check before functions that a statement calls without their names.
//!
//! `[a, b]` is `make_array`, a struct and `||` of lists are functions too, and the planner takes them from
//! the engine's library rather than from the session. So they are looked for once more in the plan, and so is
//! `||` of texts, which is an operator.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF};

use super::{capped, concatenation::Concatenation};

/// To be registered with a session.
#[derive(Debug)]
pub struct CapCalls {
    pool: Arc<dyn MemoryPool>,
    concatenation: Arc<ScalarUDF>,
}

impl CapCalls {
    pub fn new(pool: &Arc<dyn MemoryPool>) -> CapCalls {
        let concatenation = Arc::new(ScalarUDF::from(Concatenation::default()));
        CapCalls { pool: Arc::clone(pool), concatenation: capped(concatenation, pool) }
    }
}

impl FunctionRewrite for CapCalls {
    fn name(&self) -> &'static str {
        "cap_calls"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                let func = capped(func, &self.pool);
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right })
                if !left.get_type(schema)?.is_nested() && !right.get_type(schema)?.is_nested() =>
            {
                let call =
                    ScalarFunction { func: Arc::clone(&self.concatenation), args: vec![*left, *right] };
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}
