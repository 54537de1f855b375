//! The table of golden metrics: one row per node that received calls, the busiest first.

use meshlake_query::graph::{Graph, GraphNode};

use super::format;
use super::html::Text;
use super::{put, severity};

/// Columns of figures, and what each means.
const COLUMNS: [(&str, &str); 11] = [
    ("rate", "calls a second"),
    ("errors", "share of calls that failed: 5xx, failing gRPC codes, mesh faults"),
    ("4xx", "share of calls that the caller got wrong, rate limits included"),
    ("aborted", "share of calls whose caller went away"),
    ("p50", "half of the calls took at most this long"),
    ("p90", "nine of ten calls took at most this long"),
    ("p99", "99 of 100 calls took at most this long"),
    ("max", "the longest call"),
    ("in", "bytes of request bodies"),
    ("out", "bytes of response bodies"),
    ("busy", "calls in progress on average"),
];

/// Writes the table.
pub fn write(out: &mut String, graph: &Graph) {
    let mut rows: Vec<&GraphNode> = graph.nodes.iter().filter(|node| node.evidence.is_some()).collect();
    rows.sort_by(|a, b| {
        b.figures.rate.total_cmp(&a.figures.rate).then_with(|| a.identity.id.cmp(&b.identity.id))
    });
    out.push_str("<div class=scroll tabindex=0 role=region aria-label=\"Golden metrics\"><table><thead><tr>");
    out.push_str("<th scope=col class=text>service</th><th scope=col class=text>counted from</th>");
    for (name, meaning) in COLUMNS {
        put(out, format_args!("<th scope=col title=\"{meaning}\">{name}</th>"));
    }
    out.push_str("</tr></thead><tbody>");
    rows.into_iter().for_each(|node| row(out, node));
    out.push_str("</tbody></table></div>");
}

fn row(out: &mut String, node: &GraphNode) {
    let (identity, figures) = (&node.identity, &node.figures);
    let class = severity(figures.error_ratio);
    let share =
        |part: f64| format::percent(if figures.requests > 0.0 { part / figures.requests } else { 0.0 });
    let namespace = identity.namespace.as_deref().unwrap_or(identity.kind.name());
    put(
        out,
        format_args!(
            "<tr class={class}><th scope=row class=text><span class=\"dot {class}\"></span>{} <span class=hint>{}</span></th>\
             <td class=\"text hint\">{}</td>",
            Text(&identity.name),
            Text(namespace),
            node.evidence.map_or("", |evidence| evidence.name()),
        ),
    );
    let cells = [
        ("strong", format::rate(figures.rate)),
        ("ratio strong", format::percent(figures.error_ratio)),
        ("", share(figures.client_errors)),
        ("", share(figures.aborted)),
        ("", format::duration(figures.p50_ms)),
        ("", format::duration(figures.p90_ms)),
        ("strong", format::duration(figures.p99_ms)),
        ("", format::duration(figures.max_ms)),
        ("", format::bytes(figures.bytes_in)),
        ("", format::bytes(figures.bytes_out)),
        ("", busy(figures.concurrency)),
    ];
    for (class, text) in cells {
        put(out, format_args!("<td class=\"{class}\">{text}</td>"));
    }
    out.push_str("</tr>");
}

/// Concurrency with enough decimals to compare services that are hardly busy.
fn busy(concurrency: f64) -> String {
    if concurrency > 0.0 && concurrency < 0.01 { "<0.01".to_owned() } else { format!("{concurrency:.2}") }
}
