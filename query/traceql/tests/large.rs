//! Traces of 100,000 spans, as deep, as wide or as parted as they can be. Each expected number is what the shape says.

use std::time::Duration;

use meshlake_schema::Spent;
use meshlake_schema::budget::Allowance;
use meshlake_traceql::tree::{Body, Scope};
use meshlake_traceql::{Error, Span, Spans, Spanset, Trace, Value, evaluate, parse};

const COUNT: usize = 100_000;

/// Spans whose parents are said by a function of their places.
struct Shaped {
    ids: Vec<String>,
    parents: Vec<Option<usize>>,
}

fn shaped(parent: fn(usize) -> Option<usize>) -> Shaped {
    Shaped {
        ids: (0..COUNT).map(|at| format!("{at:016x}")).collect(),
        parents: (0..COUNT).map(parent).collect(),
    }
}

impl Spans for Shaped {
    fn count(&self) -> usize {
        COUNT
    }

    fn trace_id(&self, _: usize) -> &str {
        "0"
    }

    fn span(&self, at: usize) -> Span<'_> {
        let name = if at == 0 {
            "first"
        } else if at == COUNT - 1 {
            "last"
        } else {
            "between"
        };
        let parent = self.parents[at].map(|parent| self.ids[parent].as_str());
        Span { id: &self.ids[at], parent, name, start_nano: at as i64, duration_nano: 10, ..Span::default() }
    }

    fn attribute(&self, at: usize, _: Scope, key: &str) -> Value<'_> {
        if key == "place" { Value::Integer(at as i64) } else { Value::Nil }
    }

    fn for_each_attribute<'s>(&'s self, _: usize, _: Scope, _: &mut dyn FnMut(&'s str, Value<'s>)) {}

    fn event_count(&self, _: usize) -> usize {
        0
    }

    fn event(&self, _: usize, _: usize) -> (&str, i64) {
        ("", 0)
    }

    fn event_attribute(&self, _: usize, _: usize, _: &str) -> Value<'_> {
        Value::Nil
    }

    fn link_count(&self, _: usize) -> usize {
        0
    }

    fn link(&self, _: usize, _: usize) -> (&str, &str) {
        ("", "")
    }

    fn link_attribute(&self, _: usize, _: usize, _: &str) -> Value<'_> {
        Value::Nil
    }
}

fn answer<'a>(trace: &Trace<'a>, query: &str) -> Vec<Spanset<'a>> {
    let Body::Spans(pipeline) = parse(query).expect("a query").body else { panic!("{query}") };
    evaluate(&pipeline, trace, &Allowance::new(0, None)).expect("no deadline")
}

/// Spans in all spansets.
fn check(trace: &Trace<'_>, query: &str, want: usize) {
    let found: usize = answer(trace, query).iter().map(|spanset| spanset.spans.len()).sum();
    assert_eq!(found, want, "{query}");
}

#[test]
fn a_chain_of_spans_each_below_the_one_before() {
    let spans = shaped(|at| at.checked_sub(1));
    let trace = Trace::new(&spans);
    for query in ["{ } >> { }", "{ } << { }", "{ } > { }", "{ } < { }"] {
        check(&trace, query, COUNT - 1);
    }
    check(&trace, "{ } ~ { }", 0);
    check(&trace, "{ } !>> { }", 1);
    check(&trace, "{ name = \"first\" } >> { name = \"last\" }", 1);
    check(&trace, "{ name = \"last\" } &<< { }", COUNT);
    check(&trace, "{ name = \"last\" } >> { }", 0);
    check(&trace, "{ .place > 500 } << { .place < 500 }", 500);
    check(&trace, "{ nestedSetRight - nestedSetLeft = 1 }", 1);
    check(&trace, "{ parent.place = .place - 1 }", COUNT - 1);
    check(&trace, "{ } | sum(.place) = 4999950000", COUNT);
}

#[test]
fn spans_that_are_all_children_of_the_first() {
    let spans = shaped(|at| (at > 0).then_some(0));
    let trace = Trace::new(&spans);
    check(&trace, "{ } ~ { }", COUNT - 1);
    check(&trace, "{ name = \"last\" } ~ { }", COUNT - 2);
    check(&trace, "{ name = \"last\" } !~ { }", 2);
    check(&trace, "{ } > { }", COUNT - 1);
    check(&trace, "{ } < { }", 1);
    check(&trace, "{ childCount = 99999 }", 1);
}

/// Each of as many spansets as spans costs what it has, and nothing for the others.
#[test]
fn a_group_for_every_span() {
    let spans = shaped(|at| at.checked_sub(1));
    let trace = Trace::new(&spans);
    assert_eq!(answer(&trace, "by(span:id) | count() = 1").len(), COUNT);
    check(&trace, "by(span:id) | { } >> { }", 0);
    check(&trace, "by(.place - .place % 2) | { } > { } | coalesce()", COUNT / 2);
}

#[test]
fn an_answer_stops_when_the_time_is_up() {
    let spans = shaped(|at| at.checked_sub(1));
    let trace = Trace::new(&spans);
    let Body::Spans(pipeline) = parse("{ name = \"last\" }").expect("a query").body else {
        panic!("of spans")
    };
    let answer = evaluate(&pipeline, &trace, &Allowance::new(0, Some(Duration::ZERO)));
    assert_eq!(answer, Err(Error::Spent(Spent::Time)));
}
