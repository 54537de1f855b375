//! Random queries over random traces, against what the language's description says, interpreted directly: no sorting, no
//! walk, no types; every span against every other.

mod reported;
mod series;
mod rows;
mod slow;
mod plain;
mod language;
mod data;

use std::collections::BTreeSet;

use data::{Dice, Made, Plain};
use meshlake_schema::Table;
use meshlake_schema::budget::Allowance;
use meshlake_traceql::tree::{Body, Pipeline};
use meshlake_traceql::{Demand, Selected, Trace, Value, evaluate, parse};
use slow::{Groups, Slow};

const QUERIES: u64 = 2_000;

fn plain(value: &Value<'_>) -> Plain {
    match value {
        Value::Nil => Plain::Nil,
        Value::Text(text) => Plain::Text(text.to_string()),
        Value::Integer(value) => Plain::Int(*value),
        Value::Float(value) => Plain::Float(*value),
        Value::Boolean(value) => Plain::Bool(*value),
        Value::Duration(value) => Plain::Nanos(*value),
        Value::Status(status) => Plain::Status(*status as i64),
        Value::Kind(kind) => Plain::Kind(*kind as i64),
        Value::List(items) => Plain::List(items.iter().map(plain).collect()),
    }
}

fn pipeline(query: &str) -> Pipeline {
    let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let Body::Spans(pipeline) = tree.body else { panic!("{query} is of spans") };
    pipeline
}

/// The answer in the test's words.
fn answered(pipeline: &Pipeline, trace: &Made) -> Groups {
    let spansets = evaluate(pipeline, &Trace::new(trace), &Allowance::new(0, None)).expect("no deadline");
    let group = |spanset: meshlake_traceql::Spanset<'_>| {
        let by = spanset.attributes.iter().filter(|(name, _)| name.starts_with("by("));
        (spanset.spans.into_iter().collect(), by.map(|(_, value)| plain(value)).collect())
    };
    spansets.into_iter().map(group).collect()
}

/// Ids of the spans of each group, in no order.
fn ids(groups: &Groups, trace: &Made) -> BTreeSet<BTreeSet<String>> {
    let of_group = |spans: &slow::Group| spans.iter().map(|at| trace.spans[*at].id.clone()).collect();
    groups.iter().map(|(spans, _)| of_group(spans)).collect()
}

/// A trace and a query, by its seed.
fn made(seed: u64) -> (Made, Vec<language::Stage>, String) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let trace = data::trace(&mut dice);
    let stages = language::stages(&mut dice, 2);
    let query = language::text_of(&stages);
    (trace, stages, query)
}

#[test]
fn a_query_gives_what_the_language_says() {
    let mut with_some = 0;
    for seed in 0..QUERIES {
        let (trace, stages, query) = made(seed);
        let found = answered(&pipeline(&query), &trace);
        let all = (0..trace.spans.len()).collect();
        let want = Slow(&trace).stages(&stages, &all);
        assert_eq!(found, want, "seed {seed}: {query}\n{trace:#?}");
        with_some += usize::from(!want.is_empty());
    }
    let share = with_some as f64 / QUERIES as f64;
    assert!((0.2..0.9).contains(&share), "{share} of the queries give something");
}

/// What grafana/tempo#3777, #2659 and #5272 report: the same question, another answer. Here no order of rows matters.
#[test]
fn the_order_in_which_spans_come_changes_nothing() {
    for seed in 0..QUERIES {
        let (mut trace, _, query) = made(seed);
        let pipeline = pipeline(&query);
        let before = ids(&answered(&pipeline, &trace), &trace);
        trace.spans.reverse();
        let middle = trace.spans.len() / 2;
        trace.spans.rotate_left(middle);
        assert_eq!(ids(&answered(&pipeline, &trace), &trace), before, "seed {seed}: {query}\n{trace:#?}");
    }
}

#[test]
fn a_trace_in_which_something_is_selected_has_every_span_that_is_demanded() {
    let (mut ruled_out, mut demanding) = (0, 0);
    for seed in 0..QUERIES {
        let (trace, _, query) = made(seed);
        let demands = Selected::of(&parse(&query).expect("it was read before")).demands;
        let rows = Trace::of_rows(&trace);
        let is_met = |demand: &Demand| {
            assert_eq!(demand.filter.check(Table::Spans), Ok(()));
            let meets = |at: usize| rows.holds(&demand.condition, at);
            let met: Vec<usize> = (0..trace.spans.len()).filter(|at| meets(*at)).collect();
            assert!(met.iter().all(|at| rows::passes(&trace, *at, &demand.filter)), "seed {seed}: {query}");
            !met.is_empty()
        };
        let are_met = demands.iter().filter(|demand| is_met(demand)).count() == demands.len();
        let whole = answered(&pipeline(&query), &trace);
        assert!(are_met || whole.is_empty(), "seed {seed}: {query}\n{demands:?}\n{trace:#?}");
        demanding += usize::from(!demands.is_empty());
        ruled_out += usize::from(!are_met);
    }
    assert!(demanding > 100, "{demanding} queries demand spans beside the selected ones");
    assert!(ruled_out > 50, "{ruled_out} traces need not be read");
}

/// Every span of an answer passes what is said of each by itself, and where spans are alone, those are all.
#[test]
fn what_is_said_of_selected_spans_is_true_of_them() {
    let (mut with_condition, mut alone, mut plain_values) = (0, 0, 0);
    for seed in 0..QUERIES {
        let (trace, _, query) = made(seed);
        let selected = Selected::of(&parse(&query).expect("it was read before"));
        let rows = Trace::of_rows(&trace);
        let holds = |at: usize| selected.condition.as_ref().is_none_or(|condition| rows.holds(condition, at));
        let found: BTreeSet<usize> =
            answered(&pipeline(&query), &trace).into_iter().flat_map(|(spans, _)| spans).collect();
        for at in &found {
            assert!(holds(*at), "seed {seed}: {query}\n{selected:?}\n{trace:#?}");
            assert!(rows::passes(&trace, *at, &selected.filter), "seed {seed}: {query}\n{trace:#?}");
            let is_list = |value: &Plain| matches!(value, Plain::List(_));
            if let Some(plain) = &selected.without_lists
                && !trace.spans[*at].attributes.values().any(is_list)
            {
                assert!(rows::passes(&trace, *at, plain), "seed {seed}: {query}\n{plain:?}\n{trace:#?}");
                plain_values += 1;
            }
        }
        with_condition += usize::from(selected.condition.is_some());
        if selected.is_alone {
            alone += 1;
            let told: BTreeSet<usize> = (0..trace.spans.len()).filter(|at| holds(*at)).collect();
            assert_eq!(told, found, "seed {seed}: {query}\n{trace:#?}");
        }
    }
    assert!(with_condition > 500, "{with_condition} queries say something of each span");
    assert!(plain_values > 0, "{plain_values} spans have the values that are asked for");
    assert!(alone > 200, "{alone} queries look at spans alone");
}
