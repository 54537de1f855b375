//! What Jaeger's Monitor tab shows: rates, errors and latencies of services and operations over time.
//!
//! Jaeger asks a Prometheus for them, which scrapes what a collector has counted of spans. Here the same questions go to the
//! series that are counted from calls (`docs/promql.md`), so that the tab and every other answer agree, sampling included.
//!
//! Source: Jaeger 1.76, `internal/storage/metricstore/prometheus`, for names, help texts and the shape of `MetricFamily`.
//! Differences: an error rate is there wherever a call rate is, also beside others that are not zero.

use meshlake_query::prometheus::{self, Asked};
use meshlake_query::promql::{AnswerValue, Point, Row, When};
use meshlake_schema::UnixNanos;
use serde_json::{Value, json};

use super::failure::Failure;
use super::parameters::Parameters;
use crate::FaceState;

/// The finest step that a client may ask for, as Jaeger says it of a Prometheus.
pub const STEP_MIN_MILLIS: i64 = 1;

/// Defaults of Jaeger, milliseconds.
const LOOKBACK_MILLIS: i64 = 60 * 60 * 1_000;
const STEP_MILLIS: i64 = 5 * 1_000;
const RATE_PER_MILLIS: i64 = 10 * 60 * 1_000;

/// Services in a question. The page asks for one.
const SERVICES_MAX: usize = 100;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Kinds of spans by Jaeger's words.
const KINDS: [(&str, &str); 6] = [
    ("unspecified", "SPAN_KIND_UNSPECIFIED"),
    ("internal", "SPAN_KIND_INTERNAL"),
    ("server", "SPAN_KIND_SERVER"),
    ("client", "SPAN_KIND_CLIENT"),
    ("producer", "SPAN_KIND_PRODUCER"),
    ("consumer", "SPAN_KIND_CONSUMER"),
];

/// What is told of a metric.
struct Family {
    /// Behind what it is grouped by.
    name: &'static str,
    help: String,
}

/// What the parameters ask for.
#[derive(Debug, PartialEq)]
struct Question {
    /// Matchers of labels, without braces.
    matchers: String,
    by_operation: bool,
    /// As a range in PromQL.
    per: String,
    when: When,
}

/// The latency at a quantile, milliseconds.
///
/// # Errors
/// [`Failure::Asker`], [`Failure::Metrics`].
pub async fn latencies(state: &FaceState, given: &Parameters, quantile: f64) -> Result<Value, Failure> {
    let question = Question::of(given)?;
    let (matchers, per, by) = (&question.matchers, &question.per, question.by());
    let text = format!(
        "1000 * histogram_quantile({quantile}, sum by ({by}, le) (rate(traces_spanmetrics_latency_bucket{{{matchers}}}[{per}])))"
    );
    let help = format!("{quantile:.2}th quantile latency, grouped by service");
    answer(state, given, &question, text, &Family { name: "latencies", help }).await
}

/// Calls a second.
///
/// # Errors
/// As [`latencies`].
pub async fn calls(state: &FaceState, given: &Parameters) -> Result<Value, Failure> {
    let question = Question::of(given)?;
    let text = question.rate("");
    let help = "calls/sec, grouped by service".to_owned();
    answer(state, given, &question, text, &Family { name: "call_rate", help }).await
}

