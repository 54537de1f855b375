//! The operators that PostgreSQL reads documents with, on what we have for documents.
//!
//! | PostgreSQL | the engine |
//! |---|---|
//! | `attributes ->> 'k'`, `attributes -> 'k'` | `attributes['k']`, which knows attributes that have a column too |
//! | `body ->> 'k'`, `body -> 'k' ->> 'l'`, `body ->> 0` | `json_get(body, 'k')`, ... |
//! | `body #>> '{k,l}'`, `body #> '{k,0}'` | `json_get(body, 'k', 'l')`, `json_get(body, 'k', 0)` |
//! | `attributes ? 'k'` | `attributes['k'] IS NOT NULL` |
//!
//! Limits: what `->` gives is text as of `->>`, so a string has no quotes around it.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript, Value,
};

use super::array_text::elements_of;
use super::casts::{call, unwrapped};

/// Columns whose values are found by their keys.
const KEYED: [&str; 3] = ["attributes", "resource", "scope_attributes"];

/// `left op right`, if that is one of the operators.
pub fn json_access(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    match op {
        BinaryOperator::Arrow | BinaryOperator::LongArrow => Some(value_at(left, right)),
        BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => value_at_path(left, right),
        BinaryOperator::Question => Some(Expr::IsNotNull(Box::new(value_at(left, right)))),
        _ => None,
    }
}

fn value_at(document: &Expr, key: &Expr) -> Expr {
    let document = bare(document);
    let name = match unwrapped(document) {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    };
    let is_keyed = name.is_some_and(|name| KEYED.contains(&name.value.as_str()));
    let is_text = matches!(key, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    if is_keyed && is_text {
        let index = AccessExpr::Subscript(Subscript::Index { index: key.clone() });
        let root = Box::new(unwrapped(document).clone());
        return Expr::CompoundFieldAccess { root, access_chain: vec![index] };
    }
    call("json_get", vec![document.clone(), key.clone()])
}

/// The value at a path that is written as an array of texts. Of a column whose keys are known the first is one of them.
fn value_at_path(document: &Expr, path: &Expr) -> Option<Expr> {
    let Expr::Value(value) = unwrapped(path) else { return None };
    let Value::SingleQuotedString(path) = &value.value else { return None };
    let keys = elements_of(path)?.into_iter().collect::<Option<Vec<_>>>()?;
    let keys = keys.into_iter().map(|key| match key.parse::<i64>() {
        Ok(index) => Expr::Value(Value::Number(index.to_string(), false).into()),
        Err(_) => Expr::Value(Value::SingleQuotedString(key).into()),
    });
    let mut keys = keys.collect::<Vec<_>>();
    if keys.is_empty() {
        return None;
    }
    let first = value_at(document, &keys.remove(0));
    if keys.is_empty() {
        return Some(first);
    }
    keys.insert(0, first);
    Some(call("json_get", keys))
}

/// Without parentheses and without `::jsonb`, which has become a call.
fn bare(document: &Expr) -> &Expr {
    match document {
        Expr::Nested(inner) => bare(inner),
        Expr::Function(function) if function.name.to_string() == "jsonb" => match &function.args {
            FunctionArguments::List(list) => match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] => bare(inner),
                _ => document,
            },
            _ => document,
        },
        other => other,
    }
}
