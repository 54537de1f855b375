//! Draws the service graph as inline SVG: boxes by layer, curves by rate, colours by error ratio.
//!
//! Colour never stands alone: every edge says its rate, error ratio and p99 in words, and every node and
//! edge has a `<title>` with all figures, which browsers show as a tooltip and screen readers read.

use std::collections::HashMap;

use meshlake_query::NodeKind;
use meshlake_query::graph::{Graph, GraphEdge, GraphNode};

use super::format;
use super::html::{Text, shortened};
use super::layout::{Layout, Place, layout};
use super::{put, severity};

/// Most nodes that are drawn; a drawing of more is a tangle that `/api/v1/graph?focus=` answers better.
pub const NODES_DRAWN_MAX: usize = 48;

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

/// Where along its curve a label is tried, in this order: the middle is best, the ends are crowded.
const LABEL_SPOTS: [f64; 9] = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7];

/// How far off its curve a label is tried when there is no room on it; half its height still touches.
const LABEL_NUDGES: [f64; 3] = [0.0, -14.0, 14.0];

/// Writes the drawing of the busiest nodes and the edges between them.
pub fn write(out: &mut String, graph: &Graph) {
    let drawn = busiest(graph);
    let places: HashMap<usize, usize> = drawn.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let ends = |edge: &GraphEdge| Some((*places.get(&edge.source)?, *places.get(&edge.target)?));
    let edges: Vec<(&GraphEdge, (usize, usize))> =
        graph.edges.iter().filter_map(|edge| Some((edge, ends(edge)?))).collect();
    let pairs: Vec<(usize, usize)> = edges.iter().map(|(_, ends)| *ends).collect();
    let layout = layout(drawn.len(), &pairs);
    let columns = layout.layer_count as f64;
    let width = PADDING * 2.0 + columns * NODE_WIDTH + (columns - 1.0).max(0.0) * COLUMN_GAP;
    let height = PADDING * 2.0 + layout.height;
    // A wide drawing shrinks to the page, but not below what can be read; a narrow one is not blown up.
    let class = if width > WIDE { "graph wide" } else { "graph" };
    put(
        out,
        format_args!(
            "<div class=scroll tabindex=0 role=region aria-label=\"Service graph\"><svg class=\"{class}\" role=img \
             aria-label=\"{} nodes and {} edges\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" xmlns=\"http://www.w3.org/2000/svg\">",
            drawn.len(),
            edges.len()
        ),
    );
    arrow_heads(out);
    let mut labels = Labels::around(&layout);
    let rate_max = edges.iter().map(|(edge, _)| edge.figures.rate).fold(0.0, f64::max);
    // All lines first: a label must not lie under another edge's line.
    let mut words = String::new();
    for (place, (edge, (from, to))) in edges.iter().enumerate() {
        let curve = if from == to {
            Curve::around(point(layout.nodes[*from]))
        } else {
            Curve::along(&layout.routes[place])
        };
        write_line(out, graph, edge, &curve, rate_max);
        write_label(&mut words, graph, edge, &curve, &mut labels);
    }
    out.push_str(&words);
    for (node, place) in drawn.iter().zip(&layout.nodes) {
        write_node(out, &graph.nodes[*node], point(*place));
    }
    out.push_str("</svg></div>");
    legend(out, graph.nodes.len() - drawn.len());
}

/// The places of the nodes with the most calls in and out, in the order of their ids.
fn busiest(graph: &Graph) -> Vec<usize> {
    let mut calls = vec![0.0; graph.nodes.len()];
    for edge in &graph.edges {
        calls[edge.source] += edge.figures.requests;
        calls[edge.target] += edge.figures.requests;
    }
    let mut order: Vec<usize> = (0..graph.nodes.len()).collect();
    order.sort_by(|a, b| calls[*b].total_cmp(&calls[*a]).then(a.cmp(b)));
    order.truncate(NODES_DRAWN_MAX);
    order.sort_unstable();
    order
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

fn arrow_heads(out: &mut String) {
    out.push_str("<defs>");
    for class in ["good", "warn", "bad"] {
        put(
            out,
            format_args!(
                "<marker id=head-{class} class=\"head {class}\" viewBox=\"0 0 8 8\" refX=2 refY=4 markerWidth=9 \
                 markerHeight=9 markerUnits=userSpaceOnUse orient=auto><path d=\"M0 0L8 4L0 8z\"/></marker>"
            ),
        );
    }
    out.push_str("</defs>");
}

fn write_line(out: &mut String, graph: &Graph, edge: &GraphEdge, curve: &Curve, rate_max: f64) {
    let class = severity(edge.figures.error_ratio);
    // The square root keeps a call a second visible beside a thousand.
    let share = if rate_max > 0.0 { (edge.figures.rate / rate_max).sqrt() } else { 0.0 };
    put(
        out,
        format_args!(
            "<g class=\"edge {class}\">{}<path d=\"{}\" stroke-width=\"{:.1}\" marker-end=\"url(#head-{class})\"/></g>",
            Title { graph, edge },
            curve.path(),
            1.4 + 4.0 * share,
        ),
    );
}

fn write_label(out: &mut String, graph: &Graph, edge: &GraphEdge, curve: &Curve, labels: &mut Labels) {
    let figures = &edge.figures;
    let class = severity(figures.error_ratio);
    let rate = format::rate(figures.rate);
    let detail = format!("{} · {}", format::percent(figures.error_ratio), format::duration(figures.p99_ms));
    let chars = rate.chars().count().max(detail.chars().count());
    let width = chars as f64 * LABEL_CHAR_WIDTH + LABEL_MARGIN;
    let (x, y) = labels.place(&curve.spots(), width);
    put(
        out,
        format_args!(
            "<g class=\"edge {class}\">{}<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{LABEL_HEIGHT}\" \
             rx=5 /><text x=\"{x:.1}\" y=\"{:.1}\">{rate}</text><text class=detail x=\"{x:.1}\" y=\"{:.1}\">{detail}</text></g>",
            Title { graph, edge },
            x - width / 2.0,
            y - LABEL_HEIGHT / 2.0,
            y - 2.0,
            y + 10.0,
        ),
    );
}

/// All that is known of an edge, as its tooltip.
struct Title<'a> {
    graph: &'a Graph,
    edge: &'a GraphEdge,
}

