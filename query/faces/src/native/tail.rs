//! `/api/v1/tail`: spans, requests and logs as they become durable, as server-sent events.
//!
//! ```text
//! ?table=spans&query={ .. }              spans that a TraceQL query selects, whatever the rest of their traces is
//! ?table=logs&query={..} |= ".."         lines that a LogQL query for lines asks for; so for table=requests
//! ?service=NAME                          in place of a query: those of a service
//!
//! event: span      data: {"time","duration_ms","service","name","kind","status","trace_id","span_id","parent_span_id"}
//! event: line      data: {"time","line","labels":{..}}
//! event: missed    data: {}         rows went to files before they could be sent; some may have been asked for
//! ```
//! Nothing is queued for a slow client: it reads on where it can and is told what it has missed. A stream lasts an hour at
//! most; browsers come back by themselves.
//!
//! Source of the format: HTML (WHATWG), 9.2 Server-sent events.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use meshlake_query::logql::{self, tree};
use meshlake_query::logs::{self, Found, LogsError, Told};
use meshlake_query::traceql::Sieve;
use meshlake_query::traceql_language;
use meshlake_query::watch::{self, Seen, SpanSeen};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::tenant::Tenant;
use crate::FaceState;
use crate::watching;

const NANOS_PER_MILLI: f64 = 1e6;

#[derive(Deserialize)]
pub struct Given {
    table: Option<String>,
    service: Option<String>,
    query: Option<String>,
}

/// Events of one step; none at the end.
type Events = BoxStream<'static, Vec<String>>;

pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    Query(given): Query<Given>,
    request: Request,
) -> Result<Response, ApiError> {
    let events = match given.table.as_deref().unwrap_or("logs") {
        "spans" => {
            let query = spans_query(given.service.as_deref(), given.query.as_deref());
            spans(&state, &tenant, &query).await?
        }
        table @ ("logs" | "requests") => {
            let query = query(table, given.service.as_deref(), given.query.as_deref());
            lines(&state, &tenant, &query).await?
        }
        other => {
            let message = format!("table: {other:?} is not spans, logs or requests");
            return Err(ApiError::bad_request(message));
        }
    };
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::from_stream(written(events, watching::end(request.extensions())))).into_response())
}

/// The query that asks for lines of a table.
fn query(table: &str, service: Option<&str>, query: Option<&str>) -> String {
    if let Some(query) = query {
        return query.to_owned();
    }
    let source = format!("source={}", quoted(table));
    match service {
        Some(service) => format!("{{{source}, service_name={}}}", quoted(service)),
        None => format!("{{{source}}}"),
    }
}

/// The query that asks for spans.
fn spans_query(service: Option<&str>, query: Option<&str>) -> String {
    match (query, service) {
        (Some(query), _) => query.to_owned(),
        (None, Some(service)) => format!("{{ resource.service.name = {} }}", quoted(service)),
        (None, None) => "{ }".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

async fn lines(state: &FaceState, tenant: &str, query: &str) -> Result<Events, ApiError> {
    let parsed = logql::parse(query).map_err(|error| ApiError::bad_request(format!("query: {error}")))?;
    let tree::Query::Log(log) = parsed else {
        return Err(ApiError::bad_request("query: it asks for numbers, and lines come"));
    };
    let tail = logs::tail(&state.engine, tenant, log).await.map_err(|error| match error {
        LogsError::Read(error) => ApiError::from(error),
        LogsError::Query(error) => ApiError::bad_request(format!("query: {error}")),
    })?;
    let events = tail.map(|told| match told {
        Ok(Told::Lines(lines)) => lines.iter().map(|found| event("line", &line(found))).collect(),
        Ok(Told::Missed) => vec![event("missed", &json!({}))],
        Err(_) => Vec::new(),
    });
    Ok(events.boxed())
}

async fn spans(state: &FaceState, tenant: &str, query: &str) -> Result<Events, ApiError> {
    let wrong = |error: &dyn std::fmt::Display| ApiError::bad_request(format!("query: {error}"));
    let query = traceql_language::parse(query).map_err(|error| wrong(&error))?;
    let sieve = Sieve::new(&query).map_err(|error| wrong(&error))?;
    let seen = watch::spans(&state.engine, tenant, sieve).await?;
    let events = seen.map(|seen| match seen {
        Ok(Seen::Spans(spans)) => spans.iter().map(|seen| event("span", &span(seen))).collect(),
        Ok(Seen::Missed) => vec![event("missed", &json!({}))],
        Err(_) => Vec::new(),
    });
    Ok(events.boxed())
}

fn line(found: &Found) -> Value {
    let labels = found.labels.iter().map(|(name, value, _)| (name.clone(), Value::String(value.clone())));
    let labels: Map<String, Value> = labels.collect();
    json!({"time": found.time.to_rfc3339(), "line": found.line, "labels": labels})
}

fn span(seen: &SpanSeen) -> Value {
    json!({
        "time": seen.time.to_rfc3339(),
        "duration_ms": seen.duration_nano as f64 / NANOS_PER_MILLI,
        "service": seen.service,
        "name": seen.name,
        "kind": seen.kind,
        "status": seen.status,
        "trace_id": seen.trace_id,
        "span_id": seen.span_id,
        "parent_span_id": seen.parent_span_id,
    })
}

/// JSON has no new lines, so that one line holds it.
fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// A comment first, so that a client knows at once that it is heard.
fn written(
    events: Events,
    end: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let first = stream::once(async { Ok(Bytes::from_static(b": here\n\n")) });
    let events = events.filter(|events| futures::future::ready(!events.is_empty()));
    first.chain(events.take_until(Box::pin(end)).map(|events| Ok(Bytes::from(events.concat()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_of_the_table_and_the_service() {
        assert_eq!(query("logs", None, None), r#"{source="logs"}"#);
        let want = r#"{source="requests", service_name="a\"b"}"#;
        assert_eq!(query("requests", Some("a\"b"), None), want);
        assert!(logql::parse(want).is_ok());
        assert_eq!(query("logs", Some("x"), Some("{a=\"b\"}")), "{a=\"b\"}");
    }

    #[test]
    fn spans_are_asked_for_in_traceql() {
        let want = r#"{ resource.service.name = "a\"b" }"#;
        assert_eq!(spans_query(Some("a\"b"), None), want);
        assert_eq!(spans_query(Some("a"), Some("{ status = error }")), "{ status = error }");
        for query in [spans_query(None, None), want.to_owned()] {
            assert!(Sieve::new(&traceql_language::parse(&query).expect("TraceQL")).is_ok());
        }
    }

    #[test]
    fn an_event_is_a_name_and_a_line_of_json() {
        assert_eq!(event("line", &json!({"line": "a\nb"})), "event: line\ndata: {\"line\":\"a\\nb\"}\n\n");
    }
}
