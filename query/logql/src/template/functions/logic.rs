//! Functions of Go's templates themselves, and JSON.

use std::cmp::Ordering;

use meshlake_traceql::lex::Quoted;

use super::super::value::{Value, exponential, float_text, with_exponent};
use super::{Entry, MANY, entry};
use crate::matching::json;

pub(super) static TABLE: &[Entry] = &[
    entry("and", (1, MANY), |v, _| Ok(v.iter().find(|v| !v.is_true()).unwrap_or(&v[v.len() - 1]).clone())),
    entry("or", (1, MANY), |v, _| Ok(v.iter().find(|v| v.is_true()).unwrap_or(&v[v.len() - 1]).clone())),
    entry("not", (1, 1), |v, _| Ok(Value::Boolean(!v[0].is_true()))),
    entry("eq", (2, MANY), |v, _| {
        let equal = |other| compared(&v[0], other).map(Ordering::is_eq);
        v[1..].iter().try_fold(false, |any, other| Ok(any || equal(other)?)).map(Value::Boolean)
    }),
    entry("ne", (2, 2), |v, _| holds(v, Ordering::is_ne)),
    entry("lt", (2, 2), |v, _| holds(v, Ordering::is_lt)),
    entry("le", (2, 2), |v, _| holds(v, Ordering::is_le)),
    entry("gt", (2, 2), |v, _| holds(v, Ordering::is_gt)),
    entry("ge", (2, 2), |v, _| holds(v, Ordering::is_ge)),
    entry("default", (2, 2), |v, _| Ok(if v[1].is_true() { v[1].clone() } else { v[0].clone() })),
    entry("len", (1, 1), |v, _| match &v[0] {
        Value::Text(text) => Ok(Value::Integer(text.len() as i64)),
        Value::List(list) => Ok(Value::Integer(list.len() as i64)),
        Value::Map(map) => Ok(Value::Integer(map.len() as i64)),
        Value::Labels(labels) => Ok(Value::Integer(labels.len() as i64)),
        other => Err(format!("{} has no length", other.text())),
    }),
    entry("index", (1, MANY), |v, _| {
        v[1..].iter().try_fold(v[0].clone(), |value, key| match (value, key) {
            (Value::List(list), key) => {
                let at = usize::try_from(key.integer()).ok();
                at.and_then(|at| list.get(at).cloned())
                    .ok_or_else(|| format!("index out of range: {}", key.text()))
            }
            (Value::Map(map), key) => Ok(map.get(&key.text()).cloned().unwrap_or(Value::Nil)),
            (labels @ Value::Labels(_), key) => labels.field(&key.text()),
            (other, _) => Err(format!("can't index {}", other.text())),
        })
    }),
    entry("slice", (1, 4), |v, _| sliced(&v[0], &v[1..])),
    entry("html", (0, MANY), |v, _| Ok(Value::Text(escaped(&printed(v), of_html)))),
    entry("js", (0, MANY), |v, _| Ok(Value::Text(escaped(&printed(v), of_script)))),
    entry("fromJson", (1, 1), |v, _| Ok(of_json(&v[0].text(), 0).unwrap_or(Value::Nil))),
    entry("__line__", (0, 0), |_, scope| Ok(Value::Text(scope.line().to_owned()))),
    entry("__timestamp__", (0, 0), |_, scope| Ok(Value::Time(scope.time()))),
    entry("print", (0, MANY), |v, _| Ok(Value::Text(printed(v)))),
    entry("println", (0, MANY), |v, _| {
        let texts: Vec<String> = v.iter().map(Value::text).collect();
        Ok(Value::Text(texts.join(" ") + "\n"))
    }),
    entry("printf", (1, MANY), |v, _| formatted(&v[0].text(), &v[1..]).map(Value::Text)),
];

fn holds(values: &[Value], is_wanted: fn(Ordering) -> bool) -> Result<Value, String> {
    compared(&values[0], &values[1]).map(|ordering| Value::Boolean(is_wanted(ordering)))
}

