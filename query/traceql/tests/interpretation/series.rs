//! Series over time: each function by arithmetic on the page, and all of them in parts against the whole.

use std::collections::BTreeMap;

use meshlake_schema::budget::Allowance;
use meshlake_traceql::{Error, Line, Partial, Steps, Trace, Value, parse};

use crate::data::{self, Dice, Made, One, Plain};

const SECOND: i64 = 1_000_000_000;

/// A span that starts at a second, in that service.
fn span(number: usize, start: i64, service: &str, duration: i64) -> One {
    One {
        id: format!("{number:016x}"),
        parent: None,
        name: "n".to_owned(),
        kind: 2,
        status: 0,
        message: String::new(),
        start: start * SECOND,
        duration,
        service: Some(service.to_owned()),
        scope: String::new(),
        attributes: BTreeMap::from([("v".to_owned(), Plain::Int(number as i64))]),
        resource: BTreeMap::from([("service.name".to_owned(), Plain::Text(service.to_owned()))]),
        instrumentation: BTreeMap::new(),
        events: Vec::new(),
        links: Vec::new(),
    }
}

fn trace(spans: &[One]) -> Made {
    Made { id: format!("{:032x}", 1), spans: spans.to_vec() }
}

/// Instants 10, 20 and 30 s: steps (0, 10], (10, 20] and (20, 30].
fn steps() -> Steps {
    Steps::range(10 * SECOND, 30 * SECOND, 10 * SECOND).expect("a range")
}

fn asked(query: &str, steps: Steps, traces: &[Made]) -> Result<Vec<Line>, Error> {
    let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let budget = Allowance::new(64 << 20, None);
    let mut partial = Partial::new(&tree, steps, &budget).expect("a query of series");
    for trace in traces {
        partial.add(&Trace::new(trace))?;
    }
    Ok(partial.finish())
}

