//! Draws a sketch as inline SVG: boxes by layer, curves by rate, colours by error ratio.
//!
//! Colour never stands alone: every edge says its figures in words, and every node and edge has a `<title>` with all of
//! them, which browsers show as a tooltip and screen readers read; both are links.

use maud::{Markup, html};

use super::layout::{Layout, Place, layout};
use super::sketch::{Line, Node, Sketch};
use crate::ui::text::{Text, shortened};
use crate::ui::words::Words;

/// Sizes in drawing units, which are pixels when the drawing is not scaled.
const NODE_WIDTH: f64 = 170.0;
const NODE_HEIGHT: f64 = 66.0;
const COLUMN_GAP: f64 = 128.0;
const PADDING: f64 = 18.0;
const LABEL_HEIGHT: f64 = 28.0;
/// Width of a character of a label's second line, on average, and the space around it.
const LABEL_CHAR_WIDTH: f64 = 5.9;
const LABEL_MARGIN: f64 = 6.0;

/// A drawing of more than this width, in drawing units, may be shrunk to it but no further.
const WIDE: f64 = 1_080.0;

/// Characters that fit a node's width.
const NAME_CHARS_MAX: usize = 20;

/// Edges that are labelled; of more, labels would cover one another, and looking for room takes time by their square.
const LABELS_MAX: usize = 150;

/// Where along its curve a label is tried, in this order: the middle is best, the ends are crowded.
const LABEL_SPOTS: [f64; 9] = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7];

/// How far off its curve a label is tried when there is no room on it; half its height still touches.
const LABEL_NUDGES: [f64; 3] = [0.0, -14.0, 14.0];

/// The drawing, with its legend.
pub fn drawing(sketch: &Sketch, words: &Words) -> Markup {
    let pairs: Vec<(usize, usize)> = sketch.lines.iter().map(|line| line.ends).collect();
    let layout = layout(sketch.nodes.len(), &pairs);
    let columns = layout.layer_count as f64;
    let width = PADDING * 2.0 + columns * NODE_WIDTH + (columns - 1.0).max(0.0) * COLUMN_GAP;
    let height = PADDING * 2.0 + layout.height;
    let curves: Vec<Curve> =
        pairs.iter().zip(&layout.routes).map(|(ends, route)| Curve::of(*ends, route)).collect();
    let rate_max = sketch.lines.iter().map(|line| line.rate).fold(0.0, f64::max);
    let mut labels = Labels::around(&layout);
    let is_labelled = sketch.lines.len() <= LABELS_MAX;
    // A wide drawing shrinks to the page, but not below what can be read; a narrow one is not blown up.
    let class = if width > WIDE { "graph wide" } else { "graph" };
    let (width, height) = (format!("{width:.0}"), format!("{height:.0}"));
    let counts = format!("{} {}, {} {}", sketch.nodes.len(), words.nodes, sketch.lines.len(), words.edges);
    html! {
        div class="scroll" tabindex="0" role="group" aria-label=(words.graph) {
            svg class=(class) role="group" aria-label=(counts) viewBox={ "0 0 " (width) " " (height) }
                width=(width) height=(height) xmlns="http://www.w3.org/2000/svg" {
                (arrow_heads())
                // All lines first: a label must not lie under another edge's line.
                @for (line, curve) in sketch.lines.iter().zip(&curves) { (drawn_line(line, curve, rate_max)) }
                @if is_labelled {
                    @for (line, curve) in sketch.lines.iter().zip(&curves) { (drawn_label(line, curve, &mut labels)) }
                }
                @for (node, place) in sketch.nodes.iter().zip(&layout.nodes) { (drawn_node(node, point(*place))) }
            }
        }
        p class="legend" {
            span class="key good" {} (words.errors_below_one) " "
            span class="key warn" {} (words.errors_one_to_five) " "
            span class="key bad" {} (words.errors_from_five) ". "
            (words.graph_legend)
            @if sketch.left_out > 0 { " " (sketch.left_out) " " (words.nodes_not_drawn) }
        }
    }
}

fn point(place: Place) -> (f64, f64) {
    let column = place.layer as f64 * (NODE_WIDTH + COLUMN_GAP);
    (PADDING + column + NODE_WIDTH / 2.0, PADDING + place.y)
}

/// A path of cubic curves.
struct Curve {
    start: (f64, f64),
    parts: Vec<[(f64, f64); 3]>,
}

impl Curve {
    fn of(ends: (usize, usize), route: &[Place]) -> Curve {
        if ends.0 == ends.1 { Curve::around(point(route[0])) } else { Curve::along(route) }
    }

    /// From the right side of the source to the left side of the target, level at both ends and at each
    /// bend; the other way round for an edge that points back.
    fn along(route: &[Place]) -> Curve {
        let points: Vec<(f64, f64)> = route.iter().map(|place| point(*place)).collect();
        let direction =
            if route.first().map(|p| p.layer) <= route.last().map(|p| p.layer) { 1.0 } else { -1.0 };
        let (first, last) = (points[0], points[points.len() - 1]);
        let start = (first.0 + direction * NODE_WIDTH / 2.0, first.1);
        // The arrow's head takes six units before the box.
        let end = (last.0 - direction * (NODE_WIDTH / 2.0 + 6.0), last.1);
        let mut parts = Vec::new();
        let mut from = start;
        for (at, bend) in points.iter().enumerate().skip(1) {
            let is_last = at == points.len() - 1;
            // A bend is as long as a box is wide, so that the edge passes boxes of its layer level.
            let enter = if is_last { end } else { (bend.0 - direction * NODE_WIDTH / 2.0, bend.1) };
            let middle = (from.0 + enter.0) / 2.0;
            parts.push([(middle, from.1), (middle, enter.1), enter]);
            from = enter;
            if !is_last {
                let leave = (bend.0 + direction * NODE_WIDTH / 2.0, bend.1);
                parts.push([from, leave, leave]);
                from = leave;
            }
        }
        Curve { start, parts }
    }

