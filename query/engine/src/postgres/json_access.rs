//! The operators that PostgreSQL reads documents with, on what we have for documents.
//!
//! | PostgreSQL | the engine |
//! |---|---|
//! | `attributes ->> 'k'`, `attributes -> 'k'` | `attributes['k']`, which knows attributes that have a column too |
//! | `body ->> 'k'`, `body -> 'k' ->> 'l'`, `body ->> 0` | `json_get(body, 'k')`, ... |
//! | `attributes ? 'k'` | `attributes['k'] IS NOT NULL` |
//!
//! Limits: what `->` gives is text as of `->>`, so a string has no quotes around it.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript, Value,
};

use super::casts::{call, unwrapped};

/// Columns whose values are found by their keys.
const KEYED: [&str; 3] = ["attributes", "resource", "scope_attributes"];

/// `left op right`, if that is one of the operators.
pub fn json_access(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    match op {
        BinaryOperator::Arrow | BinaryOperator::LongArrow => Some(value_at(left, right)),
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
