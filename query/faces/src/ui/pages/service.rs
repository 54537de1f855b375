//! `/service?name=`: one service, or another node: its golden metrics over time, whom it calls and who calls it, its
//! operations, versions, instances, how full it is, what policies did to its calls, its rollouts, and calls whose traces can be
//! read.
//!
//! Everything is told from one snapshot, by the functions that the API's answers come from.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::{BoxFuture, OptionFuture, Shared};
use maud::{Markup, html};
use meshlake_query::answers::policies;
use meshlake_query::answers::rollouts::{self, Rollout, Rollouts};
use meshlake_query::calls::exemplars::{Asked as Examples, Exemplars, exemplars};
use meshlake_query::calls::{LoadError, load_from};
use meshlake_query::exemplars::Wanted as OfCalls;
use meshlake_query::golden::{Subject, golden, unknown_service};
use meshlake_query::graph::{Graph, graph};
use meshlake_query::operate;
use meshlake_query::shown::{Focus, Wanted};
use meshlake_query::{By, Frame, GoldenBy, Grain, NodeKind, Query, Question, Range, Source};

use super::over_time::{Beside, POINTS_MAX};
use super::{Begun, Failure, Part, figures, over_time, part, saturation, shown};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::chart::Mark;
use crate::ui::graph::{Sketch, View, drawing};
use crate::ui::shell::{Place, cell, notes, number, section, table, text};
use crate::ui::text::Text;
use crate::ui::{calls, format, severity};

/// Operations and instances that are listed, busiest first.
const LISTED_MAX: usize = 100;

/// Calls that are shown as examples.
const EXAMPLES: usize = 10;

/// A page about one name.
struct About {
    asked: Asked,
    query: Query,
    name: String,
}

/// What is found once and shown in two places.
type Once<T> = Shared<BoxFuture<'static, Result<T, LoadError>>>;

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let name = asked.get("name").unwrap_or_default();
    let title = if name.is_empty() { asked.words().service.to_owned() } else { name.to_owned() };
    let begun = match state.engine.begin(&asked.tenant).await {
        Ok(query) => About { asked: asked.clone(), query, name: name.to_owned() }.begun().await,
        Err(error) => Err(error.into()),
    };
    let begun =
        begun.unwrap_or_else(|failure| Begun::alone(failure.status(), asked.range, failure.shown(&asked)));
    begun.answer(&asked, Place::Inside, title)
}

impl About {
    /// What its calls say in short, and with whom; all else follows.
    async fn begun(self) -> Result<Begun, Failure> {
        let words = self.asked.words();
        let question =
            Question { range: self.asked.range, by: By::Service, grain: Grain::Node, source: Source::Auto };
        let picture = load_from(&self.query, question, Frame::whole()).await?;
        let focus = Some(Focus { node: &self.name, depth: 1 });
        let around = graph(&picture, &Wanted { focus, ..Wanted::default() });
        if unknown_service(&picture, Some(&self.name)).is_some() {
            let all = graph(&picture, &Wanted::default());
            return Ok(Begun::alone(StatusCode::NOT_FOUND, picture.range, self.unknown(&all)));
        }
        let is_reporting = around.nodes.iter().any(|node| {
            (node.identity.id == self.name || node.identity.name == self.name)
                && matches!(node.identity.kind, NodeKind::Service | NodeKind::Gateway)
        });
        let body = html! {
            (self.summary(&around))
            (self.more())
            (notes(&around.warnings, words.warnings))
            (section("around", words.callers_and_callees, &self.around(&around)))
        };
        let parts = Arc::new(self).parts(is_reporting);
        Ok(Begun { status: StatusCode::OK, range: picture.range, body, parts })
    }

