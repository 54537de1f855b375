//! Turns what only PostgreSQL understands into what the engine does, on the parsed statement.
//!
//! | PostgreSQL | the engine |
//! |---|---|
//! | `pg_catalog.f(x)`, `a OPERATOR(pg_catalog.~) b` | `f(x)`, `a ~ b` |
//! | `x COLLATE c` | `x`: there is one order of texts |
//! | `E'\n'`, `$$a$$`, `N'a'` | `'a'` |
//! | `x::regclass`, `x::regtype`, ... | `regclass(x)`: an oid; its name where it is shown or cast to text |
//! | `x::name`, `x::oid`, `x::pg_catalog.int2`, ... | a cast to the type that is meant |
//! | `ARRAY(SELECT x ...)` | `(SELECT array_agg(x) ...)` |
//! | `current_schema`, `current_user`, ... | calls |
//! | `$1`, given a type by the client | `CAST($1 AS type)` |
//! | `database.schema.table` | `schema.table` |

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, DataType, ExactNumberInfo, Expr, Function, FunctionArguments,
    Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TimezoneInfo, Value,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::array_text::elements_of;
use super::casts::{call, cast, plain_cast, show_names, unwrapped};
use super::emptied::{aggregates, empty_query, is_emptied, names_of};
use super::operators::plain_operator;
use super::postgres_type::{PostgresType, Scalar};
use super::relations::{Catalogue, is_empty};
use crate::text_guard::NESTING_MAX;

/// The schema of everything that PostgreSQL brings.
const SYSTEM_SCHEMA: &str = "pg_catalog";

/// Names that are functions without parentheses, but for those that the parser knows.
const BARE_CALLS: [&str; 3] = ["current_schema", "current_role", "current_database"];

/// Functions that give a set of rows where they stand for a table.
pub const SETS: [&str; 4] = ["generate_series", "string_to_array", "unnest", "current_schemas"];

/// The passage from one to the other.
pub struct Rewrite<'a> {
    /// The types that the client gives to parameters.
    parameters: &'a [Option<PostgresType>],
    catalogue: Catalogue,
    /// Numbers of the parameters that were found to stand for arrays, from 1.
    pub array_parameters: Vec<usize>,
}

