//! Casts to types that only PostgreSQL has, and the calls that they become.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, SelectItem,
    TimezoneInfo, Value,
};

use super::array_text::elements_of;
use super::postgres_type::{PostgresType, Scalar};

/// Types that hold the oid of a thing and show its name.
const NAMED_OIDS: [&str; 8] =
    ["regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regoper", "regoperator"];

/// A call of one of our functions.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)));
    let list = FunctionArgumentList { duplicate_treatment: None, args: args.collect(), clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// Without parentheses and casts.
pub fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => unwrapped(inner),
        expr => expr,
    }
}

/// `inner` as `data_type`, where the engine does not know the type by its name.
pub fn plain_cast(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        if let Some(array) = plain_array(inner, element) {
            return Some(array);
        }
        if is_parameter(inner) {
            // Its value is a text until it is read as an array.
            let plain = plain_type(data_type).unwrap_or_else(|| data_type.clone());
            return Some(cast(call("text_array", vec![inner.clone()]), plain));
        }
    }
    let name = plain_name(data_type);
    if NAMED_OIDS.contains(&name.as_str()) {
        return Some(call(&name, vec![inner.clone()]));
    }
    if is_text(&name)
        && let Some(shown) = shown_name(inner)
    {
        return Some(shown);
    }
    match name.as_str() {
        "bytea" => return Some(call("bytea", vec![inner.clone()])),
        "json" | "jsonb" => return Some(call("jsonb", vec![inner.clone()])),
        _ => {}
    }
    let plain = plain_type(data_type)?;
    Some(cast(inner.clone(), plain))
}

fn is_parameter(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

/// `'{a,b}'::text[]` as `ARRAY['a', 'b']`, and numbers of types as their names.
fn plain_array(inner: &Expr, element: &DataType) -> Option<Expr> {
    if plain_name(element) == "regtype" {
        return Some(call("regtype_names", vec![inner.clone()]));
    }
    let Expr::Value(value) = unwrapped(inner) else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let element_type = plain_type(element).unwrap_or_else(|| element.clone());
    let elem = elements_of(text)?.into_iter().map(|text| {
        let value = text.map_or(Value::Null, Value::SingleQuotedString);
        cast(Expr::Value(value.into()), element_type.clone())
    });
    Some(Expr::Array(Array { elem: elem.collect(), named: true }))
}

/// The name of a type in lower case, without its schema.
fn plain_name(data_type: &DataType) -> String {
    let name = data_type.to_string().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").or(name.strip_prefix("information_schema.")).unwrap_or(&name);
    name.trim_matches('"').to_owned()
}

/// The type that clients know for one that a statement spells.
pub fn postgres_type_of(data_type: &DataType) -> Option<PostgresType> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        let element = postgres_type_of(element).filter(|element| !element.is_array)?;
        return Some(PostgresType { is_array: true, ..element });
    }
    let name = plain_name(data_type);
    let name = match name.as_str() {
        "int" => "int4",
        "json" => "jsonb",
        "varchar" | "character varying" => "text",
        name => name,
    };
    let mut known = Scalar::ALL.into_iter().map(|scalar| (scalar, scalar.described()));
    let (scalar, _) = known.find(|(_, known)| known.name == name || known.sql_name == name)?;
    Some(PostgresType { scalar, is_array: false })
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "character varying" | "name")
}

/// The type that the engine knows for one that it does not know by its name.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        let element = plain_type(element)?;
        return Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None)));
    }
    if !matches!(data_type, DataType::Custom(..) | DataType::Uuid) {
        return None;
    }
    Some(match plain_name(data_type).as_str() {
        "oid" | "xid" | "cid" | "int4" | "int" | "integer" | "cardinal_number" => DataType::Int(None),
        "int2" | "smallint" => DataType::SmallInt(None),
        "int8" | "bigint" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::Double(ExactNumberInfo::None),
        "bool" => DataType::Boolean,
        "numeric" => DataType::Numeric(ExactNumberInfo::None),
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        "text" | "name" | "char" | "varchar" | "bpchar" | "uuid" | "inet" | "cidr" | "citext" | "tid"
        | "unknown" | "character_data" | "sql_identifier" | "yes_or_no" => DataType::Text,
        _ => return None,
    })
}

/// The name that an oid of [`NAMED_OIDS`] is shown by.
fn shown_name(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = expr else { return None };
    let name = function.name.to_string();
    if !NAMED_OIDS.contains(&name.as_str()) {
        return None;
    }
    let mut shown = function.clone();
    shown.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(format!("{name}_name")))]);
    Some(Expr::Function(shown))
}

/// Shows oids that have names by their names.
pub fn show_names(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
        && let Some(shown) = shown_name(expr)
    {
        *expr = shown;
    }
}
