//! Functions of times, durations and sizes.

use meshlake_schema::UnixNanos;

use super::super::time::{format, parse};
use super::super::value::Value;
use super::{Entry, entry};
use crate::matching::quantity;

pub(super) static TABLE: &[Entry] = &[
    entry("now", (0, 0), |_, scope| Ok(Value::Time(scope.now()))),
    entry("date", (2, 2), |v, _| match &v[1] {
        Value::Time(time) => Ok(Value::Text(format(*time, &v[0].text()))),
        other => Err(format!("{:?} is no time", other.text())),
    }),
    entry("toDate", (2, 2), |v, _| {
        Ok(Value::Time(parse(&v[0].text(), &v[1].text()).unwrap_or(UnixNanos(0))))
    }),
    entry("toDateInZone", (3, 3), |v, _| match v[1].text().as_str() {
        "UTC" | "" => Ok(Value::Time(parse(&v[0].text(), &v[2].text()).unwrap_or(UnixNanos(0)))),
        other => Err(format!("unknown time zone {other}: times are told in UTC")),
    }),
    entry("unixEpoch", (1, 1), |v, _| since_epoch(&v[0], 1_000_000_000)),
    entry("unixEpochMillis", (1, 1), |v, _| since_epoch(&v[0], 1_000_000)),
    entry("unixEpochNanos", (1, 1), |v, _| since_epoch(&v[0], 1)),
    entry("unixToTime", (1, 1), |v, _| {
        let text = v[0].text();
        let number: i64 = text.parse().map_err(|_| format!("unable to parse time '{text}'"))?;
        // Days, seconds, milliseconds, microseconds and nanoseconds are told apart by their digits.
        let unit = match text.len() {
            5 => 86_400_000_000_000,
            10 => 1_000_000_000,
            13 => 1_000_000,
            16 => 1_000,
            19 => 1,
            _ => return Err(format!("unable to parse time '{text}'")),
        };
        Ok(Value::Time(UnixNanos(number.saturating_mul(unit))))
    }),
    entry("duration", (1, 1), |v, _| seconds(&v[0])),
    entry("duration_seconds", (1, 1), |v, _| seconds(&v[0])),
    entry("bytes", (1, 1), |v, _| {
        let text = v[0].text();
        quantity::bytes(&text).map(Value::Float).ok_or_else(|| format!("{text:?} is no size"))
    }),
];

fn since_epoch(value: &Value, unit_nanos: i64) -> Result<Value, String> {
    match value {
        Value::Time(time) => Ok(Value::Text(time.0.div_euclid(unit_nanos).to_string())),
        other => Err(format!("{:?} is no time", other.text())),
    }
}

fn seconds(value: &Value) -> Result<Value, String> {
    let text = value.text();
    let nanos = quantity::nanos(&text).ok_or_else(|| format!("{text:?} is no duration"))?;
    Ok(Value::Float(nanos as f64 / 1e9))
}
