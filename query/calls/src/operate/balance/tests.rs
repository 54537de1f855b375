//! Answers over rows.

use super::*;
use crate::Fold;
use crate::fixture::{self, FROM_SECOND, Request, SERVED, SERVER, SPAN, Span};

/// 960 to 1,080 s after the epoch: two slices of a minute.
fn asked(requests: &[Request]) -> Balanced {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    asked_in(Range::new(at(970), at(1_070), None).expect("not empty"), requests)
}

fn asked_in(range: Range, requests: &[Request]) -> Balanced {
    let question = question(range, Source::Auto).expect("a few minutes");
    let mut fold = Fold::new(question);
    fold.add_requests(&fixture::requests(requests));
    balance(&fold.finish().expect("a few cells"), "b")
}

/// So many calls of an instance in a slice, of which some failed.
fn calls(instance: &'static str, second: i64, count: usize, errors: usize, millis: i64) -> Vec<Request> {
    let outcome = |at| if at < errors { "error" } else { "ok" };
    let call = |at| Request { instance, second, millis, outcome: outcome(at), ..SERVED };
    (0..count).map(call).collect()
}

/// The same in both slices.
fn always(instance: &'static str, count: usize, errors: usize, millis: i64) -> Vec<Request> {
    let early = calls(instance, FROM_SECOND - 30, count, errors, millis);
    [early, calls(instance, FROM_SECOND + 30, count, errors, millis)].concat()
}

fn odd(answer: &Balanced) -> Vec<(&str, Vec<&'static str>)> {
    let words = |row: &InstanceRow| row.odd.iter().map(|odd| odd.name()).collect();
    answer.instances.iter().map(|row| (row.name.as_str(), words(row))).collect()
}

#[test]
fn turns_are_even_and_not_spread_at_all() {
    let answer = asked(&["b-0", "b-1", "b-2"].map(|name| always(name, 50, 0, 10)).concat());
    assert_eq!((answer.verdict, answer.variation), (Balance::Even, Some(0.0)));
    assert_eq!(answer.spread.map(|spread| spread.dispersion), Some(0.0));
    assert!(answer.instances.iter().all(|row| row.odd.is_empty() && row.relative == Some(1.0)));
    let seconds = [answer.range.from(), answer.range.to()].map(UnixNanos::seconds);
    assert_eq!(seconds, [960, 1_080], "widened to minutes");
}

/// 200, 100 and 90 calls of 390 in two slices: equal would be 130.
#[test]
fn who_gets_more_fails_or_is_slow_is_odd() {
    let rows = [always("b-0", 100, 0, 10), always("b-1", 50, 10, 10), always("b-2", 45, 0, 90)].concat();
    let answer = asked(&rows);
    assert_eq!(answer.verdict, Balance::Uneven);
    let want = [("b-0", vec!["busy"]), ("b-1", vec!["idle", "failing"]), ("b-2", vec!["idle", "slow"])];
    assert_eq!(odd(&answer), want);
    assert_eq!(answer.instances[0].relative, Some(200.0 / 130.0));
    assert_eq!(answer.instances[0].share, 200.0 / 390.0);
}

/// 300 calls of one and 200 of the other are no chance, chi-square 20 of one degree; of 30 and 20 spans that were stored it
/// is 2, which chance exceeds in 16 % of cases.
#[test]
fn sampled_spans_are_not_as_many_observations_as_calls() {
    let spans = |weight: f64, counts: [u128; 2]| {
        let of = |(instance, count): (&'static str, u128)| {
            (0..count).map(move |trace| {
                let base = if instance == "b-0" { 1_000 } else { 5_000 };
                Span { trace: base + trace, instance, weight, kind: SERVER, service: ("x", "b"), ..SPAN }
            })
        };
        let rows: Vec<Span> = ["b-0", "b-1"].into_iter().zip(counts).flat_map(of).collect();
        let mut fold = Fold::new(question(fixture::range(), Source::Auto).expect("a minute"));
        fold.add_spans(&fixture::spans(&rows));
        balance(&fold.finish().expect("a few cells"), "x/b")
    };
    let (known, sampled) = (spans(1.0, [300, 200]), spans(10.0, [30, 20]));
    for answer in [&known, &sampled] {
        assert_eq!(answer.instances[0].figures.requests, 300.0);
        assert_eq!(answer.instances[0].relative, Some(1.2));
    }
    assert_eq!((known.verdict, sampled.verdict), (Balance::Uneven, Balance::Even));
}

/// b-2 came in the second minute and b-0 went: of the first minute b-1 alone is known to have been there all the time.
#[test]
fn who_came_or_went_is_not_odd_for_it() {
    let (early, late) = (FROM_SECOND - 30, FROM_SECOND + 30);
    let rows = [
        calls("b-0", early, 100, 0, 10),
        calls("b-1", early, 100, 0, 10),
        calls("b-1", late, 100, 0, 10),
        calls("b-2", late, 100, 0, 10),
        calls("b-3", early, 100, 0, 10),
        calls("b-3", late, 100, 0, 10),
    ];
    let answer = asked(&rows.concat());
    assert_eq!(answer.verdict, Balance::Even, "{answer:?}");
    let relative = |name| answer.instances.iter().find(|row| row.name == name).and_then(|row| row.relative);
    assert_eq!(["b-0", "b-1", "b-2", "b-3"].map(relative), [None, Some(1.0), None, Some(1.0)]);
}

