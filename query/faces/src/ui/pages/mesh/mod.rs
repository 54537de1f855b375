//! `/`: what is wrong in the mesh, how it fared over time, then the mesh: graph, changes and golden metrics of every node.
//!
//! ```text
//! export    the drawing as a file
//! wrong     what is wrong, worst first
//! timeline  rate and errors over a longer time, as a way through it
//! isolated  services without calls
//! compared  what changed since another range
//! controls  the choices of what is drawn
//! drawn     the part that is drawn
//! filters   the choices as they stand in the address
//! ```

pub mod export;
mod wrong;
mod timeline;
mod isolated;
mod compared;
mod controls;
mod drawn;
mod filters;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::graph::{Graph, GraphEdge, GraphNode, graph};
use meshlake_query::ledger::accounts;
use meshlake_query::measure::total;
use meshlake_query::services::newest;
use meshlake_query::shown::Wanted;
use meshlake_query::{NodeKind, Picture, Query};

use self::drawn::{Drawn, drawn, picture};
use self::filters::Filters;
use super::diagnosis::{Diagnosis, Heard};
use super::{Begun, Failure, diagnosis, figures, part, shown as shown_or_why};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::graph::drawing;
use crate::ui::shell::{Place, cell, notes, section, table, text};
use crate::ui::text::Text;
use crate::ui::{format, severity};

/// Nodes that are listed: more are found by filters, and a page of all of a large mesh is fifty screens long.
const LISTED_MAX: usize = 200;

/// A page about the mesh, some of whose calls are known.
struct About {
    state: FaceState,
    asked: Asked,
    query: Query,
    picture: Picture,
    all: Graph,
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let title = asked.words().mesh.to_owned();
    let begun = begun(state, &asked).await.unwrap_or_else(|failure| {
        let status = failure.status();
        Begun::alone(status, asked.range, diagnosis::shown(&Diagnosis::Failed(failure.text), &asked))
    });
    begun.answer(&asked, Place::Mesh, title)
}

/// What the whole mesh says in short; all else follows.
async fn begun(state: FaceState, asked: &Asked) -> Result<Begun, Failure> {
    let words = asked.words();
    let query = state.engine.begin(&asked.tenant).await?;
    let picture = picture(&query, asked.range, Filters::of(asked).by).await?;
    let all = graph(&picture, &Wanted::default());
    if all.nodes.is_empty() {
        let timeline = timeline::strip(&query, asked, state.engine.clock().now()).await;
        // What follows takes a place of its own.
        drop(query);
        let body = html! { (empty(&state, asked, &all).await?) (timeline) };
        return Ok(Begun::alone(StatusCode::OK, asked.range, body));
    }
    let (range, body) = (picture.range, summary(asked, &all));
    let about = Arc::new(About { state, asked: asked.clone(), query, picture, all });
    let parts = vec![
        part(&about, move |about| async move {
            section(
                "wrong",
                words.what_is_wrong,
                &shown_or_why(&about.asked, about.wrong().await, |wrong| wrong),
            )
        }),
        part(&about, |about| async move {
            timeline::strip(&about.query, &about.asked, about.state.engine.clock().now()).await
        }),
        part(&about, |about| async move { about.graph().await }),
    ];
    Ok(Begun { status: StatusCode::OK, range, body, parts })
}

impl About {
    async fn wrong(&self) -> Result<Markup, Failure> {
        let by = Filters::of(&self.asked).by;
        wrong::wrong(&self.query, &self.asked, by, &self.all).await
    }

    async fn graph(&self) -> Markup {
        let (asked, words) = (&self.asked, self.asked.words());
        let filters = Filters::of(asked);
        let drawn = drawn(&self.query, asked, &filters, &self.picture).await;
        let warnings = filters.complaints.iter().chain(&drawn.notes).chain(&drawn.graph.warnings);
        let warnings: Vec<String> = warnings.cloned().collect();
        html! {
            (notes(&warnings, words.warnings))
            (section("graph", words.graph, &html! {
                (controls::controls(asked, &filters, &self.all))
                (controls::opened(asked, &drawn.sketch))
                (controls::fewer(asked, &drawn.sketch))
                @if drawn.graph.nodes.is_empty() { p class="hint" { (words.nothing_fits) } }
                @else { (drawing(&drawn.sketch, words, Some(&asked.as_page("/graph.svg")))) }
                (controls::hidden(asked, &drawn.graph))
                (isolated::isolated(&self.query, asked, &self.all).await)
            }))
            @if let Some(compared) = &drawn.compared {
                (section("changes", words.of_mesh.changes, &compared::changes(asked, &filters, compared)))
            }
            @if !drawn.graph.nodes.is_empty() { (section("golden", words.golden_metrics, &golden(asked, &drawn))) }
        }
    }
}

/// Why there is nothing to show.
async fn empty(state: &FaceState, asked: &Asked, all: &Graph) -> Result<Markup, Failure> {
    let words = asked.words();
    let ledger = accounts(&state.engine, &asked.tenant).await?;
    let newest = newest(&state.engine, &asked.tenant).await?;
    let heard = Heard { now: state.engine.clock().now(), newest };
    Ok(html! {
        (notes(&all.warnings, words.warnings))
        (diagnosis::shown(&Diagnosis::of_empty(&ledger, heard), asked))
        p { a class="button" href=(asked.link("/start", &[])) { (words.how_to_send) } }
    })
}

/// Four figures of the whole mesh. The rate is of calls that entered: summing over nodes would count a
/// request again at every hop.
fn summary(asked: &Asked, graph: &Graph) -> Markup {
    let words = asked.words();
    let services = graph.nodes.iter().filter(|node| node.identity.kind == NodeKind::Service);
    let services: BTreeSet<&str> = services.map(|node| node.identity.service.as_str()).collect();
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

/// One row per node that received calls, the busiest first, [`LISTED_MAX`] of them.
fn golden(asked: &Asked, drawn: &Drawn) -> Markup {
    let words = asked.words();
    let mut nodes: Vec<&GraphNode> =
        drawn.graph.nodes.iter().filter(|node| node.evidence.is_some()).collect();
    nodes.sort_by(|a, b| {
        b.figures.rate.total_cmp(&a.figures.rate).then_with(|| a.identity.id.cmp(&b.identity.id))
    });
    let left_out = nodes.len().saturating_sub(LISTED_MAX);
    let mut columns = vec![text(words.node), text(words.counted_from)];
    columns.extend(figures::columns(asked));
    let rows: Vec<(&str, Vec<Markup>)> = nodes
        .into_iter()
        .take(LISTED_MAX)
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
    html! {
        (table(words.golden_metrics, &columns, &rows))
        @if left_out > 0 { p class="hint" { (left_out) " " (words.more_not_listed) } }
    }
}
