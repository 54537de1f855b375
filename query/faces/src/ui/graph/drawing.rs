//! Draws a sketch as SVG: boxes by layer, curves by rate, colours by error ratio.
//!
//! Colour never stands alone: every edge says its figures in words, and every node and edge has a `<title>` with all of
//! them, which browsers show as a tooltip and screen readers read; both are links. `data-node` and `data-ends` are places
//! in the drawing, by which `dashboards/ui/graph.js` knows neighbours; the rest of what it needs is in the drawing itself.

use maud::{Markup, PreEscaped, html};

use super::curve::{Curve, NODE_HEIGHT, PADDING, point};
use super::layout::{Layout, NODE_WIDTH, layout};
use super::sketch::{Line, Node, Sketch};
use super::spots::{LABEL_HEIGHT, Labels};
use crate::ui::assets::GRAPH_STYLE;
use crate::ui::text::{Text, shortened};
use crate::ui::words::Words;

/// Width of a character of a label's second line, on average, and the space around it.
const LABEL_CHAR_WIDTH: f64 = 5.9;
const LABEL_MARGIN: f64 = 6.0;

/// A drawing of more than this width, in drawing units, may be shrunk to it but no further.
const WIDE: f64 = 1_080.0;

/// Characters that fit a node's width.
const NAME_CHARS_MAX: usize = 20;

/// Edges that are labelled; of more, labels would cover one another, and looking for room takes time by their square.
const LABELS_MAX: usize = 150;

/// Behind the figures of an edge whose two ends do not agree.
const PARTIAL: &str = " ◐";

/// The drawing with its legend and its controls, and the way to `saved`, the same as a file.
pub fn drawing(sketch: &Sketch, words: &Words, saved: Option<&str>) -> Markup {
    html! {
        div class="view" data-part="graph" {
            (tools(words))
            div class="scroll" tabindex="0" role="group" aria-label=(words.graph) { (svg(sketch, words, false)) }
        }
        (legend(sketch, words, saved))
    }
}

/// The drawing as a file of its own, without links, which would lead nowhere from there.
pub fn file(sketch: &Sketch, words: &Words) -> String {
    let declaration = PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    html! { (declaration) (svg(sketch, words, true)) }.into_string()
}

/// Buttons that only scripts can answer, and that only they show.
fn tools(words: &Words) -> Markup {
    let words = &words.of_mesh;
    let tools = [("in", "+", words.zoom_in), ("out", "−", words.zoom_out), ("fit", "⤢", words.fit)];
    html! {
        div class="tools" role="group" aria-label=(words.view) {
            @for (name, sign, meaning) in tools {
                button type="button" data-do=(name) title=(meaning) aria-label=(meaning) { (sign) }
            }
            span class="hint" { (words.how_to_move) }
        }
    }
}

fn legend(sketch: &Sketch, words: &Words, saved: Option<&str>) -> Markup {
    let of_mesh = &words.of_mesh;
    html! {
        p class="legend" {
            span class="key good" {} (words.errors_below_one) " "
            span class="key warn" {} (words.errors_one_to_five) " "
            span class="key bad" {} (words.errors_from_five) ". "
            (words.graph_legend) " " (of_mesh.dashed_means) " " (PARTIAL) " " (of_mesh.partial_means)
            @if sketch.is_compared {
                " " span class="key appeared" {} (of_mesh.appeared)
                " " span class="key vanished" {} (of_mesh.vanished)
                " " span class="key worse" {} (of_mesh.worse)
                " " span class="key better" {} (of_mesh.better)
            }
            @if sketch.left_out > 0 { " " (sketch.left_out) " " (words.nodes_not_drawn) }
            @if sketch.edges_left_out > 0 { " " (sketch.edges_left_out) " " (of_mesh.edges_not_drawn) }
            @if let Some(saved) = saved { " " a href=(saved) download="mesh.svg" { (of_mesh.save_as_svg) } }
        }
    }
}

