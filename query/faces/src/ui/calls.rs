//! Calls as several pages show them: examples that lead to their traces, and what policies did to them.

use maud::{Markup, html};
use meshlake_query::answers::policies::Policies;
use meshlake_query::list::ListedCall;
use meshlake_schema::Outcome;

use super::asked::Asked;
use super::format;
use super::shell::{cell, notes, number, table, text};
use super::text::Text;

const NANOS_PER_MILLI: f64 = 1e6;

/// Calls, each with the way to its trace.
pub fn list(asked: &Asked, calls: &[ListedCall], warnings: &[String]) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.time),
        text(words.caller),
        text(words.callee),
        text(words.operation),
        text(words.status),
        number(words.duration),
        number(words.tries),
        text(words.trace),
    ];
    let rows: Vec<(&str, Vec<Markup>)> = calls.iter().map(|call| (class(call), row(asked, call))).collect();
    html! {
        @if rows.is_empty() { p class="hint" { (words.no_calls_found) } }
        @else { (table(words.example_calls, &columns, &rows)) }
        (notes(warnings, words.warnings))
    }
}

fn class(call: &ListedCall) -> &'static str {
    if call.outcome == Outcome::Error { "bad" } else { "" }
}

fn row(asked: &Asked, call: &ListedCall) -> Vec<Markup> {
    let nanos = call.client_nano.or(call.server_nano);
    let codes = [
        call.response_code.map(|code| code.to_string()),
        call.grpc_status.map(|status| format!("gRPC {status}")),
        call.fault_class.clone(),
    ];
    let codes: Vec<String> = codes.into_iter().flatten().collect();
    let service = |id: &str| html! { a href=(asked.link("/service", &[("name", id)])) { (Text(id)) } };
    vec![
        html! { time datetime=(call.time.to_rfc3339()) { (format::instant(call.time)) } },
        call.source.as_deref().map_or_else(|| cell("–"), service),
        service(&call.target),
        cell(call.operation.as_deref().unwrap_or("–")),
        cell(&if codes.is_empty() { call.outcome.name().to_owned() } else { codes.join(" · ") }),
        cell(&format::duration(nanos.map(|nanos| nanos as f64 / NANOS_PER_MILLI))),
        cell(&call.attempts.to_string()),
        match &call.trace_id {
            Some(id) => html! { a href=(asked.link(&format!("/trace/{id}"), &[])) { code { (Text(id)) } } },
            None => cell("–"),
        },
    ]
}

/// What ended, held back or repeated calls, with a sentence for each reason.
pub fn policies(asked: &Asked, found: &Policies, nothing: &str) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.caller),
        text(words.callee),
        text(words.policy),
        text(words.reason),
        number(words.calls),
        number(words.share),
        text(words.meaning),
    ];
    let rows: Vec<(&str, Vec<Markup>)> = found
        .rows
        .iter()
        .map(|row| {
            let cells = vec![
                cell(row.client.as_deref().unwrap_or("–")),
                cell(&row.server),
                cell(row.policy.name()),
                html! { code { (Text(&row.reason)) } },
                cell(&format::count(row.requests)),
                cell(&format::percent(row.share)),
                html! { span class="wrap" { (Text(row.meaning)) } },
            ];
            ("", cells)
        })
        .collect();
    html! {
        @if rows.is_empty() { p class="hint" { (nothing) } }
        @else { (table(words.policies, &columns, &rows)) }
        (notes(&found.warnings, words.warnings))
    }
}
