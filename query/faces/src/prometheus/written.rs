//! Answers as JSON: `{"status":"success","data":..,"warnings":[..],"infos":[..]}`, written piece by piece.
//!
//! ```text
//! scalar, string   [TIME, "VALUE"]
//! vector           [{"metric":{LABELS},"value":[TIME, "VALUE"]}, ..]        or "histogram":[TIME, HISTOGRAM]
//! matrix           [{"metric":{LABELS},"values":[[TIME, "VALUE"], ..], "histograms":[..]}, ..]
//! HISTOGRAM        {"count":"N","sum":"S","buckets":[[BOUNDS,"LOWER","UPPER","COUNT"], ..]}
//! ```
//! Times are seconds with three decimals at most, values text, as JSON has no NaN and no infinity. `resultType` stands
//! before `result`, so that clients can read a stream. A large answer is written while it is sent, never held as text.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats>.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use meshlake_query::prometheus::Answered;
use meshlake_query::promql::{AnswerValue, Histogram, Labels, Point, Row, value_text};
use meshlake_schema::attributes::push_json_string;
use serde_json::{Value, json};

/// Bytes after which a piece is sent.
const PIECE_BYTES: usize = 64 << 10;

/// Warnings, and infos, that an answer spells out; Prometheus's.
const NOTES_MAX: usize = 10;

/// What an answer says beside its data.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

impl Notes {
    pub fn warnings(warnings: Vec<String>) -> Self {
        Notes { warnings, infos: Vec::new() }
    }

    /// What stands behind the data.
    fn end(self) -> String {
        let mut end = String::new();
        for (name, kind, mut notes) in [("warnings", "warning", self.warnings), ("infos", "info", self.infos)]
        {
            if notes.is_empty() {
                continue;
            }
            let more = notes.len().saturating_sub(NOTES_MAX);
            notes.truncate(NOTES_MAX);
            if more > 0 {
                notes.push(format!("{more} more {kind} annotations omitted"));
            }
            let _ = write!(end, ",\"{name}\":");
            push_list(&mut end, &notes, |out, note| push_json_string(out, note));
        }
        end.push('}');
        end
    }
}

/// An answer of small data.
pub fn data(data: &Value, notes: Notes) -> Response {
    json_response(Body::from(format!("{{\"status\":\"success\",\"data\":{data}{}", notes.end())))
}

/// An answer of a list.
pub fn list<T: 'static>(
    items: impl Iterator<Item = T> + Send + 'static,
    push: impl Fn(&mut String, T) + Send + 'static,
    notes: Notes,
) -> Response {
    streamed("{\"status\":\"success\",\"data\":[".to_owned(), items, push, format!("]{}", notes.end()))
}

/// The answer of a query; `stats` if they were asked for.
pub fn answer(answered: Answered, stats: Option<&Value>, notes: Notes) -> Response {
    let head =
        |kind: &str| format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[");
    let stats = stats.map_or_else(String::new, |stats| format!(",\"stats\":{stats}"));
    let tail = format!("]{stats}}}{}", notes.end());
    let Answered { answer, charged, .. } = answered;
    match answer.value {
        AnswerValue::Scalar(time, value) => {
            let mut text = head("scalar");
            push_time(&mut text, time);
            // Written out, as Prometheus does here alone.
            let _ = write!(text, ",\"{}\"", value_text(value));
            json_response(Body::from(text + &tail))
        }
        AnswerValue::Text(time, value) => {
            let mut text = head("string");
            push_time(&mut text, time);
            text.push(',');
            push_json_string(&mut text, &value);
            json_response(Body::from(text + &tail))
        }
        // What was charged is given back when the last item is written.
        AnswerValue::Vector(time, samples) => {
            let push = move |out: &mut String, (labels, point)| {
                let _ = &charged;
                push_sample(out, &labels, time, &point);
            };
            streamed(head("vector"), samples.into_iter(), push, tail)
        }
        AnswerValue::Matrix(rows) => {
            let push = move |out: &mut String, row| {
                let _ = &charged;
                push_row(out, &row);
            };
            streamed(head("matrix"), rows.into_iter(), push, tail)
        }
    }
}

/// `head`, the items with commas between them, `tail`.
fn streamed<T: 'static>(
    head: String,
    mut items: impl Iterator<Item = T> + Send + 'static,
    push: impl Fn(&mut String, T) + Send + 'static,
    tail: String,
) -> Response {
    let (mut held, mut is_first, mut tail) = (head, true, Some(tail));
    let mut pieces = std::iter::from_fn(move || {
        let end = tail.take()?;
        let mut piece = std::mem::take(&mut held);
        for item in items.by_ref() {
            if !std::mem::take(&mut is_first) {
                piece.push(',');
            }
            push(&mut piece, item);
            if piece.len() >= PIECE_BYTES {
                tail = Some(end);
                return Some(Bytes::from(piece));
            }
        }
        piece += &end;
        Some(Bytes::from(piece))
    });
    let first = pieces.next().unwrap_or_default();
    json_response(match pieces.next() {
        // A small answer goes out with its length.
        None => Body::from(first),
        Some(second) => {
            let pieces = [first, second].into_iter().chain(pieces);
            Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
        }
    })
}

