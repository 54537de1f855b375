//! What no question may do: take more than it is allowed, whatever it asks; and what counts of events answer.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use meshlake_promql::{
    Answer, AnswerValue, Error, Events, Labels, Options, Point, Samples, Selected, Selection, SeriesSamples,
    When, evaluate, parse, parse_within,
};
use meshlake_schema::budget::{Allowance, Budget, Holding, Spent};

const MINUTE: i64 = 60_000;
const YEAR: i64 = 365 * 24 * 60 * MINUTE;

/// So many series with a sample a minute, whose value is the minute.
struct Minutes {
    series: usize,
    minutes: i64,
}

impl Samples for Minutes {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        let series = (0..self.series).map(|number| {
            let labels = Labels::from_pairs([("__name__", "m_total".to_owned()), ("n", number.to_string())]);
            let mut series = SeriesSamples { labels, ..SeriesSamples::default() };
            for minute in 0..self.minutes {
                let time = minute * MINUTE;
                if time > selection.after && time <= selection.until {
                    series.floats.push(time, minute as f64);
                }
            }
            series
        });
        Ok(Selected { series: series.collect(), ..Selected::default() })
    }
}

const FEW: Minutes = Minutes { series: 3, minutes: 60 };

fn ask_with(samples: &dyn Samples, query: &str, when: When, options: &Options) -> Result<Answer, Error> {
    let budget = Allowance::new(1 << 30, None);
    let answer = evaluate(&parse(query)?, query, when, samples, &budget, options);
    assert_eq!(budget.bytes(), 0, "all memory of {query} comes back");
    answer
}

fn ask(query: &str, when: When) -> Result<Answer, Error> {
    ask_with(&FEW, query, when, &Options::default())
}

fn refused(result: Result<Answer, Error>) -> Error {
    result.expect_err("it is refused")
}

#[test]
fn steps_are_bounded() {
    let steps = |count: i64| When::Range { start: 0, end: count * 1_000, step: 1_000 };
    assert!(ask("vector(1)", steps(11_000)).is_ok());
    let error = refused(ask("vector(1)", steps(11_001)));
    assert!(
        matches!(&error, Error::BadData(text) if text.contains("maximum resolution of 11,000 points")),
        "{error}"
    );
    let error = refused(ask("m_total", When::Range { start: 0, end: YEAR, step: 1_000 }));
    assert!(matches!(error, Error::BadData(_)));
    for (start, end, step) in [(1, 0, 1), (0, 1, 0), (0, 1, -1), (i64::MIN, i64::MAX, 1)] {
        assert!(matches!(ask("1", When::Range { start, end, step }), Err(Error::BadData(_))));
    }
    assert!(matches!(ask("m_total[5m]", steps(1)), Err(Error::BadData(_))), "a range has no steps");
}

#[test]
fn samples_and_series_are_bounded() {
    let with =
        |samples_max: usize, series_max: usize| Options { samples_max, series_max, ..Options::default() };
    // 300 s hold five samples of each of three series; their labels count for some more.
    let sum = "sum_over_time(m_total[5m])";
    let at = When::Instant(30 * MINUTE);
    assert!(ask_with(&FEW, sum, at, &with(1_000, 3)).is_ok());
    assert_eq!(
        refused(ask_with(&FEW, sum, at, &with(10, 3))).to_string(),
        "query processing would load too many samples into memory in expression evaluation"
    );
    assert!(
        matches!(ask_with(&FEW, sum, at, &with(1_000, 2)), Err(Error::Execution(text)) if text.contains("series"))
    );
    let many = Minutes { series: 10_001, minutes: 1 };
    assert!(matches!(
        ask_with(&many, "m_total", When::Instant(0), &Options::default()),
        Err(Error::Execution(_))
    ));
}

