//! The first page: golden metrics and the service graph as plain HTML and SVG, without a script.
//!
//! Rendered on the server, because a page that needs nothing loads in any browser, in a locked-down network,
//! and under a policy that forbids every script; and because a name that came over the network can then only
//! ever be text (`html.rs` escapes it). Pure: data in, text out; `answer` gathers the data.
//! Limits: the graph draws the busiest [`drawing::NODES_DRAWN_MAX`] nodes; the table lists all.

mod answer;
mod guide;
mod table;
pub mod drawing;
mod layout;
pub mod diagnosis;
pub mod format;
mod html;

use std::fmt::Write as _;

use axum::Router;
use axum::routing::get;
use meshlake_query::NodeKind;
use meshlake_query::graph::{Graph, GraphEdge};
use meshlake_query::ledger::Account;
use meshlake_schema::UnixNanos;

use crate::{Endpoints, FaceState};
use diagnosis::Diagnosis;
use html::Text;

/// The stylesheet, served beside the page: the content security policy allows no inline style.
pub const STYLE: &str = include_str!("../../../../dashboards/ui/style.css");

/// The icon of the page.
pub const ICON: &str = include_str!("../../../../dashboards/ui/icon.svg");

/// The page, its stylesheet and its icon.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(answer::answer))
        .route("/style.css", get(answer::style))
        .route("/icon.svg", get(answer::icon))
}

/// The ranges that the page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    FiveMinutes,
    #[default]
    FifteenMinutes,
    Hour,
}

impl Window {
    pub const ALL: [Window; 3] = [Window::FiveMinutes, Window::FifteenMinutes, Window::Hour];

    /// As it stands in the address.
    pub const fn name(self) -> &'static str {
        match self {
            Window::FiveMinutes => "5m",
            Window::FifteenMinutes => "15m",
            Window::Hour => "1h",
        }
    }

    pub const fn minutes(self) -> u64 {
        match self {
            Window::FiveMinutes => 5,
            Window::FifteenMinutes => 15,
            Window::Hour => 60,
        }
    }
}

/// What of the past a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Up to now.
    Last(Window),
    /// Always the same: an import of old lines is seen by it.
    Fixed { from: UnixNanos, to: UnixNanos },
}

impl Span {
    /// As it stands in the address.
    fn query(self) -> String {
        match self {
            Span::Last(window) => format!("range={}", window.name()),
            Span::Fixed { from, to } => format!("from={}&amp;to={}", from.to_rfc3339(), to.to_rfc3339()),
        }
    }
}

/// How often the page may load itself, in seconds.
pub const REFRESH_SECONDS: [u64; 2] = [10, 60];

/// Everything the page shows.
#[derive(Debug, Clone)]
pub struct Page {
    pub span: Span,
    /// Loads itself again after so many seconds.
    pub refresh_seconds: Option<u64>,
    /// From and to.
    pub range_text: (String, String),
    /// When data began, if that was within the range: rates are from there.
    pub data_since: Option<String>,
    pub tenant: String,
    pub graph: Graph,
    /// What became of all that was received, ever.
    pub ledger: Vec<Account>,
    pub diagnosis: Diagnosis,
    pub endpoints: Endpoints,
}

