//! Searches on attributes: filters of files change no answer, and spare what they can.

use super::*;

fn with_attributes(seconds: i64, entries: &[(&str, &str)]) -> Row {
    let mut row = span(seconds, "s");
    row.insert("attributes", entries.into());
    row
}

/// Questions that filters understand, in part or not at all, over 400 rows of few keys and values, in files of
/// 100 rows each and in memory: the answers are the same.
#[tokio::test]
async fn attribute_filters_change_no_answer() {
    let text = |n: i64| ["a", "b", "c", "d", "e", ""][n.rem_euclid(6) as usize];
    let rows_of = |file: i64| -> Vec<Row> {
        (0..100)
            .map(|i| {
                // Values of a file depend on it, so that every file lacks some of them.
                let value = text(file + i % 2);
                let entries = [("k", value), ("l", text(i))];
                with_attributes(i, if i % 3 == 0 { &[] } else { &entries })
            })
            .collect()
    };
    let (mut files, mut hot) = (SnapshotBuilder::new(), SnapshotBuilder::new());
    for file in 0..4 {
        let rows = rows_of(file);
        files = files.filtered_file(&rows, &rows).await;
        hot = hot.hot(Table::Spans, file as u64 + 1, &rows);
    }
    let (files, hot) = (files.engine(), hot.engine());
    for filter in [
        "attributes['k'] = 'a'",
        "'b' = attributes['k']",
        "attributes['k'] = 'absent'",
        "attributes['k'] = ''",
        "attributes['k'] IN ('a', 'c')",
        "attributes['k'] IN ('a', 'b', 'c', 'd', 'absent')",
        "attributes['k'] NOT IN ('a', 'c')",
        "attributes['k'] <> 'a'",
        "attributes['k'] IS NULL",
        "attributes['k'] = 'a' AND attributes['l'] = 'b'",
        "attributes['k'] = 'a' OR attributes['l'] = 'b'",
        "attributes['k'] = 'a' OR name = 's'",
        "NOT (attributes['k'] = 'a')",
        "attributes['http.route'] = 'a'",
        "attributes['k'] = attributes['l']",
    ] {
        let sql =
            format!("SELECT count(*), min(time_unix_nano), max(time_unix_nano) FROM spans s WHERE {filter}");
        assert_eq!(one(&files, &sql).await, one(&hot, &sql).await, "{filter}");
    }
}

/// 65,536 rows of `k` = `first` and one of `k` = `last`. Filters that say otherwise are believed, which shows
/// what is not read: all of a file, or all but a run of it.
#[tokio::test]
async fn rows_that_filters_rule_out_are_not_read() {
    const RUN: i64 = 65_536;
    let value = |i: i64| if i < RUN { "first" } else { "last" };
    let spans: Vec<Row> = (0..=RUN).map(|i| with_attributes(1, &[("k", value(i))])).collect();
    let count = |value: &str| format!("SELECT count(*) FROM spans WHERE attributes['k'] = '{value}'");

    let other: Vec<Row> = (0..=RUN).map(|_| with_attributes(1, &[("k", "other")])).collect();
    let lying = SnapshotBuilder::new().filtered_file(&spans, &other).await.engine();
    assert_eq!(one(&lying, &count("first")).await, "0");
    assert_eq!(one(&lying, "SELECT count(*) FROM spans").await, "65537");

    let mut only_last = other.clone();
    only_last[RUN as usize] = with_attributes(1, &[("k", "first"), ("k", "last")]);
    let last_run = SnapshotBuilder::new().filtered_file(&spans, &only_last).await.engine();
    assert_eq!(one(&last_run, &count("first")).await, "0");
    assert_eq!(one(&last_run, &count("last")).await, "1");

    let short = SnapshotBuilder::new().filtered_file(&spans, &other[..9]).await.engine();
    assert_eq!(one(&short, &count("first")).await, "65536", "a filter of other rows is none");
}
