//! Makes `attributes['any.key']` work in SQL whether the key has a column of its own or not.
//!
//! A promoted attribute is no longer in the map, so the map look-up alone would answer null. The rewrite
//! happens while the expression is planned, where the column's table is still known: it becomes
//! `coalesce(attributes['key'], CAST(column AS text))`. Limits: only for a literal key and a column that is
//! named `attributes`; such an expression prunes nothing, the plain column does.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::expr_fn::{coalesce, get_field};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, GetFieldAccess, cast};
use meshlake_schema::tables::PROMOTED_SPAN_KEYS;

pub const ATTRIBUTES_COLUMN: &str = "attributes";

/// Plans look-ups of promoted attributes; must come before DataFusion's own field access planner.
#[derive(Debug, Default)]
pub struct AttributeAccess;

impl ExprPlanner for AttributeAccess {
    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let promoted = match (&expr.expr, &expr.field_access) {
            (Expr::Column(map), GetFieldAccess::NamedStructField { name })
                if map.name == ATTRIBUTES_COLUMN =>
            {
                promoted_column(map, name, schema)
            }
            _ => None,
        };
        let (Some(column), GetFieldAccess::NamedStructField { name }) = (promoted, &expr.field_access) else {
            return Ok(PlannerResult::Original(expr));
        };
        let in_map = get_field(expr.expr.clone(), name.clone());
        let in_column = cast(Expr::Column(column), DataType::Utf8);
        Ok(PlannerResult::Planned(coalesce(vec![in_map, in_column])))
    }
}

/// The column that the key was promoted to, if the relation of `map` has it.
fn promoted_column(map: &Column, key: &ScalarValue, schema: &DFSchema) -> Option<Column> {
    let key = key.try_as_str().flatten()?;
    let (_, name, _) = PROMOTED_SPAN_KEYS.iter().find(|(promoted, ..)| *promoted == key)?;
    let column = Column::new(map.relation.clone(), *name);
    schema.has_column(&column).then_some(column)
}