impl Page {
    /// The page as HTML.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(32 * 1024);
        self.head(&mut out);
        self.bar(&mut out);
        out.push_str("<main>");
        self.summary(&mut out);
        diagnosis::write(&mut out, &self.diagnosis);
        warnings(&mut out, &self.graph.warnings);
        if !self.graph.nodes.is_empty() {
            out.push_str("<section aria-labelledby=graph><h2 id=graph>Service graph</h2>");
            drawing::write(&mut out, &self.graph);
            out.push_str("</section><section aria-labelledby=golden><h2 id=golden>Golden metrics</h2>");
            table::write(&mut out, &self.graph);
            out.push_str("</section>");
        }
        diagnosis::write_ledger(&mut out, &self.ledger);
        guide::write(&mut out, &self.endpoints, self.graph.nodes.is_empty());
        out.push_str("</main></body></html>\n");
        out
    }

    fn head(&self, out: &mut String) {
        out.push_str(
            "<!doctype html><html lang=en><head><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\
             <meta name=color-scheme content=\"light dark\"><title>meshlake</title>\
             <link rel=stylesheet href=/style.css><link rel=icon href=/icon.svg type=image/svg+xml>",
        );
        if let Some(seconds) = self.refresh_seconds {
            put(out, format_args!("<meta http-equiv=refresh content={seconds}>"));
        }
        out.push_str("</head><body>");
    }

    /// The bar at the top: range and refresh, each a plain link.
    fn bar(&self, out: &mut String) {
        out.push_str("<header><a class=brand href=/><span class=mark aria-hidden=true></span>meshlake</a>");
        out.push_str("<nav aria-label=\"Time range\">");
        for window in Window::ALL {
            let span = Span::Last(window);
            self.link(out, span, self.refresh_seconds, window.name(), span == self.span);
        }
        out.push_str("</nav><nav aria-label=\"Automatic refresh\"><span class=hint>refresh</span>");
        self.link(out, self.span, None, "off", self.refresh_seconds.is_none());
        for seconds in REFRESH_SECONDS {
            let text = format!("{seconds} s");
            self.link(out, self.span, Some(seconds), &text, self.refresh_seconds == Some(seconds));
        }
        let (from, to) = &self.range_text;
        put(
            out,
            format_args!("</nav><p class=range><time>{}</time> to <time>{}</time>", Text(from), Text(to)),
        );
        if let Some(since) = &self.data_since {
            put(out, format_args!("<span class=hint> data since <time>{}</time></span>", Text(since)));
        }
        put(out, format_args!("<span class=hint> tenant {}</span></p></header>", Text(&self.tenant)));
    }

    fn link(&self, out: &mut String, span: Span, refresh: Option<u64>, text: &str, is_current: bool) {
        let refresh = refresh.map(|seconds| format!("&amp;refresh={seconds}")).unwrap_or_default();
        let current = if is_current { " aria-current=true" } else { "" };
        let span = span.query();
        put(out, format_args!("<a href=\"/?{span}{refresh}\"{current}>{text}</a>"));
    }

    /// Four figures of the whole mesh. The rate is of calls that entered: summing over nodes would count a
    /// request again at every hop.
    fn summary(&self, out: &mut String) {
        if self.graph.nodes.is_empty() {
            return;
        }
        let services = self.graph.nodes.iter().filter(|node| node.identity.kind == NodeKind::Service).count();
        let edges = &self.graph.edges;
        let calls: f64 = edges.iter().map(|edge| edge.figures.requests).sum();
        let errors: f64 = edges.iter().map(|edge| edge.figures.errors).sum();
        let ratio = if calls > 0.0 { errors / calls } else { 0.0 };
        let is_outside = |edge: &&GraphEdge| self.graph.nodes[edge.source].identity.kind == NodeKind::Client;
        let rate: f64 = edges.iter().map(|edge| edge.figures.rate).sum();
        let entered: f64 = edges.iter().filter(is_outside).map(|edge| edge.figures.rate).sum();
        let tiles = [
            ("services", services.to_string(), ""),
            ("calls between nodes", format::rate(rate), ""),
            ("calls from outside", format::rate(entered), ""),
            ("errors of all calls", format::percent(ratio), severity(ratio)),
        ];
        out.push_str("<dl class=tiles>");
        for (name, value, class) in tiles {
            put(out, format_args!("<div class=\"tile {class}\"><dt>{name}</dt><dd>{value}</dd></div>"));
        }
        out.push_str("</dl>");
    }
}

/// The class of an error ratio: nothing to see below 1 %, an alarm from 5 %. Common alerting practice; a
/// service's own objective would be better and is not known.
fn severity(error_ratio: f64) -> &'static str {
    match error_ratio {
        ratio if ratio >= 0.05 => "bad",
        ratio if ratio >= 0.01 => "warn",
        _ => "good",
    }
}

fn warnings(out: &mut String, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    out.push_str("<aside class=\"note warn\" aria-label=Warnings><ul>");
    for warning in warnings {
        put(out, format_args!("<li>{}</li>", Text(warning)));
    }
    out.push_str("</ul></aside>");
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests;
