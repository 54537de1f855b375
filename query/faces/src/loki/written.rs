//! Answers as JSON: `{"status":"success","data":{"resultType":..,"result":[..],"stats":{..}}}`.
//!
//! ```text
//! streams   [{"stream":{LABELS},"values":[["NANOSECONDS","LINE"], ..]}, ..]
//! vector    [{"metric":{LABELS},"value":[SECONDS,"VALUE"]}, ..]
//! matrix    [{"metric":{LABELS},"values":[[SECONDS,"VALUE"], ..]}, ..]
//! scalar    [SECONDS,"VALUE"]
//! ```
//! Asked for labels by their origin, a stream has only those that are its own, and a value has a third part:
//! `{"structuredMetadata":{..},"parsed":{..}}`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use meshlake_query::logql::metrics::Line;
use meshlake_query::logql::pipeline::Origin;
use meshlake_query::logql::{Answer, Steps};
use meshlake_query::logs::Found;
use meshlake_query::promql::{Labels, value_text};
use meshlake_schema::attributes::push_json_string;

/// Labels and their values.
type Pairs<'f> = Vec<(&'f str, &'f str)>;

/// Lines by their streams, in the order in which they were found.
pub fn streams(found: &[Found], categorizes: bool) -> Response {
    answer("streams", flags(categorizes), &stream_list(found, categorizes), found.len())
}

/// A message to who watches: lines, and whether others went unseen.
pub fn tailed(found: &[Found], is_missed: bool, now: i64, categorizes: bool) -> String {
    let dropped =
        if is_missed { format!("[{{\"labels\":{{}},\"timestamp\":\"{now}\"}}]") } else { "null".to_owned() };
    let (flags, streams) = (flags(categorizes), stream_list(found, categorizes));
    format!("{{{flags}\"streams\":{streams},\"dropped_entries\":{dropped}}}")
}

fn flags(categorizes: bool) -> &'static str {
    if categorizes { "\"encodingFlags\":[\"categorize-labels\"]," } else { "" }
}

fn stream_list(found: &[Found], categorizes: bool) -> String {
    let mut streams: BTreeMap<Pairs<'_>, Vec<&Found>> = BTreeMap::new();
    for line in found {
        let is_of_stream = |origin: Origin| !categorizes || origin == Origin::Stream;
        streams.entry(pairs(line, is_of_stream)).or_default().push(line);
    }
    let mut out = String::from("[");
    for (place, (labels, lines)) in streams.iter().enumerate() {
        push_comma(&mut out, place);
        out.push_str("{\"stream\":");
        push_pairs(&mut out, labels.iter().copied());
        out.push_str(",\"values\":[");
        for (place, line) in lines.iter().enumerate() {
            push_comma(&mut out, place);
            let _ = write!(out, "[\"{}\",", line.time.0);
            push_json_string(&mut out, &line.line);
            if categorizes {
                push_categories(&mut out, line);
            }
            out.push(']');
        }
        out.push_str("]}");
    }
    out.push(']');
    out
}

fn pairs(found: &Found, is_wanted: impl Fn(Origin) -> bool) -> Pairs<'_> {
    let labels = found.labels.iter().filter(|(.., origin)| is_wanted(*origin));
    labels.map(|(name, value, _)| (name.as_str(), value.as_str())).collect()
}

fn push_categories(out: &mut String, found: &Found) {
    let categories = [("structuredMetadata", Origin::Metadata), ("parsed", Origin::Parsed)];
    let categories = categories.map(|(name, wanted)| (name, pairs(found, |origin| origin == wanted)));
    out.push_str(",{");
    let present = categories.into_iter().filter(|(_, pairs)| !pairs.is_empty());
    for (place, (name, pairs)) in present.enumerate() {
        push_comma(out, place);
        push_json_string(out, name);
        out.push(':');
        push_pairs(out, pairs.into_iter());
    }
    out.push('}');
}

fn push_pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    for (place, (name, value)) in pairs.enumerate() {
        push_comma(out, place);
        push_json_string(out, name);
        out.push(':');
        push_json_string(out, value);
    }
    out.push('}');
}

fn push_comma(out: &mut String, place: usize) {
    if place > 0 {
        out.push(',');
    }
}

/// Numbers at one time.
pub fn instant(found: Answer, time: i64) -> Response {
    match found {
        Answer::Number(values) => {
            let mut out = String::new();
            push_value(&mut out, time, values.first().copied().unwrap_or(f64::NAN));
            answer("scalar", "", &out, 1)
        }
        Answer::Series(series) => {
            let mut out = String::from("[");
            let count = series.len();
            for (place, (labels, values)) in series.iter().enumerate() {
                push_comma(&mut out, place);
                push_metric(&mut out, labels);
                out.push_str("\"value\":");
                push_value(&mut out, time, values.first().map_or(f64::NAN, |(_, value)| *value));
                out.push('}');
            }
            out.push(']');
            answer("vector", "", &out, count)
        }
    }
}

/// Numbers at each step.
pub fn range(found: Answer, steps: Steps) -> Response {
    let series: Vec<Line> = match found {
        Answer::Number(values) => vec![(Labels::default(), values.into_iter().enumerate().collect())],
        Answer::Series(series) => series,
    };
    let mut out = String::from("[");
    for (place, (labels, values)) in series.iter().enumerate() {
        push_comma(&mut out, place);
        push_metric(&mut out, labels);
        out.push_str("\"values\":[");
        for (place, (step, value)) in values.iter().enumerate() {
            push_comma(&mut out, place);
            push_value(&mut out, steps.time(*step), *value);
        }
        out.push_str("]}");
    }
    out.push(']');
    answer("matrix", "", &out, series.len())
}

fn push_metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":");
    push_pairs(out, labels.iter().map(|label| (&*label.name, &*label.value)));
    out.push(',');
}

/// Seconds with milliseconds where there are any.
fn push_value(out: &mut String, nanos: i64, value: f64) {
    let millis = nanos.div_euclid(1_000_000);
    let (seconds, rest) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
    let _ = match rest {
        0 => write!(out, "[{seconds},"),
        rest => write!(out, "[{seconds}.{rest:03},"),
    };
    push_json_string(out, &value_text(value));
    out.push(']');
}

fn answer(kind: &str, flags: &str, result: &str, entries: usize) -> Response {
    let stats = format!("{{\"summary\":{{\"totalEntriesReturned\":{entries}}}}}");
    let body = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",{flags}\"result\":{result},\"stats\":{stats}}}}}"
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
