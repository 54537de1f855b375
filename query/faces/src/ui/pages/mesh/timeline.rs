//! Rate and errors of the whole mesh over a longer time than is shown, as a way through it: each bar leads to its time, steps
//! lead to what is before and after, and by script any part is chosen by dragging over it (`dashboards/ui/brush.js`).

use std::time::Duration;

use maud::{Markup, html};
use meshlake_query::answers::timeline::{Moment, timeline};
use meshlake_query::calls::{LoadError, load_from};
use meshlake_query::{Frame, GoldenBy, Query, Range, Source};
use meshlake_schema::UnixNanos;

use crate::ui::asked::{Asked, Span, WINDOWS, length};
use crate::ui::pages::{over_time, shown};
use crate::ui::shell::section;
use crate::ui::{format, severity};

/// How long a timeline is, in seconds: the first that is four times as long as what is shown.
const LENGTHS: [u64; 6] = [3_600, 21_600, 86_400, 604_800, 2_592_000, 34_560_000];
const TIMES_AS_LONG: u64 = 4;

/// Bars of a timeline: wide enough to be hit with a finger on a screen, and a few hundred thousand cells of a large mesh.
const BARS_MAX: u64 = 60;

/// Sizes in drawing units.
const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 74.0;
const TOP: f64 = 4.0;
const BOTTOM: f64 = 18.0;

/// Times that are told below, beside the first.
const MARKS: usize = 6;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * NANOS_PER_SECOND;

/// The timeline as a part of the page; nothing where there were no calls in all its time.
pub async fn strip(query: &Query, asked: &Asked, now: UnixNanos) -> Markup {
    let words = &asked.words().of_mesh;
    let moments = moments(query, around(asked, now)).await;
    if moments.as_ref().is_ok_and(|moments| moments.iter().all(|moment| moment.requests == 0.0)) {
        return html! {};
    }
    section(
        "timeline",
        words.timeline,
        &html! {
            (steps(asked, now))
            (shown(asked, moments, |moments| drawn(asked, &moments)))
        },
    )
}

async fn moments(query: &Query, range: Range) -> Result<Vec<Moment>, LoadError> {
    let question = GoldenBy::Service.question(range, Source::Auto);
    Ok(timeline(&load_from(query, question, Frame::nodes(None)).await?))
}

/// What the timeline is of: up to now for what ends now, and some of what follows of what does not; on whole steps, so that bars do
/// not move with every look.
fn around(asked: &Asked, now: UnixNanos) -> Range {
    let (from, to) = (asked.range.from(), asked.range.to());
    let seconds = (to.0 - from.0).unsigned_abs() / NANOS_PER_SECOND as u64;
    let fits = |length: &&u64| **length >= seconds * TIMES_AS_LONG;
    let length = *LENGTHS.iter().find(fits).unwrap_or(&LENGTHS[LENGTHS.len() - 1]);
    let end = match asked.span {
        Span::Last { .. } => to,
        Span::Fixed { .. } => to.plus(Duration::from_secs(length / TIMES_AS_LONG)).min(now.max(to)),
    };
    let step = Duration::from_secs(over_time::step(length, BARS_MAX));
    let start = end.minus(Duration::from_secs(length)).min(from);
    let floor = UnixNanos(start.0.div_euclid(step.as_nanos() as i64) * step.as_nanos() as i64);
    let stepped = Range::new(floor, end, Some(step));
    stepped.unwrap_or_else(|_| over_time::stepped(asked.range, BARS_MAX))
}

/// Links to the range before, the one after, twice and half of it, and to now.
fn steps(asked: &Asked, now: UnixNanos) -> Markup {
    let words = &asked.words().of_mesh;
    let (from, to) = (asked.range.from(), asked.range.to());
    let whole = Duration::from_nanos((to.0 - from.0).unsigned_abs());
    let over = |from: UnixNanos, to: UnixNanos| asked.over(&Span::Fixed { from, to });
    let is_past = matches!(asked.span, Span::Fixed { .. });
    html! {
        nav class="steps" aria-label=(words.timeline) {
            a href=(over(from.minus(whole), from)) rel="prev" { "◀ " (words.step_back) }
            @if is_past && to < now { a href=(over(to, to.plus(whole))) rel="next" { (words.step_forward) " ▶" } }
            a href=(over(from.minus(whole / 2), to.plus(whole / 2))) { (words.twice) }
            a href=(over(from.plus(whole / 4), to.minus(whole / 4))) { (words.half) }
            @if is_past { a href=(asked.over_last(&window(whole))) { (words.to_now) } }
            span class="hint" { (words.how_to_brush) }
        }
    }
}

/// The name of the relative range of that length.
fn window(whole: Duration) -> String {
    let known = WINDOWS.into_iter().find(|window| length(window) == Some(whole));
    known.map_or_else(|| format!("{}s", whole.as_secs()), str::to_owned)
}

