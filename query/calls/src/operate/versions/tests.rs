//! Answers over rows, and over random calls.

use meshlake_schema::LatencyHistogram;

use super::*;
use crate::fixture::{self, Request, SERVED, SPAN, Span, picture_of};
use crate::measure::{MILLI, Protocol, SUMS};
use crate::{NodeCell, NodeIdentity, NodeKind};

fn asked(requests: &[Request], baseline: Option<&str>) -> Versions {
    let picture = picture_of(requests, &[], Source::Auto, By::Subset, Grain::Node);
    versions(&picture, "b", baseline)
}

/// `count` calls of a version that took `millis`, of which the first `errors` failed.
fn calls(version: &'static str, count: usize, errors: usize, millis: i64) -> Vec<Request> {
    let outcome = |at| if at < errors { "error" } else { "ok" };
    let call = |at| Request { version, millis: millis + at as i64 % 5, outcome: outcome(at), ..SERVED };
    (0..count).map(call).collect()
}

/// Name, calls, share and verdict of each subset.
fn told(answer: &Versions) -> Vec<(Option<&str>, f64, f64, Option<&'static str>)> {
    let subset = |subset: &Subset| {
        let verdict = subset.comparison.as_ref().map(|found| found.verdict.name());
        (subset.name.clone(), subset.figures.requests, subset.share, verdict)
    };
    let rows = answer.subsets.iter().map(subset);
    rows.map(|(name, calls, share, verdict)| (name.map(|name| &*name.leak()), calls, share, verdict))
        .collect()
}

#[test]
fn a_canary_that_is_slow_and_fails_is_worse_and_the_other_way_round_better() {
    let rows = [calls("v1", 300, 3, 10), calls("v2", 100, 20, 50)].concat();
    let answer = asked(&rows, None);
    assert_eq!(told(&answer), [(Some("v1"), 300.0, 0.75, None), (Some("v2"), 100.0, 0.25, Some("worse"))]);
    let found = answer.subsets[1].comparison.as_ref().expect("it is compared");
    let (errors, latency) = (found.errors.as_ref().expect("calls"), found.latency.as_ref().expect("timed"));
    // 20 of 100 against 3 of 300; every call of v2 is longer than every one of v1.
    assert!((errors.test.effect - 0.19).abs() < 1e-12 && latency.test.effect == 1.0, "{found:?}");
    assert_eq!((errors.verdict, latency.verdict), (Verdict::Worse, Verdict::Worse));
    let turned = asked(&rows, Some("v2"));
    assert_eq!((told(&turned)[0].3, turned.baseline.as_deref()), (Some("better"), Some("v2")));
}

#[test]
fn versions_that_are_alike_show_no_difference() {
    let answer = asked(&[calls("v1", 400, 4, 10), calls("v2", 400, 5, 10)].concat(), None);
    assert_eq!(told(&answer)[1].3, Some("no_difference"));
}

#[test]
fn one_call_each_is_not_enough_and_no_traffic_is_told() {
    let answer = asked(&[calls("v1", 1, 0, 10), calls("v2", 1, 1, 900)].concat(), None);
    assert_eq!(told(&answer)[1].3, Some("not_enough"));
    assert_eq!(answer.subsets[1].comparison.as_ref().and_then(|found| found.latency.clone()), None);
    let picture = picture_of(&[], &[], Source::Auto, By::Subset, Grain::Node);
    let answer = versions(&picture, "b", None);
    assert_eq!(
        (answer.subsets, answer.warnings),
        (vec![], vec!["no node is called `b` in this range".into()])
    );
}

#[test]
fn calls_without_a_version_are_told_and_not_compared() {
    let answer = asked(&[calls("v1", 20, 0, 10), calls("", 30, 0, 10)].concat(), None);
    assert_eq!(told(&answer), [(None, 30.0, 0.6, None), (Some("v1"), 20.0, 0.4, None)]);
    assert_eq!(answer.warnings, ["30 calls name no version; they are compared with nothing"]);
    let answer = asked(&calls("v1", 20, 0, 10), Some("v9"));
    let want = "no version is called `v9` in this range, so that nothing is compared";
    assert_eq!((answer.baseline, answer.warnings), (None, vec![want.to_owned()]));
}

