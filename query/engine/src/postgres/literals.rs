//! A text in quotes beside a boolean is one: `is_proxy = 'f'`.
//!
//! To PostgreSQL a text in quotes has no type until it is compared with something. The engine reads it so beside numbers
//! and times, and not beside booleans; drivers that write values into statements themselves write them in quotes.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable as _};

/// Reads such texts; all else is left as it is.
#[derive(Debug)]
pub struct BooleanLiterals;

impl ExprPlanner for BooleanLiterals {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if let Some(left) = boolean_of(&expr.left, &expr.right, schema)? {
            expr.left = left;
        } else if let Some(right) = boolean_of(&expr.right, &expr.left, schema)? {
            expr.right = right;
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// `literal` as a boolean, if it is a text and `other` is one.
fn boolean_of(literal: &Expr, other: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = literal else { return Ok(None) };
    if matches!(other, Expr::Literal(..)) || !matches!(other.get_type(schema), Ok(DataType::Boolean)) {
        return Ok(None);
    }
    let value = ScalarValue::from(text.as_str()).cast_to(&DataType::Boolean)?;
    Ok(Some(Expr::Literal(value, metadata.clone())))
}
