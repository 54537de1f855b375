//! How full a service is: calls in progress at each instance, how long calls wait on their way, what was turned away for
//! lack of room, and what metrics tell of CPU, memory and pools.
//!
//! Calls in progress are the sum of durations over the time (Little's law, L = lambda W). What waits between the caller's
//! proxy and the callee's is the difference of the mean latencies that both saw of one edge: connecting, queueing and the
//! network, and tries that failed.

use std::collections::{BTreeMap, BTreeSet};

use super::gauges::Gauge;
use super::policies::{Asked, PolicyRow, policies};
use super::reasons::Policy;
use crate::detail::Detail;
use crate::entry::Entry;
use crate::measure::Measure;
use crate::{By, Evidence, Figures, Grain, Part, Parts, PartsFrame, Question, Range, Source, Told};

/// Most instances of an answer, those with most calls in progress first.
pub const INSTANCES_MAX: usize = 1_000;

/// What turns calls away for lack of room.
const ROOM: [Policy; 4] =
    [Policy::CircuitBreaker, Policy::OutlierEjection, Policy::RateLimit, Policy::Overload];

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Saturation {
    pub range: Range,
    /// Id of the service; `None` where nothing goes by the name.
    pub service: Option<String>,
    /// What the service received.
    pub figures: Option<(Figures, Evidence)>,
    pub instances: Vec<InstanceRow>,
    pub waiting: Vec<Waiting>,
    /// What was turned away, of calls to the service.
    pub refused: Vec<PolicyRow>,
    /// What metrics tell.
    pub gauges: Vec<Gauge>,
    pub warnings: Vec<String>,
}

/// An instance; its `concurrency` is among the figures.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRow {
    /// `None` for calls that name none.
    pub name: Option<String>,
    pub figures: Figures,
}

/// How long calls of one caller were on their way.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Id of the caller.
    pub client: String,
    /// Mean latency as the caller's proxy saw it, and as the callee's did, of calls that arrived; milliseconds.
    pub client_mean_ms: f64,
    pub server_mean_ms: f64,
}

/// The question whose parts an answer is cut from.
pub fn question(range: Range) -> Question {
    let told = Told::INSTANCE.with(Told::FLAGS).with(Told::CODE).with(Told::REFUSAL);
    Question { range, by: By::Service, grain: Grain::Told(told), source: Source::Auto }
}

/// The parts that an answer about a service is cut from, by id or by name.
pub fn wanted(service: &str) -> PartsFrame {
    PartsFrame { server: Some(service.to_owned()), ..PartsFrame::default() }
}

/// How full a service is, by id or by name.
pub fn saturation(parts: &Parts, service: &str) -> Saturation {
    let (found, mut warnings) = found(parts, service);
    warnings.splice(0..0, parts.warnings.iter().cloned());
    let seconds = parts.range.bucket_seconds(0);
    let received: Vec<&Part> =
        parts.parts.iter().filter(|part| is_received_at(part, parts, &found)).collect();
    let has_rows = received.iter().any(|part| part.evidence == Evidence::Requests);
    let evidence = if has_rows { Evidence::Requests } else { Evidence::Spans };
    let mut all = Measure::default();
    let mut instances: BTreeMap<Option<String>, Measure> = BTreeMap::new();
    for part in received.iter().filter(|part| part.evidence == evidence) {
        let name = Detail::read(&part.detail).instance.map(str::to_owned);
        instances.entry(name).or_default().merge(&part.measure);
        all.merge(&part.measure);
    }
    let row = |(name, measure): (_, Measure)| InstanceRow {
        name,
        figures: Figures::of(&measure, evidence, seconds),
    };
    let mut instances: Vec<InstanceRow> = instances.into_iter().map(row).collect();
    instances.sort_by(|a, b| b.figures.concurrency.total_cmp(&a.figures.concurrency));
    if instances.len() > INSTANCES_MAX {
        let more = instances.len() - INSTANCES_MAX;
        warnings.push(format!("only the {INSTANCES_MAX} fullest instances are told of, of {more} more"));
        instances.truncate(INSTANCES_MAX);
    }
    let told = policies(parts, Asked { server: found.as_deref(), ..Asked::default() });
    let refused = told.rows.into_iter().filter(|row| found.is_some() && ROOM.contains(&row.policy));
    Saturation {
        range: parts.range,
        figures: (all.requests_milli() > 0).then(|| (Figures::of(&all, evidence, seconds), evidence)),
        instances,
        waiting: waiting(parts, &found),
        refused: refused.collect(),
        gauges: Vec::new(),
        service: found,
        warnings,
    }
}

