//! Counters that are sent as deltas.

use meshlake_promql::{AnswerValue, Options, Point, When, evaluate};
use meshlake_schema::budget::Allowance;

use super::*;

const DAY: i64 = 86_400;

/// A delta over the ten seconds that end at `second`.
fn delta(id: i64, second: i64, value: f64) -> Row {
    let cells = [
        ("metric_type", "sum".into()),
        ("is_monotonic", true.into()),
        ("aggregation_temporality", 1.into()),
        ("value", value.into()),
        ("start_time_unix_nano", ((second - 10) * SECOND).into()),
    ];
    point(id, "hits", second, cells)
}

#[test]
fn deltas_are_totals_since_midnight_with_a_zero_before_the_first() {
    let asked =
        Asked::points([(110, 1.0), (120, 2.0), (130, 4.0)].map(|(at, value)| delta(1, at, value)).into());
    assert_eq!(asked.lines("hits_total"), [r#"{__name__="hits_total"} 0@100 1@110 3@120 7@130"#]);
}

/// Whatever the range, an instant has one total; a question about the second half reads the first too.
#[test]
fn two_overlapping_ranges_agree() {
    let rows = (11..40).map(|n| delta(1, DAY - 250 + 10 * n, f64::from(n as i32)));
    let asked = Asked::points(rows.collect());
    let total = |from: i64, until: i64| -> Vec<(i64, f64)> {
        let selected = asked.selected("hits_total", (from, until), Hints::default());
        let floats = &selected.series[0].floats;
        floats.times.iter().copied().zip(floats.values.iter().copied()).collect()
    };
    let all = total(DAY - 200, DAY + 200);
    for from in [DAY - 100, DAY - 5, DAY, DAY + 1, DAY + 75] {
        let want: Vec<_> = all.iter().copied().filter(|(time, _)| *time > from * 1_000).collect();
        assert_eq!(total(from, DAY + 200), want, "from {from}");
    }
}

fn value(asked: &Asked, query: &str, second: i64) -> f64 {
    let expression = meshlake_promql::parse(query).expect(query);
    let budget = Allowance::new(1 << 24, None);
    let when = When::Instant(second * 1_000);
    let options = Options::default();
    let answer = evaluate(&expression, query, when, &asked.stored, &budget, &options).expect(query);
    match answer.value {
        AnswerValue::Vector(_, rows) => match rows.as_slice() {
            [(_, Point::Float(value))] => *value,
            rows => panic!("{query}: {} rows", rows.len()),
        },
        other => panic!("{query}: {other:?}"),
    }
}

/// Deltas of 1, 2 and 4 that end at 110, 120 and 130 s.
#[test]
fn an_increase_is_the_sum_of_deltas() {
    let asked =
        Asked::points([(110, 1.0), (120, 2.0), (130, 4.0)].map(|(at, value)| delta(1, at, value)).into());
    let cases = [
        ("increase(hits_total[1m])", 150, 7.0),
        ("rate(hits_total[50s])", 150, 0.14),
        ("increase(hits_total[16s])", 125, 3.0),
        ("increase(hits_total[15s])", 125, 2.0),
        ("increase(hits_total[20s])", 130, 6.0),
        ("increase(hits_total[5s])", 110, 1.0),
        ("irate(hits_total[1m])", 130, 0.4),
        ("hits_total", 125, 3.0),
        ("max_over_time(hits_total[1m])", 150, 7.0),
    ];
    for (query, second, want) in cases {
        assert_eq!(value(&asked, query, second), want, "{query} at {second}");
    }
}

/// Deltas of two senders under one name add up, also those of one instant.
#[test]
fn senders_of_deltas_are_added() {
    let asked = Asked::points(vec![delta(1, 110, 1.0), delta(2, 110, 10.0), delta(2, 120, 20.0)]);
    assert_eq!(value(&asked, "increase(hits_total[1m])", 120), 31.0);
    assert_eq!(value(&asked, "hits_total", 120), 31.0);
}

/// One sender tells deltas, another totals under the same name: neither is all there is, so the samples are asked.
#[test]
fn deltas_beside_totals_are_not_counted_alone() {
    let total = |second: i64, value: f64| {
        let mut total = delta(2, second, value);
        total.insert("aggregation_temporality", 2.into());
        total
    };
    let asked = Asked::points(vec![delta(1, 110, 1.0), total(115, 50.0), total(125, 70.0)]);
    let hints = Hints { function: Some("increase"), ..Hints::default() };
    let selected = asked.selected("hits_total", (90, 150), hints);
    assert!(selected.series[0].events.is_none());
    assert_eq!(lines(&selected), [r#"{__name__="hits_total"} 0@100 1@110 50@115 70@125"#]);
    let alone = Asked::points(vec![delta(1, 110, 1.0)]).selected("hits_total", (90, 150), hints);
    assert!(alone.series[0].events.is_some());
}
