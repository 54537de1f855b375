//! What is computed of single values, and how they compare: as `docs/traceql.md` says, in doubles.

use crate::data::Plain;

pub fn double(value: &Plain) -> Option<f64> {
    match value {
        Plain::Int(value) | Plain::Nanos(value) => Some(*value as f64),
        Plain::Float(value) => Some(*value),
        _ => None,
    }
}

pub fn aggregate(name: &str, values: &[Plain]) -> Plain {
    let numbers: Vec<f64> = values.iter().filter_map(double).collect();
    let sum: f64 = numbers.iter().sum();
    let result = match name {
        _ if numbers.is_empty() => return Plain::Nil,
        "min" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "sum" => sum,
        _ => sum / numbers.len() as f64,
    };
    if values.iter().all(|value| matches!(value, Plain::Nanos(_))) {
        return Plain::Nanos(result as i64);
    }
    // What is multiplied with it may be a duration, so that its kind does not show.
    Plain::Float(result)
}

/// All numbers here are small enough for doubles to be exact.
pub fn compute(sign: &str, left: &Plain, right: &Plain) -> Plain {
    let (Some(a), Some(b)) = (double(left), double(right)) else { return Plain::Nil };
    let [is_left, is_right] = [left, right].map(|side| matches!(side, Plain::Nanos(_)));
    let result = match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        _ if b == 0.0 => return Plain::Nil,
        "/" => a / b,
        _ => a % b,
    };
    let is_duration = match sign {
        "*" => is_left != is_right,
        "/" => is_left && !is_right,
        _ => is_left || is_right,
    };
    if is_duration { Plain::Nanos(result as i64) } else { Plain::Float(result) }
}

pub fn compare(sign: &str, left: &Plain, right: &Plain) -> bool {
    if let Plain::List(items) = left {
        return of_items(
            sign,
            items,
            right,
            |item| compare(sign, item, right),
            |item| compare("=", item, right),
        );
    }
    if let Plain::List(items) = right {
        return of_items(
            sign,
            items,
            left,
            |item| compare(sign, left, item),
            |item| compare("=", left, item),
        );
    }
    let order = match (left, right) {
        (Plain::Text(a), Plain::Text(b)) => Some(a.cmp(b)),
        (Plain::Bool(a), Plain::Bool(b)) => Some(a.cmp(b)),
        (Plain::Status(a), Plain::Status(b)) | (Plain::Kind(a), Plain::Kind(b)) => Some(a.cmp(b)),
        _ => double(left).zip(double(right)).and_then(|(a, b)| a.partial_cmp(&b)),
    };
    let Some(order) = order else { return false };
    match sign {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn of_items(
    sign: &str,
    items: &[Plain],
    other: &Plain,
    holds: impl Fn(&Plain) -> bool,
    equals: impl Fn(&Plain) -> bool,
) -> bool {
    if sign == "!=" { *other != Plain::Nil && !items.iter().any(equals) } else { items.iter().any(holds) }
}

pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "x" => text == "x",
        "x|y" => text == "x" || text == "y",
        "x.*" => text.starts_with('x'),
        _ => true,
    }
}
