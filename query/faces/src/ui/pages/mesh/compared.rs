//! What changed since another range, as a table: the same as the drawing shows, for who cannot see it or wants the figures.

use maud::{Markup, html};
use meshlake_query::Figures;
use meshlake_query::answers::changes::{Changed, Compared};

use super::filters::Filters;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{number, table, text};
use crate::ui::text::Text;

/// Edges that are listed, worst first; the drawing shows the rest.
const LISTED_MAX: usize = 100;

/// The table.
pub fn changes(asked: &Asked, filters: &Filters<'_>, compared: &Compared) -> Markup {
    let (words, of_mesh) = (asked.words(), &asked.words().of_mesh);
    let columns = [
        text(words.caller),
        text(words.callee),
        text(of_mesh.change),
        number(words.rate),
        number(words.errors),
        number("p95"),
    ];
    let listed = compared.changed.iter().take(LISTED_MAX);
    let rows: Vec<(&str, Vec<Markup>)> =
        listed.map(|changed| (changed.change.name(), row(asked, changed))).collect();
    let left_out = compared.changed.len().saturating_sub(LISTED_MAX);
    html! {
        @if let Some(before) = filters.before {
            p class="hint" {
                (of_mesh.compared_with) " " time { (format::moment(before.from())) } " " (words.to) " "
                time { (format::moment(before.to())) } ". " (of_mesh.changes_mean)
            }
        }
        @if rows.is_empty() { p class="calm" { (of_mesh.nothing_changed) } }
        @else { (table(of_mesh.changes, &columns, &rows)) }
        @if left_out > 0 { p class="hint" { (left_out) " " (words.more_not_listed) } }
    }
}

fn row(asked: &Asked, changed: &Changed) -> Vec<Markup> {
    let [client, server] = [&changed.source.id, &changed.target.id];
    let edge = asked.link("/edge", &[("client", client), ("server", server)]);
    let both = |value: fn(&Figures) -> String| {
        let side = |figures: &Option<Figures>| figures.as_ref().map_or("–".to_owned(), value);
        html! { (side(&changed.before)) " → " strong { (side(&changed.now)) } }
    };
    vec![
        html! { a href=(edge) { (Text(client)) } },
        html! { (Text(server)) },
        html! { span class={ "change " (changed.change.name()) } { (asked.words().of_mesh.change_of(changed.change)) } },
        both(|figures| format::rate(figures.rate)),
        both(|figures| format::percent(figures.error_ratio)),
        both(|figures| format::duration(figures.p95_ms)),
    ]
}
