//! How full a service is: calls in progress, how long callers wait before it answers, what was turned away, and what its metrics
//! tell of its means.

use maud::{Markup, html};
use meshlake_query::answers::gauges::Gauge;
use meshlake_query::answers::saturation::{Saturation, Waiting};
use meshlake_query::measure::total;
use meshlake_query::{Query, operate};

use super::{figures, shown};
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{cell, notes, number, section, table, text};
use crate::ui::text::Text;

/// Rows of each table; what is left out is said.
const LISTED_MAX: usize = 50;

/// The part of the page.
pub async fn part(asked: &Asked, query: &Query, name: &str) -> Markup {
    let found = operate::saturation::load(query, name, asked.range).await;
    shown(asked, found, |found| {
        let words = asked.words();
        html! {
            (summary(asked, &found))
            (waiting(asked, &found.waiting))
            (gauges(asked, &found.gauges))
            (notes(&found.warnings, words.warnings))
        }
    })
}

fn summary(asked: &Asked, found: &Saturation) -> Markup {
    let (words, of_mesh) = (asked.words(), &asked.words().of_mesh);
    let busy = |concurrency: f64| format!("{concurrency:.2}");
    let all = found.figures.as_ref().map_or("–".to_owned(), |(figures, _)| busy(figures.concurrency));
    let fullest = found.instances.first().map_or("–".to_owned(), |row| busy(row.figures.concurrency));
    let refused = total(found.refused.iter().map(|row| row.requests));
    figures::tiles(&[
        (words.busy, all, ""),
        (of_mesh.busiest_instance, fullest, ""),
        (of_mesh.turned_away, format::count(refused), if refused > 0.0 { "warn" } else { "" }),
    ])
}

/// The part of the page of an edge: how long its calls took as either side's proxy saw them; nothing where not both of them did.
pub async fn on_the_way(asked: &Asked, query: &Query, client: &str, server: &str) -> Markup {
    let found = operate::saturation::waiting(query, server, asked.range).await;
    shown(asked, found, |mut found| {
        let is_named =
            |id: &str| id.strip_suffix(client).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        found.retain(|row| is_named(&row.client));
        let title = asked.words().of_mesh.waiting;
        html! { @if !found.is_empty() { (section("way", title, &waiting_table(asked, &found))) } }
    })
}

fn waiting(asked: &Asked, waiting: &[Waiting]) -> Markup {
    html! {
        @if !waiting.is_empty() {
            h3 { (asked.words().of_mesh.waiting) }
            (waiting_table(asked, waiting))
            (more(asked, waiting.len()))
        }
    }
}

fn waiting_table(asked: &Asked, waiting: &[Waiting]) -> Markup {
    let (words, of_mesh) = (asked.words(), &asked.words().of_mesh);
    let columns = [
        text(words.caller),
        number(of_mesh.mean_at_caller),
        number(of_mesh.mean_at_callee),
        number(of_mesh.on_the_way),
    ];
    let millis = |ms: f64| format::duration(Some(ms));
    let rows = waiting.iter().take(LISTED_MAX).map(|row| {
        let link = asked.link("/service", &[("name", &row.client)]);
        let cells = vec![
            html! { a href=(link) { (Text(&row.client)) } },
            cell(&millis(row.client_mean_ms)),
            cell(&millis(row.server_mean_ms)),
            cell(&millis((row.client_mean_ms - row.server_mean_ms).max(0.0))),
        ];
        ("", cells)
    });
    table(of_mesh.waiting, &columns, &rows.collect::<Vec<(&str, Vec<Markup>)>>())
}

fn gauges(asked: &Asked, gauges: &[Gauge]) -> Markup {
    let (words, of_mesh) = (asked.words(), &asked.words().of_mesh);
    let columns = [
        text(of_mesh.metric),
        text(words.instance),
        text(words.attributes),
        number(of_mesh.last),
        number(of_mesh.mean),
        number(of_mesh.most),
        number(of_mesh.growth),
    ];
    let rows = gauges.iter().take(LISTED_MAX).map(|gauge| {
        let unit = gauge.unit.as_deref().unwrap_or_default();
        let value = |value: Option<f64>| cell(&told(value, unit));
        let cells = vec![
            html! { code { (Text(&gauge.metric)) } },
            cell(gauge.instance.as_deref().unwrap_or("–")),
            html! { span class="wrap" { (Text(&gauge.attributes)) } },
            value(gauge.last),
            value(gauge.mean),
            value(gauge.max),
            value(gauge.rate),
        ];
        ("", cells)
    });
    let rows: Vec<(&str, Vec<Markup>)> = rows.collect();
    html! {
        @if !rows.is_empty() {
            h3 { (of_mesh.metrics) }
            (table(of_mesh.metrics, &columns, &rows))
            (more(asked, gauges.len()))
        }
    }
}

/// A value in the unit of its metric (UCUM): bytes and seconds as people read them.
fn told(value: Option<f64>, unit: &str) -> String {
    match (value, unit) {
        (None, _) => "–".to_owned(),
        (Some(value), "By") => format::bytes(Some(value)),
        (Some(value), "s") => format::duration(Some(value * 1_000.0)),
        (Some(value), "1") => format!("{value:.3}"),
        // `{thread}` counts threads: the annotation says of what, and is no unit.
        (Some(value), unit) => {
            format!("{} {}", format::number(value), unit.trim_matches(['{', '}'])).trim_end().to_owned()
        }
    }
}

fn more(asked: &Asked, count: usize) -> Markup {
    let left_out = count.saturating_sub(LISTED_MAX);
    html! { @if left_out > 0 { p class="hint" { (left_out) " " (asked.words().more_not_listed) } } }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn values_are_told_in_the_units_of_their_metrics() {
        let cases = [
            (None, "By", "–"),
            (Some(2e9), "By", "2 GB"),
            (Some(0.25), "s", "250 ms"),
            (Some(0.5), "1", "0.500"),
        ];
        for (value, unit, want) in cases {
            assert_eq!(told(value, unit), want);
        }
        assert_eq!(told(Some(12.0), "{thread}"), "12 thread");
        assert_eq!(told(Some(12.25), ""), "12.2");
    }
}