    fn parts(self: Arc<Self>, is_reporting: bool) -> Vec<Part> {
        let words = self.asked.words();
        let examples: Once<Exemplars> = once(&self, |about| async move { about.found_examples().await });
        let rollouts: Option<Once<Rollouts>> = self
            .rollouts_range()
            .filter(|_| is_reporting)
            .map(|range| once(&self, move |about| async move { about.found_rollouts(range).await }));
        let (shown_examples, shown_rollouts) = (examples.clone(), rollouts.clone());
        let mut parts = vec![
            part(&self, move |about| async move {
                let beside = about.beside(examples.await, OptionFuture::from(rollouts).await);
                section("time", words.over_time, &about.over_time(&beside).await)
            }),
            part(&self, move |about| async move {
                section("operations", words.operations, &about.operations().await)
            }),
        ];
        if is_reporting {
            parts.push(part(&self, move |about| async move {
                section("versions", words.versions, &about.versions().await)
            }));
            parts.push(part(&self, move |about| async move {
                section("instances", words.instances, &about.balance().await)
            }));
        }
        parts.push(part(&self, move |about| async move {
            let body = saturation::part(&about.asked, &about.query, &about.name).await;
            section("saturation", words.of_mesh.saturation, &body)
        }));
        parts.push(part(&self, move |about| async move {
            section("policies", words.policies, &about.policies().await)
        }));
        parts.extend(shown_rollouts.map(|rollouts| {
            part(&self, move |about| async move {
                section("rollouts", words.rollouts, &about.rollouts(rollouts.await))
            })
        }));
        parts.push(part(&self, move |about| async move {
            let list = |found: Exemplars| calls::list(&about.asked, &found.calls, &found.warnings);
            section("examples", words.example_calls, &shown(&about.asked, shown_examples.await, list))
        }));
        parts
    }

    /// What charts show beside their lines.
    fn beside(
        &self,
        examples: Result<Exemplars, LoadError>,
        rollouts: Option<Result<Rollouts, LoadError>>,
    ) -> Beside {
        let rollouts = rollouts.iter().flatten();
        let examples = examples.iter().flat_map(|found| over_time::examples(&self.asked, &found.calls));
        Beside {
            marks: rollouts.flat_map(|found| marks(&self.asked, &found.rollouts)).collect(),
            examples: examples.collect(),
        }
    }

    /// Names that may have been meant, nearest first.
    fn unknown(&self, all: &Graph) -> Markup {
        let words = self.asked.words();
        let mut ids: Vec<&str> = all.nodes.iter().map(|node| node.identity.id.as_str()).collect();
        ids.sort_by_key(|id| (!id.contains(&self.name), distance(id, &self.name)));
        html! {
            div class="note warn" role="status" { (words.no_such_node) " " strong { (Text(&self.name)) } }
            @if !ids.is_empty() {
                p { (words.did_you_mean) }
                ul { @for id in ids.iter().take(8) {
                    li { a href=(self.asked.link("/service", &[("name", id)])) { (Text(id)) } }
                } }
            }
        }
    }

    fn summary(&self, around: &Graph) -> Markup {
        let words = self.asked.words();
        let node =
            around.nodes.iter().find(|node| node.identity.id == self.name || node.identity.name == self.name);
        let Some(node) = node else { return html! {} };
        let figures = &node.figures;
        figures::tiles(&[
            (words.calls_received, format::rate(figures.rate), ""),
            (words.errors, format::percent(figures.error_ratio), severity(figures.error_ratio)),
            ("p50", format::duration(figures.p50_ms), ""),
            ("p99", format::duration(figures.p99_ms), ""),
            (words.busy, format!("{:.2}", figures.concurrency), ""),
            (words.kind_of_node, words.kind(node.identity.kind).to_owned(), "word"),
        ])
    }

    /// Where more is told of it.
    fn more(&self) -> Markup {
        let (asked, words) = (&self.asked, self.asked.words());
        let of_it = [("service", self.name.as_str())];
        html! {
            nav class="more" aria-label=(words.of_mesh.more) {
                a href=(asked.link("/traces", &of_it)) { (words.traces) }
                a href=(asked.link("/requests", &of_it)) { (words.of_mesh.requests) }
                a href=(asked.link("/logs", &of_it)) { (words.of_mesh.logs) }
                a href=(asked.link("/", &[("focus", self.name.as_str())])) { (words.of_mesh.in_the_mesh) }
            }
        }
    }

    /// Rate, errors and latency, a point for each step.
    async fn over_time(&self, beside: &Beside) -> Markup {
        let words = self.asked.words();
        let range = over_time::stepped(self.asked.range, POINTS_MAX);
        let question = GoldenBy::Service.question(range, Source::Auto);
        let picture = load_from(&self.query, question, Frame::nodes(Some(&self.name))).await;
        shown(&self.asked, picture, |picture| {
            let rows = golden(&picture, GoldenBy::Service, Some(&self.name));
            html! {
                (over_time::charts(&self.asked, &picture.range, &rows, beside))
                (notes(&picture.warnings, words.warnings))
            }
        })
    }

    fn around(&self, graph: &Graph) -> Markup {
        let sketch = Sketch::of(graph, &View::whole(), &self.asked);
        drawing(&sketch, self.asked.words(), None)
    }

