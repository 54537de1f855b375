//! Makes `attributes['any.key']` and `resource['any.key']` work in SQL, however the key is stored.
//!
//! `resource` and `scope_attributes` are JSON text, of which one value is read; see `functions/json_get.rs`.
//! A promoted attribute is no longer in the map, so the map look-up alone would answer null. The rewrite
//! happens while the expression is planned, where the column's table is still known: it becomes
//! `coalesce(attributes['key'], CAST(column AS text))`. Limits: only for a literal key and columns of these names; such an expression prunes nothing, the plain column does.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::expr_fn::{coalesce, get_field};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, GetFieldAccess, cast, col};
use meshlake_schema::Table;
use meshlake_schema::tables::PROMOTED_SPAN_KEYS;

use crate::functions::json_get_of;

pub const ATTRIBUTES_COLUMN: &str = "attributes";

/// Columns that hold a JSON object as text.
const JSON_COLUMNS: [&str; 2] = ["resource", "scope_attributes"];

/// Plans look-ups of promoted attributes; must come before DataFusion's own field access planner.
#[derive(Debug, Default)]
pub struct AttributeAccess;

impl ExprPlanner for AttributeAccess {
    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if let Some(key) = key_of_json(&expr, schema) {
            return Ok(PlannerResult::Planned(json_get_of(expr.expr, &key)));
        }
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
        Ok(PlannerResult::Planned(wherever(&expr.expr, name, column)))
    }
}

/// The key, where one of [`JSON_COLUMNS`] is asked for one.
fn key_of_json(expr: &RawFieldAccessExpr, schema: &DFSchema) -> Option<String> {
    let (Expr::Column(column), GetFieldAccess::NamedStructField { name }) = (&expr.expr, &expr.field_access)
    else {
        return None;
    };
    let is_json = JSON_COLUMNS.contains(&column.name.as_str());
    let field = schema.field_from_column(column).ok().filter(|_| is_json)?;
    field.data_type().is_string().then(|| name.try_as_str().flatten().map(str::to_owned))?
}

/// The text of the attribute `key` of a row of `table`, which has attributes; null without it.
pub fn attribute(table: Table, key: &str) -> Expr {
    let map = col(ATTRIBUTES_COLUMN);
    let promoted = column_of(key).filter(|name| table.columns().iter().any(|column| column.name == *name));
    match promoted {
        Some(name) => wherever(&map, &ScalarValue::from(key), Column::from_name(name)),
        None => get_field(map, key),
    }
}

/// `key` of `map`, or else what is in `column`.
fn wherever(map: &Expr, key: &ScalarValue, column: Column) -> Expr {
    let in_map = get_field(map.clone(), key.clone());
    coalesce(vec![in_map, cast(Expr::Column(column), DataType::Utf8)])
}

/// The name of the column that `key` is promoted to.
fn column_of(key: &str) -> Option<&'static str> {
    PROMOTED_SPAN_KEYS.iter().find(|(promoted, ..)| *promoted == key).map(|(_, name, _)| *name)
}

/// The column that the key was promoted to, if the relation of `map` has it.
fn promoted_column(map: &Column, key: &ScalarValue, schema: &DFSchema) -> Option<Column> {
    let key = key.try_as_str().flatten()?;
    let column = Column::new(map.relation.clone(), column_of(key)?);
    schema.has_column(&column).then_some(column)
}