/// Of several services of one name the first by id.
fn found(parts: &Parts, service: &str) -> (Option<String>, Vec<String>) {
    let ids: BTreeSet<&str> =
        parts.nodes.iter().filter(|node| node.is_of(service)).map(|node| node.id.as_str()).collect();
    let first = ids.first().map(|id| (*id).to_owned());
    let warning = match ids.len() {
        0 => Some(format!("no node is called `{service}` in this range")),
        1 => None,
        count => Some(format!(
            "{count} services are called `{service}`; ask by id, as `{}`",
            ids.first().unwrap_or(&"")
        )),
    };
    (first, warning.into_iter().collect())
}

fn is_received_at(part: &Part, parts: &Parts, service: &Option<String>) -> bool {
    let is_received =
        matches!(part.entry, Entry::Received | Entry::ReceivedMessages | Entry::ReceivedConnections);
    is_received && Some(&parts.nodes[part.target].id) == service.as_ref()
}

fn waiting(parts: &Parts, service: &Option<String>) -> Vec<Waiting> {
    let mut sides: BTreeMap<usize, [Measure; 2]> = BTreeMap::new();
    for part in &parts.parts {
        let is_to_it = Some(&parts.nodes[part.target].id) == service.as_ref();
        let side = match part.entry {
            Entry::Edge => 0,
            Entry::Received => 1,
            _ => continue,
        };
        if let (true, Some(source), Evidence::Requests) = (is_to_it, part.source, part.evidence) {
            sides.entry(source).or_default()[side].merge(&part.measure);
        }
    }
    let seen = sides.into_iter().filter(|(_, sides)| sides[0].made() > 0.0 && sides[1].requests() > 0.0);
    let mean = |measure: &Measure| measure.concurrency(1.0) * 1e3 / measure.requests();
    seen.map(|(source, sides)| Waiting {
        client: parts.nodes[source].id.clone(),
        client_mean_ms: mean(&sides[0]),
        server_mean_ms: mean(&sides[1]),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fold;
    use crate::fixture::{self, CALL, Request, SERVED};

    fn asked(requests: &[Request], service: &str) -> Saturation {
        let mut fold = Fold::new(question(fixture::range()));
        fold.add_requests(&fixture::requests(requests));
        saturation(&fold.finish_parts().expect("a few cells"), service)
    }

    /// Two calls of 6 s at one instance and one of 3 s at another, in a minute; a waited 30 ms longer than b took.
    #[test]
    fn calls_in_progress_are_told_by_instance() {
        let served = |instance, request_id, millis| Request { instance, request_id, millis, ..SERVED };
        let made = |request_id, millis| Request { request_id, millis, ..CALL };
        let rows = [
            served("b-0", "1", 6_000),
            served("b-0", "2", 6_000),
            served("b-1", "3", 3_000),
            made("1", 6_030),
            made("2", 6_030),
            made("3", 3_030),
            Request { flags: "UO", outcome: "error", attempts: 0, ..CALL },
            Request { flags: "NR", outcome: "error", attempts: 0, ..CALL },
        ];
        let answer = asked(&rows, "b");
        let told: Vec<_> =
            answer.instances.iter().map(|row| (row.name.as_deref(), row.figures.concurrency)).collect();
        assert_eq!(told, [(Some("b-0"), 0.2), (Some("b-1"), 0.05)]);
        let all = answer.figures.as_ref().map(|(figures, evidence)| (figures.concurrency, *evidence));
        assert_eq!(all, Some((0.25, Evidence::Requests)));
        let waiting = &answer.waiting[0];
        assert_eq!((waiting.client.as_str(), waiting.server_mean_ms), ("default/a", 5_000.0));
        assert!((waiting.client_mean_ms - 5_030.0).abs() < 1e-9, "{waiting:?}");
        let refused: Vec<_> = answer.refused.iter().map(|row| (row.reason.as_str(), row.requests)).collect();
        assert_eq!(refused, [("UO", 1.0)], "no route is no lack of room");
    }

    #[test]
    fn a_service_that_is_not_there_is_said() {
        let answer = asked(&[SERVED], "c");
        assert_eq!((answer.figures, answer.refused.len()), (None, 0));
        assert_eq!(answer.warnings, ["no node is called `c` in this range"]);
        let of = |namespace| Request { destination: (namespace, "b"), ..SERVED };
        let want = "2 services are called `b`; ask by id, as `x/b`";
        assert_eq!(asked(&[of("x"), of("y")], "b").warnings, [want]);
    }
}
