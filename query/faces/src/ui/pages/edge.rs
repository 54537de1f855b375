//! `/edge?client=&server=`: the calls between two nodes: as both sides saw them, over time, by latency, by what policies
//! did to them, and with examples.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::answers::heat::heat as calls_by_latency;
use meshlake_query::answers::policies;
use meshlake_query::calls::exemplars::{Asked as Examples, Exemplars, exemplars};
use meshlake_query::calls::{LoadError, load_from};
use meshlake_query::exemplars::Wanted as OfCalls;
use meshlake_query::golden::{GoldenRow, Subject, golden};
use meshlake_query::graph::{Graph, GraphEdge, graph};
use meshlake_query::operate;
use meshlake_query::shown::{Focus, Wanted};
use meshlake_query::{By, Frame, GoldenBy, Grain, Query, Question, Range, Source};

use super::over_time::{Beside, POINTS_MAX};
use super::{Failure, answer, data_since, figures, over_time, shown};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::shell::{Page, Place, cell, notes, number, section, table, text};
use crate::ui::text::Text;
use crate::ui::{calls, format, heat, severity};

/// Calls that are shown as examples.
const EXAMPLES: usize = 20;

/// Columns of the field of latencies: cells wide enough to point at.
const HEAT_COLUMNS_MAX: u64 = 90;

/// A page about the calls between two.
struct About<'a> {
    asked: &'a Asked,
    query: &'a Query,
    client: &'a str,
    server: &'a str,
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let [client, server] = ["client", "server"].map(|name| asked.get(name).unwrap_or_default());
    let built = async {
        let query = state.engine.begin(&asked.tenant).await?;
        About { asked: &asked, query: &query, client, server }.body().await
    };
    let (status, range, body) = match built.await {
        Ok(found) => found,
        Err(failure) => (failure.status(), asked.range, failure.shown(&asked)),
    };
    let title = format!("{client} → {server}");
    let page = Page { place: Place::Inside, title, has_range: true, data_since: data_since(range), body };
    answer(&asked, status, &page)
}

