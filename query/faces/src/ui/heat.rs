//! How long calls took over time, as a field of colours: dark where many were. Two modes of latency, such as a cache that is hit and
//! missed, are two bands here and hidden in a percentile. Each cell tells its number when it is pointed at; whoever cannot see has
//! the same by band in a table.

use maud::{Markup, html};
use meshlake_query::answers::heat::Heat;
use meshlake_query::measure::total;

use super::asked::Asked;
use super::format;
use super::shell::{cell, number, table, text};

/// Sizes in drawing units.
const WIDTH: f64 = 1_160.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 22.0;
const BAND: f64 = 12.0;

/// The least that a cell with calls is coloured, so that a single call is seen.
const OPACITY_MIN: f64 = 0.14;

/// Every so manieth end of a band is told, and times below.
const LEVELS_APART: usize = 4;
const TIMES: usize = 6;

/// The drawing and its table.
pub fn heat(asked: &Asked, heat: &Heat) -> Markup {
    let words = asked.words();
    if heat.calls.is_empty() {
        return html! { p class="hint" { (words.no_calls_found) } };
    }
    let bands = heat.edges_ms.len() - 1;
    let height = TOP + BOTTOM + BAND * bands as f64;
    let ends = [heat.times.first(), heat.times.last()].map(|time| time.map_or(0, |time| time.seconds()));
    // Columns are buckets: the last one is as wide as the others.
    let width = if heat.times.len() > 1 { heat.times[1].seconds() - ends[0] } else { 10 };
    html! {
        div class="scroll heat" tabindex="0" role="group" aria-label=(words.latency) {
            svg viewBox={ "0 0 " (WIDTH) " " (units(height)) } role="group" aria-label=(words.of_mesh.heat_means)
                data-part="brush" data-from=(ends[0]) data-to=(ends[1] + width) data-left=(LEFT) data-right=(WIDTH - RIGHT) {
                (axes(heat, height))
                (cells(heat))
            }
        }
        details class="numbers" { summary { (words.of_mesh.numbers) } (by_band(asked, heat)) }
    }
}

fn units(value: f64) -> String {
    format!("{value:.1}")
}

fn x(heat: &Heat, column: usize) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * column as f64 / heat.times.len() as f64
}

/// The top of a band; short calls are below.
fn y(heat: &Heat, band: usize) -> f64 {
    TOP + BAND * (heat.edges_ms.len() - 2 - band) as f64
}

fn axes(heat: &Heat, height: f64) -> Markup {
    let levels = heat.edges_ms.iter().enumerate().step_by(LEVELS_APART);
    let times = heat.times.iter().enumerate().step_by(heat.times.len().div_ceil(TIMES));
    html! {
        g aria-hidden="true" {
            @for (at, edge) in levels {
                text class="level" x=(units(LEFT - 6.0)) y=(units(height - BOTTOM - BAND * at as f64 + 4.0)) {
                    (format::duration(Some(*edge)))
                }
            }
            @for (at, time) in times {
                // `2026-01-31T12:34:56Z`: the hour's part.
                text x=(units(x(heat, at))) y=(units(height - 6.0)) data-at=(time.seconds()) { (time.to_rfc3339()[11..16]) }
            }
        }
    }
}

fn cells(heat: &Heat) -> Markup {
    let most = heat.calls.iter().flatten().copied().fold(0.0, f64::max);
    let width = (WIDTH - LEFT - RIGHT) / heat.times.len() as f64;
    let filled = heat.calls.iter().enumerate().flat_map(|(column, bands)| {
        bands.iter().enumerate().map(move |(band, calls)| (column, band, *calls))
    });
    html! {
        @for (column, band, calls) in filled.filter(|(.., calls)| *calls > 0.0) {
            // By the logarithm: a hundred calls must not wash out the one beside them that took ten times as long.
            @let opacity = OPACITY_MIN + (1.0 - OPACITY_MIN) * (1.0 + calls).ln() / (1.0 + most).ln();
            rect class="cell" x=(units(x(heat, column))) y=(units(y(heat, band))) width=(units(width)) height=(units(BAND))
                fill-opacity=(format!("{opacity:.2}")) {
                title { (heat.times[column].to_rfc3339()) "\n" (range(heat, band)) ": " (format::count(calls)) }
            }
        }
    }
}

fn range(heat: &Heat, band: usize) -> String {
    let end = |at: usize| format::duration(Some(heat.edges_ms[at]));
    format!("{} – {}", end(band), end(band + 1))
}

/// Calls of each band over the whole time, the longest first.
fn by_band(asked: &Asked, heat: &Heat) -> Markup {
    let words = asked.words();
    let of_band = |band: usize| total(heat.calls.iter().map(|bands| bands[band]));
    let all = total((0..heat.edges_ms.len() - 1).map(of_band));
    let rows = (0..heat.edges_ms.len() - 1).rev().map(|band| {
        let calls = of_band(band);
        let cells = vec![
            cell(&range(heat, band)),
            cell(&format::count(calls)),
            cell(&format::percent(if all > 0.0 { calls / all } else { 0.0 })),
        ];
        ("", cells)
    });
    let columns = [text(words.latency), number(words.calls), number(words.share)];
    table(words.of_mesh.numbers, &columns, &rows.collect::<Vec<_>>())
}
