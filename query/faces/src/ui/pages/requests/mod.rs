//! `/requests`: what proxies logged, request by request: narrowed by facets that count all of the range, over time by outcome,
//! newest first. A row opens to all of its fields.

mod rows;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::explore::cursor::Cursor;
use meshlake_query::explore::requests::{Asked as Wanted, Dimension, Found, Narrowing, OUTCOMES, find, row};
use meshlake_schema::{Outcome, Table, TimeRange, UnixNanos};

use super::{Failure, answer, over};
use crate::ui::asked::{Asked, Span};
use crate::ui::bars::{Bar, Bars};
use crate::ui::facets::{self, Narrows, PLACES};
use crate::ui::format;
use crate::ui::shell::{Page, Place, kept_but, notes};
use crate::ui::text::Text;
use crate::{FaceState, duration, trace_id};

/// Rows of a page, and values of a facet.
const ROWS: usize = 100;
const VALUES: usize = 8;

/// What narrows the page beside the dimensions.
const OTHERS: [&str; 4] = ["service", "path", "min", "trace"];

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let mut complaints = Vec::new();
    let narrowing = narrowing(&asked, &mut complaints);
    let (status, found) = match found(&state, &asked, &narrowing, &mut complaints).await {
        Ok(found) => (StatusCode::OK, found),
        Err(failure) => (failure.status(), failure.shown(&asked)),
    };
    let words = asked.words();
    let body = html! {
        (form(&asked))
        (notes(&complaints, words.warnings))
        (facets::chosen(&asked, &names(&asked)))
        (found)
    };
    let title = words.explore.requests.to_owned();
    answer(&asked, status, &Page { place: Place::Requests, title, has_range: true, data_since: None, body })
}

/// What the address narrows by; what makes no sense is complained of and left out.
fn narrowing(asked: &Asked, complaints: &mut Vec<String>) -> Narrowing {
    let words = &asked.words().explore;
    let mut narrowing = Narrowing::default();
    for dimension in Dimension::ALL {
        if let Some(Err(unfit)) = asked.get(dimension.name()).map(|value| narrowing.by(dimension, value)) {
            complaints.push(format!("{}: {unfit}", dimension.name()));
        }
    }
    if let Some(service) = asked.get("service") {
        narrowing.of_service(service);
    }
    if let Some(path) = asked.get("path") {
        narrowing.path(path);
    }
    match asked.get("min").map(|text| (text, duration::parse(text.trim()))) {
        Some((_, Some(nanos))) => narrowing.lasted(nanos),
        Some((text, None)) => complaints.push(format!("min={text}: {}", words.no_duration)),
        None => {}
    }
    match asked.get("trace").map(|text| (text, trace_id::parse(text.trim()))) {
        Some((_, Some(id))) => narrowing.of_trace(&id),
        Some((text, None)) => complaints.push(format!("trace={text}: {}", words.no_trace_id)),
        None => {}
    }
    narrowing
}

/// A place of the address.
fn place(asked: &Asked, name: &str, complaints: &mut Vec<String>) -> Option<Cursor> {
    let text = asked.get(name)?;
    let place = Cursor::parse(text);
    if place.is_none() {
        complaints.push(format!("{name}={text}: {}", asked.words().explore.no_place));
    }
    place
}

async fn found(
    state: &FaceState,
    asked: &Asked,
    narrowing: &Narrowing,
    complaints: &mut Vec<String>,
) -> Result<Markup, Failure> {
    let chosen = rows::chosen(asked, complaints);
    let wanted = Wanted {
        range: TimeRange { from: asked.range.from(), to: asked.range.to() },
        narrowing,
        columns: &rows::read(&chosen),
        cursor: place(asked, "after", complaints).unwrap_or(Cursor::NEWEST),
        rows_max: ROWS,
        values_max: VALUES,
    };
    let query = state.engine.begin(&asked.tenant).await?;
    let found = find(&query, &wanted).await?;
    let opened = match place(asked, "row", complaints) {
        Some(at) => Some((at, row(&query, narrowing, at).await?)).filter(|(_, row)| row.num_rows() > 0),
        None => None,
    };
    let words = &asked.words().explore;
    let total = found.bars.total();
    let facets: Vec<Narrows<'_>> = found
        .facets
        .iter()
        .map(|(dimension, facet)| Narrows {
            parameter: dimension.name(),
            name: name(asked, *dimension),
            facet,
        })
        .collect();
    Ok(html! {
        (bars(asked, &found))
        div class="explorer" {
            (facets::facets(asked, &facets, total))
            section class="found" aria-label=(words.requests) {
                (live(asked))
                (rows::columns(asked, &chosen))
                @if found.rows.num_rows() == 0 { p class="calm" { (words.no_requests) } }
                @else { (rows::table(asked, &chosen, &found, opened.as_ref())?) }
                (pages(asked, found.next))
            }
        }
    })
}