    /// A loop over a node that calls itself.
    fn around((x, y): (f64, f64)) -> Curve {
        let top = y - NODE_HEIGHT / 2.0;
        let part = [(x + 46.0, top - 26.0), (x - 46.0, top - 26.0), (x - 22.0, top - 5.0)];
        Curve { start: (x + 22.0, top), parts: vec![part] }
    }

    fn path(&self) -> String {
        let mut path = format!("M{:.1} {:.1}", self.start.0, self.start.1);
        for [a, b, end] in &self.parts {
            path.push_str(&format!("C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", a.0, a.1, b.0, b.1, end.0, end.1));
        }
        path
    }

    /// Points where a label may stand, best first: along the first and the last part.
    fn spots(&self) -> Vec<(f64, f64)> {
        let last = self.parts.len() - 1;
        let mut spots = Vec::new();
        for nudge in LABEL_NUDGES {
            for spot in LABEL_SPOTS {
                for part in [0, last] {
                    let (x, y) = self.at(part, spot);
                    spots.push((x, y + nudge));
                }
            }
        }
        spots
    }

    /// The point at `t` of a part: B(t) of a cubic Bezier curve.
    fn at(&self, part: usize, t: f64) -> (f64, f64) {
        let from = if part == 0 { self.start } else { self.parts[part - 1][2] };
        let [a, b, end] = self.parts[part];
        let u = 1.0 - t;
        let mix = |p: f64, q: f64, r: f64, s: f64| {
            u * u * u * p + 3.0 * u * u * t * q + 3.0 * u * t * t * r + t * t * t * s
        };
        (mix(from.0, a.0, b.0, end.0), mix(from.1, a.1, b.1, end.1))
    }
}

/// What is in the way of labels: boxes, and labels placed before. Middle, width, height.
struct Labels(Vec<((f64, f64), f64, f64)>);

impl Labels {
    fn around(layout: &Layout) -> Labels {
        Labels(layout.nodes.iter().map(|place| (point(*place), NODE_WIDTH, NODE_HEIGHT)).collect())
    }

    /// The first spot that is free; the first of all if none is.
    fn place(&mut self, spots: &[(f64, f64)], label_width: f64) -> (f64, f64) {
        let is_free = |spot: &&(f64, f64)| {
            !self.0.iter().any(|((x, y), width, height)| {
                (spot.0 - x).abs() < (width + label_width) / 2.0
                    && (spot.1 - y).abs() < (height + LABEL_HEIGHT) / 2.0
            })
        };
        let spot = *spots.iter().find(is_free).unwrap_or(&spots[0]);
        self.0.push((spot, label_width, LABEL_HEIGHT));
        spot
    }
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
    html! {
        g class={ "edge " (line.severity) } {
            title { (Text(&line.title)) }
            path d=(curve.path()) stroke-width=(width) marker-end={ "url(#head-" (line.severity) ")" } {}
        }
    }
}

fn drawn_label(line: &Line, curve: &Curve, labels: &mut Labels) -> Markup {
    let chars = line.label.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let width = chars as f64 * LABEL_CHAR_WIDTH + LABEL_MARGIN;
    let (x, y) = labels.place(&curve.spots(), width);
    let [first, second] = &line.label;
    let units = |value: f64| format!("{value:.1}");
    html! {
        a class={ "edge " (line.severity) } href=(line.link) {
            title { (Text(&line.title)) }
            rect x=(units(x - width / 2.0)) y=(units(y - LABEL_HEIGHT / 2.0)) width=(units(width))
                height=(units(LABEL_HEIGHT)) rx="5" {}
            text x=(units(x)) y=(units(y - 2.0)) { (first) }
            text class="detail" x=(units(x)) y=(units(y + 10.0)) { (second) }
        }
    }
}

fn drawn_node(node: &Node, (x, y): (f64, f64)) -> Markup {
    let (left, top) = (x - NODE_WIDTH / 2.0, y - NODE_HEIGHT / 2.0);
    let radius = if node.is_outside { 20 } else { 9 };
    let units = |value: f64| format!("{value:.1}");
    html! {
        a class={ "node " (node.class) } href=(node.link) {
            title { (Text(&node.title)) }
            rect x=(units(left)) y=(units(top)) width=(units(NODE_WIDTH)) height=(units(NODE_HEIGHT)) rx=(radius) {}
            text class="name" x=(units(x)) y=(units(top + 22.0)) { (Text(&shortened(&node.name, NAME_CHARS_MAX))) }
            text class="kind" x=(units(x)) y=(units(top + 38.0)) { (Text(&shortened(&node.place, NAME_CHARS_MAX + 6))) }
            text class="figures" x=(units(x)) y=(units(top + 55.0)) { (node.figures) }
        }
    }
}