    async fn operations(&self) -> Markup {
        let words = self.asked.words();
        let by = GoldenBy::Operation;
        let picture =
            load_from(&self.query, by.question(self.asked.range, Source::Auto), by.frame(Some(&self.name)))
                .await;
        shown(&self.asked, picture, |picture| {
            let mut rows = golden(&picture, by, Some(&self.name));
            rows.sort_by(|a, b| b.figures.requests.total_cmp(&a.figures.requests));
            let left_out = rows.len().saturating_sub(LISTED_MAX);
            rows.truncate(LISTED_MAX);
            let mut columns = vec![text(words.operation)];
            columns.extend(figures::columns(&self.asked));
            let rows: Vec<(&str, Vec<Markup>)> = rows
                .iter()
                .map(|row| {
                    let name = match &row.subject {
                        Subject::Node { detail: Some(detail), .. } => detail.as_str(),
                        _ => "–",
                    };
                    let cells = std::iter::once(cell(name)).chain(figures::cells(&row.figures));
                    (severity(row.figures.error_ratio), cells.collect())
                })
                .collect();
            html! {
                (table(words.operations, &columns, &rows))
                @if left_out > 0 { p class="hint" { (left_out) " " (words.more_not_listed) } }
                (notes(&picture.warnings, words.warnings))
            }
        })
    }

    async fn versions(&self) -> Markup {
        let words = self.asked.words();
        let asked = operate::versions::Asked {
            service: &self.name,
            baseline: self.asked.get("baseline"),
            range: self.asked.range,
            source: Source::Auto,
        };
        shown(&self.asked, operate::versions::load(&self.query, &asked).await, |found| {
            let mut columns = vec![text(words.version), number(words.share), text(words.verdict)];
            columns.extend(figures::columns(&self.asked));
            let rows: Vec<(&str, Vec<Markup>)> = found
                .subsets
                .iter()
                .map(|subset| {
                    let name = subset.name.as_deref().unwrap_or("–");
                    let verdict = match &subset.comparison {
                        None => words.baseline.to_owned(),
                        Some(comparison) => words.verdict_of(comparison.verdict.name()).to_owned(),
                    };
                    let mut cells = vec![cell(name), cell(&format::percent(subset.share)), cell(&verdict)];
                    cells.extend(figures::cells(&subset.figures));
                    (severity(subset.figures.error_ratio), cells)
                })
                .collect();
            html! {
                (table(words.versions, &columns, &rows))
                p class="hint" { (words.versions_mean) }
                (notes(&found.warnings, words.warnings))
            }
        })
    }

    async fn balance(&self) -> Markup {
        let words = self.asked.words();
        let found = operate::balance::load(&self.query, &self.name, self.asked.range, Source::Auto).await;
        shown(&self.asked, found, |found| {
            let left_out = found.instances.len().saturating_sub(LISTED_MAX);
            let mut columns =
                vec![text(words.instance), text(words.version), number(words.share), text(words.odd)];
            columns.extend(figures::columns(&self.asked));
            let rows: Vec<(&str, Vec<Markup>)> = found
                .instances
                .iter()
                .take(LISTED_MAX)
                .map(|instance| {
                    let odd: Vec<&str> = instance.odd.iter().map(|odd| words.odd_of(odd.name())).collect();
                    let mut cells = vec![
                        cell(&instance.name),
                        cell(instance.version.as_deref().unwrap_or("–")),
                        cell(&format::percent(instance.share)),
                        cell(&odd.join(", ")),
                    ];
                    cells.extend(figures::cells(&instance.figures));
                    (severity(instance.figures.error_ratio), cells)
                })
                .collect();
            html! {
                p { (words.balance) ": " strong { (words.balance_of(found.verdict.name())) }
                    @if let Some(variation) = found.variation {
                        " " span class="hint" { (words.variation) " " (format::percent(variation)) }
                    }
                }
                (table(words.instances, &columns, &rows))
                @if left_out > 0 { p class="hint" { (left_out) " " (words.more_not_listed) } }
                (notes(&found.warnings, words.warnings))
            }
        })
    }

    async fn policies(&self) -> Markup {
        let words = self.asked.words();
        let asked = policies::Asked { service: Some(&self.name), client: None, server: None };
        let found = operate::policies::load(&self.query, self.asked.range, asked).await;
        shown(&self.asked, found, |found| calls::policies(&self.asked, &found, words.nothing_held_back))
    }