/// A part of a text, by bytes as in Go, or of a list.
fn sliced(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) if bounds.len() <= 2 => text.len(),
        Value::Text(_) => return Err("cannot 3-index slice a string".to_owned()),
        Value::List(list) => list.len(),
        other => return Err(format!("can't slice {}", other.text())),
    };
    let bound = |at: usize, missing: usize| match bounds.get(at).map(Value::integer) {
        None => Ok(missing),
        Some(bound) => usize::try_from(bound)
            .ok()
            .filter(|bound| *bound <= length)
            .ok_or_else(|| format!("index out of range: {bound}")),
    };
    let (start, end) = (bound(0, 0)?, bound(1, length)?);
    if start > end || bound(2, length)? < end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    Ok(match value {
        Value::List(list) => Value::List(list[start..end].to_vec()),
        other => Value::Text(String::from_utf8_lossy(&other.text().as_bytes()[start..end]).into_owned()),
    })
}

fn escaped(text: &str, of: fn(char) -> Option<String>) -> String {
    text.chars().map(|c| of(c).unwrap_or_else(|| c.to_string())).collect()
}

/// Source: Go's `text/template`, `HTMLEscape`.
fn of_html(c: char) -> Option<String> {
    let escape = match c {
        '"' => "&#34;",
        '\'' => "&#39;",
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '\0' => "\u{fffd}",
        _ => return None,
    };
    Some(escape.to_owned())
}

/// Source: Go's `text/template`, `JSEscape`.
fn of_script(c: char) -> Option<String> {
    match c {
        '\\' | '\'' | '"' => Some(format!("\\{c}")),
        '<' | '>' | '&' | '=' => Some(format!("\\u{:04X}", u32::from(c))),
        c if c.is_control() => Some(format!("\\u{:04X}", u32::from(c))),
        _ => None,
    }
}

