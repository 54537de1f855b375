//! `/logs`: lines, by a query of LogQL and by facets that count all of the range; over time by level, newest first. A line opens
//! to all that is told of it.

mod asking;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::explore::cursor::Cursor;
use meshlake_query::logql;
use meshlake_query::logs::{Explored, Found, LEVELS, LogsError, explored};
use meshlake_schema::UnixNanos;

use super::{Failure, answer, ends, over};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::bars::{Bar, Bars};
use crate::ui::facets::{self, Narrows, PLACES};
use crate::ui::format;
use crate::ui::shell::{Page, Place, kept_but, notes};
use crate::ui::text::{Text, shortened};

/// Lines of a page, and values of a facet.
const LINES: usize = 100;
const VALUES: usize = 8;

/// Characters of a line; the API has it whole.
const LINE_CHARS_MAX: usize = 4_000;

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let mut complaints = Vec::new();
    let words = asked.words();
    let (status, found) = match asking::log(&asked, &mut complaints) {
        Err((text, error)) => (StatusCode::BAD_REQUEST, mistake(&asked, &text, &error)),
        Ok(log) => {
            let tail = asking::tail(&log);
            let question = asking::question(&asked, log, LINES, VALUES, &mut complaints);
            match explored(&state.engine, &asked.tenant, question).await {
                Ok(found) => (StatusCode::OK, shown(&asked, &found, &tail)),
                Err(error) => {
                    let failure = Failure::from(error);
                    (failure.status(), failure.shown(&asked))
                }
            }
        }
    };
    let body = html! {
        (form(&asked))
        (notes(&complaints, words.warnings))
        (facets::chosen(&asked, &asking::names(&asked)))
        (found)
    };
    let title = words.explore.logs.to_owned();
    answer(&asked, status, &Page { place: Place::Logs, title, has_range: true, data_since: None, body })
}

fn mistake(asked: &Asked, text: &str, error: &logql::Error) -> Markup {
    let label = asked.words().explore.logql_mistake;
    match error {
        logql::Error::Invalid { line, column, message } => {
            facets::mistake(label, text, (*line, *column), message)
        }
        other => facets::mistake(label, text, (1, 1), &other.to_string()),
    }
}

impl From<LogsError> for Failure {
    fn from(error: LogsError) -> Failure {
        match error {
            LogsError::Read(error) => error.into(),
            LogsError::Query(error) => {
                let fault = match error {
                    logql::Error::Spent(_) => meshlake_query::Fault::Busy,
                    _ => meshlake_query::Fault::Asker,
                };
                Failure::told(fault, error.to_string(), &error)
            }
        }
    }
}

fn form(asked: &Asked) -> Markup {
    let words = asked.words();
    const OWN: [&str; 3] = ["q", "text", "level"];
    let but: Vec<&str> = OWN.into_iter().chain(PLACES).collect();
    let value = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    html! {
        form class="controls" method="get" action="/logs" role="search" {
            (kept_but(asked, &but))
            label class="wide" { (words.explore.logql) " "
                input name="q" value=(Text(&value("q"))) placeholder=(asking::ALL) spellcheck="false" autocapitalize="off"; }
            label { (words.explore.text) " " (words.explore.contains) " " input name="text" size="18" value=(Text(&value("text"))); }
            label { (words.explore.level) " "
                select name="level" {
                    option value="" { (words.all) }
                    @for level in LEVELS { option value=(level) selected[asked.get("level") == Some(level)] { (level) } }
                }
            }
            button { (words.find) }
        }
    }
}

fn shown(asked: &Asked, found: &Explored, tail: &str) -> Markup {
    let words = &asked.words().explore;
    let total = found.bars.total();
    let facets: Vec<Narrows<'_>> = found
        .facets
        .iter()
        .filter_map(|(label, facet)| {
            let parameter = asking::parameter(label)?;
            Some(Narrows { parameter, name: parameter, facet })
        })
        .collect();
    html! {
        (bars(asked, found))
        div class="explorer" {
            (facets::facets(asked, &facets, total))
            section class="found" aria-label=(words.lines) {
                p class="ways" {
                    button type="button" hidden aria-pressed="false" title=(words.tail_means) data-tail=(tail) { (words.tail) }
                    span id="tail-missed" class="hint" role="status" hidden { (words.missed) }
                }
                @if found.lines.is_empty() { p class="calm" { (words.no_lines) } }
                @else { ol class="lines" { @for (place, line) in &found.lines { (self::line(asked, *place, line)) } } }
                nav class="pages" aria-label=(words.newest_first) {
                    @if asked.get("after").is_some() { a href=(asked.here(&[("after", None)])) { (words.first_page) } }
                    @if let Some(next) = found.next {
                        a rel="next" href=(asked.here(&[("after", Some(&next.to_string()))])) { (words.next_page) }
                    }
                }
            }
        }
    }
}

/// A line, which opens to all that is told of it.
fn line(asked: &Asked, place: Cursor, found: &Found) -> Markup {
    let label =
        |name: &str| found.labels.iter().find(|(own, _, _)| own == name).map(|(_, value, _)| value.as_str());
    let level = label("level").unwrap_or(LEVELS[0]);
    let words = asked.words();
    html! {
        li class={ "line " (class(level)) } id={ "l" (place) } {
            details {
                summary {
                    time datetime=(found.time.to_rfc3339()) { (format::instant(found.time)) }
                    " " span class="level" { (Text(level)) }
                    " " span class="service" { (Text(label("service_name").unwrap_or_default())) }
                    " " code { (Text(&shortened(&found.line, LINE_CHARS_MAX))) }
                }
                p class="ways" {
                    @if let Some(trace) = label("trace_id") {
                        a href=(asked.link(&format!("/trace/{trace}"), &[("span", label("span_id").unwrap_or_default())])) { (words.trace) }
                    }
                    a href=(asked.here(&[("after", Some(&place.to_string()))])) { (words.explore.from_here) }
                }
                dl class="fields" {
                    @for (name, value, _) in &found.labels {
                        div { dt { (Text(name)) } dd { (Text(&shortened(value, LINE_CHARS_MAX))) } }
                    }
                }
            }
        }
    }
}

fn class(level: &str) -> &'static str {
    match level {
        "fatal" | "error" => "bad",
        "warn" => "warn",
        _ => "",
    }
}

fn bars(asked: &Asked, found: &Explored) -> Markup {
    let words = &asked.words().explore;
    let classes = ["faint", "faint", "faint", "good", "warn", "bad", "bad"];
    let bar = |(at, counts): (usize, &[u64; LEVELS.len()])| {
        let start = found.bars.start(at);
        let end = UnixNanos(start.0 + found.bars.step_nanos).min(asked.range.to());
        Bar { name: format::instant(start), href: over(asked, start, end), counts: counts.to_vec() }
    };
    let bars = Bars {
        title: words.lines_over_time,
        meaning: words.drag_to_narrow,
        of: asked.words().time,
        bands: LEVELS.into_iter().zip(classes).collect(),
        bars: found.bars.counts.iter().enumerate().map(bar).collect(),
        ends: ends(asked),
        range: ["from", "to"],
    };
    bars.draw(asked)
}

#[cfg(test)]
mod tests;
