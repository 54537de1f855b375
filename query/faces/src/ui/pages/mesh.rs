//! `/`: what is wrong in the mesh, then the mesh: graph and golden metrics of every node.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::answers::troubles::{Trouble, troubles};
use meshlake_query::calls::{LoadError, load_from};
use meshlake_query::graph::{Graph, GraphEdge, GraphNode, graph};
use meshlake_query::ledger::accounts;
use meshlake_query::measure::total;
use meshlake_query::services::newest;
use meshlake_query::shown::{DEPTH_DEFAULT, Focus, Wanted};
use meshlake_query::{By, Frame, Grain, NodeKind, Picture, Query, Question, Range, Source};

use super::diagnosis::{Diagnosis, Heard};
use super::{Failure, answer, data_since, diagnosis, figures, shown as shown_or_why};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::graph::{Label, Sketch, drawing};
use crate::ui::shell::{Page, Place, cell, kept, notes, section, table, text};
use crate::ui::text::Text;
use crate::ui::{format, severity};

/// How far before the range its latencies and rates are compared with.
const BEFORE: Duration = Duration::from_secs(3_600);

/// Troubles that are told; the graph shows the rest.
const TROUBLES_MAX: usize = 12;

/// How far from the focus a graph may be asked to reach.
const DEPTH_MAX: usize = 5;

/// What of the mesh is asked for, as it stands in the address.
struct Filters<'a> {
    wanted: Wanted<'a>,
    by: By,
    label: Label,
    is_whole: bool,
    complaints: Vec<String>,
}

