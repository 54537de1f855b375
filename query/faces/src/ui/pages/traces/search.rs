//! Traces that a query finds, newest first, with how long each took and what is in it.

use axum::http::StatusCode;
use maud::{Markup, html};
use meshlake_query::Fault;
use meshlake_query::traceql::{Error, Found, FoundTrace, Search, search};
use meshlake_query::traceql_language::{self as language, parse};
use meshlake_schema::{TimeRange, UnixNanos};

use super::{asking, durations};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::facets;
use crate::ui::format;
use crate::ui::pages::Failure;
use crate::ui::shell::{cell, kept, notes, number, table, text};
use crate::ui::text::{Text, shortened};

/// Services of a trace that are named; the rest is counted.
const SERVICES_SHOWN: usize = 4;

/// Characters of a root's name.
const NAME_CHARS_MAX: usize = 80;

/// Width of the longest trace's bar, in drawing units.
const BAR_WIDTH: f64 = 120.0;

const NANOS_PER_MILLI: f64 = 1e6;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::told(error.fault(), error.told(), &error)
    }
}

pub async fn found(state: &FaceState, asked: &Asked) -> Result<(StatusCode, Markup), Failure> {
    let mut complaints = Vec::new();
    let text = asking::query(asked, &mut complaints);
    let durations = asking::durations(asked, &mut complaints);
    let words = asked.words();
    let read = text.clone();
    let parsed = tokio::task::spawn_blocking(move || parse(&read)).await;
    let parsed = parsed.map_err(|error| Failure::told(Fault::Ours, error.to_string(), &error))?;
    let query = match parsed {
        Ok(query) => query,
        Err(error) => return Ok((StatusCode::BAD_REQUEST, mistake(asked, &text, &error))),
    };
    let range = TimeRange { from: asked.range.from(), to: asked.range.to() };
    let wanted = Search { query, range, traces_max: asking::limit(asked), spans_max: 1, durations };
    let query = state.engine.begin(&asked.tenant).await?;
    let found = match search(&query, &wanted).await {
        Err(Error::Language(error)) => return Ok((StatusCode::BAD_REQUEST, mistake(asked, &text, &error))),
        found => found?,
    };
    complaints.extend(found.warnings.iter().cloned());
    let body = html! {
        (notes(&complaints, words.warnings))
        p class="hint" { (words.explore.as_traceql) ": " a href=(asked.link("/traces", &[("q", &text)])) { code { (Text(&text)) } } }
        (shown(asked, &found))
    };
    Ok((StatusCode::OK, body))
}

fn mistake(asked: &Asked, text: &str, error: &language::Error) -> Markup {
    let label = asked.words().explore.traceql_mistake;
    match error {
        language::Error::Invalid { line, column, message } => {
            facets::mistake(label, text, (*line, *column), message)
        }
        other => facets::mistake(label, text, (1, 1), &other.to_string()),
    }
}

pub fn form(asked: &Asked) -> Markup {
    let words = asked.words();
    let value = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    let field = |name: &'static str, label: &str, size: &str, example: &'static str| {
        html! { label { (label) " " input name=(name) size=(size) value=(Text(&value(name))) placeholder=(example); } }
    };
    html! {
        form class="controls" method="get" action="/traces" role="search" {
            (kept(asked))
            (field("service", words.service, "20", "shop/cart"))
            (field("operation", words.operation, "20", "GET /cart"))
            label { (words.status) " "
                select name="status" {
                    option value="" { (words.all) }
                    @for status in asking::STATUSES { option value=(status) selected[asked.get("status") == Some(status)] { (status) } }
                }
            }
            (field("min", words.at_least, "6", "250ms"))
            (field("max", words.explore.at_most, "6", "1.5s"))
            (field("attributes", words.attributes, "26", "http.route=/cart"))
            label class="wide" { "TraceQL " input name="q" value=(Text(&value("q"))) placeholder="{ span.http.response.status_code >= 500 }" spellcheck="false" autocapitalize="off"; }
            button { (words.find) }
        }
    }
}

fn shown(asked: &Asked, found: &Found) -> Markup {
    let words = asked.words();
    if found.traces.is_empty() {
        return html! { p class="calm" { (words.explore.no_traces) } };
    }
    let longest = found.traces.iter().map(|trace| trace.duration_nano).max().unwrap_or_default();
    let columns = [
        text(words.starts),
        text(words.explore.root),
        number(words.duration),
        text(words.explore.durations),
        number(words.spans),
        number(words.errors),
        text(words.services_in_trace),
        text(words.trace),
    ];
    let rows: Vec<(&str, Vec<Markup>)> = found
        .traces
        .iter()
        .map(|trace| (if durations::is_failed(trace) { "bad" } else { "" }, row(asked, trace, longest)))
        .collect();
    html! {
        (durations::bars(asked, &found.traces))
        p class="hint" role="status" {
            (found.traces.len()) " " (words.traces) " · " (words.explore.newest_first)
        }
        (table(words.traces, &columns, &rows))
        @if !found.is_complete {
            p class="hint" {
                (words.explore.newest_traces)
                @for limit in asking::LIMITS.into_iter().filter(|limit| *limit != asking::limit(asked)) {
                    " " a href=(asked.here(&[("limit", Some(&limit.to_string()))])) { (limit) }
                }
            }
        }
    }
}

fn row(asked: &Asked, trace: &FoundTrace, longest: i64) -> Vec<Markup> {
    let words = asked.words();
    let start = UnixNanos(trace.start_nano);
    let href = asked.link(&format!("/trace/{}", trace.trace_id), &[]);
    let root = match (&trace.root_service, &trace.root_name) {
        (Some(service), Some(name)) => format!("{service}: {name}"),
        (_, Some(name)) => name.clone(),
        _ => words.explore.no_root.to_owned(),
    };
    let wide = (BAR_WIDTH * trace.duration_nano as f64 / longest.max(1) as f64).max(1.5);
    let spans: usize = trace.services.values().map(|stats| stats.spans).sum();
    let errors: usize = trace.services.values().map(|stats| stats.errors).sum();
    let named: Vec<&str> = trace.services.keys().take(SERVICES_SHOWN).map(String::as_str).collect();
    let rest = trace.services.len().saturating_sub(SERVICES_SHOWN);
    vec![
        html! { time datetime=(start.to_rfc3339()) { (format::instant(start)) } },
        html! { a href=(href) { (Text(&shortened(&root, NAME_CHARS_MAX))) } },
        cell(&format::duration(Some(trace.duration_nano as f64 / NANOS_PER_MILLI))),
        html! { svg class="bar" viewBox={ "0 0 " (BAR_WIDTH) " 8" } width=(BAR_WIDTH) height="8" aria-hidden="true" {
            rect class="whole" width=(format!("{wide:.1}")) height="8" rx="2" {}
        } },
        cell(&format::count(spans as f64)),
        html! { @if errors > 0 { strong class="bad" { (errors) } } @else { "0" } },
        html! { (Text(&named.join(", "))) @if rest > 0 { span class="hint" { " + " (rest) } } },
        html! { code { (Text(&shortened(&trace.trace_id, 9))) } },
    ]
}
