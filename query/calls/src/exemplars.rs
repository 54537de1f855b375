//! Examples of the calls of an answer: those whose traces are worth a look, failed ones first, then slow ones.
//!
//! Taken from the fold that counts, so that an example is a call of the edge that it is shown for. Every kind of
//! evidence is taken, not only what counts: proxies count calls best, spans have the traces. Limit: [`EXEMPLARS_MAX`].

use crate::golden::unknown_service;
use crate::noted::Wish;
use crate::one_call::CallSeen;
use crate::{NodeIdentity, Picture};

/// Most examples of an answer: each trace is looked up before it is named.
pub const EXEMPLARS_MAX: usize = 100;

/// Examples of an answer when nothing is said.
pub const EXEMPLARS_DEFAULT: usize = 20;

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
        let target = &picture.nodes[call.target];
        let source = call.source.map(|source| &picture.nodes[source]);
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
    use super::*;
    use crate::fixture::{self, CALL, CLIENT, Request, SERVER, SPAN, Span};
    use crate::{By, Fold, Grain, Question, Source};

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
}
