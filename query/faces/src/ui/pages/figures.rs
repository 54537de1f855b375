//! Golden metrics as cells of a table: the same columns wherever calls are shown.

use maud::{Markup, html};
use meshlake_query::Figures;

use crate::ui::asked::Asked;
use crate::ui::shell::{Align, Column};
use crate::ui::{format, severity};

/// The columns.
pub fn columns(asked: &Asked) -> Vec<Column<'static>> {
    let words = asked.words();
    let columns = [
        (words.rate, words.rate_means),
        (words.errors, words.errors_mean),
        ("4xx", words.client_errors_mean),
        (words.aborted, words.aborted_means),
        ("p50", words.p50_means),
        ("p95", words.p95_means),
        ("p99", words.p99_means),
        ("max", words.max_means),
        (words.bytes_in, words.bytes_in_mean),
        (words.bytes_out, words.bytes_out_mean),
        (words.busy, words.busy_means),
    ];
    columns.map(|(name, meaning)| Column { name, align: Align::Number, meaning }).into()
}

/// The cells of those columns.
pub fn cells(figures: &Figures) -> Vec<Markup> {
    let share =
        |part: f64| format::percent(if figures.requests > 0.0 { part / figures.requests } else { 0.0 });
    let strong = |text: String| html! { strong { (text) } };
    let plain = |text: String| html! { (text) };
    vec![
        strong(format::rate(figures.rate)),
        html! { strong class=(severity(figures.error_ratio)) { (format::percent(figures.error_ratio)) } },
        plain(share(figures.client_errors)),
        plain(share(figures.aborted)),
        plain(format::duration(figures.p50_ms)),
        plain(format::duration(figures.p95_ms)),
        strong(format::duration(figures.p99_ms)),
        plain(format::duration(figures.max_ms)),
        plain(format::bytes(figures.bytes_in)),
        plain(format::bytes(figures.bytes_out)),
        plain(busy(figures.concurrency)),
    ]
}

/// Concurrency with enough decimals to compare services that are hardly busy.
fn busy(concurrency: f64) -> String {
    if concurrency > 0.0 && concurrency < 0.01 { "<0.01".to_owned() } else { format!("{concurrency:.2}") }
}

/// The big figures at the top of a page: name, value, class.
pub fn tiles(tiles: &[(&str, String, &str)]) -> Markup {
    html! {
        dl class="tiles" {
            @for (name, value, class) in tiles { div class={ "tile " (class) } { dt { (name) } dd { (value) } } }
        }
    }
}
