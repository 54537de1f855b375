//! Arithmetic. Values of labels are texts: a function reads them as the numbers that it takes, and 0 where they are none.

use super::super::value::Value;
use super::{Entry, MANY, entry};

pub(super) static TABLE: &[Entry] = &[
    entry("add", (1, MANY), |v, _| Ok(integer(v, i64::wrapping_add))),
    entry("sub", (2, 2), |v, _| Ok(integer(v, i64::wrapping_sub))),
    entry("mul", (1, MANY), |v, _| Ok(integer(v, i64::wrapping_mul))),
    entry("div", (2, 2), |v, _| divided(v, i64::wrapping_div)),
    entry("mod", (2, 2), |v, _| divided(v, i64::wrapping_rem)),
    entry("max", (1, MANY), |v, _| Ok(integer(v, i64::max))),
    entry("min", (1, MANY), |v, _| Ok(integer(v, i64::min))),
    entry("addf", (1, MANY), |v, _| Ok(float(v, |a, b| a + b))),
    entry("subf", (1, MANY), |v, _| Ok(float(v, |a, b| a - b))),
    entry("mulf", (1, MANY), |v, _| Ok(float(v, |a, b| a * b))),
    entry("divf", (1, MANY), |v, _| Ok(float(v, |a, b| a / b))),
    entry("maxf", (1, MANY), |v, _| Ok(float(v, f64::max))),
    entry("minf", (1, MANY), |v, _| Ok(float(v, f64::min))),
    entry("ceil", (1, 1), |v, _| Ok(Value::Float(v[0].float().ceil()))),
    entry("floor", (1, 1), |v, _| Ok(Value::Float(v[0].float().floor()))),
    entry("round", (2, 3), |v, _| {
        let half = v.get(2).map_or(0.5, Value::float);
        Ok(Value::Float(rounded(v[0].float(), v[1].integer(), half)))
    }),
    entry("int", (1, 1), |v, _| Ok(Value::Integer(v[0].integer()))),
    entry("float64", (1, 1), |v, _| Ok(Value::Float(v[0].float()))),
];

fn integer(values: &[Value], combine: fn(i64, i64) -> i64) -> Value {
    Value::Integer(values.iter().map(Value::integer).reduce(combine).unwrap_or(0))
}

fn float(values: &[Value], combine: fn(f64, f64) -> f64) -> Value {
    Value::Float(values.iter().map(Value::float).reduce(combine).unwrap_or(0.0))
}

fn divided(values: &[Value], combine: fn(i64, i64) -> i64) -> Result<Value, String> {
    match values[1].integer() {
        0 => Err("integer divide by zero".to_owned()),
        divisor => Ok(Value::Integer(combine(values[0].integer(), divisor))),
    }
}

/// To so many decimals; from which part on it is rounded up.
fn rounded(value: f64, decimals: i64, half: f64) -> f64 {
    let scale = 10_f64.powi(decimals.clamp(-300, 300) as i32);
    let scaled = value * scale;
    let fraction = scaled.fract();
    let whole = if fraction >= half { scaled.ceil() } else { scaled.floor() };
    whole / scale
}
