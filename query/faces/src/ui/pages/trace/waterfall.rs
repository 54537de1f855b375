//! A trace's spans as a waterfall: names moved in as deep as they are, and bars where they lie in time.
//!
//! A page holds some hundred rows, and a link leads to the next; scripts, where there are any, draw all of them as far as they are
//! in view, from [`Waterfall::json`]. What is searched for and what is closed is said in the address, and decided here.

use maud::{Markup, html};
use meshlake_query::tree::Placed;
use meshlake_schema::UnixNanos;
use serde_json::{Value, json};

use super::rows::Row;
use super::visible::Seen;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::pages::figures;
use crate::ui::shell::{Align, Column, cell, kept_but, number, table, text};
use crate::ui::text::{Text, shortened};

/// Rows of a page without scripts.
pub const ROWS: usize = 500;

/// How deep names are moved in; what is deeper stands at the same place.
const INDENT_MAX: u32 = 24;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 80;

/// Width of a bar's ground, in drawing units.
const BAR_WIDTH: f64 = 400.0;

const NANOS_PER_MILLI: f64 = 1e6;

/// What the numbers of a row's last field say, each a bit.
const ERROR: u8 = 1;
const PROXY: u8 = 2;
const ORPHAN: u8 = 4;
const MATCH: u8 = 8;

/// A trace with what of it is seen.
pub struct Waterfall<'a> {
    pub asked: &'a Asked,
    pub rows: &'a [Row<'a>],
    pub placed: Vec<Placed>,
    pub seen: Vec<Seen>,
    /// The first start; each bar is drawn from there, and looking for it again for each takes a page of a large trace longer than all else.
    begin: i64,
    nanos: i64,
}

/// The spans that the address closes, by id.
pub fn closed(asked: &Asked) -> Vec<&str> {
    asked.all("closed")
}

impl<'a> Waterfall<'a> {
    pub fn of(asked: &'a Asked, rows: &'a [Row<'a>], placed: Vec<Placed>, seen: Vec<Seen>) -> Waterfall<'a> {
        let begin = rows.iter().map(Row::start).min().unwrap_or_default();
        let ends = rows.iter().map(|row| row.start().saturating_add(row.duration()));
        let nanos = ends.max().unwrap_or_default().saturating_sub(begin).max(1);
        Waterfall { asked, rows, placed, seen, begin, nanos }
    }
}

impl Waterfall<'_> {
    pub fn begin(&self) -> i64 {
        self.begin
    }

    /// From the first start to the last end; at least a nanosecond.
    pub fn nanos(&self) -> i64 {
        self.nanos
    }

    pub fn summary(&self) -> Markup {
        let words = self.asked.words();
        let services: std::collections::BTreeSet<&str> = self.rows.iter().map(Row::service).collect();
        let errors = self.rows.iter().filter(|row| row.is_error()).count();
        figures::tiles(&[
            (words.duration, format::duration(Some(self.nanos() as f64 / NANOS_PER_MILLI)), ""),
            (words.spans, format::count(self.placed.len() as f64), ""),
            (words.services_in_trace, services.len().to_string(), ""),
            (words.errors, errors.to_string(), if errors > 0 { "bad" } else { "" }),
            (words.starts, format::instant(UnixNanos(self.begin())), "word"),
        ])
    }

    /// The form that searches, and the page of rows that is asked for.
    pub fn shown(&self) -> Markup {
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
        let asked_for: usize = self.asked.get("rows").and_then(|text| text.parse().ok()).unwrap_or(0);
        let first = asked_for.min(self.seen.len().saturating_sub(1) / ROWS * ROWS);
        let page = self.seen.iter().skip(first).take(ROWS);
        let rows: Vec<(&str, Vec<Markup>)> = page.map(|seen| (self.class(seen), self.cells(seen))).collect();
        html! {
            (self.search())
            div class="waterfall" id="waterfall" data-rows=(self.rows_address()) data-closed=(Text(&closed(self.asked).join(","))) {
                (table(words.spans, &columns, &rows))
                (self.pages(first))
            }
            p class="legend" { (words.trace_means) }
        }
    }

    fn search(&self) -> Markup {
        let words = self.asked.words();
        let found = self.seen.iter().filter(|seen| seen.is_match).count();
        let is_asked = self.asked.get("find").is_some();
        html! {
            form class="controls" method="get" role="search" {
                (kept_but(self.asked, &["find", "rows"]))
                label { (words.explore.find_in_trace) " "
                    input name="find" size="28" value=(Text(self.asked.get("find").unwrap_or_default())) type="search"; }
                button { (words.find) }
                @if is_asked {
                    span class="hint" role="status" {
                        @if found == 0 { (words.explore.no_match) }
                        @else { (found) " " (words.explore.found_spans) }
                    }
                    a href=(self.asked.here(&[("find", None), ("rows", None)])) { (words.all) }
                }
            }
        }
    }

    fn pages(&self, first: usize) -> Markup {
        let words = self.asked.words();
        let count = self.seen.len();
        let page = |first: usize| self.asked.here(&[("rows", Some(&first.to_string()))]);
        html! {
            @if count > ROWS {
                nav class="pages" aria-label=(words.spans) {
                    span class="hint" { (first + 1) "–" ((first + ROWS).min(count)) " / " (format::count(count as f64)) }
                    @if first > 0 { a rel="prev" href=(page(first.saturating_sub(ROWS))) { (words.explore.earlier) } }
                    @if first + ROWS < count { a rel="next" href=(page(first + ROWS)) { (words.explore.later) } }
                }
            }
        }
    }

    fn class(&self, seen: &Seen) -> &'static str {
        match (self.row(seen).is_error(), seen.is_match) {
            (true, true) => "bad match",
            (true, false) => "bad",
            (false, true) => "match",
            (false, false) => "",
        }
    }