/// A bar for each moment: as high as its rate, of which the part that failed stands out.
fn drawn(asked: &Asked, moments: &[Moment]) -> Markup {
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return html! {} };
    let words = &asked.words().of_mesh;
    let x = |time: UnixNanos| WIDTH * (time.0 - first.from.0) as f64 / (last.to.0 - first.from.0) as f64;
    let most = moments.iter().map(|moment| moment.rate).fold(0.0, f64::max);
    let units = |value: f64| format!("{value:.1}");
    let (from, to) = (asked.range.from().max(first.from), asked.range.to().min(last.to));
    let has_days = last.to.0 - first.from.0 > DAY;
    html! {
        div class="scroll timeline" tabindex="0" role="group" aria-label=(words.timeline) {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label=(words.timeline_means)
                data-part="brush" data-from=(first.from.seconds()) data-to=(last.to.seconds()) data-left="0" data-right=(WIDTH) {
                rect class="chosen" x=(units(x(from))) y="0" width=(units(x(to) - x(from))) height=(units(HEIGHT - BOTTOM)) {}
                @for moment in moments { (bar(asked, moment, (x(moment.from), x(moment.to)), most)) }
                @for moment in moments.iter().step_by(moments.len().div_ceil(MARKS)) {
                    text x=(units(x(moment.from) + 2.0)) y=(units(HEIGHT - 5.0)) data-at=(moment.from.seconds()) { (mark(moment.from, has_days)) }
                }
            }
        }
    }
}

fn mark(time: UnixNanos, has_days: bool) -> String {
    let text = time.to_rfc3339();
    // `2026-01-31T12:34:56Z`: the day's and the hour's part.
    if has_days { text[5..16].replace('T', " ") } else { text[11..16].to_owned() }
}

fn bar(asked: &Asked, moment: &Moment, (left, right): (f64, f64), most: f64) -> Markup {
    let floor = HEIGHT - BOTTOM;
    let height = |rate: f64| if most > 0.0 { (floor - TOP) * rate / most } else { 0.0 };
    let (whole, failed) = (height(moment.rate), height(moment.rate * moment.error_ratio()));
    // What failed is never too thin to be seen.
    let failed = if moment.errors > 0.0 { failed.max(2.0) } else { 0.0 };
    let units = |value: f64| format!("{value:.1}");
    let width = units((right - left - 1.0).max(0.5));
    let link = asked.over(&Span::Fixed { from: moment.from, to: moment.to });
    let title = format!(
        "{} – {}\n{}, {}",
        moment.from.to_rfc3339(),
        moment.to.to_rfc3339(),
        format::rate(moment.rate),
        format::percent(moment.error_ratio())
    );
    html! {
        // Steps are for the keyboard: sixty stops would be in the way of everything below.
        a class={ "bar " (severity(moment.error_ratio())) } href=(link) tabindex="-1" {
            title { (title) }
            rect class="room" x=(units(left)) y="0" width=(width) height=(units(floor)) {}
            rect class="rate" x=(units(left)) y=(units(floor - whole)) width=(width) height=(units(whole)) {}
            @if failed > 0.0 {
                rect class="failed" x=(units(left)) y=(units(floor - failed)) width=(width) height=(units(failed)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000 * NANOS_PER_SECOND);

    fn told(query: &str) -> (i64, i64, u64) {
        let asked = Asked::of("/", query, &HeaderMap::new(), "default".to_owned(), NOW);
        let range = around(&asked, NOW);
        (
            NOW.seconds() - range.from().seconds(),
            NOW.seconds() - range.to().seconds(),
            range.step().map_or(0, |s| s.as_secs()),
        )
    }

    /// Now is 20 s after a whole minute.
    #[test]
    fn a_timeline_is_four_times_as_long_and_ends_now() {
        assert_eq!(told("range=15m"), (3_620, 0, 60));
        assert_eq!(told("range=16m").2, 600, "six hours by ten minutes");
        assert_eq!(told("range=6h"), (86_400 + 800, 0, 1_800));
    }

    #[test]
    fn what_is_past_is_shown_with_some_of_what_followed() {
        let (from, to) = (NOW.seconds() - 10_000, NOW.seconds() - 9_400);
        let (start, end, step) = told(&format!("from={from}&to={to}"));
        assert_eq!((end, step), (9_400 - 900, 60));
        assert!((10_000..=9_400 - 900 + 3_600 + 60).contains(&start), "{start}");
    }

    #[test]
    fn ranges_go_by_the_names_that_pages_offer() {
        assert_eq!(window(Duration::from_secs(900)), "15m");
        assert_eq!(window(Duration::from_secs(910)), "910s");
    }
}
