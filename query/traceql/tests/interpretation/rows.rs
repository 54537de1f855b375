//! Spans as rows of the table `spans`, and filters over them: by the words of `schema::filter`, and of `tables::spans`.

use std::ops::Bound;

use meshlake_schema::filter::{Filter, Place, Test, Value};

use crate::data::{Made, Plain};

/// The text of an attribute's value, as `schema::attributes` says.
fn attribute_text(value: &Plain) -> String {
    match value {
        Plain::Nil => String::new(),
        Plain::Text(text) => text.clone(),
        Plain::Int(value) => value.to_string(),
        Plain::Float(value) => format!("{value:?}"),
        Plain::Bool(value) => value.to_string(),
        Plain::List(items) => {
            format!("[{}]", items.iter().map(|item| format!("{item}")).collect::<Vec<_>>().join(","))
        }
        other => panic!("no attribute is {other:?}"),
    }
}

/// The value of a column or attribute; none for null.
fn stored(trace: &Made, at: usize, place: &Place) -> Option<Value> {
    let span = &trace.spans[at];
    let unless_empty = |text: &str| Some(Value::Text(text.to_owned())).filter(|_| !text.is_empty());
    let column = match place {
        Place::Attribute(key) => return Some(Value::Text(attribute_text(span.attributes.get(key)?))),
        Place::Column(column) => column.as_str(),
    };
    match column {
        "name" => Some(Value::Text(span.name.clone())),
        "kind" => Some(Value::Integer(span.kind)),
        "status_code" => Some(Value::Integer(span.status)),
        "status_message" => unless_empty(&span.message),
        "duration_nano" => Some(Value::Integer(span.duration)),
        "trace_id" => Some(Value::Text(trace.id.clone())),
        "span_id" => Some(Value::Text(span.id.clone())),
        "parent_span_id" => span.parent.clone().map(Value::Text),
        "service_name" => span.service.as_deref().and_then(unless_empty),
        "scope_name" => unless_empty(&span.scope),
        "scope_version" => None,
        other => panic!("{other} is filtered by"),
    }
}

fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        _ => panic!("{a:?} and {b:?} are of two types"),
    }
}

pub fn passes(trace: &Made, at: usize, filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| passes(trace, at, part)),
        Filter::Or(parts) => parts.iter().any(|part| passes(trace, at, part)),
        Filter::Not(inner) => !passes(trace, at, inner),
        Filter::Is(place, test) => {
            let value = stored(trace, at, place);
            match (test, value) {
                (Test::IsNull, value) => value.is_none(),
                (_, None) => false,
                (Test::Equals(wanted), Some(value)) => value == *wanted,
                (Test::IsIn(wanted), Some(value)) => wanted.contains(&value),
                (Test::Contains(part), Some(Value::Text(text))) => text.contains(part),
                (Test::Contains(_), Some(value)) => panic!("{value:?} is no text"),
                (Test::IsWithin(from, to), Some(value)) => {
                    let is_from = match from {
                        Bound::Included(from) => order(&value, from).is_ge(),
                        Bound::Excluded(from) => order(&value, from).is_gt(),
                        Bound::Unbounded => true,
                    };
                    let is_to = match to {
                        Bound::Included(to) => order(&value, to).is_le(),
                        Bound::Excluded(to) => order(&value, to).is_lt(),
                        Bound::Unbounded => true,
                    };
                    is_from && is_to
                }
            }
        }
    }
}
