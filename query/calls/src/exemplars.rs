//! Examples of the calls of an answer: those whose traces are worth a look, failed ones first, then slow ones.
//!
//! Taken from the fold that counts, so that an example is a call of the edge that it is shown for. Every kind of
//! evidence is taken, not only what counts: proxies count calls best, spans have the traces. Rows of a day are too many to fold for a
//! dozen calls, and cells know when calls failed and how long the longest took: [`where_to_look`]. Limit: [`EXEMPLARS_MAX`].

use std::collections::BTreeMap;

use meshlake_schema::TimeRange;

use crate::golden::unknown_service;
use crate::measure::Measure;
use crate::noted::Wish;
use crate::one_call::CallSeen;
use crate::{NodeIdentity, Picture};

/// Most examples of an answer: each trace is looked up before it is named.
pub const EXEMPLARS_MAX: usize = 100;

/// Examples of an answer when nothing is said.
pub const EXEMPLARS_DEFAULT: usize = 20;

const NANOS_PER_MILLI: f64 = 1e6;

/// Of which calls examples are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Of calls that this node received, by id or by name.
    pub service: Option<&'a str>,
    /// Of calls between these two.
    pub edge: Option<(&'a str, &'a str)>,
}

fn is(node: &NodeIdentity, name: &str) -> bool {
    node.id == name || node.name == name
}

impl Wanted<'_> {
    fn has(&self, picture: &Picture, call: &CallSeen) -> bool {
        self.is_between(picture, call.source, call.target)
    }

    fn is_between(&self, picture: &Picture, source: Option<usize>, target: usize) -> bool {
        let target = &picture.nodes[target];
        let source = source.map(|source| &picture.nodes[source]);
        let is_on_edge =
            |(from, to): (&str, &str)| is(target, to) && source.is_some_and(|source| is(source, from));
        self.service.is_none_or(|service| is(target, service)) && self.edge.is_none_or(is_on_edge)
    }

    /// What to say of names that nothing goes by.
    pub fn unknown(&self, picture: &Picture) -> Vec<String> {
        let ends = self.edge.map(|(from, to)| [from, to]);
        let names = self.service.into_iter().chain(ends.into_iter().flatten());
        names.filter_map(|name| unknown_service(picture, Some(name))).collect()
    }
}

/// The buckets of a picture with calls that may fit, those first where most is to be found: where most failed, then where the longest
/// took longest. The picture has a step, and the nodes or, for an edge, the edges that are wanted.
pub fn where_to_look(picture: &Picture, wanted: &Wanted<'_>, wish: Wish) -> Vec<TimeRange> {
    let of_nodes = picture.node_cells.iter().map(|cell| (None, cell.node, cell.bucket, &cell.measure));
    let of_edges =
        picture.edge_cells.iter().map(|cell| (Some(cell.source), cell.target, cell.bucket, &cell.measure));
    let mut told: BTreeMap<u16, (f64, f64)> = BTreeMap::new();
    for (source, target, bucket, measure) in of_nodes.chain(of_edges) {
        if wanted.is_between(picture, source, target) && may_hold(measure, wish) {
            let (failed, longest_ms) = told.entry(bucket).or_default();
            *failed += failures(measure);
            *longest_ms = longest_ms.max(measure.max_ms().unwrap_or_default());
        }
    }
    let mut told: Vec<(u16, (f64, f64))> = told.into_iter().collect();
    told.sort_by(|(_, (failed, longest)), (_, (other_failed, other_longest))| {
        other_failed.total_cmp(failed).then_with(|| other_longest.total_cmp(longest))
    });
    let range = &picture.range;
    let step = range.step().unwrap_or_default();
    let when = |bucket: u16| TimeRange {
        from: range.bucket_start(bucket),
        to: range.bucket_start(bucket).plus(step).min(range.to()),
    };
    told.into_iter().map(|(bucket, _)| when(bucket)).collect()
}

fn failures(measure: &Measure) -> f64 {
    measure.errors() + measure.client_errors() + measure.aborted()
}

/// Whether calls as they are wished may be among these; the longest is known within a sketch's error.
fn may_hold(measure: &Measure, wish: Wish) -> bool {
    let Wish::Telling { failed_only, duration_min } = wish else { return true };
    let is_long = measure.max_ms().is_some_and(|longest| longest * NANOS_PER_MILLI >= duration_min as f64);
    (duration_min <= 0 || is_long) && (!failed_only || failures(measure) > 0.0)
}