/// The button that loads what is newest every second; of what is over nothing new comes.
fn live(asked: &Asked) -> Markup {
    let words = &asked.words().explore;
    let is_newest = matches!(asked.span, Span::Last { .. }) && asked.get("after").is_none();
    html! {
        @if is_newest {
            p class="ways" {
                button type="button" hidden aria-pressed="false" title=(words.follow_means) data-part="follow" { (words.tail) }
            }
        }
    }
}

/// The way to other pages of rows.
fn pages(asked: &Asked, next: Option<Cursor>) -> Markup {
    let words = &asked.words().explore;
    html! {
        nav class="pages" aria-label=(words.newest_first) {
            @if asked.get("after").is_some() { a href=(asked.here(&[("after", None), ("row", None)])) { (words.first_page) } }
            @if let Some(next) = next {
                a rel="next" href=(asked.here(&[("after", Some(&next.to_string())), ("row", None)])) { (words.next_page) }
            }
        }
    }
}

fn bars(asked: &Asked, found: &Found) -> Markup {
    let words = &asked.words().explore;
    let classes = ["good", "warn", "third", "bad"];
    let starts = (0..found.bars.counts.len()).map(|bar| found.bars.start(bar));
    let bar = |(start, counts): (UnixNanos, &[u64; OUTCOMES.len()])| {
        let end = UnixNanos(start.0 + found.bars.step_nanos).min(asked.range.to());
        Bar { name: format::instant(start), href: over(asked, start, end), counts: counts.to_vec() }
    };
    let bars = Bars {
        title: words.requests_over_time,
        meaning: words.drag_to_narrow,
        of: asked.words().time,
        bands: OUTCOMES.map(Outcome::name).into_iter().zip(classes).collect(),
        bars: starts.zip(&found.bars.counts).map(bar).collect(),
        ends: super::ends(asked),
        range: ["from", "to"],
    };
    bars.draw(asked)
}

fn name(asked: &Asked, dimension: Dimension) -> &'static str {
    let words = asked.words();
    match dimension {
        Dimension::Client => words.caller,
        Dimension::Server => words.callee,
        Dimension::Status => words.status,
        _ => dimension.name(),
    }
}

/// All that narrows the page, and what it is called.
fn names(asked: &Asked) -> Vec<(&'static str, &'static str)> {
    let dimensions = Dimension::ALL.map(|dimension| (dimension.name(), name(asked, dimension)));
    dimensions.into_iter().chain(OTHERS.map(|parameter| (parameter, parameter))).collect()
}

fn form(asked: &Asked) -> Markup {
    let words = asked.words();
    const OWN: [&str; 7] = ["client", "server", "path", "status", "flag", "min", "trace"];
    let but: Vec<&str> = OWN.into_iter().chain(PLACES).collect();
    let value = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    let field = |name: &'static str, label: &str, size: &str| {
        html! { label { (label) " " input name=(name) size=(size) value=(Text(&value(name))); } }
    };
    html! {
        form class="controls" method="get" action="/requests" role="search" {
            (kept_but(asked, &but))
            (field("client", words.caller, "18"))
            (field("server", words.callee, "18"))
            (field("path", &format!("path {}", words.explore.contains), "14"))
            (field("status", words.status, "5"))
            (field("flag", "flag", "6"))
            (field("min", words.at_least, "6"))
            (field("trace", words.trace_id, "20"))
            button { (words.find) }
        }
    }
}

/// The columns of `requests`, in their order.
fn known_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    Table::Requests.columns().iter().map(|column| (column.name, column.doc))
}

#[cfg(test)]
mod tests;