#[test]
fn workloads_are_told_apart_where_only_they_differ() {
    let of = |workload| calls("v1", 10, 0, 10).into_iter().map(move |row| Request { workload, ..row });
    let rows: Vec<Request> = of("b-blue").chain(of("b-green")).collect();
    let answer = asked(&rows, None);
    let names: Vec<_> = told(&answer).iter().map(|row| row.0).collect();
    assert_eq!((answer.by, names), (SubsetBy::Workload, vec![Some("b-blue"), Some("b-green")]));
    let mixed = [rows, calls("v2", 10, 0, 10)].concat();
    let answer = asked(&mixed, None);
    assert_eq!((answer.by, told(&answer)[0].1), (SubsetBy::Version, 20.0));
}

#[test]
fn spans_tell_of_versions_too() {
    let span = |trace, version| Span { trace, version, service: ("x", "b"), ..SPAN };
    let spans = [span(1, "v1"), span(2, "v1"), span(3, "v2")];
    let picture = picture_of(&[], &spans, Source::Auto, By::Subset, Grain::Node);
    let answer = versions(&picture, "x/b", None);
    assert_eq!(answer.service.as_deref(), Some("x/b"));
    assert_eq!(
        told(&answer).iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(),
        [(Some("v1"), 2.0), (Some("v2"), 1.0)]
    );
}

#[test]
fn only_so_many_versions_are_told_of_and_the_rest_is_said() {
    let picture = |count: usize| {
        let names = (0..count).map(|number| format!("v{number:03}"));
        drawn(names.map(|name| (name, measure(10, 0, &[10]))).collect())
    };
    let answer = versions(&picture(SUBSETS_MAX), "b", None);
    assert_eq!((answer.subsets.len(), answer.warnings.len()), (SUBSETS_MAX, 0));
    let answer = versions(&picture(SUBSETS_MAX + 1), "b", None);
    let want = "only the 200 busiest subsets are told of; 1 more have 10 calls";
    assert_eq!(
        (answer.subsets.len(), answer.warnings.as_slice()),
        (SUBSETS_MAX, [want.to_owned()].as_slice())
    );
}

/// Calls of which so many failed, by bucket of latency.
/// 200 versions of five instances each, with one call each: bounded, and no word on any.
#[test]
fn two_hundred_versions_of_a_thousand_instances_are_not_enough_to_tell() {
    let text = |text: String| &*Box::leak(text.into_boxed_str());
    let row = |number: usize| Request {
        instance: text(format!("b-{number}")),
        version: text(format!("v{:03}", number % SUBSETS_MAX)),
        ..SERVED
    };
    let answer = asked(&(0..1_000).map(row).collect::<Vec<Request>>(), None);
    assert_eq!((answer.subsets.len(), answer.warnings.len()), (SUBSETS_MAX, 0));
    assert_eq!(answer.baseline.as_deref(), Some("v000"), "all are as busy, so the first by name");
    let words: BTreeSet<_> = answer
        .subsets
        .iter()
        .map(|subset| subset.comparison.as_ref())
        .collect::<Vec<_>>()
        .into_iter()
        .flatten()
        .map(|comparison| comparison.verdict.name())
        .collect();
    assert_eq!(words, BTreeSet::from(["not_enough"]));
    assert!(answer.subsets.iter().all(|subset| subset.figures.requests == 5.0));
}

fn measure(calls: u64, errors: u64, buckets: &[u64]) -> Measure {
    sampled(1, calls, errors, buckets)
}

/// The same of calls each of which stands for `weight`.
fn sampled(weight: u64, calls: u64, errors: u64, buckets: &[u64]) -> Measure {
    let mut sums = [0; SUMS.len()];
    (sums[0], sums[1]) = (calls * weight * MILLI, errors * weight * MILLI);
    sums[SUMS.len() - 1] = calls * weight * weight * MILLI;
    let buckets = (640..).zip(buckets.iter().map(|count| count * weight * MILLI));
    Measure::of_sums(sums, Protocol::Http, LatencyHistogram::of_buckets(0, buckets, 1, 1 << 40))
}

/// The picture of one service `x/b` with these versions.
fn drawn(versions: Vec<(String, Measure)>) -> Picture {
    let node = |version: &str| NodeIdentity {
        id: format!("x/b:{version}"),
        name: "b".to_owned(),
        namespace: Some("x".to_owned()),
        version: Some(version.to_owned()),
        workload: None,
        kind: NodeKind::Service,
        service: "x/b".to_owned(),
    };
    let nodes = versions.iter().map(|(version, _)| node(version)).collect();
    let cell = |(node, (_, measure))| NodeCell {
        node,
        detail: None,
        bucket: 0,
        evidence: Evidence::Requests,
        measure,
    };
    let node_cells = versions.into_iter().enumerate().map(cell).collect();
    Picture {
        range: fixture::range(),
        nodes,
        node_cells,
        edge_cells: vec![],
        outlined: vec![],
        calls: vec![],
        warnings: vec![],
    }
}

