//! The choices of what is drawn: a form, so that all of it stands in the address, and what it leaves out.

use std::collections::BTreeSet;

use maud::{Markup, html};
use meshlake_query::graph::Graph;
use meshlake_query::measure::Protocol;
use meshlake_query::shown::{DEPTH_DEFAULT, Wanted};
use meshlake_query::{By, NodeKind};

use super::filters::{DEPTH_MAX, EDGES_MAX, Filters};
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::graph::{Label, Sketch};
use crate::ui::shell::kept;
use crate::ui::text::Text;

/// How much earlier the other range may be chosen to be; any other can be typed.
const EARLIER: [&str; 4] = ["15m", "1h", "24h", "7d"];

/// A choice of one of some.
fn choice(
    label: &str,
    name: &str,
    first: &str,
    options: impl Iterator<Item = (String, String)>,
    chosen: &str,
) -> Markup {
    html! {
        label { (label) " "
            select name=(name) {
                option value="" { (first) }
                @for (value, shown) in options { option value=(Text(&value)) selected[value == chosen] { (Text(&shown)) } }
            }
        }
    }
}

/// The form.
pub fn controls(asked: &Asked, filters: &Filters<'_>, all: &Graph) -> Markup {
    let words = asked.words();
    let Wanted { focus, rate_min, errors_only, .. } = filters.wanted;
    let rate = if rate_min > 0.0 { rate_min.to_string() } else { String::new() };
    html! {
        form class="controls" method="get" action="/" {
            (kept(asked))
            @for opened in asked.every("open") { input type="hidden" name="open" value=(Text(opened)); }
            (of_nodes(asked, all))
            label { (words.apart_by) " "
                select name="by" {
                    @for by in By::ALL { option value=(by.name()) selected[by == filters.by] { (words.by(by)) } }
                }
            }
            label { (words.on_edges) " "
                select name="label" {
                    @for label in Label::ALL {
                        option value=(label.name()) selected[label == filters.label] { (words.label_of(label.name())) }
                    }
                }
            }
            (compare(asked))
            label { (words.around) " " input name="focus" size="18" value=(Text(focus.map_or("", |focus| focus.node))); }
            label { (words.depth) " "
                input type="number" name="depth" min="1" max=(DEPTH_MAX) value=(focus.map_or(DEPTH_DEFAULT, |focus| focus.depth));
            }
            label { (words.min_rate) " " input name="min_rate" size="5" inputmode="decimal" value=(rate); }
            label { (words.of_mesh.edges_at_most) " "
                input type="number" name="edges" min="1" max=(EDGES_MAX) value=(asked.get("edges").unwrap_or_default());
            }
            label { input type="checkbox" name="errors_only" value="1" checked[errors_only]; " " (words.errors_only) }
            button { (words.show) }
            @if filters.are_any() { a href=(asked.link("/", &[])) { (words.everything) } }
        }
    }
}

/// Which nodes and edges: by namespace, kind and protocol.
fn of_nodes(asked: &Asked, all: &Graph) -> Markup {
    let (words, of_mesh) = (asked.words(), &asked.words().of_mesh);
    let namespaces: BTreeSet<&str> =
        all.nodes.iter().filter_map(|node| node.identity.namespace.as_deref()).collect();
    let namespaces = namespaces.into_iter().map(|name| (name.to_owned(), name.to_owned()));
    let kinds = NodeKind::ALL.map(|kind| (kind.name().to_owned(), words.kind(kind).to_owned()));
    let protocols = Protocol::ALL.map(|protocol| (protocol.name().to_owned(), protocol.name().to_owned()));
    let chosen = |name: &str| asked.get(name).unwrap_or_default();
    html! {
        (choice(words.namespace, "namespace", words.all, namespaces, chosen("namespace")))
        (choice(of_mesh.kind, "kind", words.all, kinds.into_iter(), chosen("kind")))
        (choice(words.protocol, "protocol", words.all, protocols.into_iter(), chosen("protocol")))
    }
}

/// With which other range; one that was typed is kept.
fn compare(asked: &Asked) -> Markup {
    let of_mesh = &asked.words().of_mesh;
    let chosen = asked.get("compare").unwrap_or_default();
    let typed = [chosen].into_iter().filter(|typed| !typed.is_empty() && !EARLIER.contains(typed));
    let lengths = EARLIER.into_iter().chain(typed);
    let lengths = lengths.map(|length| (length.to_owned(), format!("{length} {}", of_mesh.earlier)));
    choice(of_mesh.compare, "compare", of_mesh.with_nothing, lengths, chosen)
}

/// Namespaces that are open where the others are drawn as one, each with the way to close it.
pub fn opened(asked: &Asked, sketch: &Sketch) -> Markup {
    let words = asked.words();
    let names: Vec<&str> = asked.every("open").collect();
    let without = |name: &str| {
        let others = names.iter().filter(|other| **other != name).map(|other| ("open", Some(*other)));
        let others: Vec<(&str, Option<&str>)> = others.collect();
        if others.is_empty() { asked.here(&[("open", None)]) } else { asked.here(&others) }
    };
    html! {
        @if sketch.is_by_namespace {
            p class="hint" {
                (words.by_namespace) " "
                a href=(asked.here(&[("collapse", Some("none"))])) { (words.draw_all) }
                @for name in &names {
                    " " a class="chip" href=(without(name)) aria-label={ (words.of_mesh.close) " " (Text(name)) } {
                        (Text(name)) " ×"
                    }
                }
            }
        }
    }
}

/// That only some of the edges are drawn, and what else there is to choose.
pub fn fewer(asked: &Asked, sketch: &Sketch) -> Markup {
    let (words, of_mesh) = (asked.words(), &asked.words().of_mesh);
    let twice = (sketch.lines.len() * 2).min(EDGES_MAX).to_string();
    html! {
        @if sketch.edges_left_out > 0 {
            p class="hint" {
                (of_mesh.edges_drawn.replace("{}", &sketch.lines.len().to_string())) " "
                a href=(asked.here(&[("edges", Some(&twice)), ("collapse", None)])) { (of_mesh.edges_twice) } ", "
                a href=(asked.here(&[("errors_only", Some("1"))])) { (words.errors_only) } ", "
                a href=(asked.here(&[("edges", None), ("collapse", Some("none"))])) { (words.draw_all) } ". "
                (of_mesh.focus_on_a_node)
            }
        }
    }
}

/// What the choices leave out.
pub fn hidden(asked: &Asked, shown: &Graph) -> Markup {
    let words = asked.words();
    html! {
        @if shown.hidden.nodes + shown.hidden.edges > 0 {
            p class="hint" {
                (shown.hidden.nodes) " " (words.nodes) ", " (shown.hidden.edges) " " (words.edges) ", "
                (format::count(shown.hidden.requests)) " " (words.calls) " " (words.not_shown)
            }
        }
    }
}
