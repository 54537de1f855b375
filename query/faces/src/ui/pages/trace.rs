//! `/trace/{id}?span=`: one trace as a waterfall, with its critical path and what time is each span's own; and of the span that
//! was chosen all that was sent.
//!
//! Limits: [`ROWS_MAX`] spans are drawn, in the order in which a tree is read; the API gives the rest.

use arrow::array::RecordBatch;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::QueryError;
use meshlake_query::trace::{SPANS_MAX, kind_name, status_name, trace};
use meshlake_query::tree::{Placed, tree};
use meshlake_schema::parents::Span;
use meshlake_schema::rows::{Attributes, Booleans, Events, Integers, Links, Rows, RowsError, Text as Texts};
use meshlake_schema::sent::{SentAttributes, SentValue, entries, object};
use meshlake_schema::{Table, UnixNanos, read_columns};

use super::{Failure, answer, figures};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{Align, Column, Page, Place, cell, notes, number, section, table, text};
use crate::ui::text::{Text, shortened};

/// Spans that are drawn. A row is some 600 bytes, so the page stays below two megabytes.
const ROWS_MAX: usize = 2_000;

/// Characters of a value; the API has it whole.
const VALUE_CHARS_MAX: usize = 2_000;

/// How deep names are moved in; what is deeper stands at the same place.
const INDENT_MAX: u32 = 24;

/// Width of a bar's ground, in drawing units.
const BAR_WIDTH: f64 = 400.0;

/// Digits of a W3C trace id.
const TRACE_ID_DIGITS: usize = 32;

const NANOS_PER_MILLI: f64 = 1e6;

read_columns! {
    /// What is shown of a span.
    struct Columns of Table::Spans {
        span_id: Texts,
        parent_span_id: Texts,
        service_name: Texts,
        service_namespace: Texts,
        service_version: Texts,
        name: Texts,
        kind: Integers,
        time_unix_nano: Integers,
        duration_nano: Integers,
        status_code: Integers,
        status_message: Texts,
        is_proxy: Booleans,
        resource: Texts,
        resource_types: Texts,
        scope_name: Texts,
        scope_version: Texts,
        events: Events,
        links: Links,
    }
}

/// One span, told from a row.
#[derive(Clone, Copy)]
struct Row<'a> {
    columns: &'a Columns<'a>,
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Row<'a> {
    fn id(&self) -> &'a str {
        self.columns.span_id.get(self.row).unwrap_or_default()
    }

    fn service(&self) -> &'a str {
        self.columns.service_name.named(self.row).unwrap_or("–")
    }

    fn name(&self) -> &'a str {
        self.columns.name.named(self.row).unwrap_or("–")
    }

    fn start(&self) -> i64 {
        self.columns.time_unix_nano.or_zero(self.row)
    }

    fn duration(&self) -> i64 {
        self.columns.duration_nano.or_zero(self.row).max(0)
    }

    fn is_error(&self) -> bool {
        self.columns.status_code.get(self.row) == Some(2)
    }

    fn span(&self) -> Span<'a> {
        Span {
            id: self.id(),
            parent: self.columns.parent_span_id.named(self.row),
            service: (
                self.columns.service_namespace.named(self.row),
                self.columns.service_name.named(self.row),
            ),
            kind: self.columns.kind.get(self.row).unwrap_or_default(),
            start: self.start(),
            duration: self.duration(),
        }
    }
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, Path(id): Path<String>, asked: Asked) -> Response {
    let (status, body) = match built(&state, &asked, &id).await {
        Ok(built) => built,
        Err(failure) => (failure.status(), failure.shown(&asked)),
    };
    let title = format!("{} {id}", asked.words().trace);
    answer(&asked, status, &Page { place: Place::Inside, title, has_range: false, data_since: None, body })
}

async fn built(state: &FaceState, asked: &Asked, id: &str) -> Result<(StatusCode, Markup), Failure> {
    let words = asked.words();
    let id = format!("{:0>TRACE_ID_DIGITS$}", id.to_ascii_lowercase());
    let query = state.engine.begin(&asked.tenant).await?;
    let found = trace(&query, &id).await?;
    let unread = |error: RowsError| QueryError::Internal(format!("read spans: {error}"));
    let columns: Vec<Columns<'_>> =
        found.spans.iter().map(Columns::of).collect::<Result<_, _>>().map_err(unread)?;
    let rows: Vec<Row<'_>> = found
        .spans
        .iter()
        .zip(&columns)
        .flat_map(|(batch, columns)| (0..batch.num_rows()).map(move |row| Row { columns, batch, row }))
        .collect();
    if rows.is_empty() {
        let body = html! { div class="note warn" role="status" { (words.no_such_trace) } };
        return Ok((StatusCode::NOT_FOUND, body));
    }
    let spans: Vec<Span<'_>> = rows.iter().map(Row::span).collect();
    let waterfall = Waterfall { asked, rows: &rows, placed: tree(&spans) };
    let chosen = asked.get("span").and_then(|span| rows.iter().find(|row| row.id() == span));
    let details = chosen.map(|row| details(asked, row)).transpose().map_err(unread)?;
    let warnings =
        if found.is_truncated { vec![format!("{SPANS_MAX} {}", words.spans_not_shown)] } else { vec![] };
    let body = html! {
        (waterfall.summary())
        (notes(&warnings, words.warnings))
        (section("spans", words.spans, &waterfall.shown()))
        @if let Some(details) = details { (details) }
    };
    Ok((StatusCode::OK, body))
}

