//! What lies beside the spans of a trace: what proxies told of its calls, and lines of logs with its id.

use maud::{Markup, html};
use meshlake_query::QueryError;
use meshlake_query::explore::beside::{BESIDE_MAX, Beside};
use meshlake_schema::rows::{Integers, RowsError, Text as Texts};
use meshlake_schema::{Table, UnixNanos, read_columns};

use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::pages::Failure;
use crate::ui::shell::{cell, number, section, table, text};
use crate::ui::text::{Text, shortened};

const NANOS_PER_MILLI: f64 = 1e6;

/// Characters of a line.
const LINE_CHARS_MAX: usize = 1_000;

/// OTLP's severity number of the lowest error and the lowest warning.
const ERROR: i64 = 17;
const WARN: i64 = 13;

read_columns! {
    pub struct Requests of Table::Requests {
        time_unix_nano: Integers,
        duration_nano: Integers,
        observer: Texts,
        source_namespace: Texts,
        source_service: Texts,
        source_workload: Texts,
        destination_namespace: Texts,
        destination_service: Texts,
        destination_workload: Texts,
        method: Texts,
        path: Texts,
        response_code: Integers,
        grpc_status: Integers,
        response_flags_text: Texts,
        response_code_details: Texts,
        outcome: Texts,
        span_id: Texts,
    }
}

read_columns! {
    pub struct Logs of Table::Logs {
        time_unix_nano: Integers,
        observed_time_unix_nano: Integers,
        severity_number: Integers,
        severity_text: Texts,
        service_name: Texts,
        body: Texts,
        span_id: Texts,
    }
}

/// What proxies told, by time after the begin of the trace; each leads to the span that it names.
pub fn requests(asked: &Asked, found: &Beside, begin: i64) -> Result<Markup, Failure> {
    let words = asked.words();
    let columns = [
        number(words.explore.since_start),
        text("observer"),
        text(words.caller),
        text(words.callee),
        text(words.explore.request),
        text(words.status),
        text("flags"),
        number(words.duration),
    ];
    let mut rows: Vec<(&str, Vec<Markup>)> = Vec::new();
    for batch in &found.rows {
        let columns = Requests::of(batch).map_err(|error| unread(&error))?;
        rows.extend((0..batch.num_rows()).map(|row| columns.row(asked, row, begin)));
    }
    let body = html! {
        p class="hint" { (words.explore.proxies_of_trace_mean) }
        (table(words.explore.proxies_of_trace, &columns, &rows))
        (cut(asked, found))
    };
    Ok(html! { @if !rows.is_empty() { (section("proxies", words.explore.proxies_of_trace, &body)) } })
}

impl<'a> Requests<'a> {
    fn row(&self, asked: &Asked, row: usize, begin: i64) -> (&'static str, Vec<Markup>) {
        let peer = |[namespace, service, workload]: [Texts<'a>; 3]| {
            let name = service.named(row).or_else(|| workload.named(row)).unwrap_or("–");
            namespace.named(row).map_or(name.to_owned(), |namespace| format!("{namespace}/{name}"))
        };
        let client = peer([self.source_namespace, self.source_service, self.source_workload]);
        let server = peer([self.destination_namespace, self.destination_service, self.destination_workload]);
        let request: Vec<&str> =
            [self.method, self.path].iter().filter_map(|column| column.named(row)).collect();
        let code = self.response_code.get(row).map(|code| code.to_string());
        let grpc = self.grpc_status.get(row).map(|code| format!("gRPC {code}"));
        let status: Vec<String> = [code, grpc].into_iter().flatten().collect();
        let after = millis(self.time_unix_nano.or_zero(row) - begin);
        let details = self.response_code_details.named(row).unwrap_or_default();
        let cells = vec![
            html! {
                @if let Some(span) = self.span_id.named(row) { a href=(asked.here(&[("span", Some(span))]) + "#details") { (after) } }
                @else { (after) }
            },
            cell(self.observer.named(row).unwrap_or("–")),
            cell(&client),
            cell(&server),
            html! { code { (Text(&shortened(&request.join(" "), 100))) } },
            html! { span title=(Text(details)) { (Text(&status.join(" · "))) } },
            cell(self.response_flags_text.named(row).unwrap_or("–")),
            cell(&millis(self.duration_nano.or_zero(row))),
        ];
        (if self.outcome.get(row) == Some("error") { "bad" } else { "" }, cells)
    }
}

/// The lines of logs.
pub fn logs(asked: &Asked, found: &Beside, trace_id: &str, begin: i64) -> Result<Markup, Failure> {
    let words = asked.words();
    let mut lines = Vec::new();
    for batch in &found.rows {
        let columns = Logs::of(batch).map_err(|error| unread(&error))?;
        lines.extend((0..batch.num_rows()).map(|row| columns.line(asked, row, begin)));
    }
    let body = html! {
        @if lines.is_empty() { p class="hint" { (words.explore.no_logs) } }
        @else {
            ol class="lines" { @for line in &lines { (line) } }
            (cut(asked, found))
            p { a href=(asked.link("/logs", &[("trace", trace_id)])) { (words.explore.all_lines) } }
        }
    };
    Ok(section("logs", words.explore.logs_of_trace, &body))
}

impl Logs<'_> {
    fn line(&self, asked: &Asked, row: usize, begin: i64) -> Markup {
        let time = self.time_unix_nano.get(row).or_else(|| self.observed_time_unix_nano.get(row));
        let severity = self.severity_number.or_zero(row);
        let class = match severity {
            ERROR.. => "bad",
            WARN.. => "warn",
            _ => "",
        };
        let level = self.severity_text.named(row).unwrap_or_default();
        html! {
            li class={ "line " (class) } {
                @if let Some(time) = time {
                    time datetime=(UnixNanos(time).to_rfc3339()) { "+" (millis(time - begin)) } " "
                }
                span class="level" { (Text(level)) } " "
                @if let Some(span) = self.span_id.named(row) {
                    a class="service" href=(asked.here(&[("span", Some(span))]) + "#details") { (Text(self.service_name.named(row).unwrap_or("–"))) }
                } @else { span class="service" { (Text(self.service_name.named(row).unwrap_or("–"))) } }
                " " code class="value" { (Text(&shortened(self.body.get(row).unwrap_or_default(), LINE_CHARS_MAX))) }
            }
        }
    }
}

fn cut(asked: &Asked, found: &Beside) -> Markup {
    html! { @if found.is_cut { p class="hint" { (BESIDE_MAX) " " (asked.words().explore.rows_shown) } } }
}

fn millis(nanos: i64) -> String {
    match nanos {
        ..0 => format!("−{}", format::duration(Some(-nanos as f64 / NANOS_PER_MILLI))),
        _ => format::duration(Some(nanos as f64 / NANOS_PER_MILLI)),
    }
}

fn unread(error: &RowsError) -> QueryError {
    QueryError::Internal(format!("read rows: {error}"))
}
