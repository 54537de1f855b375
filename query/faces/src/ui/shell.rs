//! What all pages have around them: head, the bar with the way to other pages, the range, the refresh and the language; and
//! the pieces that several pages are made of.

use maud::{DOCTYPE, Markup, html};
use meshlake_schema::UnixNanos;

use super::asked::{Asked, REFRESH_SECONDS, Span, WINDOWS};
use super::assets;
use super::format;
use super::text::Text;
use super::words::Language;

/// Where a page can be left to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Mesh,
    Traces,
    Requests,
    Logs,
    Sql,
    Operate,
    Start,
    /// A page about one thing, which no entry of the bar leads to.
    Inside,
}

/// What a page shows.
pub struct Page {
    pub place: Place,
    pub title: String,
    /// Whether the range of the address says what it is about.
    pub has_range: bool,
    /// When data began, if that was within the range: rates are from there.
    pub data_since: Option<UnixNanos>,
    pub body: Markup,
}

/// What every page ends with.
const END: &str = "</main></body></html>";

/// What stands before and after the rest of a page's body, which may follow later: all of the page where nothing does.
pub fn around(asked: &Asked, page: &Page) -> [String; 2] {
    let words = asked.words();
    let refresh = asked.refresh_seconds.filter(|_| page.has_range);
    let html = html! {
        (DOCTYPE)
        html lang=(asked.language.name()) data-clock=[asked.is_local.then_some("local")] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Text(&page.title)) " · meshlake" }
                link rel="stylesheet" href=(assets::address("graph.css"));
                link rel="stylesheet" href=(assets::address("style.css"));
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                script type="module" src=(assets::address("main.js")) {}
                // With scripts the page changes in place, see `dashboards/ui/refresh.js`.
                @if let Some(seconds) = refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
            }
            body data-refresh=[refresh] {
                p class="note warn stale" role="status" { (words.of_mesh.stale) }
                a class="skip" href="#main" { (words.skip) }
                (bar(asked, page))
                main id="main" {
                    h1 { (Text(&page.title)) }
                    (notes(&asked.complaints, words.warnings))
                    (page.body)
                }
            }
        }
    };
    let mut begin = html.into_string();
    let end = begin.split_off(begin.len() - END.len());
    debug_assert_eq!(end, END);
    [begin, end]
}

/// The bar at the top: plain links, all of them.
fn bar(asked: &Asked, page: &Page) -> Markup {
    let words = asked.words();
    let places = [
        (Place::Mesh, "/", words.mesh),
        (Place::Traces, "/traces", words.traces),
        (Place::Requests, "/requests", words.explore.requests),
        (Place::Logs, "/logs", words.explore.logs),
        (Place::Sql, "/sql", "SQL"),
        (Place::Operate, "/operate", words.operate),
        (Place::Start, "/start", words.start),
    ];
    html! {
        header {
            a class="brand" href=(asked.link("/", &[])) { span class="mark" aria-hidden="true" {} "meshlake" }
            nav class="places" aria-label=(words.pages) {
                @for (place, path, name) in places {
                    a href=(asked.link(path, &[])) aria-current=[(place == page.place).then_some("page")] { (name) }
                }
            }
            @if page.has_range { (times(asked, page)) }
            nav class="language" aria-label=(words.language) {
                @for language in Language::ALL {
                    a href=(asked.in_language(language)) lang=(language.name()) hreflang=(language.name())
                        aria-current=[(language == asked.language).then_some("true")] { (language.own_name()) }
                }
            }
        }
    }
}

fn times(asked: &Asked, page: &Page) -> Markup {
    let words = asked.words();
    let is_current = |window: &str| matches!(&asked.span, Span::Last { text, .. } if text == window);
    let (from, to) = (asked.range.from(), asked.range.to());
    let [begin, end] = format::ends(from, to);
    html! {
        nav aria-label=(words.time_range) {
            @for window in WINDOWS {
                a href=(asked.over_last(window)) aria-current=[is_current(window).then_some("true")] { (window) }
            }
        }
        nav aria-label=(words.automatic_refresh) {
            span class="hint" { (words.refresh) }
            a href=(asked.refreshed(None)) aria-current=[asked.refresh_seconds.is_none().then_some("true")] { (words.off) }
            @for seconds in REFRESH_SECONDS {
                @let current = asked.refresh_seconds == Some(seconds);
                a href=(asked.refreshed(Some(seconds))) aria-current=[current.then_some("true")] { (seconds) " s" }
            }
        }
        // Only scripts know the zone of whoever looks, and show this.
        nav class="clock" aria-label=(words.clock) hidden {
            a href=(asked.by_clock(false)) aria-current=[(!asked.is_local).then_some("true")] { "UTC" }
            a href=(asked.by_clock(true)) aria-current=[asked.is_local.then_some("true")] { (words.local) }
        }
        p class="range" {
            time datetime=(from.to_rfc3339()) { (begin) } " – " time datetime=(to.to_rfc3339()) { (end) } " " span class="zone" { "UTC" }
            @if let Some(since) = page.data_since {
                span class="hint" { " · " (words.data_since) " " time datetime=(since.to_rfc3339()) { (format::moment(since)) } }
            }
            span class="hint" { " · " (words.tenant) " " (Text(&asked.tenant)) }
        }
    }
}

/// Warnings beside what they are about.
pub fn notes(notes: &[String], label: &str) -> Markup {
    html! {
        @if !notes.is_empty() {
            aside class="note warn" aria-label=(label) { ul { @for note in notes { li { (Text(note)) } } } }
        }
    }
}

/// A part of a page under a headline of its own.
pub fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (body) } }
}

/// How a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Text,
    Number,
}

/// A column of a table: its name, how its cells stand, and what it means, shown on hovering.
pub struct Column<'a> {
    pub name: &'a str,
    pub align: Align,
    pub meaning: &'a str,
}

/// A column of text that needs no explanation.
pub const fn text(name: &str) -> Column<'_> {
    Column { name, align: Align::Text, meaning: "" }
}

/// A column of numbers that needs none.
pub const fn number(name: &str) -> Column<'_> {
    Column { name, align: Align::Number, meaning: "" }
}

/// A table; each row is a class and its cells, the first of which heads the row.
pub fn table(label: &str, columns: &[Column<'_>], rows: &[(&str, Vec<Markup>)]) -> Markup {
    let class = |at: usize| (columns[at].align == Align::Text).then_some("text");
    html! {
        div class="scroll" tabindex="0" role="group" aria-label=(label) {
            table {
                thead { tr {
                    @for (at, column) in columns.iter().enumerate() {
                        th scope="col" class=[class(at)] title=[(!column.meaning.is_empty()).then_some(column.meaning)] {
                            (column.name)
                        }
                    }
                } }
                tbody {
                    @for (class_of_row, cells) in rows {
                        tr class=[(!class_of_row.is_empty()).then_some(class_of_row)] {
                            @for (at, cell) in cells.iter().enumerate() {
                                @if at == 0 { th scope="row" class=[class(at)] { (cell) } }
                                @else { td class=[class(at)] { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell that is nothing but text.
pub fn cell(text: &str) -> Markup {
    html! { (Text(text)) }
}

/// What a form has to send along unseen that sets only some of a page's parameters.
pub fn kept_but(asked: &Asked, but: &[&str]) -> Markup {
    html! {
        (kept(asked))
        @for (name, value) in asked.others(but) { input type="hidden" name=(name) value=(Text(value)); }
    }
}

/// What a form has to send along unseen.
pub fn kept(asked: &Asked) -> Markup {
    html! { @for (name, value) in asked.kept() { input type="hidden" name=(name) value=(value); } }
}