#[test]
fn subqueries_that_never_end_are_refused_at_once() {
    for query in [
        "sum_over_time(vector(1)[10y:1ms])",
        "sum_over_time(m_total[100y:1ms])",
        "sum_over_time(max_over_time(max_over_time(m_total[1y:1s])[1y:1s])[1y:1s])",
    ] {
        let error = refused(ask(query, When::Instant(YEAR)));
        assert!(
            matches!(&error, Error::Execution(text) if text.contains("too many samples")),
            "{query}: {error}"
        );
    }
}

/// The largest expressions, as many as a text holds: each takes eight megabytes and some tenths of a second.
#[test]
fn expressions_are_compiled_within_the_budget() {
    let heavy = |count: usize| vec![r#"m{a=~"\\pL{30}"}"#; count].join(" or ");
    let parsed = |count: usize, bytes: usize, time: Option<Duration>| {
        let budget = Allowance::new(bytes, time);
        let text = heavy(count);
        let mut held = Holding::new(&budget);
        parse_within(&text, &mut held).map(|_| held.bytes())
    };
    assert_eq!(parsed(2, 16 << 20, None), Ok(16 << 20));
    let error = parsed(70, 16 << 20, None).expect_err("there is no memory for more than two");
    assert!(matches!(&error, Error::Execution(text) if text.contains("too much memory")), "{error}");
    let error = parsed(70, 1 << 40, Some(Duration::ZERO)).expect_err("there is no time");
    assert_eq!(error.to_string(), "query timed out in expression evaluation");
}

#[test]
fn texts_that_are_too_large_are_refused_before_they_are_read() {
    let refused = |text: &str, want: &str| {
        let error = parse(text).expect_err("it is too large");
        assert!(matches!(&error, Error::BadData(text) if text.contains(want)), "{error}");
    };
    refused(&vec!["m"; 1_000].join(" or "), "more than 500 tokens");
    refused(&"a".repeat(1 << 20), "longer than 10240");
    refused(&"(".repeat(10_000), "more than 500 tokens");
    refused(&"-".repeat(400), "deeper than 50 levels");
}

/// A budget whose time is up after it was asked for so many times.
#[derive(Debug)]
struct Patience {
    left: AtomicUsize,
}

impl Patience {
    fn of(left: usize) -> Self {
        Patience { left: left.into() }
    }
}

impl Budget for Patience {
    fn grow(&self, _: usize) -> Result<(), Spent> {
        Ok(())
    }

    fn shrink(&self, _: usize) {}

    fn check_time(&self) -> Result<(), Spent> {
        let left = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Spent::Time)
    }
}

/// Whenever the time is up, the question ends, and with it whatever it was doing.
#[test]
fn a_question_ends_wherever_it_is_when_the_time_is_up() {
    const PLENTY: usize = 1 << 40;
    let when = When::Range { start: 0, end: 60 * MINUTE, step: MINUTE };
    for query in [
        "m_total",
        "m_total or on () vector(1)",
        "sum by (n) (rate(m_total[5m]))",
        "quantile(0.5, m_total)",
        "m_total / on (n) group_left m_total",
        "topk(2, m_total) and m_total",
        "label_replace(m_total, \"a\", \"$1\", \"n\", \"(.*)\")",
        "max_over_time(sum(m_total)[10m:1m])",
        "count_values(\"v\", m_total)",
    ] {
        let tree = parse(query).expect(query);
        let ask = |patience: &Patience| evaluate(&tree, query, when, &FEW, patience, &Options::default());
        let plenty = Patience::of(PLENTY);
        assert!(ask(&plenty).is_ok(), "{query}");
        let looks = PLENTY - plenty.left.load(Relaxed);
        // A node of the tree each, at least, and three series that are read.
        assert!(looks > 3, "{query}: {looks} looks at the clock");
        for patience in 0..looks {
            assert!(
                matches!(ask(&Patience::of(patience)), Err(Error::Timeout(_))),
                "{query} after {patience}"
            );
        }
    }
}

