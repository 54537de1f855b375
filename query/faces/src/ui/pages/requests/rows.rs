//! Requests as rows of a table: columns that people choose, and one row with all of its fields.

use arrow::array::{Array as _, RecordBatch};
use maud::{Markup, html};
use meshlake_query::QueryError;
use meshlake_query::explore::cursor::Cursor;
use meshlake_query::explore::requests::Found;
use meshlake_schema::rows::{Attributes, Booleans, Integers, Rows, RowsError, Text as Texts};
use meshlake_schema::{Table, UnixNanos, read_columns};

use super::known_columns;
use crate::cells::push_plain;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::pages::Failure;
use crate::ui::shell::{cell, kept_but};
use crate::ui::text::{Text, shortened};

/// Characters of a value in the list; the open row has it whole, up to the other.
const LISTED_CHARS_MAX: usize = 100;
const VALUE_CHARS_MAX: usize = 4_000;

const NANOS_PER_MILLI: f64 = 1e6;

/// Columns that are made of several.
const MADE: [&str; 7] = ["client", "server", "request", "status", "flags", "duration", "trace"];

/// Columns of `requests` that are told by those, or by the row itself.
const NEVER: [&str; 2] = ["tenant", "attributes"];

read_columns! {
    /// What the columns that are made are made of.
    struct Columns of Table::Requests {
        time_unix_nano: Integers,
        duration_nano: Integers,
        is_timed: Booleans,
        outcome: Texts,
        method: Texts,
        authority: Texts,
        path: Texts,
        response_code: Integers,
        grpc_status: Integers,
        response_flags_text: Texts,
        trace_id: Texts,
        source_namespace: Texts,
        source_service: Texts,
        source_workload: Texts,
        destination_namespace: Texts,
        destination_service: Texts,
        destination_workload: Texts,
    }
}

/// The columns that the address asks for; without any, those that are made.
pub fn chosen(asked: &Asked, complaints: &mut Vec<String>) -> Vec<&'static str> {
    let known: Vec<&'static str> = MADE.into_iter().chain(choices()).collect();
    let mut chosen: Vec<&'static str> = Vec::new();
    for name in asked.all("columns") {
        match known.iter().find(|known| **known == name) {
            Some(known) if !chosen.contains(known) => chosen.push(*known),
            Some(_) => {}
            None => complaints.push(format!("columns={name}: {}", asked.words().explore.no_column)),
        }
    }
    if chosen.is_empty() { MADE.to_vec() } else { chosen }
}

fn choices() -> impl Iterator<Item = &'static str> {
    known_columns().map(|(name, _)| name).filter(|name| !NEVER.contains(name))
}