struct Waterfall<'a> {
    asked: &'a Asked,
    rows: &'a [Row<'a>],
    placed: Vec<Placed>,
}

impl Waterfall<'_> {
    fn begin(&self) -> i64 {
        self.rows.iter().map(Row::start).min().unwrap_or_default()
    }

    /// From the first start to the last end; at least a nanosecond.
    fn nanos(&self) -> i64 {
        let ends = self.rows.iter().map(|row| row.start().saturating_add(row.duration()));
        ends.max().unwrap_or_default().saturating_sub(self.begin()).max(1)
    }

    fn summary(&self) -> Markup {
        let words = self.asked.words();
        let services: std::collections::BTreeSet<&str> = self.rows.iter().map(Row::service).collect();
        let errors = self.rows.iter().filter(|row| row.is_error()).count();
        figures::tiles(&[
            (words.duration, format::duration(Some(self.nanos() as f64 / NANOS_PER_MILLI)), ""),
            (words.spans, self.placed.len().to_string(), ""),
            (words.services_in_trace, services.len().to_string(), ""),
            (words.errors, errors.to_string(), if errors > 0 { "bad" } else { "" }),
            (words.starts, UnixNanos::from_seconds(UnixNanos(self.begin()).seconds()).to_rfc3339(), "word"),
        ])
    }

    fn shown(&self) -> Markup {
        let words = self.asked.words();
        let bars = Column { name: words.time, align: Align::Text, meaning: words.trace_means };
        let columns = [
            text(words.span),
            text(words.service),
            number(words.duration),
            number(words.self_time),
            number(words.critical_path),
            bars,
        ];
        let rows: Vec<(&str, Vec<Markup>)> = self
            .placed
            .iter()
            .take(ROWS_MAX)
            .map(|place| {
                let row = &self.rows[place.span];
                (if row.is_error() { "bad" } else { "" }, self.cells(row, place))
            })
            .collect();
        let left_out = self.placed.len().saturating_sub(ROWS_MAX);
        html! {
            div class="waterfall" { (table(words.spans, &columns, &rows)) }
            p class="legend" { (words.trace_means) }
            @if left_out > 0 { p class="hint" { (left_out) " " (words.spans_not_shown) } }
        }
    }

    fn cells(&self, row: &Row<'_>, place: &Placed) -> Vec<Markup> {
        let words = self.asked.words();
        let service = self.asked.link("/service", &[("name", row.service())]);
        let chosen = self.asked.here(&[("span", Some(row.id()))]) + "#details";
        let is_proxy = row.columns.is_proxy.get(row.row) == Some(true);
        let millis = |nanos: i64| cell(&format::duration(Some(nanos as f64 / NANOS_PER_MILLI)));
        let name = html! {
            span class={ "indent d" (place.depth.min(INDENT_MAX)) } {
                a href=(chosen) { (Text(&shortened(row.name(), 80))) }
                @if is_proxy { span class="hint" { " proxy" } }
                @if place.is_orphan { span class="hint" { " " (words.lost_parent) } }
            }
        };
        vec![
            name,
            html! { a href=(service) { (Text(row.service())) } },
            millis(row.duration()),
            millis(place.self_nanos),
            millis(place.critical_nanos),
            self.bar(row, place),
        ]
    }

    /// Where the span lies in the trace; its dark part is as long as its own part of the critical path.
    fn bar(&self, row: &Row<'_>, place: &Placed) -> Markup {
        let scale = BAR_WIDTH / self.nanos() as f64;
        let units = |nanos: i64| format!("{:.1}", nanos as f64 * scale);
        let wide = |nanos: i64| format!("{:.1}", (nanos as f64 * scale).max(1.5));
        let left = row.start() - self.begin();
        html! {
            svg class="bar" viewBox={ "0 0 " (BAR_WIDTH) " 12" } width=(BAR_WIDTH) height="12" aria-hidden="true" {
                rect class="whole" x=(units(left)) y="1" width=(wide(row.duration())) height="10" rx="2" {}
                @if place.critical_nanos > 0 {
                    rect class="critical" x=(units(left)) y="4" width=(wide(place.critical_nanos)) height="4" {}
                }
            }
        }
    }
}