/// The time is asked for by the work that there is, not by how it is written: many series in one group, one step.
#[test]
fn looks_at_the_clock_grow_with_the_work() {
    const PLENTY: usize = 1 << 40;
    let many = Minutes { series: 1_000, minutes: 60 };
    let when = When::Range { start: 0, end: 59 * MINUTE, step: MINUTE / 10 };
    let looks = |query: &str| {
        let plenty = Patience::of(PLENTY);
        let tree = parse(query).expect(query);
        evaluate(&tree, query, when, &many, &plenty, &Options::default()).expect(query);
        PLENTY - plenty.left.load(Relaxed)
    };
    // 1,000 series at 591 steps, added to their group and then sorted, are more than one time 2^20 points. Besides there
    // is a look for the aggregation, its parameter and its group.
    assert!(looks("quantile(0.5, m_total)") > looks("m_total") + 3);
    // Matched they count for sixteen each, which is nine times 2^20; besides, four for the nodes and groups.
    assert!(looks("m_total + on () group_left sum(m_total)") >= 2 * looks("m_total") + 4 + 9);
}

/// Each window holds millions of samples, and there are as many windows.
#[test]
fn windows_that_overlap_end_with_the_time() {
    let query = "max_over_time(sum_over_time(vector(1)[20d:1s])[20d:1s])";
    let budget = Allowance::new(1 << 30, Some(Duration::from_millis(100)));
    let tree = parse(query).unwrap();
    let answer = evaluate(&tree, query, When::Instant(YEAR), &FEW, &budget, &Options::default());
    assert_eq!(refused(answer).to_string(), "query timed out in expression evaluation");
}

#[test]
fn memory_and_time_are_the_budgets() {
    let query = "m_total + m_total";
    let tree = parse(query).unwrap();
    let when = When::Range { start: 0, end: 60 * MINUTE, step: MINUTE };
    let ask = |budget: &Allowance| evaluate(&tree, query, when, &FEW, budget, &Options::default());
    let small = Allowance::new(1_000, None);
    assert!(matches!(refused(ask(&small)), Error::Execution(text) if text.contains("memory")));
    assert_eq!(small.bytes(), 0);
    let late = Allowance::new(1 << 20, Some(Duration::ZERO));
    assert_eq!(refused(ask(&late)).to_string(), "query timed out in expression evaluation");
}

#[test]
fn times_at_the_ends_of_numbers_are_no_trouble() {
    for time in [i64::MIN, -1, 0, i64::MAX] {
        for query in [
            "m_total",
            "rate(m_total[5m])",
            "sum_over_time(m_total[10m:1m])",
            "m_total @ 9e15 offset -292y",
            "year()",
        ] {
            let _ = ask(query, When::Instant(time));
        }
    }
}

/// The deepest trees that can be written, on a stack of the size that threads of a pool have.
#[test]
fn the_deepest_queries_need_no_large_stack() {
    const STACK_BYTES: usize = 2 << 20;
    let deepest = || {
        let chain = vec!["m_total"; 250].join("+");
        let nested = format!("{}m_total{}", "abs(".repeat(50), ")".repeat(50));
        let powers = vec!["m_total"; 50].join("^");
        for query in [chain, nested, powers] {
            ask(&query, When::Instant(MINUTE)).unwrap();
        }
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(deepest).unwrap().join().unwrap();
}

#[test]
fn what_a_source_says_is_told() {
    struct Speaking;
    impl Samples for Speaking {
        fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
            assert_eq!((selection.after, selection.until), (0, 5 * MINUTE));
            Ok(Selected { infos: vec!["read by halves".to_owned()], ..Selected::default() })
        }
    }
    let answer = ask_with(&Speaking, "m_total", When::Instant(5 * MINUTE), &Options::default()).unwrap();
    assert_eq!(answer.infos, ["read by halves"]);
    struct Broken;
    impl Samples for Broken {
        fn select(&self, _: &Selection<'_>) -> Result<Selected, Error> {
            Err(Error::Internal("disk is gone".to_owned()))
        }
    }
    assert_eq!(
        refused(ask_with(&Broken, "m_total", When::Instant(0), &Options::default())),
        Error::Internal("disk is gone".to_owned())
    );
}