/// Values of one kind, or numbers.
fn compared(left: &Value, right: &Value) -> Result<Ordering, String> {
    use Value::{Boolean, Float, Integer, Text, Time};
    match (left, right) {
        (Text(left), Text(right)) => Ok(left.cmp(right)),
        (Integer(left), Integer(right)) => Ok(left.cmp(right)),
        (Boolean(left), Boolean(right)) => Ok(left.cmp(right)),
        (Time(left), Time(right)) => Ok(left.cmp(right)),
        (Integer(_) | Float(_), Integer(_) | Float(_)) => {
            left.float().partial_cmp(&right.float()).ok_or_else(|| "not a number".to_owned())
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

/// Texts side by side; a space between two that are none, as Go has it.
fn printed(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !is_text(value) && !is_text(&values[at - 1]) {
            out.push(' ');
        }
        out += &value.text();
    }
    out
}

/// A JSON text as values; none if it is none. Numbers are floats, as Go's are.
fn of_json(text: &str, depth: usize) -> Option<Value> {
    let path = json::whole(text)?;
    Some(match path {
        json::Value::Text(text) => Value::Text(text.into_owned()),
        json::Value::Plain("true") => Value::Boolean(true),
        json::Value::Plain("false") => Value::Boolean(false),
        json::Value::Plain(number) => Value::Float(number.parse().ok()?),
        json::Value::Null => Value::Nil,
        json::Value::Object(object) if depth < json::DEPTH_MAX => Value::Map(
            json::entries(object)?
                .into_iter()
                .map(|(key, value)| Some((key, of_json(value, depth + 1)?)))
                .collect::<Option<_>>()?,
        ),
        json::Value::Array(array) if depth < json::DEPTH_MAX => Value::List(
            json::elements(array)?
                .into_iter()
                .map(|value| of_json(value, depth + 1))
                .collect::<Option<_>>()?,
        ),
        json::Value::Object(_) | json::Value::Array(_) => return None,
    })
}

/// Go's `Sprintf`, of the verbs that values of templates have.
fn formatted(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format;
    let mut values = values.iter();
    while let Some(at) = rest.find('%') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        let is_flag = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | ' ' | '#' | '.');
        let verb_at = rest.find(|c| !is_flag(c)).ok_or("%!(NOVERB)")?;
        let (flags, verb) = (&rest[..verb_at], rest[verb_at..].chars().next().ok_or("%!(NOVERB)")?);
        rest = &rest[verb_at + verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        match values.next() {
            None => out += &format!("%!{verb}(MISSING)"),
            Some(value) => push_verb(&mut out, flags, verb, value)?,
        }
    }
    out += rest;
    let extra: Vec<String> = values.map(Value::text).collect();
    if !extra.is_empty() {
        out += &format!("%!(EXTRA {})", extra.join(", "));
    }
    Ok(out)
}

/// Characters that a width may ask for. Guess: no line of a terminal is wider.
const WIDTH_MAX: usize = 10_000;

fn push_verb(out: &mut String, flags: &str, verb: char, value: &Value) -> Result<(), String> {
    let is_left = flags.contains('-');
    let bare = flags.trim_start_matches(['-', '+', ' ', '#', '0']);
    let (width, precision) = match bare.split_once('.') {
        Some((width, precision)) => (width, Some(precision.parse().unwrap_or(0_usize))),
        None => (bare, None),
    };
    let width: usize = width.parse().unwrap_or(0);
    if width > WIDTH_MAX || precision.is_some_and(|precision| precision > WIDTH_MAX) {
        return Err(format!("a width of more than {WIDTH_MAX}"));
    }
    let is_zeroed = flags.trim_start_matches(['-', '+', ' ', '#']).starts_with('0') && !is_left;
    let plus =
        |text: String| if flags.contains('+') && !text.starts_with('-') { format!("+{text}") } else { text };
    let cut = |text: String| precision.map_or(text.clone(), |most| text.chars().take(most).collect());
    let text = match (verb, value) {
        ('s' | 'v', Value::Text(text)) => cut(text.clone()),
        ('v', other) => other.text(),
        ('T', other) => other.type_name().to_owned(),
        ('q', Value::Integer(integer)) => format!("'{}'", character(*integer)),
        ('U', Value::Integer(integer)) => format!("U+{integer:04X}"),
        ('q', other) => Quoted(&other.text()).to_string(),
        ('d', Value::Integer(integer)) => plus(integer.to_string()),
        ('x', Value::Integer(integer)) => format!("{integer:x}"),
        ('X', Value::Integer(integer)) => format!("{integer:X}"),
        ('o', Value::Integer(integer)) => format!("{integer:o}"),
        ('b', Value::Integer(integer)) => format!("{integer:b}"),
        ('c', Value::Integer(integer)) => character(*integer).to_string(),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('f' | 'F', Value::Float(float)) => plus(format!("{float:.*}", precision.unwrap_or(6))),
        ('e', Value::Float(float)) => plus(scientific(*float, precision.unwrap_or(6))),
        ('E', Value::Float(float)) => plus(scientific(*float, precision.unwrap_or(6)).to_uppercase()),
        ('g', Value::Float(float)) => plus(general(*float, precision)),
        ('G', Value::Float(float)) => plus(general(*float, precision).to_uppercase()),
        ('t', Value::Boolean(boolean)) => boolean.to_string(),
        ('s', Value::List(_) | Value::Map(_) | Value::Labels(_) | Value::Time(_)) => value.text(),
        (verb, Value::Nil) => format!("%!{verb}(<nil>)"),
        (verb, other) => format!("%!{verb}({}={})", other.type_name(), other.text()),
    };
    let missing = width.saturating_sub(text.chars().count());
    if is_left {
        *out += &text;
        *out += &" ".repeat(missing);
    } else if is_zeroed {
        let sign = if text.starts_with(['-', '+']) { 1 } else { 0 };
        *out += &text[..sign];
        *out += &"0".repeat(missing);
        *out += &text[sign..];
    } else {
        *out += &" ".repeat(missing);
        *out += &text;
    }
    Ok(())
}

fn character(code: i64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Go's `%e`.
fn scientific(float: f64, precision: usize) -> String {
    let text = format!("{float:.precision$e}");
    exponential(&text).map_or_else(|| float_text(float), |(digits, exponent)| with_exponent(digits, exponent))
}

/// Go's `%g`: so many digits, or as many as it takes.
fn general(float: f64, precision: Option<usize>) -> String {
    let Some(digits_max) = precision.map(|precision| precision.max(1)) else { return float_text(float) };
    let decimals = digits_max - 1;
    let text = format!("{float:.decimals$e}");
    let Some((digits, exponent)) = exponential(&text) else { return float_text(float) };
    let trimmed = |text: &str| {
        let is_whole = !text.contains('.');
        if is_whole { text.to_owned() } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
    };
    match usize::try_from(i64::try_from(decimals).unwrap_or(i64::MAX) - i64::from(exponent)) {
        Ok(decimals) if exponent >= -4 => trimmed(&format!("{float:.decimals$}")),
        _ => with_exponent(&trimmed(digits), exponent),
    }
}