impl About<'_> {
    async fn body(&self) -> Result<(StatusCode, Range, Markup), Failure> {
        let words = self.asked.words();
        let question =
            Question { range: self.asked.range, by: By::Service, grain: Grain::Node, source: Source::Auto };
        let picture = load_from(self.query, question, Frame::whole()).await?;
        let focus = Some(Focus { node: self.server, depth: 1 });
        let graph = graph(&picture, &Wanted { focus, ..Wanted::default() });
        let Some(edge) = self.find(&graph) else {
            return Ok((StatusCode::NOT_FOUND, picture.range, self.unknown()));
        };
        let service =
            |id: &str| html! { a href=(self.asked.link("/service", &[("name", id)])) { (Text(id)) } };
        let requests = self.asked.link("/requests", &[("client", self.client), ("server", self.server)]);
        let examples = self.examples().await;
        let beside = Beside {
            marks: Vec::new(),
            examples: examples
                .iter()
                .flat_map(|found| over_time::examples(self.asked, &found.calls))
                .collect(),
        };
        let body = html! {
            p { (words.caller) " " (service(self.client)) " · " (words.callee) " " (service(self.server)) }
            (self.summary(edge))
            nav class="more" aria-label=(words.of_mesh.more) { a href=(requests) { (words.of_mesh.requests) } }
            (section("sides", words.both_sides, &self.sides(edge)))
            (section("time", words.over_time, &self.over_time(&beside).await))
            (section("heat", words.of_mesh.heat, &self.heat().await))
            (section("policies", words.policies, &self.policies().await))
            (section("examples", words.example_calls, &shown(self.asked, examples, |found| {
                calls::list(self.asked, &found.calls, &found.warnings)
            })))
        };
        Ok((StatusCode::OK, picture.range, body))
    }

    fn find<'a>(&self, graph: &'a Graph) -> Option<&'a GraphEdge> {
        let is = |node: usize, name: &str| {
            let identity = &graph.nodes[node].identity;
            identity.id == name || identity.name == name
        };
        graph.edges.iter().find(|edge| is(edge.source, self.client) && is(edge.target, self.server))
    }

    fn unknown(&self) -> Markup {
        let words = self.asked.words();
        html! {
            div class="note warn" role="status" { (words.no_such_edge) }
            p { a href=(self.asked.link("/service", &[("name", self.server)])) { (Text(self.server)) } }
        }
    }

    fn summary(&self, edge: &GraphEdge) -> Markup {
        let words = self.asked.words();
        let figures = &edge.figures;
        figures::tiles(&[
            (words.rate, format::rate(figures.rate), ""),
            (words.errors, format::percent(figures.error_ratio), severity(figures.error_ratio)),
            ("p50", format::duration(figures.p50_ms), ""),
            ("p99", format::duration(figures.p99_ms), ""),
            (words.retries, format::count(edge.retries), ""),
            (words.refused, format::count(edge.refused), if edge.refused > 0.0 { "warn" } else { "" }),
        ])
    }

    /// How it is known: by which rows, and how far the two sides agree.
    fn sides(&self, edge: &GraphEdge) -> Markup {
        let words = self.asked.words();
        let seen = |is_seen: bool| if is_seen { words.yes } else { words.no };
        let agree = edge.completeness.map_or("–".to_owned(), format::percent);
        let rows = [
            (words.protocol, edge.protocol.name().to_owned()),
            (words.seen_by_caller, seen(edge.seen_by_client).to_owned()),
            (words.seen_by_callee, seen(edge.seen_by_server).to_owned()),
            (words.counted_from, edge.evidence.name().to_owned()),
            (words.calls_by_spans, format::count(edge.by_spans)),
            (words.calls_by_requests, format::count(edge.by_requests)),
            (words.both_ends_agree, agree),
        ];
        let rows: Vec<(&str, Vec<Markup>)> =
            rows.iter().map(|(name, value)| ("", vec![cell(name), cell(value)])).collect();
        table(words.both_sides, &[text(words.what), number(words.value)], &rows)
    }

    async fn over_time(&self, beside: &Beside) -> Markup {
        let words = self.asked.words();
        let range = over_time::stepped(self.asked.range, POINTS_MAX);
        let question = GoldenBy::Edge.question(range, Source::Auto);
        let picture = load_from(self.query, question, Frame::edges(Some(self.server))).await;
        shown(self.asked, picture, |picture| {
            let mut rows = golden(&picture, GoldenBy::Edge, Some(self.server));
            rows.retain(|row| self.is_row(row));
            html! {
                (over_time::charts(self.asked, &picture.range, &rows, beside))
                (notes(&picture.warnings, words.warnings))
            }
        })
    }

    /// How long its calls took, by time.
    async fn heat(&self) -> Markup {
        let range = over_time::stepped(self.asked.range, HEAT_COLUMNS_MAX);
        let question = GoldenBy::Edge.question(range, Source::Auto);
        let picture = load_from(self.query, question, Frame::edges(Some(self.server))).await;
        shown(self.asked, picture, |picture| {
            heat::heat(self.asked, &calls_by_latency(&picture, self.client, self.server))
        })
    }

    fn is_row(&self, row: &GoldenRow) -> bool {
        let Subject::Edge { client, server } = &row.subject else { return false };
        (client.id == self.client || client.name == self.client)
            && (server.id == self.server || server.name == self.server)
    }

    async fn policies(&self) -> Markup {
        let words = self.asked.words();
        let asked = policies::Asked { service: None, client: Some(self.client), server: Some(self.server) };
        let found = operate::policies::load(self.query, self.asked.range, asked).await;
        shown(self.asked, found, |found| calls::policies(self.asked, &found, words.nothing_held_back))
    }

    async fn examples(&self) -> Result<Exemplars, LoadError> {
        let wanted = OfCalls { service: None, edge: Some((self.client, self.server)) };
        let examples =
            Examples { range: self.asked.range, wanted, failed_only: false, duration_min: 0, most: EXAMPLES };
        exemplars(self.query, &examples).await
    }
}