impl VisitorMut for Rewrite<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if relation.0.len() == 3 {
            relation.0.remove(0);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.catalogue == Catalogue::System {
            empty_query(query);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && self.catalogue == Catalogue::System
            && is_array_of_nothing(function)
        {
            let text = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
            let array = Expr::Array(Array { elem: Vec::new(), named: true });
            *expr = cast(array, DataType::Array(text));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        // A function that is a table of the catalogue.
        if let TableFactor::Table { name, args: args @ Some(_), .. } = table
            && is_empty(&names_of(name))
        {
            *args = None;
        }
        if let Some(set) = set_of_rows(table) {
            *table = set;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.projection.iter_mut().for_each(show_names);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Collate { expr: inner, .. } => *expr = Expr::clone(inner),
            Expr::Value(value) => {
                if let Value::Placeholder(name) = &value.value {
                    if let Some(wanted) = self.given(name) {
                        *expr = cast(expr.clone(), wanted);
                    }
                } else if let Some(text) = plain_text(&value.value) {
                    value.value = Value::SingleQuotedString(text);
                }
            }
            Expr::Identifier(name) if name.quote_style.is_none() => {
                let folded = name.value.to_ascii_lowercase();
                if BARE_CALLS.contains(&folded.as_str()) {
                    *expr = call(&folded, Vec::new());
                }
            }
            // The number of the table that a row is of, which nothing here is found by.
            Expr::CompoundIdentifier(names) if names.last().is_some_and(|name| name.value == "tableoid") => {
                *expr = Expr::Value(Value::Number("0".to_owned(), false).into());
            }
            Expr::BinaryOp { left, op, right } => {
                plain_operator(op);
                compare_procedures(left, right);
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(escape) = escape_char.take() {
                    let arguments = vec![Expr::clone(pattern), Expr::Value(escape)];
                    **pattern = call("like_pattern", arguments);
                }
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                if let Some(plain) = self.any_of(left, compare_op, right) {
                    *expr = plain;
                }
            }
            Expr::Subquery(query) if self.catalogue == Catalogue::System => {
                if is_emptied(query) {
                    *expr = Expr::Value(Value::Null.into());
                } else {
                    one_value(query);
                }
            }
            Expr::Function(function) => {
                rename(function);
                if let Some(query) = array_query(function) {
                    *expr = Expr::Subquery(query);
                }
            }
            Expr::TypedString(typed) => {
                let text = Expr::Value(typed.value.clone());
                if let Some(plain) = plain_cast(&text, &typed.data_type) {
                    *expr = plain;
                }
            }
            Expr::Cast { expr: inner, data_type, .. } => {
                if let Some(plain) = plain_cast(inner, data_type) {
                    *expr = plain;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Rewrite<'a> {
    pub fn new(parameters: &'a [Option<PostgresType>], catalogue: Catalogue) -> Self {
        Rewrite { parameters, catalogue, array_parameters: Vec::new() }
    }

    /// `x = ANY('{a,b}')` and `x = ANY($1)`, where the array is a text until it is read as one.
    fn any_of(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
        let Expr::Value(value) = unwrapped(right) else { return None };
        match &value.value {
            Value::SingleQuotedString(text) => {
                let elements = elements_of(text)?.into_iter().map(|element| {
                    Expr::Value(element.map_or(Value::Null, Value::SingleQuotedString).into())
                });
                let list = elements.collect();
                let (expr, negated) = (Box::new(left.clone()), false);
                (*op == BinaryOperator::Eq).then_some(Expr::InList { expr, list, negated })
            }
            Value::Placeholder(name) if *op == BinaryOperator::Eq => {
                self.array_parameters
                    .extend(name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()));
                let array = call("text_array", vec![right.clone()]);
                Some(call("array_has", vec![array, cast(left.clone(), DataType::Text)]))
            }
            _ => None,
        }
    }
    /// The type to cast a parameter to. Texts are left to what they are compared with, as the drivers mean it that send
    /// everything as text.
    fn given(&self, placeholder: &str) -> Option<DataType> {
        let number: usize = placeholder.strip_prefix('$')?.parse().ok()?;
        let given = (*self.parameters.get(number.checked_sub(1)?)?)?;
        if given.is_array {
            return None;
        }
        Some(match given.scalar {
            Scalar::Bool => DataType::Boolean,
            Scalar::Int2 => DataType::SmallInt(None),
            Scalar::Int4 => DataType::Int(None),
            Scalar::Int8 | Scalar::Oid => DataType::BigInt(None),
            Scalar::Float4 => DataType::Real,
            Scalar::Float8 => DataType::Double(ExactNumberInfo::None),
            Scalar::Date => DataType::Date,
            Scalar::Timestamp => DataType::Timestamp(None, TimezoneInfo::None),
            Scalar::Timestamptz => DataType::Timestamp(None, TimezoneInfo::Tz),
            Scalar::Bytea => DataType::Bytea,
            Scalar::Char
            | Scalar::Name
            | Scalar::Text
            | Scalar::Jsonb
            | Scalar::Time
            | Scalar::Interval
            | Scalar::Numeric => return None,
        })
    }
}

/// Gives columns that are called alike a name of their own, which the engine wants; the answer is labelled by
/// [`Question::labels`](super::question::Question::labels).
pub fn tell_apart(body: &mut SetExpr) {
    match body {
        SetExpr::Query(query) => tell_apart(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            tell_apart(left);
            tell_apart(right);
        }
        SetExpr::Select(select) => {
            let mut seen = Vec::new();
            for (position, item) in select.projection.iter_mut().enumerate() {
                let name = match item {
                    SelectItem::UnnamedExpr(expr) => expr.to_string(),
                    SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                    _ => continue,
                };
                if seen.contains(&name) {
                    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = &*item
                    else {
                        continue;
                    };
                    let alias = Ident::with_quote('"', format!("{name}:{}", position + 1));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
                seen.push(name);
            }
        }
        _ => {}
    }
}

/// Functions of a type are known by their names here: `typreceive = 0` asks whether there is none, and others compare
/// them with the number of one that they know by its name.
fn compare_procedures(left: &Expr, right: &mut Expr) {
    const COLUMNS: [&str; 6] =
        ["typinput", "typoutput", "typreceive", "typsend", "typanalyze", "typsubscript"];
    let name = match left {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    };
    let is_procedure = name.is_some_and(|name| COLUMNS.contains(&name.value.as_str()));
    if !is_procedure {
        return;
    }
    let name = match right {
        Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "0") => {
            "-".to_owned()
        }
        // `'pg_catalog.array_in'::regproc`, which has become a call.
        Expr::Function(function) if function.name.to_string() == "regproc" => {
            let FunctionArguments::List(list) = &function.args else { return };
            let name = list.args.first().map(ToString::to_string).unwrap_or_default();
            let name = name.trim_matches('\'');
            name.rsplit_once('.').map_or(name, |(_, name)| name).to_owned()
        }
        _ => return,
    };
    *right = Expr::Value(Value::SingleQuotedString(name).into());
}

/// Makes a sub-query that stands for a value one that cannot have two: the engine plans no other where it depends on
/// the row around it. PostgreSQL fails on a second row; no client asks so that there is one.
fn one_value(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if select.from.is_empty() || aggregates(select) {
        return;
    }
    let [item] = select.projection.as_mut_slice() else { return };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
    *item = SelectItem::UnnamedExpr(call("first_value", vec![expr.clone()]));
    query.order_by = None;
    query.limit_clause = None;
}

/// `generate_series(1, 3) AS i` as `(SELECT unnest(generate_series(1, 3)) AS i) AS i`.
fn set_of_rows(table: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, args: Some(args), .. } = table else { return None };
    let function = names_of(name).pop().filter(|name| SETS.contains(&name.as_str()))?;
    let args = args.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let alias_name = alias.as_ref().map_or_else(|| Ident::new(&function), |alias| alias.name.clone());
    let column =
        alias.as_ref().and_then(|alias| alias.columns.first()).map_or(&alias_name, |column| &column.name);
    // An array that is no set of rows stands for itself, as PostgreSQL's functions of one value do.
    let value = match function.as_str() {
        "generate_series" => format!("unnest(generate_series({args}))"),
        _ => format!("{function}({args})"),
    };
    let sql = format!("SELECT {value} AS {column}");
    let mut parser =
        Parser::new(&PostgreSqlDialect {}).with_recursion_limit(NESTING_MAX).try_with_sql(&sql).ok()?;
    let subquery = parser.parse_query().ok()?;
    let mut derived = TableFactor::Derived { lateral: false, subquery, alias: alias.clone(), sample: None };
    if let TableFactor::Derived { alias: alias @ None, .. } = &mut derived {
        *alias = Some(TableAlias { explicit: true, name: alias_name, columns: Vec::new(), at: None });
    }
    if let TableFactor::Derived { alias: Some(alias), .. } = &mut derived {
        alias.columns.clear();
    }
    Some(derived)
}

/// The text of a literal that is not written as `'text'`.
fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text)
        | Value::NationalStringLiteral(text) => Some(text.clone()),
        Value::DollarQuotedString(quoted) => Some(quoted.value.clone()),
        _ => None,
    }
}

