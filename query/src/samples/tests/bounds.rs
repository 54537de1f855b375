//! Limits, and what is known from one question to the next.

use meshlake_promql::Error;

use super::*;
use crate::samples::reading::LEARNT_ROWS_MAX;
use crate::samples::select::select_at_most;

const FILE: &str = "tables/metric_points/0.parquet";

/// A source over two rows in a file that is said to have `rows`, and one in the buffer.
fn over_file(rows: u64) -> Asked {
    let runtime = Runtime::new().expect("threads");
    let row = |second: i64| with(gauge(second, "m", second, 1.0), attributes(&[("at", &second.to_string())]));
    let file = runtime.block_on(SnapshotBuilder::new().file(Table::MetricPoints, &[row(10), row(20)], &[]));
    let file = file.said_to_have(Table::MetricPoints, rows);
    Asked::over(runtime, file.hot(Table::MetricPoints, 9, &[row(30)]))
}

#[test]
fn a_file_is_known_once_it_was_read() {
    for (rows, is_learnt) in [(LEARNT_ROWS_MAX, true), (LEARNT_ROWS_MAX + 1, false)] {
        let asked = over_file(rows);
        let known = || asked.stored.known.generation().file("default", FILE).is_some();
        assert!(!known());
        let all = [
            r#"{__name__="m", at="10"} 1@10"#,
            r#"{__name__="m", at="20"} 1@20"#,
            r#"{__name__="m", at="30"} 1@30"#,
        ];
        for _ in 0..2 {
            assert_eq!(asked.lines("m"), all);
            assert_eq!(asked.lines(r#"m{at="20"}"#), all[1..2]);
            assert_eq!(known(), is_learnt, "{rows}");
        }
        let later = asked.selected("m", (10, 20), Hints::default());
        assert_eq!(lines(&later), all[1..2], "of a file that is known only what is in the range");
    }
}

#[test]
fn one_sample_too_many_is_refused() {
    let asked = Asked::points((1..=3).map(|second| gauge(1, "m", second, 1.0)).collect());
    let matchers = matchers("m");
    let selection = Selection { matchers: &matchers, after: 0, until: 60_000, hints: Hints::default() };
    let select =
        |samples_max: usize| asked.runtime.block_on(select_at_most(samples_max, &asked.stored, &selection));
    assert_eq!(select(3).map(|selected| selected.series.len()), Ok(1));
    let want = "query processing would load too many samples into memory in expression evaluation";
    assert_eq!(select(2).err(), Some(Error::Execution(want.to_owned())));
}