fn svg(sketch: &Sketch, words: &Words, is_file: bool) -> Markup {
    let pairs: Vec<(usize, usize)> = sketch.lines.iter().map(|line| line.ends).collect();
    let layout = layout(sketch.nodes.len(), &pairs);
    let (width, height) = size(&layout);
    let curves: Vec<Curve> =
        pairs.iter().zip(&layout.routes).map(|(ends, route)| Curve::of(*ends, route)).collect();
    let rate_max = sketch.lines.iter().map(|line| line.rate).fold(0.0, f64::max);
    let mut labels = Labels::around(&layout);
    let is_labelled = sketch.lines.len() <= LABELS_MAX;
    // A wide drawing shrinks to the page, but not below what can be read; a narrow one is not blown up.
    let class = if width > WIDE { "graph wide" } else { "graph" };
    let class = if is_labelled { class.to_owned() } else { format!("{class} many") };
    let (width, height) = (format!("{width:.0}"), format!("{height:.0}"));
    let counts = format!("{} {}, {} {}", sketch.nodes.len(), words.nodes, sketch.lines.len(), words.edges);
    let link = |link: &str| (!is_file).then(|| link.to_owned());
    html! {
        svg class=(class) role="group" aria-label=(counts) viewBox={ "0 0 " (width) " " (height) }
            width=(width) height=(height) xmlns="http://www.w3.org/2000/svg" {
            @if is_file {
                style { (PreEscaped(GRAPH_STYLE)) }
                rect class="ground" width=(width) height=(height) {}
            }
            (arrow_heads())
            // All lines first: a label must not lie under another edge's line.
            @for (line, curve) in sketch.lines.iter().zip(&curves) { (drawn_line(line, curve, rate_max)) }
            @if is_labelled {
                @for (line, curve) in sketch.lines.iter().zip(&curves) {
                    (drawn_label(line, link(&line.link), curve, &mut labels))
                }
            }
            @for (at, (node, place)) in sketch.nodes.iter().zip(&layout.nodes).enumerate() {
                (drawn_node(node, at, link(&node.link), point(*place)))
            }
        }
    }
}

fn size(layout: &Layout) -> (f64, f64) {
    (PADDING * 2.0 + layout.width, PADDING * 2.0 + layout.height)
}

fn arrow_heads() -> Markup {
    html! {
        defs {
            @for class in ["good", "warn", "bad"] {
                marker id={ "head-" (class) } class={ "head " (class) } viewBox="0 0 8 8" refX="2" refY="4"
                    markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto" {
                    path d="M0 0L8 4L0 8z" {}
                }
            }
        }
    }
}

fn drawn_line(line: &Line, curve: &Curve, rate_max: f64) -> Markup {
    // The square root keeps a call a second visible beside a thousand.
    let share = if rate_max > 0.0 { (line.rate / rate_max).sqrt() } else { 0.0 };
    let width = format!("{:.1}", 1.4 + 4.0 * share);
    let ends = format!("{} {}", line.ends.0, line.ends.1);
    html! {
        g class={ "edge " (line.class) } data-key={ "e " (Text(&line.key)) } data-ends=(ends) {
            title { (Text(&line.title)) }
            path d=(curve.path()) stroke-width=(width) marker-end={ "url(#head-" (line.severity) ")" } {}
        }
    }
}

fn drawn_label(line: &Line, link: Option<String>, curve: &Curve, labels: &mut Labels) -> Markup {
    let [first, second] = &line.label;
    let is_partial = line.class.split(' ').any(|class| class == "partial");
    let second = format!("{second}{}", if is_partial { PARTIAL } else { "" });
    let chars = first.chars().count().max(second.chars().count());
    let width = chars as f64 * LABEL_CHAR_WIDTH + LABEL_MARGIN;
    let (x, y) = labels.place(&curve.spots(), width);
    let units = |value: f64| format!("{value:.1}");
    let ends = format!("{} {}", line.ends.0, line.ends.1);
    html! {
        a class={ "edge " (line.class) } href=[link] data-key={ "l " (Text(&line.key)) } data-ends=(ends) {
            title { (Text(&line.title)) }
            rect x=(units(x - width / 2.0)) y=(units(y - LABEL_HEIGHT / 2.0)) width=(units(width))
                height=(units(LABEL_HEIGHT)) rx="5" {}
            text x=(units(x)) y=(units(y - 2.0)) { (first) }
            text class="detail" x=(units(x)) y=(units(y + 10.0)) { (second) }
        }
    }
}

fn drawn_node(node: &Node, at: usize, link: Option<String>, (x, y): (f64, f64)) -> Markup {
    let (left, top) = (x - NODE_WIDTH / 2.0, y - NODE_HEIGHT / 2.0);
    let radius = if node.is_outside { 20 } else { 9 };
    let units = |value: f64| format!("{value:.1}");
    html! {
        a class={ "node " (node.class) } href=[link] data-key=(Text(&node.key)) data-node=(at) {
            title { (Text(&node.title)) }
            rect x=(units(left)) y=(units(top)) width=(units(NODE_WIDTH)) height=(units(NODE_HEIGHT)) rx=(radius) {}
            text class="name" x=(units(x)) y=(units(top + 22.0)) { (Text(&shortened(&node.name, NAME_CHARS_MAX))) }
            text class="kind" x=(units(x)) y=(units(top + 38.0)) { (Text(&shortened(&node.place, NAME_CHARS_MAX + 6))) }
            text class="figures" x=(units(x)) y=(units(top + 55.0)) { (node.figures) }
        }
    }
}