/// Events at these milliseconds; a counter of them every 10 s.
#[derive(Debug)]
struct Counted(Vec<i64>);

impl Counted {
    fn between(&self, after: i64, until: i64) -> f64 {
        self.0.iter().filter(|time| **time > after && **time <= until).count() as f64
    }
}

impl Events for Counted {
    fn increase(&self, after: i64, until: i64) -> Result<Option<f64>, Error> {
        Ok(Some(self.between(after, until)))
    }

    fn resolution(&self) -> i64 {
        10_000
    }
}

struct EventSource;

const EVENTS: [i64; 7] = [5_000, 15_000, 15_500, 65_000, 65_500, 119_000, 131_000];

impl Samples for EventSource {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        let counted = Counted(EVENTS.to_vec());
        let from = selection.hints.counts_from.unwrap_or(0);
        let labels = Labels::from_pairs([("__name__", "events_total")]);
        let mut series = SeriesSamples { labels, ..SeriesSamples::default() };
        for time in (0..=20).map(|sample| sample * 10_000).filter(|time| *time >= from) {
            series.floats.push(time, counted.between(from, time));
        }
        series.events = Some(Arc::new(counted));
        Ok(Selected { series: vec![series], ..Selected::default() })
    }
}

#[test]
fn counts_of_events_are_not_extrapolated() {
    let check = |query: &str, time: i64, want: f64| {
        let answer = ask_with(&EventSource, query, When::Instant(time), &Options::default()).unwrap();
        let AnswerValue::Vector(_, samples) = answer.value else { panic!("{query} is no vector") };
        assert_eq!(samples[0].1, Point::Float(want), "{query} at {time}");
    };
    check("increase(events_total[1m])", 60_000, 3.0);
    check("increase(events_total[1m])", 120_000, 3.0);
    check("rate(events_total[2m])", 120_000, 6.0 / 120.0);
    // Two in the last 10 s.
    check("irate(events_total[1m])", 70_000, 0.2);
    check("idelta(events_total[1m])", 70_000, 2.0);
    check("sum(increase(events_total[10s]))", 130_000, 0.0);
    // Bare it is a counter from its beginning, in a subquery from that one's first instant, 30 s.
    check("events_total", 70_000, 5.0);
    check("max_over_time(events_total[1m:30s])", 80_000, 0.0);
    check("max_over_time(events_total[1m:20s])", 80_000, 2.0);
}

/// The same events, by a counter that is scraped every 15 s.
struct Scraped;

impl Samples for Scraped {
    fn select(&self, _: &Selection<'_>) -> Result<Selected, Error> {
        let counted = Counted(EVENTS.to_vec());
        let labels = Labels::from_pairs([("__name__", "events_total")]);
        let mut series = SeriesSamples { labels, ..SeriesSamples::default() };
        (0..=8)
            .map(|sample| sample * 15_000)
            .for_each(|time| series.floats.push(time, counted.between(-1, time)));
        Ok(Selected { series: vec![series], ..Selected::default() })
    }
}

/// Of the three events of each minute two came before its first sample: one is seen in 45 s, and told as if as many had come in the
/// other 15.
#[test]
fn a_scraped_counter_of_the_same_events_is_extrapolated() {
    for minute in [60_000, 120_000] {
        let query = "increase(events_total[1m])";
        let answer = ask_with(&Scraped, query, When::Instant(minute), &Options::default()).unwrap();
        let AnswerValue::Vector(_, samples) = answer.value else { panic!("{query} is no vector") };
        assert_eq!(samples[0].1, Point::Float(60.0 / 45.0), "at {minute}");
    }
}
