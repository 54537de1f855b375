//! Values of templates: those of Go's that a line can come to.

use std::collections::BTreeMap;

use meshlake_promql::value_text;
use meshlake_schema::UnixNanos;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nil,
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Time(UnixNanos),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Whether `if` takes it for true.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Text(text) => !text.is_empty(),
            Value::Integer(integer) => *integer != 0,
            Value::Float(float) => *float != 0.0,
            Value::Boolean(boolean) => *boolean,
            Value::Time(_) => true,
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// As it is printed.
    pub fn text(&self) -> String {
        match self {
            Value::Nil => "<no value>".to_owned(),
            Value::Text(text) => text.clone(),
            Value::Integer(integer) => integer.to_string(),
            Value::Float(float) => value_text(*float),
            Value::Boolean(boolean) => boolean.to_string(),
            Value::Time(time) => super::time::format(*time, "2006-01-02 15:04:05.999999999 -0700 MST"),
            Value::List(list) => {
                let items: Vec<String> = list.iter().map(Value::text).collect();
                format!("[{}]", items.join(" "))
            }
            Value::Map(map) => {
                let items: Vec<String> =
                    map.iter().map(|(key, value)| format!("{key}:{}", value.text())).collect();
                format!("map[{}]", items.join(" "))
            }
        }
    }

    /// Read as an integer; 0 of what is none, as the functions of arithmetic have it.
    pub fn integer(&self) -> i64 {
        match self {
            Value::Integer(integer) => *integer,
            Value::Float(float) => *float as i64,
            Value::Boolean(boolean) => i64::from(*boolean),
            Value::Text(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|float| float as i64)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Read as a number; 0 of what is none.
    pub fn float(&self) -> f64 {
        match self {
            Value::Float(float) => *float,
            Value::Text(text) => text.trim().parse().unwrap_or(0.0),
            other => other.integer() as f64,
        }
    }

    /// The field of that name; nothing of a text or number has one.
    pub fn field(&self, name: &str) -> Result<Value, String> {
        match self {
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
            Value::Nil => Ok(Value::Nil),
            other => Err(format!("can't evaluate field {name} in {:?}", other.text())),
        }
    }
}