/// SplitMix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

/// So many calls of which one in `one_in` fails, in 16 buckets, the fuller the lower; one in `kept` is known, and stands for
/// all of those.
fn random(calls: u64, one_in: u64, kept: u64, random: &mut Random) -> Measure {
    let mut buckets = [0; 16];
    let (mut known, mut errors) = (0, 0);
    for _ in 0..calls {
        let fails = u64::from(random.below(one_in) == 0);
        let bucket = random.below(16).min(random.below(16)) as usize;
        if kept == 1 || random.below(kept) == 0 {
            (known, errors) = (known + 1, errors + fails);
            buckets[bucket] += 1;
        }
    }
    sampled(kept, known, errors, &buckets)
}

/// Whether versions of these sizes, all alike, are called different: in the answer, in errors alone, in latency alone.
fn wolves(sizes: &[u64], mut draw: impl FnMut(u64) -> Measure) -> [bool; 3] {
    let named = sizes.iter().enumerate().map(|(at, calls)| (format!("v{at}"), *calls));
    let answer = versions(&drawn(named.map(|(name, calls)| (name, draw(calls))).collect()), "b", None);
    let found: Vec<&Comparison> =
        answer.subsets.iter().filter_map(|subset| subset.comparison.as_ref()).collect();
    let is_wolf = |verdict: Verdict| matches!(verdict, Verdict::Worse | Verdict::Better);
    let alone = |judged: &Option<Judged>| judged.as_ref().is_some_and(|j| j.test.p_value < 0.05);
    let first = found.first();
    [
        found.iter().any(|found| is_wolf(found.verdict)),
        first.is_some_and(|found| alone(&found.errors)),
        first.is_some_and(|found| alone(&found.latency)),
    ]
}

/// A test at 5 % cries wolf in 5 % of cases. Of 10,000 seeds that is 500, give or take 22 (the square root of 10,000 *
/// 0.05 * 0.95), so that less than 4 % or more than 5.66 % happens by chance less than once in a thousand runs; few errors
/// can make it rarer only, as there are few p-values to have.
#[test]
fn versions_that_are_alike_are_called_different_in_five_percent_of_cases() {
    for (sizes, one_in, at_least) in
        [(&[120, 60][..], 20, 400), (&[30, 20][..], 10, 200), (&[60, 40, 30][..], 20, 300)]
    {
        let mut counts = [0; 3];
        for seed in 0..10_000 {
            let mut source = Random(seed);
            let wolves = wolves(sizes, |calls| random(calls, one_in, 1, &mut source));
            counts.iter_mut().zip(wolves).for_each(|(count, is_wolf)| *count += usize::from(is_wolf));
        }
        let [answers, errors, latencies] = counts;
        assert!((at_least..=566).contains(&answers), "{sizes:?}: {counts:?}");
        assert!((150..=566).contains(&errors), "{sizes:?}: {counts:?}");
        assert!((434..=566).contains(&latencies), "{sizes:?}: {counts:?}");
    }
}

/// Spans that are sampled are fewer observations than calls, and so are calls of which some are sampled and some are not:
/// taken for as many as they stand for, ten in a row of one outcome would be a finding. The bounds are those of above.
#[test]
fn sampled_calls_cry_wolf_no_more_often() {
    let mixed = |calls: u64, source: &mut Random| {
        let mut all = random(calls / 2, 20, 1, source);
        all.merge(&random(calls * 5, 20, 10, source));
        all
    };
    let (mut sampled, mut of_both) = ([0; 3], [0; 3]);
    for seed in 0..10_000 {
        let mut source = Random(seed);
        let wolves_of_one_in_ten = wolves(&[1_200, 600], |calls| random(calls, 20, 10, &mut source));
        let wolves_of_both = wolves(&[120, 60], |calls| mixed(calls, &mut source));
        for (counts, wolves) in [(&mut sampled, wolves_of_one_in_ten), (&mut of_both, wolves_of_both)] {
            counts.iter_mut().zip(wolves).for_each(|(count, is_wolf)| *count += usize::from(is_wolf));
        }
    }
    for [answers, errors, latencies] in [sampled, of_both] {
        let counts = format!("{sampled:?} {of_both:?}");
        assert!((200..=566).contains(&answers), "{counts}");
        assert!((100..=566).contains(&errors) && (300..=566).contains(&latencies), "{counts}");
    }
}
