//! Calls and operators that PostgreSQL has under a name of its own, as the engine spells them.
//!
//! | PostgreSQL | the engine |
//! |---|---|
//! | `mod(a, b)`, `|/ a`, `||/ a` | `a % b`, `sqrt(a)`, `cbrt(a)` |
//! | `every(x)`, `variance(x)`, `sign(x)` | `bool_and(x)`, `var_samp(x)`, `signum(x)` |
//! | `timezone(zone, time)` | `time AT TIME ZONE zone` |
//! | `date_trunc(unit, time, 'UTC')` | `date_trunc(unit, time)`: all times are UTC |
//! | `localtimestamp`, `localtime` | `now()` as a timestamp, as a time |
//! | `substring(text FROM 'pattern')` | `regexp_match(text, 'pattern')[1]` |
//! | `regexp_split_to_array(text, 'pattern')` | `string_to_array` with a mark for each match |
//! | `a && b`, of arrays | `array_has_any(a, b)` |
//!
//! Source: PostgreSQL 16, chapter 9.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Subscript, TimezoneInfo, UnaryOperator, Value,
};

use super::casts::{call, cast};

/// Functions of one value, by PostgreSQL's name and the engine's.
const RENAMED: [(&str, &str); 3] = [("every", "bool_and"), ("variance", "var_samp"), ("sign", "signum")];

/// What no text has: between the parts of one that is split.
const SPLIT_MARK: &str = "\u{1}";

/// What an expression becomes, if it is one of those.
pub fn respelled(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Function(function) => respelled_call(function),
        Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr } => {
            Some(call("sqrt", vec![Expr::clone(expr)]))
        }
        Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr } => Some(call("cbrt", vec![Expr::clone(expr)])),
        Expr::BinaryOp { left, op: BinaryOperator::PGOverlap, right } => {
            Some(call("array_has_any", vec![Expr::clone(left), Expr::clone(right)]))
        }
        Expr::Substring { expr, substring_from: Some(pattern), substring_for: None, .. }
            if is_text(pattern) =>
        {
            let root = Box::new(call("regexp_match", vec![Expr::clone(expr), Expr::clone(pattern)]));
            let index = Expr::Value(Value::Number("1".to_owned(), false).into());
            let access_chain = vec![AccessExpr::Subscript(Subscript::Index { index })];
            Some(Expr::CompoundFieldAccess { root, access_chain })
        }
        _ => None,
    }
}

fn respelled_call(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_ascii_lowercase();
    if let Some((_, known)) = RENAMED.iter().find(|(told, _)| *told == name) {
        if let Expr::Function(renamed) = call(known, Vec::new()) {
            function.name = renamed.name;
        }
        return None;
    }
    // Words of the grammar, with parentheses only where a precision is said.
    let now = || call("now", Vec::new());
    match name.as_str() {
        "localtimestamp" => return Some(cast(now(), DataType::Timestamp(None, TimezoneInfo::None))),
        "localtime" => return Some(cast(now(), DataType::Time(None, TimezoneInfo::None))),
        _ => {}
    }
    let arguments = arguments_of(function)?;
    match (name.as_str(), arguments.as_slice()) {
        ("mod", [left, right]) => {
            let [left, right] = [left, right].map(|side| Box::new(Expr::Nested(Box::new(Expr::clone(side)))));
            let remainder = Expr::BinaryOp { left, op: BinaryOperator::Modulo, right };
            Some(Expr::Nested(Box::new(remainder)))
        }
        ("timezone", [zone, time]) => Some(Expr::AtTimeZone {
            timestamp: Box::new(Expr::Nested(Box::new(Expr::clone(time)))),
            time_zone: Box::new(Expr::clone(zone)),
        }),
        ("date_trunc", [unit, time, zone]) if text_of(zone).is_some_and(is_utc) => {
            Some(call("date_trunc", vec![Expr::clone(unit), Expr::clone(time)]))
        }
        ("regexp_split_to_array", [text, pattern]) => {
            let literal = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
            let (text, pattern) = (Expr::clone(text), Expr::clone(pattern));
            let marked = call("regexp_replace", vec![text, pattern, literal(SPLIT_MARK), literal("g")]);
            Some(call("string_to_array", vec![marked, literal(SPLIT_MARK)]))
        }
        _ => None,
    }
}

/// The arguments of a plain call.
fn arguments_of(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.collect()
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn is_text(expr: &Expr) -> bool {
    text_of(expr).is_some()
}

/// Names of the one zone that there is.
fn is_utc(zone: &str) -> bool {
    ["utc", "etc/utc", "gmt", "z"].contains(&zone.to_ascii_lowercase().as_str())
}