impl<'a> Filters<'a> {
    fn of(asked: &'a Asked) -> Filters<'a> {
        let mut complaints = Vec::new();
        let mut number = |name: &str| {
            let text = asked.get(name)?;
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            if number.is_none() {
                complaints.push(format!("{}: {name}={text}", asked.words().no_number));
            }
            number
        };
        let depth = number("depth").map_or(DEPTH_DEFAULT, |depth| (depth as usize).min(DEPTH_MAX));
        let rate_min = number("min_rate").unwrap_or(0.0);
        let by = asked.get("by").unwrap_or_default();
        let wanted = Wanted {
            focus: asked.get("focus").map(|node| Focus { node, depth }),
            namespace: asked.get("namespace"),
            rate_min,
            errors_only: asked.get("errors_only").is_some_and(|text| text == "1" || text == "true"),
            ..Wanted::default()
        };
        Filters {
            wanted,
            by: By::ALL.into_iter().find(|known| known.name() == by).unwrap_or_default(),
            label: Label::named(asked.get("label")),
            is_whole: asked.get("collapse") == Some("none")
                || asked.get("namespace").is_some()
                || asked.get("focus").is_some(),
            complaints,
        }
    }
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let (page, status) = match gathered(&state, &asked).await {
        Ok(page) => (page, StatusCode::OK),
        Err(failure) => (failed(&asked, &failure), failure.status()),
    };
    answer(&asked, status, &page)
}

fn failed(asked: &Asked, failure: &Failure) -> Page {
    let body = diagnosis::shown(&Diagnosis::Failed(failure.text.clone()), asked);
    Page { place: Place::Mesh, title: asked.words().mesh.to_owned(), has_range: true, data_since: None, body }
}

async fn picture(query: &Query, range: Range, by: By) -> Result<Picture, LoadError> {
    let question = Question { range, by, grain: Grain::Node, source: Source::Auto };
    load_from(query, question, Frame::whole()).await
}

async fn gathered(state: &FaceState, asked: &Asked) -> Result<Page, Failure> {
    let words = asked.words();
    let filters = Filters::of(asked);
    let query = state.engine.begin(&asked.tenant).await?;
    let picture = picture(&query, asked.range, filters.by).await?;
    let all = graph(&picture, &Wanted::default());
    let title = words.mesh.to_owned();
    if all.nodes.is_empty() {
        let ledger = accounts(&state.engine, &asked.tenant).await?;
        let newest = newest(&state.engine, &asked.tenant).await?;
        let heard = Heard { now: state.engine.clock().now(), newest };
        let body = html! {
            (notes(&all.warnings, words.warnings))
            (diagnosis::shown(&Diagnosis::of_empty(&ledger, heard), asked))
            p { a class="button" href=(asked.link("/start", &[])) { (words.how_to_send) } }
        };
        return Ok(Page { place: Place::Mesh, title, has_range: true, data_since: None, body });
    }
    let wrong = wrong(&query, asked, filters.by, &picture, &all).await;
    let shown = graph(&picture, &filters.wanted);
    let warnings: Vec<String> = filters.complaints.iter().chain(&shown.warnings).cloned().collect();
    let sketch = Sketch::of(&shown, filters.label, filters.is_whole, asked);
    let body = html! {
        (summary(asked, &all))
        (section("wrong", words.what_is_wrong, &shown_or_why(asked, wrong, |wrong| wrong)))
        (notes(&warnings, words.warnings))
        (section("graph", words.graph, &html! {
            (controls(asked, &filters, &all))
            @if shown.nodes.is_empty() { p class="hint" { (words.nothing_fits) } }
            @else { (drawing(&sketch, words)) }
            (hidden(asked, &shown, &sketch))
        }))
        (section("golden", words.golden_metrics, &golden(asked, &shown)))
    };
    Ok(Page { place: Place::Mesh, title, has_range: true, data_since: data_since(picture.range), body })
}

/// Four figures of the whole mesh. The rate is of calls that entered: summing over nodes would count a
/// request again at every hop.
fn summary(asked: &Asked, graph: &Graph) -> Markup {
    let words = asked.words();
    let services = graph.nodes.iter().filter(|node| node.identity.kind == NodeKind::Service);
    let services: std::collections::BTreeSet<&str> =
        services.map(|node| node.identity.service.as_str()).collect();
    let edges = &graph.edges;
    let calls = total(edges.iter().map(|edge| edge.figures.requests));
    let errors = total(edges.iter().map(|edge| edge.figures.errors));
    let ratio = if calls > 0.0 { errors / calls } else { 0.0 };
    let is_outside = |edge: &&GraphEdge| graph.nodes[edge.source].identity.kind == NodeKind::Client;
    let rate = total(edges.iter().map(|edge| edge.figures.rate));
    let entered = total(edges.iter().filter(is_outside).map(|edge| edge.figures.rate));
    figures::tiles(&[
        (words.services, services.len().to_string(), ""),
        (words.calls_between_nodes, format::rate(rate), ""),
        (words.calls_from_outside, format::rate(entered), ""),
        (words.errors_of_all_calls, format::percent(ratio), severity(ratio)),
    ])
}

/// What is wrong, against the hour before.
async fn wrong(query: &Query, asked: &Asked, by: By, now: &Picture, all: &Graph) -> Result<Markup, Failure> {
    let words = asked.words();
    let by_service = match by {
        By::Service => None,
        _ => Some(graph(&picture(query, asked.range, By::Service).await?, &Wanted::default())),
    };
    let all = by_service.as_ref().unwrap_or(all);
    let start = asked.range.from();
    let earlier = Range::new(start.minus(BEFORE), start, None).expect("an hour is a range");
    let before = graph(&picture(query, earlier, By::Service).await?, &Wanted::default());
    let found = troubles(all, now.range.bucket_seconds(0), &before);
    let body = html! {
        @if found.is_empty() { p class="calm" { (words.nothing_is_wrong) } }
        @else {
            ol class="troubles" {
                @for trouble in found.iter().take(TROUBLES_MAX) { (told(asked, trouble)) }
            }
            @if found.len() > TROUBLES_MAX { p class="hint" { (found.len() - TROUBLES_MAX) " " (words.more_troubles) } }
        }
    };
    Ok(body)
}

fn told(asked: &Asked, trouble: &Trouble) -> Markup {
    let words = asked.words();
    let service = |id: &str| asked.link("/service", &[("name", id)]);
    let (link, name, kind, detail) = match trouble {
        Trouble::Failing { node, errors, share } => (
            service(&node.id),
            node.id.clone(),
            words.fails,
            format!("{} · {} {}", format::percent(*share), format::count(*errors), words.errors),
        ),
        Trouble::Refused { client, server, refused, share } => (
            asked.link("/edge", &[("client", &client.id), ("server", &server.id)]),
            format!("{} → {}", client.id, server.id),
            words.calls_are_refused,
            format!("{} · {} {}", format::percent(*share), format::count(*refused), words.calls),
        ),
        Trouble::Slower { node, now_ms, before_ms } => (
            service(&node.id),
            node.id.clone(),
            words.is_slower,
            format!("p95 {} → {}", format::duration(Some(*before_ms)), format::duration(Some(*now_ms))),
        ),
        Trouble::Silent { node, rate_before } => (
            service(&node.id),
            node.id.clone(),
            words.is_silent,
            format!("{} → 0", format::rate(*rate_before)),
        ),
    };
    let class = if trouble.is_grave() { "bad" } else { "warn" };
    html! {
        li class=(class) {
            a href=(link) { (Text(&name)) } " " (kind) " " span class="hint" { (detail) }
        }
    }
}

/// The choices of what is drawn: a form, so that all of it stands in the address.
fn controls(asked: &Asked, filters: &Filters<'_>, all: &Graph) -> Markup {
    let words = asked.words();
    let namespaces: std::collections::BTreeSet<&str> =
        all.nodes.iter().filter_map(|node| node.identity.namespace.as_deref()).collect();
    let Wanted { focus, namespace, rate_min, errors_only, .. } = filters.wanted;
    let rate = if rate_min > 0.0 { rate_min.to_string() } else { String::new() };
    html! {
        form class="controls" method="get" action="/" {
            (kept(asked))
            label { (words.namespace) " "
                select name="namespace" {
                    option value="" { (words.all) }
                    @for name in namespaces { option value=(Text(name)) selected[namespace == Some(name)] { (Text(name)) } }
                }
            }
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
            label { (words.around) " " input name="focus" size="18" value=(Text(focus.map_or("", |focus| focus.node))); }
            label { (words.depth) " "
                input type="number" name="depth" min="1" max=(DEPTH_MAX) value=(focus.map_or(DEPTH_DEFAULT, |focus| focus.depth));
            }
            label { (words.min_rate) " " input name="min_rate" size="5" inputmode="decimal" value=(rate); }
            label { input type="checkbox" name="errors_only" value="1" checked[errors_only]; " " (words.errors_only) }
            button { (words.show) }
            @if asked.get("namespace").is_some() || asked.get("focus").is_some() || errors_only || rate_min > 0.0 {
                a href=(asked.link("/", &[])) { (words.everything) }
            }
        }
    }
}

/// What the drawing leaves out, and how to see it.
fn hidden(asked: &Asked, shown: &Graph, sketch: &Sketch) -> Markup {
    let words = asked.words();
    html! {
        @if sketch.is_by_namespace {
            p class="hint" {
                (words.by_namespace) " "
                a href=(asked.here(&[("collapse", Some("none"))])) { (words.draw_all) }
            }
        }
        @if shown.hidden.nodes + shown.hidden.edges > 0 {
            p class="hint" {
                (shown.hidden.nodes) " " (words.nodes) ", " (shown.hidden.edges) " " (words.edges) ", "
                (format::count(shown.hidden.requests)) " " (words.calls) " " (words.not_shown)
            }
        }
    }
}

/// One row per node that received calls, the busiest first.
fn golden(asked: &Asked, graph: &Graph) -> Markup {
    let words = asked.words();
    let mut nodes: Vec<&GraphNode> = graph.nodes.iter().filter(|node| node.evidence.is_some()).collect();
    nodes.sort_by(|a, b| {
        b.figures.rate.total_cmp(&a.figures.rate).then_with(|| a.identity.id.cmp(&b.identity.id))
    });
    let mut columns = vec![text(words.node), text(words.counted_from)];
    columns.extend(figures::columns(asked));
    let rows: Vec<(&str, Vec<Markup>)> = nodes
        .into_iter()
        .map(|node| {
            let identity = &node.identity;
            let class = severity(node.figures.error_ratio);
            let place = identity.namespace.as_deref().unwrap_or(words.kind(identity.kind));
            let part = identity.version.as_deref().or(identity.workload.as_deref()).unwrap_or_default();
            let name = html! {
                span class={ "dot " (class) } {}
                a href=(asked.link("/service", &[("name", &identity.service)])) { (Text(&identity.name)) }
                " " span class="hint" { (Text(part)) " " (Text(place)) }
            };
            let evidence = node.evidence.map_or("", |evidence| evidence.name());
            let mut cells = vec![name, cell(evidence)];
            cells.extend(figures::cells(&node.figures));
            (class, cells)
        })
        .collect();
    table(words.golden_metrics, &columns, &rows)
}