/// The columns of the table that those take.
pub fn read(chosen: &[&'static str]) -> Vec<&'static str> {
    let others = chosen.iter().filter(|name| !MADE.contains(name) && !Columns::NAMES.contains(name));
    Columns::NAMES.iter().chain(others).copied().collect()
}

/// What columns are shown, to be changed.
pub fn columns(asked: &Asked, chosen: &[&str]) -> Markup {
    let words = &asked.words().explore;
    html! {
        details class="choice" {
            summary { (words.columns) }
            form method="get" action="/requests" {
                (kept_but(asked, &["columns"]))
                div class="choices" {
                    @for name in MADE.into_iter().chain(choices()) {
                        label { input type="checkbox" name="columns" value=(name) checked[chosen.contains(&name)]; " " (name) }
                    }
                }
                button { (asked.words().show) }
            }
        }
    }
}

/// The rows, with the open one's fields below it.
pub fn table(
    asked: &Asked,
    chosen: &[&'static str],
    found: &Found,
    opened: Option<&(Cursor, RecordBatch)>,
) -> Result<Markup, Failure> {
    let words = asked.words();
    let columns = Columns::of(&found.rows).map_err(|error| unread(&error))?;
    let details = opened.map(|(_, row)| details(asked, row)).transpose()?;
    // It was found on another page of rows, or before others came.
    let alone = opened.filter(|(place, _)| !found.places.contains(place)).and(details.as_ref());
    let is_open = |row: usize| opened.is_some_and(|(place, _)| *place == found.places[row]);
    let is_number = |name: &str| name == "duration";
    Ok(html! {
        @if let Some(details) = alone { (details) }
        div class="scroll" tabindex="0" role="group" aria-label=(words.explore.requests) {
            table class="listed" {
                thead { tr {
                    th scope="col" class="text" { (words.time) }
                    @for name in chosen { th scope="col" class=[(!is_number(name)).then_some("text")] { (column_name(asked, name)) } }
                } }
                tbody { @for row in 0..found.rows.num_rows() {
                    tr data-key=(found.places[row]) class=[(columns.outcome.get(row) == Some("error")).then_some("bad")] {
                        th scope="row" class="text" { (opening(asked, &columns, row, found.places[row], is_open(row))) }
                        @for name in chosen {
                            td class=[(!is_number(name)).then_some("text")] { (shown(asked, &columns, &found.rows, row, name)) }
                        }
                    }
                    @if let (true, Some(details)) = (is_open(row), &details) {
                        tr class="opened" { td class="text" colspan=(chosen.len() + 1) { (details) } }
                    }
                } }
            }
        }
    })
}

fn column_name<'a>(asked: &Asked, name: &'a str) -> &'a str {
    let words = asked.words();
    match name {
        "client" => words.caller,
        "server" => words.callee,
        "request" => words.explore.request,
        "status" => words.status,
        "duration" => words.duration,
        "trace" => words.trace,
        name => name,
    }
}

/// The time, which opens the row.
fn opening(asked: &Asked, columns: &Columns<'_>, row: usize, place: Cursor, is_open: bool) -> Markup {
    let time = UnixNanos(columns.time_unix_nano.or_zero(row));
    let text = place.to_string();
    let href = asked.here(&[("row", (!is_open).then_some(text.as_str()))]);
    html! {
        a id={ "r" (text) } href={ (href) "#r" (text) } aria-expanded=(is_open) {
            time datetime=(time.to_rfc3339()) { (format::instant(time)) }
        }
    }
}

impl<'a> Columns<'a> {
    /// `namespace/name` of a side.
    fn peer(&self, row: usize, is_client: bool) -> Option<String> {
        let [namespace, service, workload] = match is_client {
            true => [self.source_namespace, self.source_service, self.source_workload],
            false => [self.destination_namespace, self.destination_service, self.destination_workload],
        };
        let name = service.named(row).or_else(|| workload.named(row))?;
        Some(namespace.named(row).map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")))
    }

    fn request(&self, row: usize) -> String {
        let parts = [self.method, self.authority, self.path].map(|column| column.named(row));
        match parts {
            [method, _, Some(path)] => {
                [method, Some(path)].into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
            [method, host, None] => [method, host].into_iter().flatten().collect::<Vec<_>>().join(" "),
        }
    }

    fn status(&self, row: usize) -> String {
        let code = self.response_code.get(row).map(|code| code.to_string());
        let grpc = self.grpc_status.get(row).map(|code| format!("gRPC {code}"));
        let codes: Vec<String> = [code, grpc].into_iter().flatten().collect();
        let outcome = self.outcome.get(row).unwrap_or_default();
        if codes.is_empty() { outcome.to_owned() } else { codes.join(" · ") }
    }

    fn millis(&self, row: usize) -> Option<f64> {
        let is_timed = self.is_timed.get(row) != Some(false);
        self.duration_nano.get(row).filter(|_| is_timed).map(|nanos| nanos as f64 / NANOS_PER_MILLI)
    }
}

fn shown(asked: &Asked, columns: &Columns<'_>, batch: &RecordBatch, row: usize, name: &str) -> Markup {
    let service = |id: Option<String>| match id {
        Some(id) => html! { a href=(asked.link("/service", &[("name", &id)])) { (Text(&id)) } },
        None => cell("–"),
    };
    match name {
        "client" => service(columns.peer(row, true)),
        "server" => service(columns.peer(row, false)),
        "request" => {
            html! { code title=(Text(&columns.request(row))) { (Text(&shortened(&columns.request(row), LISTED_CHARS_MAX))) } }
        }
        "status" => cell(&columns.status(row)),
        "flags" => cell(columns.response_flags_text.named(row).unwrap_or("–")),
        "duration" => cell(&format::duration(columns.millis(row))),
        "trace" => match columns.trace_id.named(row) {
            Some(id) => {
                html! { a href=(asked.link(&format!("/trace/{id}"), &[])) { code { (Text(&shortened(id, 9))) } } }
            }
            None => cell("–"),
        },
        name => cell(&shortened(&plain(batch, row, name), LISTED_CHARS_MAX)),
    }
}

/// The value of a column as text; a dash where there is none.
fn plain(batch: &RecordBatch, row: usize, name: &str) -> String {
    let mut text = String::new();
    if let Some(column) = batch.column_by_name(name).filter(|column| !column.is_null(row)) {
        push_plain(&mut text, column.as_ref(), row);
    }
    if text.is_empty() { "–".to_owned() } else { text }
}

/// All fields of a row that have a value, and where it leads.
fn details(asked: &Asked, batch: &RecordBatch) -> Result<Markup, Failure> {
    let words = asked.words();
    let columns = Columns::of(batch).map_err(|error| unread(&error))?;
    let attributes: Attributes<'_> =
        Rows::of(Table::Requests, batch).read("attributes").map_err(|error| unread(&error))?;
    let fields = known_columns().filter(|(name, _)| !NEVER.contains(name));
    let told = fields.map(|(name, doc)| (name, doc, plain(batch, 0, name)));
    let ends = [columns.peer(0, true), columns.peer(0, false)];
    Ok(html! {
        section class="details" aria-label=(words.explore.all_fields) {
            p class="ways" {
                @if let Some(id) = columns.trace_id.named(0) {
                    a href=(asked.link(&format!("/trace/{id}"), &[])) { (words.trace) }
                    a href=(asked.link("/logs", &[("trace", id)])) { (words.explore.logs_of_trace) }
                }
                @if let [Some(client), Some(server)] = &ends {
                    a href=(asked.link("/edge", &[("client", client), ("server", server)])) { (Text(client)) " → " (Text(server)) }
                }
                @if let Some(server) = &ends[1] { a href=(asked.link("/service", &[("name", server)])) { (Text(server)) } }
                a href=(asked.here(&[("row", None)])) { (words.explore.close) }
            }
            dl class="fields" {
                @for (name, doc, value) in told.filter(|(_, _, value)| value != "–") {
                    div { dt title=(doc) { (name) } dd { (Text(&shortened(&value, VALUE_CHARS_MAX))) } }
                }
                @for (key, value) in attributes.entries(0) {
                    div { dt { (Text(key)) } dd { (Text(&shortened(value, VALUE_CHARS_MAX))) } }
                }
            }
        }
    })
}

fn unread(error: &RowsError) -> QueryError {
    QueryError::Internal(format!("read requests: {error}"))
}