fn json_response(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What Prometheus tells of a query's costs, of which these are known here.
pub fn stats(answered: &Answered) -> Value {
    let stats = answered.stats;
    let (queued, evaluated) = (stats.queued.as_secs_f64(), stats.evaluated.as_secs_f64());
    json!({
        "timings": {
            "execQueueTime": queued,
            "evalTotalTime": evaluated,
            "execTotalTime": queued + evaluated,
        },
        "samples": {
            "totalQueryableSamples": answered.answer.samples_looked_at,
            "peakSamples": answered.answer.samples_peak,
            "samplesRead": stats.samples,
            "seriesTouched": stats.series,
        },
    })
}

/// `{"name":"value",..}`, sorted by name.
pub fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_json_string(out, &label.name);
        out.push(':');
        push_json_string(out, &label.value);
    }
    out.push('}');
}

/// `[item,..]`.
pub fn push_list<T>(out: &mut String, items: impl IntoIterator<Item = T>, push: impl Fn(&mut String, T)) {
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

fn push_sample(out: &mut String, labels: &Labels, time: i64, point: &Point) {
    out.push_str("{\"metric\":");
    push_labels(out, labels);
    out.push_str(if matches!(point, Point::Histogram(_)) { ",\"histogram\":" } else { ",\"value\":" });
    push_point(out, time, point);
    out.push('}');
}

fn push_row(out: &mut String, (labels, points): &Row) {
    out.push_str("{\"metric\":");
    push_labels(out, labels);
    let is_histogram = |point: &Point| matches!(point, Point::Histogram(_));
    for (name, of_histograms) in [("values", false), ("histograms", true)] {
        let mut chosen = points.iter().filter(|(_, point)| is_histogram(point) == of_histograms).peekable();
        if chosen.peek().is_some() {
            let _ = write!(out, ",\"{name}\":");
            push_list(out, chosen, |out, (time, point)| push_point(out, *time, point));
        }
    }
    out.push('}');
}

fn push_point(out: &mut String, time: i64, point: &Point) {
    out.push('[');
    push_time(out, time);
    out.push(',');
    match point {
        Point::Histogram(histogram) => push_histogram(out, histogram),
        Point::Float(value) => push_number(out, *value),
        // No answer has one; there is no value where there is none.
        Point::None => push_number(out, f64::NAN),
    }
    out.push(']');
}

/// Seconds, from milliseconds since the epoch.
pub fn push_time(out: &mut String, time: i64) {
    let (seconds, millis) = (time.unsigned_abs() / 1_000, time.unsigned_abs() % 1_000);
    let sign = if time < 0 { "-" } else { "" };
    // Writing to a String cannot fail.
    let _ = write!(out, "{sign}{seconds}");
    if millis > 0 {
        let _ = write!(out, ".{millis:03}");
    }
}

/// A value in quotes: with an exponent below 1e-6 and from 1e21 on, as JavaScript and Go's JSON write numbers.
pub fn push_number(out: &mut String, value: f64) {
    const WRITTEN_OUT: std::ops::Range<f64> = 1e-6..1e21;
    let magnitude = value.abs();
    let _ = match value {
        value if value.is_nan() => write!(out, "\"NaN\""),
        f64::INFINITY => write!(out, "\"+Inf\""),
        f64::NEG_INFINITY => write!(out, "\"-Inf\""),
        value if magnitude == 0.0 || WRITTEN_OUT.contains(&magnitude) => write!(out, "\"{value}\""),
        value => {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { '-' } else { '+' };
            write!(out, "\"{digits}e{sign}{:0>2}\"", exponent.trim_start_matches('-'))
        }
    };
}

fn push_histogram(out: &mut String, histogram: &Histogram) {
    out.push_str("{\"count\":");
    push_number(out, histogram.count);
    out.push_str(",\"sum\":");
    push_number(out, histogram.sum);
    let mut buckets = histogram.buckets().into_iter().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        out.push_str(",\"buckets\":");
        push_list(out, buckets, |out, bucket| {
            let bounds = match (bucket.includes_lower, bucket.includes_upper) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            let _ = write!(out, "[{bounds}");
            for number in [bucket.lower, bucket.upper, bucket.count] {
                out.push(',');
                push_number(out, number);
            }
            out.push(']');
        });
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::to_bytes;

    use super::*;

    fn written(push: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        push(&mut out);
        out
    }

    #[test]
    fn times_are_seconds_with_the_decimals_they_need() {
        let cases = [
            (0, "0"),
            (1_700_000_000_000, "1700000000"),
            (1_005, "1.005"),
            (250, "0.250"),
            (-1_500, "-1.500"),
        ];
        for (time, want) in cases {
            assert_eq!(written(|out| push_time(out, time)), want);
        }
    }

    /// Go: `strconv.FormatFloat(value, 'f' or 'e', -1, 64)`.
    #[test]
    fn numbers_are_text() {
        let cases = [
            (0.0, "\"0\""),
            (-0.0, "\"-0\""),
            (0.1, "\"0.1\""),
            (1e20, "\"100000000000000000000\""),
            (1e21, "\"1e+21\""),
            (1e-6, "\"0.000001\""),
            (9.5e-7, "\"9.5e-07\""),
            (-1.5e300, "\"-1.5e+300\""),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"+Inf\""),
            (f64::NEG_INFINITY, "\"-Inf\""),
        ];
        for (value, want) in cases {
            assert_eq!(written(|out| push_number(out, value)), want);
        }
    }

    #[test]
    fn a_row_has_its_values_and_its_histograms_apart() {
        let labels = Labels::from_pairs([("a", "\"x\"\n"), ("__name__", "m")]);
        let histogram = Histogram {
            zero_threshold: 0.5,
            zero_count: 1.0,
            count: 4.0,
            sum: 2.5,
            positive: vec![(1, 2.0), (2, 0.0)],
            negative: vec![(1, 1.0)],
            ..Histogram::default()
        };
        let points = vec![(1_000, Point::Float(1.0)), (2_000, Point::Histogram(Arc::new(histogram)))];
        let want = "{\"metric\":{\"__name__\":\"m\",\"a\":\"\\\"x\\\"\\n\"},\"values\":[[1,\"1\"]],\"histograms\":[[2,\
                    {\"count\":\"4\",\"sum\":\"2.5\",\"buckets\":[[1,\"-2\",\"-1\",\"1\"],[3,\"-0.5\",\"0.5\",\"1\"],\
                    [0,\"1\",\"2\",\"2\"]]}]]}";
        assert_eq!(written(|out| push_row(out, &(labels.clone(), points.clone()))), want);
    }

    #[test]
    fn notes_are_told_up_to_ten_of_each() {
        let notes = |count: usize| Notes::warnings((0..count).map(|at| at.to_string()).collect());
        assert_eq!(notes(0).end(), "}");
        assert_eq!(notes(1).end(), ",\"warnings\":[\"0\"]}");
        assert!(notes(10).end().ends_with("\"8\",\"9\"]}"));
        assert!(notes(12).end().ends_with("\"9\",\"2 more warning annotations omitted\"]}"));
    }

    #[tokio::test]
    async fn a_large_list_is_sent_in_pieces_and_is_whole() {
        let push = |out: &mut String, number: usize| push_number(out, number as f64);
        for count in [0, 1, 20_000] {
            let response = list(0..count, push, Notes::default());
            let body = to_bytes(response.into_body(), 1 << 20).await.expect("it is whole");
            let answer: Value = serde_json::from_slice(&body).expect("it is JSON");
            let numbers = answer["data"].as_array().expect("it is a list");
            let want = (0..count).map(|number| json!(number.to_string()));
            assert!(numbers.iter().cloned().eq(want), "{count}");
        }
    }
}