/// All that was sent of one span.
fn details(asked: &Asked, row: &Row<'_>) -> Result<Markup, RowsError> {
    let words = asked.words();
    let (columns, at) = (row.columns, row.row);
    let attributes = SentAttributes::of(Rows::of(Table::Spans, row.batch))?;
    let resource = object(
        columns.resource.get(at).unwrap_or_default(),
        columns.resource_types.get(at).unwrap_or_default(),
    );
    let status = status_name(columns.status_code.get(at));
    let message = columns.status_message.named(at).unwrap_or_default();
    let scope = [columns.scope_name.named(at), columns.scope_version.named(at)];
    let facts = [
        ("span_id", row.id().to_owned()),
        ("parent_span_id", columns.parent_span_id.named(at).unwrap_or("–").to_owned()),
        ("kind", kind_name(columns.kind.get(at)).to_owned()),
        ("status", format!("{status} {message}")),
        ("time", UnixNanos(row.start()).to_rfc3339()),
        ("service.version", columns.service_version.named(at).unwrap_or("–").to_owned()),
        ("scope", scope.into_iter().flatten().collect::<Vec<_>>().join(" ")),
    ];
    let of_resource = resource.iter().map(|(key, value)| (key.as_str(), told(value)));
    let of_span = attributes.entries(at).into_iter().map(|(key, value)| (key, told(&value)));
    Ok(html! {
        section id="details" class="details" aria-labelledby="span" {
            h2 id="span" { (words.span_details) ": " (Text(row.name())) }
            (pairs(asked, facts.into_iter()))
            h3 { (words.attributes) }
            (pairs(asked, of_span))
            @if !columns.events.places(at).is_empty() { h3 { (words.events) } (events(asked, &columns.events, row)) }
            @if !columns.links.places(at).is_empty() { h3 { (words.links) } (links(asked, &columns.links, at)) }
            h3 { (words.resource) }
            (pairs(asked, of_resource))
        }
    })
}

fn pairs<'a>(asked: &Asked, pairs: impl Iterator<Item = (&'a str, String)>) -> Markup {
    let words = asked.words();
    let rows: Vec<(&str, Vec<Markup>)> = pairs
        .map(|(key, value)| {
            let value = shortened(&value, VALUE_CHARS_MAX);
            ("", vec![html! { code { (Text(key)) } }, html! { span class="value" { (Text(&value)) } }])
        })
        .collect();
    html! { @if rows.is_empty() { p class="hint" { "–" } } @else { (table(words.attributes, &[text(words.what), text(words.value)], &rows)) } }
}

fn events(asked: &Asked, events: &Events<'_>, row: &Row<'_>) -> Markup {
    html! {
        @for place in events.places(row.row) {
            @let after = events.time_unix_nano.or_zero(place) - row.start();
            p { strong { (Text(events.name.get(place).unwrap_or_default())) }
                " " span class="hint" { "+" (format::duration(Some(after as f64 / NANOS_PER_MILLI))) } }
            (pairs(asked, of_map(&events.attributes, &events.attribute_types, place)))
        }
    }
}

fn links(asked: &Asked, links: &Links<'_>, row: usize) -> Markup {
    html! {
        ul { @for place in links.places(row) {
            @let id = links.trace_id.get(place).unwrap_or_default();
            li { a href=(asked.link(&format!("/trace/{id}"), &[("span", links.span_id.get(place).unwrap_or_default())])) { code { (Text(id)) } }
                (pairs(asked, of_map(&links.attributes, &links.attribute_types, place))) }
        } }
    }
}

fn of_map<'a>(
    map: &Attributes<'a>,
    types: &Texts<'a>,
    place: usize,
) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    entries(map, types, place).map(|(key, value)| (key, told(&value)))
}

/// A value in one line.
fn told(value: &SentValue<'_>) -> String {
    match value {
        SentValue::Nothing => String::new(),
        SentValue::Text(text) => text.to_string(),
        SentValue::Integer(number) => number.to_string(),
        SentValue::Double(number) => number.to_string(),
        SentValue::Boolean(is_true) => is_true.to_string(),
        SentValue::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        SentValue::List(items) => {
            let items: Vec<String> = items.iter().map(told).collect();
            format!("[{}]", items.join(", "))
        }
        SentValue::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}: {}", told(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}
