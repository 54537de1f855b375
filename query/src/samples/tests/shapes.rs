//! Histograms, classic and native, and summaries.

use super::*;

fn histogram(id: i64, second: i64, bounds: &[f64], counts: &[i64]) -> Row {
    let cells = [
        ("aggregation_temporality", 2.into()),
        ("count", counts.iter().sum::<i64>().into()),
        ("sum", 12.5.into()),
        ("explicit_bounds", Cell::Floats(bounds.to_vec())),
        ("bucket_counts", Cell::Ints(counts.to_vec())),
    ];
    point(id, "latency", second, cells)
}

fn of_histograms(rows: Vec<Row>) -> Asked {
    Asked::of([(Table::MetricHistograms, rows)])
}

#[test]
fn an_explicit_histogram_is_a_classic_one() {
    let row = with(histogram(1, 10, &[0.5, 1.0], &[2, 3, 4]), [("metric_unit", "ms".into())]);
    let asked = of_histograms(vec![row]);
    let want = [
        r#"{__name__="latency_milliseconds_bucket", le="+Inf"} 9@10"#,
        r#"{__name__="latency_milliseconds_bucket", le="0.5"} 2@10"#,
        r#"{__name__="latency_milliseconds_bucket", le="1"} 5@10"#,
        r#"{__name__="latency_milliseconds_count"} 9@10"#,
        r#"{__name__="latency_milliseconds_sum"} 12.5@10"#,
    ];
    assert_eq!(asked.lines(r#"{__name__=~"latency.+"}"#), want);
    assert_eq!(asked.lines(r#"latency_milliseconds_bucket{le="1"}"#), want[2..3]);
    assert_eq!(asked.lines(r#"{__name__=~"latency.+",le=""}"#), want[3..]);
    assert_eq!(asked.lines("latency_milliseconds"), Vec::<String>::new());
}

/// A sender that changes its bounds, one that tells no buckets, one without a sum, and one that ends.
#[test]
fn odd_histograms_are_told_as_far_as_they_go() {
    let mut bare = histogram(1, 20, &[], &[]);
    bare.insert("count", 7.into());
    bare.remove("sum");
    let mut stale = histogram(1, 40, &[], &[]);
    stale.insert("flags", 1.into());
    stale.remove("sum");
    let rows = vec![
        histogram(1, 10, &[1.0], &[1, 1]),
        bare,
        histogram(1, 30, &[2.0, f64::INFINITY], &[1, 2, 0]),
        stale,
    ];
    let want = [
        r#"{__name__="latency_bucket", le="+Inf"} 2@10 7@20 3@30 stale@40"#,
        r#"{__name__="latency_bucket", le="1"} 1@10"#,
        r#"{__name__="latency_bucket", le="2"} 1@30 stale@40"#,
        r#"{__name__="latency_count"} 2@10 7@20 3@30 stale@40"#,
        r#"{__name__="latency_sum"} 12.5@10 12.5@30 stale@40"#,
    ];
    assert_eq!(of_histograms(rows).lines(r#"{__name__=~"latency.+"}"#), want);
}

#[test]
fn a_remote_written_one_is_native_with_custom_buckets() {
    let row =
        with(histogram(1, 10, &[0.5, 1.0], &[2, 0, 4]), [("scope_name", "prometheus.remote_write".into())]);
    let want = [r#"{__name__="latency"} {count:6, sum:12.5, [-Inf,0.5]:2, (1,+Inf]:4}@10"#];
    assert_eq!(of_histograms(vec![row]).lines("latency"), want);
}

fn exponential(second: i64, scale: i64, temporality: i64) -> Row {
    let cells = [
        ("aggregation_temporality", temporality.into()),
        ("count", 9.into()),
        ("sum", 20.0.into()),
        ("scale", scale.into()),
        ("zero_count", 1.into()),
        ("positive_offset", 0.into()),
        ("positive_bucket_counts", Cell::Ints(vec![2, 0, 3])),
        ("negative_offset", 1.into()),
        ("negative_bucket_counts", Cell::Ints(vec![3])),
    ];
    point(1, "size", second, cells)
}

/// A float histogram of a gauge, with a zero bucket that is a point, as a Prometheus sends it.
#[test]
fn a_remote_written_histogram_is_as_it_was_sent() {
    let row = with(
        exponential(10, 0, 2),
        [
            ("scope_name", "prometheus.remote_write".into()),
            ("count_double", 4.75.into()),
            ("zero_count_double", 0.25.into()),
            ("positive_bucket_counts_double", Cell::Floats(vec![1.5, 0.0, 2.0])),
            ("negative_bucket_counts_double", Cell::Floats(vec![1.0])),
            ("reset_hint", 3.into()),
        ],
    );
    let asked = Asked::of([(Table::MetricExpHistograms, vec![row])]);
    let want = [r#"{__name__="size"} {count:4.75, sum:20, [-4,-2):1, [-0,0]:0.25, (1,2]:1.5, (4,8]:2}@10"#];
    assert_eq!(asked.lines("size"), want);
    let selected = asked.selected("size", (0, 60), Hints::default());
    assert_eq!(selected.series[0].histograms.values[0].hint, meshlake_promql::ResetHint::Gauge);
}

/// With a base of 2, buckets 0 and 2 are (1, 2] and (4, 8], and the negative 1 is [-4, -2).
#[test]
fn an_exponential_histogram_is_a_native_one() {
    let asked = Asked::of([(Table::MetricExpHistograms, vec![exponential(10, 0, 2)])]);
    let want = [r#"{__name__="size"} {count:9, sum:20, [-4,-2):3, [-1e-128,1e-128]:1, (1,2]:2, (4,8]:3}@10"#];
    assert_eq!(asked.lines("size"), want);
}

#[test]
fn what_is_too_coarse_is_told_of() {
    let selected =
        Asked::of([(Table::MetricExpHistograms, vec![exponential(10, -5, 2), exponential(20, -4, 2)])]);
    let selected = selected.selected("size", (0, 60), Hints::default());
    assert_eq!(selected.series[0].histograms.times, [20_000]);
    assert_eq!(selected.warnings, ["1 exponential histograms of a scale below -4 are left out"]);
}

/// Three deltas of 9 values each, the first of which began at midnight.
#[test]
fn deltas_of_histograms_are_totals() {
    let rows = (1..=3).map(|n| {
        with(exponential(10 * n, 0, 1), [("start_time_unix_nano", (10 * (n - 1) * SECOND + 1).into())])
    });
    let asked = Asked::of([(Table::MetricExpHistograms, rows.collect())]);
    let selected = asked.selected("size", (-1, 60), Hints::default());
    let run = &selected.series[0].histograms;
    let counts: Vec<f64> = run.values.iter().map(|histogram| histogram.count).collect();
    assert_eq!(
        (run.times.as_slice(), counts.as_slice()),
        (&[1, 10_000, 20_000, 30_000][..], &[0.0, 9.0, 18.0, 27.0][..])
    );
    assert_eq!(run.values[3].positive, [(1, 6.0), (3, 9.0)]);
}

#[test]
fn a_summary_has_a_series_a_quantile() {
    let cells = [
        ("count", 9.into()),
        ("sum", 20.5.into()),
        ("quantiles", Cell::Quantiles(vec![(0.5, 1.5), (0.99, 4.0), (1.0, 7.0)])),
    ];
    let row = point(1, "gc.pause", 10, cells);
    let mut stale = point(1, "gc.pause", 20, [("flags", 1.into())]);
    stale.insert("sum", 0.0.into());
    let asked = Asked::of([(Table::MetricSummaries, vec![row, stale])]);
    let want = [
        r#"{__name__="gc_pause", quantile="0.5"} 1.5@10 stale@20"#,
        r#"{__name__="gc_pause", quantile="0.99"} 4@10 stale@20"#,
        r#"{__name__="gc_pause", quantile="1"} 7@10 stale@20"#,
        r#"{__name__="gc_pause_count"} 9@10 stale@20"#,
        r#"{__name__="gc_pause_sum"} 20.5@10 stale@20"#,
    ];
    assert_eq!(asked.lines(r#"{__name__=~"gc_.+"}"#), want);
    assert_eq!(asked.lines(r#"gc_pause{quantile="0.5"}"#), want[..1]);
}