impl std::fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [source, target] =
            [self.edge.source, self.edge.target].map(|end| &self.graph.nodes[end].identity.id);
        write!(f, "<title>{} → {}\n{}</title>", Text(source), Text(target), Text(&edge_words(self.edge)))
    }
}

fn edge_words(edge: &GraphEdge) -> String {
    let figures = &edge.figures;
    let mut words = format!(
        "{} · {} calls, {} errors, {} retries, {} refused\np50 {} · p90 {} · p99 {}\ncounted from {}",
        edge.protocol.name(),
        format::count(figures.requests),
        format::count(figures.errors),
        format::count(edge.retries),
        format::count(edge.refused),
        format::duration(figures.p50_ms),
        format::duration(figures.p90_ms),
        format::duration(figures.p99_ms),
        edge.evidence.name(),
    );
    if let Some(completeness) = edge.completeness {
        words.push_str(&format!(", both ends agree on {}", format::percent(completeness)));
    }
    words
}

fn write_node(out: &mut String, node: &GraphNode, (x, y): (f64, f64)) {
    let identity = &node.identity;
    let figures = &node.figures;
    let (left, top) = (x - NODE_WIDTH / 2.0, y - NODE_HEIGHT / 2.0);
    let kind = identity.kind.name();
    let class = if node.evidence.is_some() { severity(figures.error_ratio) } else { "good" };
    let name = if identity.kind == NodeKind::Client { "outside callers" } else { &identity.name };
    let place = identity.namespace.as_deref().map(|namespace| format!(" · {namespace}")).unwrap_or_default();
    let radius = if matches!(identity.kind, NodeKind::Client | NodeKind::External) { 20 } else { 9 };
    put(
        out,
        format_args!(
            "<g class=\"node {kind} {class}\"><title>{} ({kind})\n{} calls, {} errors\np50 {} · p90 {} · p99 {}</title>\
             <rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx={radius} />\
             <text class=name x=\"{x:.1}\" y=\"{:.1}\">{}</text><text class=kind x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            Text(&identity.id),
            format::count(figures.requests),
            format::count(figures.errors),
            format::duration(figures.p50_ms),
            format::duration(figures.p90_ms),
            format::duration(figures.p99_ms),
            top + 22.0,
            Text(&shortened(name, NAME_CHARS_MAX)),
            top + 38.0,
            Text(&shortened(&format!("{kind}{place}"), NAME_CHARS_MAX + 6)),
        ),
    );
    if node.evidence.is_some() {
        put(
            out,
            format_args!(
                "<text class=figures x=\"{x:.1}\" y=\"{:.1}\">{} · {} · {}</text>",
                top + 55.0,
                format::rate(figures.rate),
                format::percent(figures.error_ratio),
                format::duration(figures.p99_ms),
            ),
        );
    }
    out.push_str("</g>");
}

fn legend(out: &mut String, left_out: usize) {
    out.push_str(
        "<p class=legend><span class=\"key good\"></span>errors below 1 % <span class=\"key warn\"></span>1 to 5 % \
         <span class=\"key bad\"></span>5 % and more. On each edge: calls a second, errors, p99. Wider is busier; \
         hover or focus for all figures.",
    );
    if left_out > 0 {
        put(
            out,
            format_args!(" {left_out} less busy nodes are not drawn; <code>/api/v1/graph</code> has them."),
        );
    }
    out.push_str("</p>");
}