#[test]
fn subsets_are_not_compared_with_each_other() {
    let of = |version, instance, count| {
        always(instance, count, 0, 10).into_iter().map(move |row| Request { version, ..row })
    };
    let rows: Vec<Request> =
        of("v1", "b-0", 90).chain(of("v1", "b-1", 90)).chain(of("v2", "c-0", 10)).collect();
    let answer = asked(&rows);
    assert_eq!((answer.verdict, answer.instances[2].relative), (Balance::Even, None));
}

#[test]
fn few_calls_or_one_instance_are_not_enough() {
    let answer = asked(&[always("b-0", 3, 0, 10), always("b-1", 1, 0, 10)].concat());
    assert_eq!((answer.verdict, odd(&answer)), (Balance::NotEnough, vec![("b-0", vec![]), ("b-1", vec![])]));
    assert_eq!(asked(&always("b-0", 300, 0, 10)).verdict, Balance::NotEnough);
    let answer = asked(&[]);
    assert_eq!((answer.verdict, answer.warnings.len()), (Balance::NotEnough, 1));
    let answer = asked(&[always("b-0", 30, 0, 10), always("", 5, 0, 10)].concat());
    assert_eq!(answer.warnings, ["10 calls name no instance; they are not told of"]);
}

#[test]
fn a_thousand_instances_are_told_of_and_no_more() {
    let names: Vec<&'static str> =
        (0..=INSTANCES_MAX).map(|number| &*Box::leak(format!("b-{number}").into_boxed_str())).collect();
    let of =
        |names: &[&'static str]| names.iter().flat_map(|name| calls(name, FROM_SECOND, 2, 0, 10)).collect();
    let rows: Vec<Request> = of(&names[..INSTANCES_MAX]);
    let answer = asked(&rows);
    assert_eq!((answer.instances.len(), answer.warnings.len()), (INSTANCES_MAX, 0));
    let rows: Vec<Request> = of(&names);
    let answer = asked(&rows);
    let want = "only 1000 instances are told of, the odd ones and the busiest; 1 more are counted";
    assert_eq!(
        (answer.instances.len(), answer.warnings.as_slice()),
        (INSTANCES_MAX, [want.to_owned()].as_slice())
    );
}

/// 1,200 instances of 60 calls each; one that has 30, fewer than all others, always fails. That it has fewer is once in some
/// 10,000 by chance, which among as many tests is nothing.
#[test]
fn an_odd_instance_is_told_of_however_many_are_busier() {
    let name = |number: usize| &*Box::leak(format!("b-{number:04}").into_boxed_str());
    let mut rows: Vec<Request> = (0..1_200).flat_map(|number| always(name(number), 30, 0, 10)).collect();
    rows.extend(always("b-odd", 15, 15, 10));
    let answer = asked(&rows);
    assert_eq!(answer.instances.len(), INSTANCES_MAX);
    let last = answer.instances.last().expect("a thousand");
    let words: Vec<&str> = last.odd.iter().map(|odd| odd.name()).collect();
    assert_eq!((last.name.as_str(), words), ("b-odd", vec!["failing"]));
    assert!(answer.instances[..INSTANCES_MAX - 1].iter().all(|row| row.odd.is_empty()));
}

/// 5,001 instances with a call in each of 30 slices: one cell more than an answer may have. As many as are told apart are
/// compared, and the calls of all others are said and count.
#[test]
fn more_instances_than_find_room_are_said_and_still_counted() {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    let range = Range::new(at(3_600), at(5_400), None).expect("not empty");
    let instances: Vec<&'static str> =
        (0..5_001).map(|number| &*Box::leak(format!("b-{number:04}").into_boxed_str())).collect();
    assert!(instances.len() * SLICES_MAX as usize > crate::cells::CELLS_MAX);
    let of_slice = |slice: i64| {
        let second = 3_600 + slice * 60;
        instances.iter().map(move |instance| Request { instance, second, ..SERVED })
    };
    let rows: Vec<Request> = (0..SLICES_MAX).flat_map(of_slice).collect();
    let answer = asked_in(range, &rows);
    assert_eq!((answer.instances.len(), answer.verdict), (INSTANCES_MAX, Balance::Even));
    assert!(answer.instances.iter().all(|row| row.figures.requests == 30.0 && row.odd.is_empty()));
    assert_eq!(answer.instances[0].share, 1.0 / 5_001.0);
    let compared = crate::cells::DETAILS_MAX;
    let others = (5_001 - compared) * 30;
    let want = [
        format!("{others} calls are of instances that are not told apart"),
        format!("{} more are counted", compared - INSTANCES_MAX),
    ];
    for want in want {
        assert!(
            answer.warnings.iter().any(|warning| warning.contains(&want)),
            "{want}: {:?}",
            answer.warnings
        );
    }
}

/// A month is told in 30 slices, of whole minutes.
#[test]
fn slices_are_whole_minutes_and_few() {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    for (seconds, want) in [(10, 60), (1_800, 60), (1_810, 120), (86_400, 2_880), (2_592_000, 86_400)] {
        let range = Range::new(at(0), at(seconds), None).expect("not empty");
        let step = question(range, Source::Auto).expect("it can be widened").range.step();
        assert_eq!(step.map(|step| step.as_secs()), Some(want), "{seconds}");
    }
}
