//! What an analysis says of a trace: which operations the whole waited for, and where its errors began; or, beside another
//! trace, what differs between the two.

use maud::{Markup, html};
use meshlake_query::analysis::anatomy::{Anatomy, Origin};
use meshlake_query::analysis::compared::{Change, Compared, Difference};

use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{cell, number, section, table, text};
use crate::ui::text::{Text, shortened};

/// Rows of each table; the API has all of them.
const SHOWN: usize = 8;
const DIFFERENCES_SHOWN: usize = 50;

const NAME_CHARS_MAX: usize = 60;

const NANOS_PER_MILLI: f64 = 1e6;

fn millis(nanos: i64) -> String {
    format::duration(Some(nanos as f64 / NANOS_PER_MILLI))
}

/// Of one trace.
pub fn verdicts(asked: &Asked, anatomy: &Anatomy) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.operation),
        number(words.critical_path),
        number(words.share),
        number(words.self_time),
        number(words.spans),
    ];
    let whole = anatomy.operations.iter().map(|operation| operation.critical_nanos).sum::<i64>().max(1);
    let waited = anatomy.operations.iter().filter(|operation| operation.critical_nanos > 0);
    let rows: Vec<(&str, Vec<Markup>)> = waited
        .take(SHOWN)
        .map(|operation| {
            let cells = vec![
                operation_cell(&operation.service, &operation.name),
                cell(&millis(operation.critical_nanos)),
                cell(&format::percent(operation.critical_nanos as f64 / whole as f64)),
                cell(&millis(operation.self_nanos)),
                cell(&operation.spans.to_string()),
            ];
            (if operation.errors > 0 { "bad" } else { "" }, cells)
        })
        .collect();
    html! {
        div class="cards verdicts" {
            section class="card" aria-labelledby="waited" {
                h2 id="waited" { (words.explore.where_time_went) }
                p { (words.explore.where_time_went_means) }
                (table(words.explore.where_time_went, &columns, &rows))
            }
            @if !anatomy.error_origins.is_empty() { (origins(asked, &anatomy.error_origins)) }
        }
    }
}

fn origins(asked: &Asked, origins: &[Origin]) -> Markup {
    let words = &asked.words().explore;
    let more = origins.len().saturating_sub(SHOWN);
    html! {
        section class="card" aria-labelledby="origins" {
            h2 id="origins" { (words.errors_began) }
            p { (words.errors_began_means) }
            ul { @for origin in origins.iter().take(SHOWN) {
                @let href = asked.here(&[("span", Some(&origin.span.span_id))]) + "#details";
                li {
                    a href=(href) { (operation_cell(&origin.span.service, &origin.span.name)) }
                    @if let Some(message) = &origin.span.status_message { " " span class="hint" { (Text(&shortened(message, 200))) } }
                    @if origin.reached_root { " · " strong class="bad" { (words.origin_reached_root) } }
                }
            } }
            @if more > 0 { p class="hint" { "+ " (more) " " (words.more_of) } }
        }
    }
}

/// Of two traces, and the form that asks for another.
pub fn compared(asked: &Asked, found: Option<&Compared>) -> Markup {
    let words = asked.words();
    let form = html! {
        form class="controls" method="get" {
            (crate::ui::shell::kept_but(asked, &["with"]))
            label { (words.explore.compare_with) " "
                input name="with" size="34" pattern="[0-9a-fA-F]{1,32}" value=(Text(asked.get("with").unwrap_or_default())); }
            button { (words.show) }
        }
    };
    let body = html! { (form) @if let Some(found) = found { (differences(asked, found)) } };
    section("compared", words.explore.compared, &body)
}

fn differences(asked: &Asked, found: &Compared) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.operation),
        text(words.explore.change),
        number(words.spans),
        number(words.explore.in_other),
        number(words.self_time),
        number(words.explore.in_other),
        number(words.explore.difference),
    ];
    let rows: Vec<(&str, Vec<Markup>)> =
        found.differences.iter().take(DIFFERENCES_SHOWN).map(|found| (class(found), cells(found))).collect();
    let more = found.differences.len().saturating_sub(DIFFERENCES_SHOWN);
    html! {
        p class="hint" { (words.explore.compared_means) }
        p { (words.duration) " " strong { (millis(found.base.duration)) } " " (words.explore.in_this) ", "
            strong { (millis(found.other.duration)) } " " (words.explore.in_other) }
        (table(words.explore.compared, &columns, &rows))
        @if more > 0 { p class="hint" { "+ " (more) " " (words.explore.more_of) } }
    }
}

fn class(found: &Difference) -> &'static str {
    if found.other.errors > found.base.errors { "bad" } else { "" }
}

fn cells(found: &Difference) -> Vec<Markup> {
    let by = found.self_nanos();
    let sign = if by > 0 {
        "+"
    } else if by < 0 {
        "−"
    } else {
        ""
    };
    let time = |spans: usize, nanos: i64| if spans == 0 { cell("–") } else { cell(&millis(nanos)) };
    vec![
        operation_cell(&found.service, &found.name),
        html! { @if found.change() == Change::Kept { span class="hint" { (found.change().name()) } } @else { strong { (found.change().name()) } } },
        cell(&found.base.spans.to_string()),
        cell(&found.other.spans.to_string()),
        time(found.base.spans, found.base.self_nanos),
        time(found.other.spans, found.other.self_nanos),
        cell(&format!("{sign}{}", millis(by.abs()))),
    ]
}

fn operation_cell(service: &str, name: &str) -> Markup {
    html! { strong { (Text(&shortened(service, NAME_CHARS_MAX))) } " " (Text(&shortened(name, NAME_CHARS_MAX))) }
}