/// Errors by call.
///
/// # Errors
/// As [`latencies`].
pub async fn errors(state: &FaceState, given: &Parameters) -> Result<Value, Failure> {
    let question = Question::of(given)?;
    let (failed, all) = (question.rate(r#",status_code="STATUS_CODE_ERROR""#), question.rate(""));
    let text = format!("({failed} / {all}) or 0 * {all}");
    let help =
        "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service".to_owned();
    answer(state, given, &question, text, &Family { name: "error_rate", help }).await
}

impl Question {
    fn of(given: &Parameters) -> Result<Question, Failure> {
        let services: Vec<String> = given.all("service").map(literally).collect();
        if services.is_empty() {
            return Err(Failure::unparsed("service", "please provide at least one service name"));
        }
        if services.len() > SERVICES_MAX {
            return Err(Failure::unparsed("service", format_args!("more than {SERVICES_MAX} services")));
        }
        let kinds = kinds(given)?.join("|");
        let millis = |name: &str, default: i64| {
            let millis = given.integer(name)?.unwrap_or(default);
            let why = || Failure::unparsed(name, "it must be positive");
            (millis > 0).then_some(millis).ok_or_else(why)
        };
        let end = given.time("endTs")?.unwrap_or(given.now);
        let lookback = millis("lookback", LOOKBACK_MILLIS)?;
        let end = millis_of(end);
        let when =
            When::Range { start: end.saturating_sub(lookback), end, step: millis("step", STEP_MILLIS)? };
        Ok(Question {
            matchers: format!(r#"service=~"{}",span_kind=~"{kinds}""#, services.join("|")),
            by_operation: given.boolean("groupByOperation")?,
            per: format!("{}ms", millis("ratePer", RATE_PER_MILLIS)?),
            when,
        })
    }

    fn by(&self) -> &'static str {
        if self.by_operation { "service, span_name" } else { "service" }
    }

    fn rate(&self, more: &str) -> String {
        let Question { matchers, per, .. } = self;
        format!("sum by ({}) (rate(traces_spanmetrics_calls_total{{{matchers}{more}}}[{per}]))", self.by())
    }
}

fn millis_of(time: UnixNanos) -> i64 {
    time.0.div_euclid(NANOS_PER_MILLI)
}

/// A name as a regular expression in a string of PromQL: what has a meaning in either stands for itself.
fn literally(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$') {
            escaped.push_str("\\\\");
        }
        match character {
            '\\' => escaped.push_str("\\\\\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Those that are asked for by OpenTelemetry's names; none named is what a server sees.
fn kinds(given: &Parameters) -> Result<Vec<&'static str>, Failure> {
    let asked: Vec<&str> = given.all("spanKind").collect();
    if asked.is_empty() {
        return Ok(vec!["SPAN_KIND_SERVER"]);
    }
    let kind = |word: &&str| {
        let known = KINDS.iter().find(|(known, _)| known == word).map(|(_, kind)| *kind);
        known.ok_or_else(|| Failure::unparsed("spanKind", format_args!("unsupported span kind: '{word}'")))
    };
    asked.iter().map(kind).collect()
}

async fn answer(
    state: &FaceState,
    given: &Parameters,
    question: &Question,
    text: String,
    family: &Family,
) -> Result<Value, Failure> {
    let by_operation = question.by_operation;
    let asked = Asked { text, when: question.when, timeout: None, lookback: None, limit: None };
    let answered = prometheus::evaluate(&state.prometheus, &given.tenant, asked).await;
    let answered = answered.map_err(Failure::Metrics)?;
    let AnswerValue::Matrix(rows) = &answered.answer.value else {
        unreachable!("a range is answered with series")
    };
    let (grouped, more) = if by_operation { ("service_operation", " & operation") } else { ("service", "") };
    Ok(json!({
        "name": format!("{grouped}_{}", family.name),
        "type": "GAUGE",
        "help": format!("{}{more}", family.help),
        "metrics": rows.iter().map(|row| metric(row, by_operation)).collect::<Vec<_>>(),
    }))
}

fn metric((labels, points): &Row, by_operation: bool) -> Value {
    let mut told = vec![json!({"name": "service_name", "value": labels.get("service")})];
    if by_operation {
        told.push(json!({"name": "operation", "value": labels.get("span_name")}));
    }
    let points = points.iter().filter_map(|(time, point)| {
        let Point::Float(value) = point else { return None };
        let value = if value.is_finite() { json!(value) } else { json!(value.to_string()) };
        let time = UnixNanos(time.saturating_mul(NANOS_PER_MILLI)).to_rfc3339();
        Some(json!({"gaugeValue": {"doubleValue": value}, "timestamp": time}))
    });
    json!({"labels": told, "metricPoints": points.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000;

    fn asked(query: &str) -> Result<Question, String> {
        let given = Parameters::given(query, NOW * NANOS_PER_MILLI);
        Question::of(&given).map_err(|failure| failure.to_string())
    }

    #[test]
    fn defaults_are_jaegers() {
        let want = Question {
            matchers: r#"service=~"a",span_kind=~"SPAN_KIND_SERVER""#.to_owned(),
            by_operation: false,
            per: "600000ms".to_owned(),
            when: When::Range { start: NOW - 3_600_000, end: NOW, step: 5_000 },
        };
        assert_eq!(asked("service=a"), Ok(want));
    }

    #[test]
    fn all_parameters_are_taken() {
        let query = format!(
            "service=a.b&service=c&groupByOperation=true&endTs={}&lookback=60000&step=10000&ratePer=30000\
             &spanKind=client&spanKind=internal",
            NOW - 1
        );
        let want = Question {
            matchers: r#"service=~"a\\.b|c",span_kind=~"SPAN_KIND_CLIENT|SPAN_KIND_INTERNAL""#.to_owned(),
            by_operation: true,
            per: "30000ms".to_owned(),
            when: When::Range { start: NOW - 60_001, end: NOW - 1, step: 10_000 },
        };
        assert_eq!(asked(&query), Ok(want));
    }

    #[test]
    fn what_is_wrong_is_told_in_jaegers_words() {
        let cases = [
            ("", "unable to parse param 'service': please provide at least one service name"),
            ("service=a&spanKind=x", "unable to parse param 'spanKind': unsupported span kind: 'x'"),
            ("service=a&step=0", "unable to parse param 'step': it must be positive"),
            ("service=a&groupByOperation=x", "unable to parse param 'groupByOperation': "),
        ];
        for (query, want) in cases {
            let error = asked(query).expect_err(query);
            assert!(error.starts_with(want), "{query}: {error}");
        }
        let services = |count: usize| "service=a&".repeat(count);
        assert!(asked(&services(SERVICES_MAX)).is_ok() && asked(&services(SERVICES_MAX + 1)).is_err());
    }

    #[test]
    fn names_stand_for_themselves() {
        assert_eq!(literally(r#"a.b"c\"#), r#"a\\.b\"c\\\\"#);
    }
}