    fn row(&self, seen: &Seen) -> &Row<'_> {
        &self.rows[self.placed[seen.at].span]
    }

    fn cells(&self, seen: &Seen) -> Vec<Markup> {
        let (place, row) = (&self.placed[seen.at], self.row(seen));
        let words = self.asked.words();
        let service = self.asked.link("/service", &[("name", row.service())]);
        let chosen = self.asked.here(&[("span", Some(row.id()))]) + "#details";
        let millis = |nanos: i64| cell(&format::duration(Some(nanos as f64 / NANOS_PER_MILLI)));
        let name = html! {
            span class={ "indent d" (place.depth.min(INDENT_MAX)) } {
                (self.toggle(seen, row))
                a href=(chosen) { (Text(&shortened(row.name(), NAME_CHARS_MAX))) }
                @if row.is_proxy() { span class="hint" { " proxy" } }
                @if place.is_orphan { span class="hint" { " " (words.lost_parent) } }
                @if seen.is_closed { span class="hint" { " " (seen.below) " " (words.explore.hidden_spans) } }
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

    /// Closes what is below a span, or opens it.
    fn toggle(&self, seen: &Seen, row: &Row<'_>) -> Markup {
        let words = &self.asked.words().explore;
        let mut others: Vec<&str> = closed(self.asked);
        match seen.is_closed {
            true => others.retain(|id| *id != row.id()),
            false => others.push(row.id()),
        }
        let others = others.join(",");
        let href = self.asked.here(&[("closed", Some(others.as_str()).filter(|ids| !ids.is_empty()))]);
        let label = if seen.is_closed { words.expand } else { words.collapse };
        html! {
            @if seen.below > 0 { a class="toggle" href=(href) aria-label=(label) aria-expanded=(!seen.is_closed) { (if seen.is_closed { "▸" } else { "▾" }) } }
            @else { span class="toggle" {} }
        }
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

    /// Where scripts find [`Waterfall::json`].
    fn rows_address(&self) -> String {
        let own = [("find", self.asked.get("find"))];
        let own: Vec<(&str, &str)> =
            own.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.asked.link(&format!("{}/rows", self.asked.path()), &own)
    }

    /// All rows, whatever is closed: `{"nanos", "services": [..], "rows": [[id, name, service's place, depth, start after the
    /// trace's, duration, self time, critical time, bits], ..]}`, times in nanoseconds; bits: 1 error, 2 proxy, 4 orphan,
    /// 8 searched for.
    pub fn json(&self) -> Value {
        let mut services: Vec<&str> = Vec::new();
        let mut places = std::collections::HashMap::new();
        let begin = self.begin();
        let mut rows = Vec::with_capacity(self.seen.len());
        for seen in &self.seen {
            let (place, row) = (&self.placed[seen.at], self.row(seen));
            let service = *places.entry(row.service()).or_insert_with(|| {
                services.push(row.service());
                services.len() - 1
            });
            let bits = u8::from(row.is_error()) * ERROR
                + u8::from(row.is_proxy()) * PROXY
                + u8::from(place.is_orphan) * ORPHAN
                + u8::from(seen.is_match) * MATCH;
            rows.push(json!([
                row.id(),
                Text(&shortened(row.name(), NAME_CHARS_MAX)).to_string(),
                service,
                place.depth,
                row.start() - begin,
                row.duration(),
                place.self_nanos,
                place.critical_nanos,
                bits
            ]));
        }
        let services: Vec<String> = services.iter().map(|name| Text(name).to_string()).collect();
        json!({"nanos": self.nanos(), "services": services, "rows": rows})
    }
}