/// Takes the schema away from the name of a function of PostgreSQL's own.
fn rename(function: &mut Function) {
    let names = &mut function.name.0;
    let is_system = names[0].as_ident().is_some_and(|schema| schema.value == SYSTEM_SCHEMA);
    if names.len() == 2 && is_system {
        names.remove(0);
    }
    // `current_user` and the like are words of the grammar and take no parentheses; times have meaning to the planner.
    if matches!(function.args, FunctionArguments::None) {
        let name = match function.name.to_string().to_ascii_lowercase().as_str() {
            "current_user" | "session_user" | "user" => "current_user_name",
            "current_catalog" => "current_database",
            _ => return,
        };
        if let Expr::Function(called) = call(name, Vec::new()) {
            *function = called;
        }
    }
}

/// `ARRAY(SELECT ... FROM unnest(c.options) ...)`, of options that tables may have and ours have not.
fn is_array_of_nothing(function: &Function) -> bool {
    let FunctionArguments::Subquery(query) = &function.args else { return false };
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [from] = select.from.as_slice() else { return false };
    let argument = match &from.relation {
        TableFactor::Table { name, args: Some(args), .. }
            if names_of(name).last().is_some_and(|name| name == "unnest") =>
        {
            args.args.first().map(ToString::to_string)
        }
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.first().map(ToString::to_string),
        _ => None,
    };
    argument.is_some_and(|argument| argument.ends_with("options") || argument.ends_with("acl"))
}

/// `ARRAY(SELECT x ...)` as a query of one value.
fn array_query(function: &Function) -> Option<Box<Query>> {
    let FunctionArguments::Subquery(query) = &function.args else { return None };
    if !function.name.to_string().eq_ignore_ascii_case("array") {
        return None;
    }
    let mut query = query.clone();
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [item] = select.projection.as_mut_slice() else { return None };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return None };
    *item = SelectItem::UnnamedExpr(call("array_agg", vec![expr.clone()]));
    query.order_by = None;
    Some(query)
}