/// The calls that fit, in the order of the wish that the picture was made with.
pub fn candidates(picture: &Picture, wanted: &Wanted<'_>, wish: Wish) -> Vec<CallSeen> {
    let calls = picture.calls.iter().filter(|call| wanted.has(picture, call));
    let mut calls: Vec<CallSeen> = calls.cloned().collect();
    calls.sort_by(|a, b| {
        let ends = |call: &CallSeen| (call.source, call.target);
        a.noted.compare(&b.noted, wish).then_with(|| ends(a).cmp(&ends(b)))
    });
    calls
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_schema::UnixNanos;

    use super::*;
    use crate::fixture::{self, CALL, CLIENT, Request, SERVED, SERVER, SPAN, Span};
    use crate::{By, Fold, Grain, Question, Range, Source};

    /// a calls b three times by spans and once by a row of a's proxy, which is what counts; a calls c.
    fn picture(wish: Wish) -> Picture {
        let call = |trace, millis, outcome| {
            let made = Span { trace, millis, outcome, kind: CLIENT, ..SPAN };
            let served = Span { id: 2, parent: 1, kind: SERVER, service: ("default", "b"), ..made };
            [made, served]
        };
        let spans = [call(1, 10, "ok"), call(2, 70, "ok"), call(3, 20, "error")].concat();
        let rows = [Request { millis: 30, ..CALL }, Request { destination: ("default", "c"), ..CALL }];
        let (range, by, grain) = (fixture::range(), By::Service, Grain::Node);
        let mut fold = Fold::new(Question { range, by, grain, source: Source::Auto }).exemplifying(9, wish);
        fold.add_requests(&fixture::requests(&rows));
        fold.add_spans(&fixture::spans(&spans));
        fold.finish().expect("a few cells")
    }

    /// Ends and milliseconds of the candidates.
    fn told(wanted: Wanted<'_>, failed_only: bool, millis_min: i64) -> Vec<String> {
        let wish = Wish::Telling { failed_only, duration_min: millis_min * 1_000_000 };
        let picture = picture(wish);
        let id = |node: usize| picture.nodes[node].name.as_str();
        let calls = candidates(&picture, &wanted, wish).into_iter().map(|call| {
            let millis = call.noted.seen.duration_nano / 1_000_000;
            format!("{}>{} {millis}", call.source.map_or("-", id), id(call.target))
        });
        calls.collect()
    }

    #[test]
    fn failed_calls_of_all_evidence_come_first_then_slow_ones() {
        let all = ["a>b 20", "a>b 70", "a>b 30", "a>b 10", "a>c 10"];
        assert_eq!(told(Wanted::default(), false, 0), all);
        assert_eq!(told(Wanted { service: Some("b"), ..Wanted::default() }, false, 0), all[..4]);
        assert_eq!(told(Wanted { edge: Some(("default/a", "c")), ..Wanted::default() }, false, 0), all[4..]);
        assert_eq!(told(Wanted::default(), true, 0), all[..1]);
        assert_eq!(told(Wanted::default(), false, 30), all[1..3]);
        assert_eq!(told(Wanted { service: Some("a"), ..Wanted::default() }, false, 0), [""; 0]);
    }

    #[test]
    fn names_that_nothing_goes_by_are_said() {
        let picture = picture(Wish::Newest);
        let wanted = Wanted { service: Some("b"), edge: Some(("x", "b")) };
        assert_eq!(wanted.unknown(&picture), ["no node is called `x` in this range"]);
    }

    /// b is called in four minutes: 10 ms, 70 ms, one failure of 5 ms, two of 1 ms; c fails all the time.
    #[test]
    fn failures_are_looked_for_before_long_calls() {
        let call = |minute: i64, millis, outcome| Request {
            second: fixture::FROM_SECOND + minute * 60,
            millis,
            outcome,
            ..SERVED
        };
        let of_c =
            (0..4).map(|minute| Request { destination: ("default", "c"), ..call(minute, 900, "error") });
        let of_b = [
            call(0, 10, "ok"),
            call(1, 70, "ok"),
            call(2, 5, "error"),
            call(3, 1, "client_error"),
            call(3, 1, "aborted"),
        ];
        let rows: Vec<Request> = of_b.into_iter().chain(of_c).collect();
        let from = UnixNanos(fixture::FROM_SECOND * 1_000_000_000);
        let minute = Duration::from_secs(60);
        let range = Range::new(from, from.plus(minute * 4), Some(minute)).expect("four minutes");
        let (by, grain, source) = (By::Service, Grain::Node, Source::Auto);
        let mut fold = Fold::new(Question { range, by, grain, source });
        fold.add_requests(&fixture::requests(&rows));
        let picture = fold.finish().expect("a few cells");
        let look = |wanted: Wanted<'_>, failed_only, millis: i64| {
            let wish = Wish::Telling { failed_only, duration_min: millis * 1_000_000 };
            let found = where_to_look(&picture, &wanted, wish);
            found.iter().map(|times| (times.from.0 - from.0) / 60_000_000_000).collect::<Vec<_>>()
        };
        let b = Wanted { service: Some("b"), edge: None };
        assert_eq!(look(b, false, 0), [3, 2, 1, 0]);
        assert_eq!(look(b, true, 0), [3, 2]);
        assert_eq!(look(b, false, 6), [1, 0]);
        assert_eq!(look(b, true, 6), [0; 0]);
        assert_eq!(look(Wanted { service: None, edge: Some(("a", "b")) }, false, 0), [3, 2, 1, 0]);
        assert_eq!(look(Wanted::default(), true, 0).len(), 4);
    }
}
