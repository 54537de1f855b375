//! `/edge?client=&server=`: the calls between two nodes: as both sides saw them, over time, by latency, by what policies
//! did to them, and with examples.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures::{FutureExt as _, join};
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
use meshlake_query::{By, Frame, GoldenBy, Grain, Picture, Query, Question, Source};

use super::over_time::Beside;
use super::{Begun, Failure, Part, figures, over_time, part, saturation, shown};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::shell::{Place, cell, notes, number, section, table, text};
use crate::ui::text::Text;
use crate::ui::{calls, format, heat, severity};

/// Calls that are shown as examples.
const EXAMPLES: usize = 20;

/// Steps of time: columns of the field of latencies that are wide enough to point at.
const COLUMNS_MAX: u64 = 120;

/// A page about the calls between two.
struct About {
    asked: Asked,
    query: Query,
    client: String,
    server: String,
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let [client, server] = ["client", "server"].map(|name| asked.get(name).unwrap_or_default().to_owned());
    let title = format!("{client} → {server}");
    let begun = match state.engine.begin(&asked.tenant).await {
        Ok(query) => About { asked: asked.clone(), query, client, server }.begun().await,
        Err(error) => Err(error.into()),
    };
    let begun =
        begun.unwrap_or_else(|failure| Begun::alone(failure.status(), asked.range, failure.shown(&asked)));
    begun.answer(&asked, Place::Inside, title)
}

impl About {
    /// What its calls say in short, and how it is known; all else follows.
    async fn begun(self) -> Result<Begun, Failure> {
        let words = self.asked.words();
        let question =
            Question { range: self.asked.range, by: By::Service, grain: Grain::Node, source: Source::Auto };
        let picture = load_from(&self.query, question, Frame::edges(Some(&self.server))).await?;
        let focus = Some(Focus { node: &self.server, depth: 1 });
        let graph = graph(&picture, &Wanted { focus, ..Wanted::default() });
        let Some(edge) = self.find(&graph) else {
            return Ok(Begun::alone(StatusCode::NOT_FOUND, picture.range, self.unknown()));
        };
        let service =
            |id: &str| html! { a href=(self.asked.link("/service", &[("name", id)])) { (Text(id)) } };
        let requests = self.asked.link("/requests", &[("client", &self.client), ("server", &self.server)]);
        let body = html! {
            p { (words.caller) " " (service(&self.client)) " · " (words.callee) " " (service(&self.server)) }
            (self.summary(edge))
            nav class="more" aria-label=(words.of_mesh.more) { a href=(requests) { (words.of_mesh.requests) } }
            (section("sides", words.both_sides, &self.sides(edge)))
        };
        let parts = Arc::new(self).parts();
        Ok(Begun { status: StatusCode::OK, range: picture.range, body, parts })
    }

    fn parts(self: Arc<Self>) -> Vec<Part> {
        let words = self.asked.words();
        let about = Arc::clone(&self);
        let examples = async move { about.examples().await }.boxed().shared();
        let shown_examples = examples.clone();
        vec![
            part(&self, |about| async move {
                saturation::on_the_way(&about.asked, &about.query, &about.client, &about.server).await
            }),
            part(&self, move |about| async move {
                let (by_step, examples) = join!(about.by_step(), examples);
                about.over_time(by_step, &examples)
            }),
            part(
                &self,
                move |about| async move { section("policies", words.policies, &about.policies().await) },
            ),
            part(&self, move |about| async move {
                let list = |found: Exemplars| calls::list(&about.asked, &found.calls, &found.warnings);
                section("examples", words.example_calls, &shown(&about.asked, shown_examples.await, list))
            }),
        ]
    }

    fn find<'a>(&self, graph: &'a Graph) -> Option<&'a GraphEdge> {
        let is = |node: usize, name: &str| {
            let identity = &graph.nodes[node].identity;
            identity.id == name || identity.name == name
        };
        graph.edges.iter().find(|edge| is(edge.source, &self.client) && is(edge.target, &self.server))
    }

    fn unknown(&self) -> Markup {
        let words = self.asked.words();
        html! {
            div class="note warn" role="status" { (words.no_such_edge) }
            p { a href=(self.asked.link("/service", &[("name", &self.server)])) { (Text(&self.server)) } }
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

    /// Its calls and those beside them, a bucket for each step.
    async fn by_step(&self) -> Result<Picture, LoadError> {
        let range = over_time::stepped(self.asked.range, COLUMNS_MAX);
        let question = GoldenBy::Edge.question(range, Source::Auto);
        load_from(&self.query, question, Frame::edges(Some(&self.server))).await
    }

    /// Charts, and how long its calls took.
    fn over_time(
        &self,
        by_step: Result<Picture, LoadError>,
        examples: &Result<Exemplars, LoadError>,
    ) -> Markup {
        let (asked, words) = (&self.asked, self.asked.words());
        let picture = match by_step {
            Ok(picture) => picture,
            Err(error) => return section("time", words.over_time, &Failure::from(error).shown(asked)),
        };
        let mut rows = golden(&picture, GoldenBy::Edge, Some(&self.server));
        rows.retain(|row| self.is_row(row));
        let examples = examples.iter().flat_map(|found| over_time::examples(asked, &found.calls));
        let beside = Beside { marks: Vec::new(), examples: examples.collect() };
        let charts = html! {
            (over_time::charts(asked, &picture.range, &rows, &beside))
            (notes(&picture.warnings, words.warnings))
        };
        let heat = heat::heat(asked, &calls_by_latency(&picture, &self.client, &self.server));
        html! {
            (section("time", words.over_time, &charts))
            (section("heat", words.of_mesh.heat, &heat))
        }
    }

    fn is_row(&self, row: &GoldenRow) -> bool {
        let Subject::Edge { client, server } = &row.subject else { return false };
        (client.id == self.client || client.name == self.client)
            && (server.id == self.server || server.name == self.server)
    }

    async fn policies(&self) -> Markup {
        let words = self.asked.words();
        let asked = policies::Asked { service: None, client: Some(&self.client), server: Some(&self.server) };
        let found = operate::policies::load(&self.query, self.asked.range, asked).await;
        shown(&self.asked, found, |found| calls::policies(&self.asked, &found, words.nothing_held_back))
    }

    async fn examples(&self) -> Result<Exemplars, LoadError> {
        let wanted = OfCalls { service: None, edge: Some((&self.client, &self.server)) };
        let examples =
            Examples { range: self.asked.range, wanted, failed_only: false, duration_min: 0, most: EXAMPLES };
        exemplars(&self.query, &examples).await
    }
}
