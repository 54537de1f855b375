//! What a page of rows is narrowed by, and the values that it can be narrowed by further, each a link.

use maud::{Markup, html};
use meshlake_query::explore::facets::Facet;

use super::asked::Asked;
use super::format;
use super::text::{Text, shortened};

/// Characters of a value; the title has it whole.
const VALUE_CHARS_MAX: usize = 48;

/// Parameters that say where a page of rows begins, or which row is open: of no use once others are chosen.
pub const PLACES: [&str; 2] = ["after", "row"];

/// Width of the bar that says a value's share, in drawing units.
const SHARE_WIDTH: f64 = 60.0;

/// One facet: the parameter that narrows by it, its name, and its values.
pub struct Narrows<'a> {
    pub parameter: &'a str,
    pub name: &'a str,
    pub facet: &'a Facet,
}

/// Facets side by side or below one another.
pub fn facets(asked: &Asked, facets: &[Narrows<'_>], total: u64) -> Markup {
    let words = &asked.words().explore;
    let is_told = |narrows: &&Narrows<'_>| !narrows.facet.values.is_empty() || narrows.facet.is_given_up;
    html! {
        section class="facets" aria-label=(words.facets) {
            p class="hint" { (words.facets_mean) }
            @for narrows in facets.iter().filter(is_told) {
                details open { summary { (narrows.name) } (values(asked, narrows, total)) }
            }
        }
    }
}

fn values(asked: &Asked, narrows: &Narrows<'_>, total: u64) -> Markup {
    let words = &asked.words().explore;
    let facet = narrows.facet;
    let share = |rows: u64| format!("{:.1}", (SHARE_WIDTH * rows as f64 / total.max(1) as f64).max(1.0));
    html! {
        @if facet.is_given_up { p class="hint" { (words.too_many_values) } }
        ul { @for counted in &facet.values { li {
            a href=(link(asked, narrows.parameter, Some(&counted.value))) title=(Text(&counted.value)) {
                (Text(&shortened(&counted.value, VALUE_CHARS_MAX)))
            }
            svg viewBox={ "0 0 " (SHARE_WIDTH) " 6" } width=(SHARE_WIDTH) height="6" aria-hidden="true" {
                rect class="share" width=(share(counted.rows)) height="6" {}
            }
            span class="count" { (format::count(counted.rows as f64)) }
        } } }
        @if facet.others > 0 {
            p class="hint" { (format::count(facet.others as f64)) " " (words.more_values) ": " (format::count(facet.other_rows as f64)) }
        }
    }
}

/// What the page is narrowed by: parameters and what they are called.
pub fn chosen(asked: &Asked, parameters: &[(&str, &str)]) -> Markup {
    let words = &asked.words().explore;
    let chosen: Vec<(&str, &str, &str)> = parameters
        .iter()
        .filter_map(|(parameter, name)| Some((*parameter, *name, asked.get(parameter)?)))
        .collect();
    html! {
        @if !chosen.is_empty() {
            ul class="chosen" aria-label=(words.narrowed_by) {
                @for (parameter, name, value) in chosen { li {
                    span class="hint" { (name) } " " (Text(&shortened(value, VALUE_CHARS_MAX))) " "
                    a href=(link(asked, parameter, None)) aria-label={ (words.remove) ": " (name) } { "×" }
                } }
            }
        }
    }
}

/// This page with that parameter set or without it, from its first row on.
fn link(asked: &Asked, parameter: &str, value: Option<&str>) -> String {
    let mut changed = vec![(parameter, value)];
    changed.extend(PLACES.map(|place| (place, None)));
    asked.here(&changed)
}

/// The mistake in a query, with a caret below its place.
pub fn mistake(label: &str, query: &str, (line, column): (usize, usize), message: &str) -> Markup {
    let text = query.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    // A tab before the place stays one, so that the caret stands below it.
    let before = text.chars().take(column.saturating_sub(1));
    let blank: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let padding = " ".repeat(column.saturating_sub(1).saturating_sub(text.chars().count()));
    html! {
        div class="note warn" role="status" {
            strong { (label) } " " (Text(message))
            pre class="mistake" tabindex="0" { code { (Text(text)) "\n" (blank) (padding) "^" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_below_the_place() {
        let shown = |query: &str, place| mistake("", query, place, "m").into_string();
        assert!(shown("a\n\tb < c", (2, 4)).contains("<code>\tb &lt; c\n\t  ^</code>"));
        assert!(shown("ab", (1, 3)).contains("<code>ab\n  ^</code>"), "behind the end");
        assert!(shown("", (1, 1)).contains("<code>\n^</code>"));
    }
}
