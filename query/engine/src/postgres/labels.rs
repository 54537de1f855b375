//! What PostgreSQL calls a column that its statement gives no name.
//!
//! Tools show these names, and some look columns up by them: `count(*)` is `count`, `now()` is `now`, `x::text` is `x`,
//! and what has no better name is `?column?`.
//!
//! Source: PostgreSQL 16, `FigureColname` in `src/backend/parser/parse_target.c`.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr,
};

use super::postgres_type::Scalar;

const NAMELESS: &str = "?column?";

/// The name of the column that `expr` is without an alias; none where that is the column's own.
pub fn label_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(_) => None,
        expr => Some(figured(expr).unwrap_or_else(|| NAMELESS.to_owned())),
    }
}

fn figured(expr: &Expr) -> Option<String> {
    let fixed = match expr {
        Expr::Identifier(name) => return Some(folded(name)),
        Expr::CompoundIdentifier(names) => return names.last().map(folded),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => return figured(inner),
        Expr::CompoundFieldAccess { root, access_chain } => return figured_access(root, access_chain),
        Expr::Function(function) => return last_name(&function.name),
        Expr::Cast { expr, data_type, .. } => {
            return strongly_figured(expr).or_else(|| Some(type_name(data_type)));
        }
        Expr::TypedString(typed) => return Some(type_name(&typed.data_type)),
        Expr::Subquery(query) => return figured_subquery(query),
        Expr::Case { else_result, .. } => {
            let name = else_result.as_deref().and_then(figured);
            return Some(name.unwrap_or_else(|| "case".to_owned()));
        }
        Expr::Extract { .. } => "extract",
        Expr::Substring { .. } => "substring",
        Expr::Trim { .. } => "btrim",
        Expr::Position { .. } => "position",
        Expr::Overlay { .. } => "overlay",
        Expr::Ceil { .. } => "ceil",
        Expr::Floor { .. } => "floor",
        Expr::Exists { .. } => "exists",
        Expr::Array(_) => "array",
        Expr::Interval(_) => "interval",
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// The name of an expression, unless that comes from a type or from CASE, which a type that it is cast to takes over.
fn strongly_figured(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => strongly_figured(expr),
        Expr::TypedString(_) => None,
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(strongly_figured),
        expr => figured(expr),
    }
}

/// The name that `pg_type` has for a type, of an array that of its elements.
fn type_name(data_type: &DataType) -> String {
    let name = data_type.to_string().to_lowercase();
    let name = name.trim_end_matches("[]").rsplit('.').next().unwrap_or_default();
    let (name, rest) = name.split_once('(').map_or((name, ""), |(name, rest)| {
        (name.trim_end(), rest.split_once(')').map_or("", |(_, rest)| rest))
    });
    let name = format!("{name}{rest}");
    match name.as_str() {
        "int" => "int4".to_owned(),
        "decimal" | "dec" => "numeric".to_owned(),
        "double" | "float" => "float8".to_owned(),
        "timestamp" | "time" => name,
        "char" | "character" => "bpchar".to_owned(),
        "character varying" => "varchar".to_owned(),
        _ => {
            let mut known = Scalar::ALL.into_iter().map(Scalar::described);
            known.find(|known| known.sql_name == name).map_or(name, |known| known.name.to_owned())
        }
    }
}

/// The name of the one column of a sub-query.
fn figured_subquery(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    match select.projection.first()? {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(expr) => figured(expr),
        _ => None,
    }
}

/// Of `a.b`, b; of `a['b']`, a.
fn figured_access(root: &Expr, chain: &[AccessExpr]) -> Option<String> {
    let field = chain.iter().rev().find_map(|access| match access {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(folded(name)),
        _ => None,
    });
    field.or_else(|| figured(root))
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(folded)
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    /// What `psql` shows above such columns on a PostgreSQL 16.
    #[test]
    fn columns_without_a_name_are_called_as_postgresql_calls_them() {
        let cases = [
            ("1", "?column?"),
            ("1 + 2", "?column?"),
            ("count(*)", "count"),
            ("pg_catalog.version()", "version"),
            ("a::text", "a"),
            ("'1'::int4", "int4"),
            ("'1'::bigint", "int8"),
            ("'text'::regtype::oid", "oid"),
            ("CASE WHEN true THEN 1 END::text", "text"),
            ("'1'::numeric(5, 2)", "numeric"),
            ("'1'::timestamp with time zone", "timestamptz"),
            ("'{1}'::double precision[]", "float8"),
            ("'1'::varchar(3)", "varchar"),
            ("(SELECT count(*) FROM t)", "count"),
            ("(a)", "a"),
            ("CASE WHEN true THEN 1 END", "case"),
            ("CASE WHEN true THEN 1 ELSE a END", "a"),
            ("attributes['k']", "attributes"),
            ("EXISTS (SELECT 1)", "exists"),
            ("extract(epoch FROM now())", "extract"),
        ];
        for (sql, want) in cases {
            let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).expect("tokens");
            let expr = parser.parse_expr().expect("an expression");
            assert_eq!(label_of(&expr).as_deref(), Some(want), "{sql}");
        }
    }
}
