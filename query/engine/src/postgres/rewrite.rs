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
    Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor, TimezoneInfo, Value, VisitorMut,
};

use super::array_text::elements_of;
use super::casts::{call, cast, plain_cast, postgres_type_of, show_names, unwrapped};
use super::emptied::{aggregates, empty_query, is_emptied, names_of};
use super::existing::{as_list, count_existing};
use super::json_access::json_access;
use super::operators::plain_operator;
use super::ordering::{limit_by_fetch, order_by_columns};
use super::postgres_type::{PostgresType, Scalar};
use super::relations::{Catalogue, is_relation};
use super::sets::{rows_of_columns, set_of_rows};
use super::spellings::respelled;
use super::time_patterns::respell_pattern;
use super::type_questions::{OID_ARRAY, asks_for_absent_type, compare_procedures, gives_oids, list_of_oids};

/// The schema of everything that PostgreSQL brings.
const SYSTEM_SCHEMA: &str = "pg_catalog";

/// Names that are functions without parentheses, but for those that the parser knows.
const BARE_CALLS: [&str; 3] = ["current_schema", "current_role", "current_database"];

/// The passage from one to the other.
pub struct Rewrite<'a> {
    /// The types that the client gives to parameters.
    parameters: &'a [Option<PostgresType>],
    catalogue: Catalogue,
    /// Numbers of the parameters that were found to stand for arrays, from 1.
    pub array_parameters: Vec<usize>,
    /// What parameters are cast to, where the engine has a function for that and so cannot tell; by number, from 1.
    pub cast_parameters: Vec<(usize, PostgresType)>,
    /// Whether `x = ANY($1)` becomes `x = $1`, which tells the type of its elements and nothing else.
    pub asks_for_elements: bool,
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
        limit_by_fetch(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        order_by_columns(query);
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
            && is_relation(&names_of(name))
        {
            *args = None;
        }
        if let Some(set) = set_of_rows(table) {
            *table = set;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        rows_of_columns(select);
        count_existing(select);
        select.projection.iter_mut().for_each(show_names);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let plain = self.plain_value(expr).or_else(|| self.plain_operation(expr));
        if let Some(plain) = plain.or_else(|| self.plain_call(expr)).or_else(|| respelled(expr)) {
            *expr = plain;
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Rewrite<'a> {
    pub fn new(parameters: &'a [Option<PostgresType>], catalogue: Catalogue) -> Self {
        Rewrite {
            parameters,
            catalogue,
            array_parameters: Vec::new(),
            cast_parameters: Vec::new(),
            asks_for_elements: false,
        }
    }

    /// What a value or a name becomes.
    fn plain_value(&self, expr: &mut Expr) -> Option<Expr> {
        match expr {
            Expr::Collate { expr: inner, .. } => Some(Expr::clone(inner)),
            Expr::Value(value) => {
                if let Value::Placeholder(name) = &value.value {
                    let wanted = self.given(name)?;
                    return Some(plain_cast(expr, &wanted).unwrap_or_else(|| cast(expr.clone(), wanted)));
                }
                value.value = Value::SingleQuotedString(plain_text(&value.value)?);
                None
            }
            Expr::Identifier(name) if name.quote_style.is_none() => {
                let folded = name.value.to_ascii_lowercase();
                let is_call = BARE_CALLS.contains(&folded.as_str());
                if is_call { Some(call(&folded, Vec::new())) } else { self.of_row(name) }
            }
            Expr::CompoundIdentifier(names) => names.last().and_then(|name| self.of_row(name)),
            _ => None,
        }
    }

    /// What an operation becomes.
    fn plain_operation(&mut self, expr: &mut Expr) -> Option<Expr> {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                plain_operator(op);
                compare_procedures(left, right);
                let is_system = self.catalogue == Catalogue::System;
                let never = is_system && asks_for_absent_type(left, op, right);
                let never = never.then(|| Expr::Value(Value::Boolean(false).into()));
                json_access(left, op, right).or(never)
            }
            Expr::Case { operand: None, conditions, else_result, .. } => {
                let never = Expr::Value(Value::Boolean(false).into());
                conditions.retain(|condition| condition.condition != never);
                let is_never = conditions.is_empty();
                let otherwise = else_result.take_if(|_| is_never).map(|otherwise| *otherwise);
                if is_never {
                    return Some(otherwise.unwrap_or_else(|| Expr::Value(Value::Null.into())));
                }
                let has_oids = gives_oids(conditions, else_result.as_deref());
                has_oids.then(|| call(OID_ARRAY, vec![expr.clone()]))
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                let escape = escape_char.take()?;
                let arguments = vec![Expr::clone(pattern), Expr::Value(escape)];
                **pattern = call("like_pattern", arguments);
                None
            }
            Expr::AnyOp { left, compare_op, right, .. } => self.any_of(left, compare_op, right),
            _ => None,
        }
    }

    /// What a sub-query, a call or a cast becomes.
    fn plain_call(&mut self, expr: &mut Expr) -> Option<Expr> {
        match expr {
            Expr::Subquery(query) if self.catalogue == Catalogue::System => {
                if is_emptied(query) {
                    return Some(Expr::Value(Value::Null.into()));
                }
                one_value(query);
                None
            }
            Expr::Function(function) => {
                rename(function);
                respell_pattern(function);
                let oids = (self.catalogue == Catalogue::System).then(|| list_of_oids(function));
                array_query(function).map(Expr::Subquery).or(oids.flatten())
            }
            Expr::TypedString(typed) => plain_cast(&Expr::Value(typed.value.clone()), &typed.data_type),
            Expr::Cast { expr: inner, data_type, .. } => {
                self.note_cast(inner, data_type);
                plain_cast(inner, data_type)
            }
            _ => None,
        }
    }

    /// What PostgreSQL knows of where and by whom a row was written; nothing here is found by it. All rows are in one
    /// place, so that a client which reads a table place by place finds each row once.
    fn of_row(&self, name: &Ident) -> Option<Expr> {
        let of_writing = matches!(name.value.as_str(), "tableoid" | "xmin" | "xmax" | "cmin" | "cmax");
        if name.value == "ctid" {
            return Some(Expr::Value(Value::SingleQuotedString("(0,0)".to_owned()).into()));
        }
        (of_writing && self.catalogue == Catalogue::System)
            .then(|| Expr::Value(Value::Number("0".to_owned(), false).into()))
    }

    fn note_cast(&mut self, inner: &Expr, data_type: &DataType) {
        let Some(told) = postgres_type_of(data_type) else { return };
        let is_hidden = told.is_array || matches!(told.scalar, Scalar::Jsonb | Scalar::Bytea | Scalar::Oid);
        if let Expr::Value(value) = inner
            && let Value::Placeholder(name) = &value.value
            && is_hidden
        {
            let number = name.strip_prefix('$').and_then(|number| number.parse().ok());
            self.cast_parameters.extend(number.map(|number| (number, told)));
        }
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
            Value::Placeholder(_) if *op == BinaryOperator::Eq && self.asks_for_elements => {
                let (left, right) = (Box::new(left.clone()), Box::new(unwrapped(right).clone()));
                Some(Expr::BinaryOp { left, op: BinaryOperator::Eq, right })
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
            Scalar::Time => DataType::Time(None, TimezoneInfo::None),
            Scalar::Interval => DataType::Interval { fields: None, precision: None },
            Scalar::Int2vector | Scalar::Oidvector => return None,
            Scalar::Char | Scalar::Name | Scalar::Text | Scalar::Jsonb | Scalar::Numeric => return None,
        })
    }
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
    as_list(query)
}
