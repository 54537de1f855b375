//! Values of templates: those of Go's that a line can come to.

use std::collections::BTreeMap;

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
    /// All labels of a line; one that is not there is the empty text.
    Labels(BTreeMap<String, String>),
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
            Value::Labels(labels) => !labels.is_empty(),
        }
    }

    /// As it is printed.
    pub fn text(&self) -> String {
        match self {
            Value::Nil => "<nil>".to_owned(),
            Value::Text(text) => text.clone(),
            Value::Integer(integer) => integer.to_string(),
            Value::Float(float) => float_text(*float),
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
            Value::Labels(labels) => {
                let items: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", items.join(" "))
            }
        }
    }

    /// Go's name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Text(_) => "string",
            Value::Integer(_) => "int",
            Value::Float(_) => "float64",
            Value::Boolean(_) => "bool",
            Value::Time(_) => "time.Time",
            Value::List(_) => "[]interface {}",
            Value::Map(_) => "map[string]interface {}",
            Value::Labels(_) => "map[string]string",
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
            Value::Labels(labels) => Ok(Value::Text(labels.get(name).cloned().unwrap_or_default())),
            Value::Nil => Ok(Value::Nil),
            other => Err(format!("can't evaluate field {name} in {:?}", other.text())),
        }
    }
}

/// The fewest digits that tell a float from all others, with an exponent where it is below -4 or above 5: Go's `%v`.
///
/// Source: Go's `strconv`, `FormatFloat` with 'g' and -1.
pub fn float_text(float: f64) -> String {
    const EXPONENTS: std::ops::Range<i32> = -4..6;
    match exponential(&format!("{float:e}")) {
        Some((digits, exponent)) if !EXPONENTS.contains(&exponent) => with_exponent(digits, exponent),
        Some(_) => float.to_string(),
        None if float.is_nan() => "NaN".to_owned(),
        None => if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
    }
}

/// Digits and exponent of what Rust writes as `1.5e-7`.
pub fn exponential(text: &str) -> Option<(&str, i32)> {
    let (digits, exponent) = text.split_once('e')?;
    Some((digits, exponent.parse().ok()?))
}

/// `1.5e-07`.
pub fn with_exponent(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}