    /// None where the range is longer than rollouts can be told in.
    fn rollouts_range(&self) -> Option<Range> {
        rollouts::range_of(self.asked.range.from(), self.asked.range.to(), 0).ok()
    }

    async fn found_rollouts(&self, range: Range) -> Result<Rollouts, LoadError> {
        let asked = operate::rollouts::Asked { service: &self.name, range, source: Source::Auto };
        operate::rollouts::load(&self.query, &asked).await
    }

    fn rollouts(&self, found: Result<Rollouts, LoadError>) -> Markup {
        let words = self.asked.words();
        shown(&self.asked, found, |found| {
            let columns = [
                text(words.time),
                text(words.what),
                number(words.came),
                number(words.went),
                text(words.cost),
                number(words.calls_lost),
            ];
            let rows: Vec<(&str, Vec<Markup>)> =
                found.rollouts.iter().map(|rollout| rollout_row(&self.asked, rollout)).collect();
            html! {
                @if rows.is_empty() { p class="hint" { (words.no_rollouts) } }
                @else { (table(words.rollouts, &columns, &rows)) }
                (notes(&found.warnings, words.warnings))
            }
        })
    }

    async fn found_examples(&self) -> Result<Exemplars, LoadError> {
        let wanted = OfCalls { service: Some(&self.name), edge: None };
        let examples =
            Examples { range: self.asked.range, wanted, failed_only: false, duration_min: 0, most: EXAMPLES };
        exemplars(&self.query, &examples).await
    }
}

/// An answer that more than one part waits for.
fn once<T: Clone, F>(about: &Arc<About>, found: impl FnOnce(Arc<About>) -> F) -> Once<T>
where
    F: Future<Output = Result<T, LoadError>> + Send + 'static,
{
    found(Arc::clone(about)).boxed().shared()
}

/// Rollouts on the axis of time; each leads to its row below.
fn marks(asked: &Asked, rollouts: &[Rollout]) -> Vec<Mark> {
    let mark = |rollout: &Rollout| Mark {
        from: rollout.from,
        to: rollout.to,
        title: format!("{}, {}", asked.words().rollout_of(rollout.kind.name()), format::moment(rollout.from)),
        link: "#rollouts".to_owned(),
    };
    rollouts.iter().map(mark).collect()
}

fn rollout_row<'a>(asked: &Asked, rollout: &Rollout) -> (&'a str, Vec<Markup>) {
    let words = asked.words();
    let cost = &rollout.cost;
    let class = if cost.verdict.name() == "some" { "bad" } else { "" };
    let cells = vec![
        html! { time datetime=(rollout.from.to_rfc3339()) { (format::moment(rollout.from)) } },
        cell(words.rollout_of(rollout.kind.name())),
        cell(&rollout.came_count.to_string()),
        cell(&rollout.went_count.to_string()),
        cell(words.cost_of(cost.verdict.name())),
        html! { (calls_lost(cost)) " " span class="hint" { (reasons(cost)) } },
    ];
    (class, cells)
}

fn calls_lost(cost: &rollouts::Cost) -> String {
    format!("{} / {}", format::count(cost.lost), format::count(cost.calls))
}

/// Why calls were lost while it lasted, and how many for each reason: `UF 19, 502 4`.
fn reasons(cost: &rollouts::Cost) -> String {
    let told = cost.by.iter().filter(|loss| loss.during > 0.0).map(|loss| {
        let reason = &loss.reason;
        let code = || reason.response_code.map(|code| code.to_string());
        let grpc = || reason.grpc_status.map(|status| format!("gRPC {status}"));
        let name =
            reason.response_flags.clone().or_else(code).or_else(grpc).unwrap_or_else(|| "?".to_owned());
        format!("{name} {}", format::count(loss.during))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Characters that must be changed, added or taken away to make one name the other (Levenshtein, 1966), of the first
/// hundred of each.
fn distance(one: &str, other: &str) -> usize {
    let [one, other] = [one, other].map(|text| text.chars().take(100).collect::<Vec<_>>());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, left) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, right) in other.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn names_are_as_far_apart_as_typing_errors() {
        let cases = [
            ("reviews", "reviews", 0),
            ("reviws", "reviews", 1),
            ("ratings", "rating", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ];
        for (one, other, want) in cases {
            assert_eq!((distance(one, other), distance(other, one)), (want, want), "{one} {other}");
        }
    }
}