/// Labels as text, and values.
fn told(lines: &[Line]) -> Vec<(String, Vec<Option<f64>>)> {
    let label = |(name, value): &(String, Value<'_>)| format!("{name}={value}");
    let labels = |line: &Line| line.labels.iter().map(label).collect::<Vec<_>>().join(" ");
    lines.iter().map(|line| (labels(line), line.values.clone())).collect()
}

/// Spans of service a at 10 (its step's end), 11 and 20 s, of b at 21 s; those at 0 and 31 s are outside.
fn some() -> Made {
    trace(&[
        span(0, 0, "a", 0),
        span(1, 10, "a", 100_000_000),
        span(2, 11, "a", 200_000_000),
        span(3, 20, "a", 400_000_000),
        span(4, 21, "b", 1_000_000_000),
        span(5, 31, "b", 0),
    ])
}

fn check(query: &str, want: &[(&str, [Option<f64>; 3])]) {
    let lines = asked(query, steps(), &[some()]).unwrap_or_else(|error| panic!("{query}: {error}"));
    let want: Vec<_> = want.iter().map(|(labels, values)| ((*labels).to_owned(), values.to_vec())).collect();
    assert_eq!(told(&lines), want, "{query}");
}

#[test]
fn spans_are_counted_in_the_step_that_they_start_in() {
    check("{ } | count_over_time()", &[("", [Some(1.0), Some(2.0), Some(1.0)])]);
    check("{ } | rate()", &[("", [Some(0.1), Some(0.2), Some(0.1)])]);
    check("{ name = \"other\" } | rate()", &[]);
    let by_service = [
        ("resource.service.name=\"a\"", [Some(1.0), Some(2.0), Some(0.0)]),
        ("resource.service.name=\"b\"", [Some(0.0), Some(0.0), Some(1.0)]),
    ];
    check("{ } | count_over_time() by (resource.service.name)", &by_service);
    check(
        "{ .v > 2 } | count_over_time() by (kind, .none)",
        &[("kind=server .none=nil", [Some(0.0), Some(1.0), Some(1.0)])],
    );
    let instant = Steps::instant(0, 40 * SECOND).expect("an instant");
    let lines = asked("{ } | rate()", instant, &[some()]).expect("no limit");
    assert_eq!(told(&lines), [(String::new(), vec![Some(5.0 / 40.0)])], "all but the one at the start");
}

#[test]
fn numbers_are_measured_durations_in_seconds() {
    check("{ } | min_over_time(duration)", &[("", [Some(0.1), Some(0.2), Some(1.0)])]);
    check("{ } | max_over_time(duration)", &[("", [Some(0.1), Some(0.4), Some(1.0)])]);
    check("{ } | avg_over_time(.v)", &[("", [Some(1.0), Some(2.5), Some(4.0)])]);
    check("{ } | sum_over_time(.v * 2)", &[("", [Some(2.0), Some(10.0), Some(8.0)])]);
    check("{ } | sum_over_time(.none)", &[]);
    check("{ .v != 4 } | max_over_time(.v)", &[("", [Some(1.0), Some(3.0), None])]);
    let of_rank = |q: f64| format!("{{ }} | quantile_over_time(.v, {q})");
    check(&of_rank(1.0), &[("p=1.0", [Some(1.0), Some(3.0), Some(4.0)])]);
    check(&of_rank(0.0), &[("p=0.0", [Some(1.0), Some(2.0), Some(4.0)])]);
}

/// 100 ms is at most 2^27 ns (134 ms), 200 ms at most 2^28, 400 ms at most 2^29, a second at most 2^30; of the numbers 1 is
/// 2^0, 2 is 2^1, 3 and 4 are at most 2^2.
#[test]
fn a_histogram_has_powers_of_two() {
    let power = |exponent: i32| f64::from(exponent).exp2() / 1e9;
    let bucket = |exponent: i32| format!("__bucket={:?}", power(exponent));
    let labels = [bucket(27), bucket(28), bucket(29), bucket(30)];
    let (none, one) = (Some(0.0), Some(1.0));
    let want = [
        (labels[0].as_str(), [one, none, none]),
        (labels[1].as_str(), [none, one, none]),
        (labels[2].as_str(), [none, one, none]),
        (labels[3].as_str(), [none, none, one]),
    ];
    check("{ } | histogram_over_time(duration)", &want);
    let want = [
        ("__bucket=1.0", [one, none, none]),
        ("__bucket=2.0", [none, one, none]),
        ("__bucket=4.0", [none, one, one]),
    ];
    check("{ } | histogram_over_time(.v)", &want);
}

/// Counts of a are 1, 2, 0, of b 0, 0, 1. Of equal values the labels that come first are ranked first.
#[test]
fn series_are_ranked_limited_and_computed() {
    let counts = "{ } | count_over_time() by (resource.service.name)";
    let (a, b) = ("resource.service.name=\"a\"", "resource.service.name=\"b\"");
    let top = [(a, [Some(1.0), Some(2.0), None]), (b, [None, None, Some(1.0)])];
    check(&format!("{counts} | topk(1)"), &top);
    check(&format!("{counts} > 0"), &top);
    check(
        &format!("{counts} | bottomk(1)"),
        &[(a, [None, None, Some(0.0)]), (b, [Some(0.0), Some(0.0), None])],
    );
    check(&format!("{counts} | topk(1) >= 2"), &[(a, [None, Some(2.0), None])]);
    check(
        &format!("({counts}) / ({{ }} | count_over_time())"),
        &[(a, [Some(1.0), Some(1.0), Some(0.0)]), (b, [Some(0.0), Some(0.0), Some(1.0)])],
    );
    check(
        &format!("2 - ({counts}) | topk(1)"),
        &[(a, [None, None, Some(2.0)]), (b, [Some(2.0), Some(2.0), None])],
    );
    let only_a = "{ resource.service.name = \"a\" } | count_over_time() by (resource.service.name)";
    check(&format!("({counts}) + ({only_a})"), &[(a, [Some(2.0), Some(4.0), Some(0.0)])]);
    check(&format!("({counts}) / ({only_a})"), &[(a, [Some(1.0), Some(1.0), None])]);
    check("{ } | max_over_time(duration) > 300ms", &[("", [None, Some(0.4), Some(1.0)])]);
}

/// Selected are those of v over 2: one in the second step, one in the third.
#[test]
fn compare_tells_how_selected_spans_differ() {
    let lines = asked("{ } | compare({ .v > 2 }, 1)", steps(), &[some()]).expect("no limit");
    let found: BTreeMap<String, Vec<Option<f64>>> = told(&lines).into_iter().collect();
    let check = |labels: &str, want: [f64; 3]| {
        let want = want.map(Some).to_vec();
        assert_eq!(found.get(labels), Some(&want), "{labels} of {found:#?}");
    };
    check("__meta_type=\"baseline\" resource.service.name=\"a\"", [1.0, 1.0, 0.0]);
    check("__meta_type=\"baseline_total\" resource.service.name=nil", [1.0, 1.0, 0.0]);
    check("__meta_type=\"selection\" resource.service.name=\"a\"", [0.0, 1.0, 0.0]);
    check("__meta_type=\"selection_total\" resource.service.name=nil", [0.0, 1.0, 1.0]);
    check("__meta_error=\"__too_many_values__\" resource.service.name=nil", [0.0, 1.0, 1.0]);
    check("__meta_type=\"selection\" name=\"n\"", [0.0, 1.0, 1.0]);
    check("__meta_type=\"selection\" kind=server", [0.0, 1.0, 1.0]);
    assert!(
        !found.contains_key("__meta_type=\"selection\" resource.service.name=\"b\""),
        "one value is told"
    );
    let within = format!("{{ }} | compare({{ .v > 2 }}, 9, {}, {})", 20 * SECOND, 21 * SECOND);
    let lines = asked(&within, steps(), &[some()]).expect("no limit");
    let found: BTreeMap<String, Vec<Option<f64>>> = told(&lines).into_iter().collect();
    assert_eq!(found["__meta_type=\"selection_total\" name=nil"], [Some(0.0), Some(1.0), Some(0.0)]);
    assert_eq!(found["__meta_type=\"baseline_total\" name=nil"], [Some(1.0), Some(1.0), Some(1.0)]);
}

#[test]
fn an_exemplar_is_the_span_with_the_greatest_value_of_its_step() {
    let shown = |query: &str| {
        let lines = asked(query, steps(), &[some()]).expect("no limit");
        lines
            .iter()
            .flat_map(|line| &line.exemplars)
            .map(|one| (one.time_nano / SECOND, one.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown("{ } | rate() with (exemplars = true)"), [(10, 0.1), (20, 0.4), (21, 1.0)]);
    assert_eq!(shown("{ } | max_over_time(.v) with (exemplars = true)"), [(10, 1.0), (20, 3.0), (21, 4.0)]);
    assert_eq!(shown("{ } | rate() with (exemplars = 2)").len(), 2);
    assert_eq!(shown("{ } | rate() with (exemplars = 0)"), []);
    assert_eq!(shown("{ } | rate()"), []);
}

/// Every function, of traces by chance: added up in two parts in either order it is the same as in one.
#[test]
fn parts_in_any_order_are_the_whole() {
    const FUNCTIONS: [&str; 11] = [
        "rate()",
        "count_over_time() by (name, .a)",
        "min_over_time(duration) by (.b)",
        "max_over_time(span.a)",
        "avg_over_time(.a + .b)",
        "sum_over_time(event:timeSinceStart) by (status)",
        "quantile_over_time(duration, 0, 0.3, 0.9, 1) by (kind)",
        "histogram_over_time(.a)",
        "compare({ status = error }, 2)",
        "rate() by (name) | topk(2) with (exemplars = true)",
        "rate() by (resource.service.name) > 0",
    ];
    let budget = Allowance::new(64 << 20, None);
    // The traces start between 1,000,000 and 1,019,000 ns.
    let steps = Steps::range(1_002_000, 1_015_000, 3_000).expect("a range");
    let mut dice = Dice(7);
    for round in 0..40 {
        let traces: Vec<Made> =
            (0..6).map(|number| Made { id: format!("{number:032x}"), ..data::trace(&mut dice) }).collect();
        for function in FUNCTIONS {
            let query = format!("{{ kind != client }} | {function}");
            let tree = parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
            let partial = |traces: &[Made]| {
                let mut partial = Partial::new(&tree, steps, &budget).expect("a query of series");
                traces.iter().for_each(|trace| partial.add(&Trace::new(trace)).expect("no limit"));
                partial
            };
            let whole = partial(&traces).finish();
            for cut in [0, 2, 5] {
                let (first, second) = traces.split_at(cut);
                let mut forth = partial(first);
                forth.merge(partial(second)).expect("no limit");
                let mut back = partial(second);
                back.merge(partial(first)).expect("no limit");
                assert_eq!(forth.finish(), whole, "round {round}, cut at {cut}: {query}");
                assert_eq!(back.finish(), whole, "round {round}, cut at {cut}, swapped: {query}");
            }
        }
        assert_eq!(budget.bytes(), 0, "all memory is given back");
    }
}

#[test]
fn series_and_memory_are_bounded() {
    let many = |count: usize| {
        let spans: Vec<One> = (0..count).map(|number| span(number, 10, "a", 1)).collect();
        asked("{ } | rate() by (.v)", steps(), &[trace(&spans)]).map(|lines| lines.len())
    };
    assert_eq!(many(10_000), Ok(10_000));
    assert_eq!(many(10_001), Err(Error::TooManySeries(10_000)));
    let tree = parse("{ } | rate() by (.v)").expect("a query");
    let small = Allowance::new(1_000, None);
    let mut partial = Partial::new(&tree, steps(), &small).expect("a query of series");
    assert!(matches!(partial.add(&Trace::new(&some())), Err(Error::Spent(_))));
    drop(partial);
    assert_eq!(small.bytes(), 0);
}
