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

/// 300 rows a file, of which every 50th has a value that no other has, one time in three under another key: the rows
/// that the pages of values name are few, and the engine decides.
#[tokio::test]
async fn a_search_for_attributes_changes_no_answer() {
    let rows_of = |file: i64| -> Vec<Row> {
        let row = |i: i64| match (i % 50, i % 3) {
            (0, 0) => with_attributes(i, &[("other", "rare"), ("k", "common")]),
            (0, _) => with_attributes(i, &[("k", "rare"), ("l", ["a", "b"][(i / 50 % 2) as usize])]),
            (1, _) => with_attributes(i, &[]),
            _ => with_attributes(i, &[("k", "common"), ("l", "a")]),
        };
        // Files need not be sorted by the service for it to be looked at first.
        let of_service = |i: i64| {
            let service = [None, Some("a"), Some("b"), Some("c")][(i / 7 % 4) as usize];
            let cell = service.map(|service| ("service_name", service.into()));
            row(i).into_iter().chain(cell).collect::<Row>()
        };
        (300 * file..300 * (file + 1)).map(of_service).collect()
    };
    let [first, second, third] = [0, 1, 2].map(rows_of);
    let files =
        SnapshotBuilder::new().filtered_file(&first, &first).await.filtered_file(&second, &second).await;
    let files = files.file(Table::Spans, &third, &[]).await.engine();
    let mut hot = SnapshotBuilder::new();
    for (lsn, rows) in [(1, first), (2, second), (3, third)] {
        hot = hot.hot(Table::Spans, lsn, &rows);
    }
    let hot = hot.engine();
    for filter in [
        "attributes['k'] = 'rare'",
        "attributes['other'] = 'rare'",
        "attributes['k'] IN ('rare', 'absent')",
        "attributes['k'] = 'rare' AND attributes['l'] = 'b'",
        "attributes['k'] = 'rare' AND attributes['other'] = 'rare'",
        "attributes['k'] = 'rare' OR attributes['other'] = 'rare'",
        "attributes['k'] = 'rare' OR attributes['k'] IS NULL",
        "attributes['k'] = 'rare' AND time_unix_nano > 400000000000",
        "attributes['k'] = 'rare' AND trace_id = '0af7651916cd43dd8448eb211c80319c'",
        "attributes['k'] = 'rare' AND service_name = 'a'",
        "service_name IN ('b', 'c') AND attributes['k'] = 'rare' AND attributes['l'] = 'b'",
        "attributes['k'] = 'rare' AND (service_name = 'a' OR service_name = 'c')",
        "attributes['k'] = 'rare' AND service_name = 'none'",
        "attributes['k'] = 'rare' AND service_name IS NULL",
        "attributes['k'] = 'rare' AND service_name <> 'a'",
        "attributes['k'] = 'rare' AND (service_name = 'a' OR name = 's')",
        "attributes['k'] = 'common' AND service_name = 'a'",
        "attributes['k'] = 'common'",
    ] {
        let sql = format!(
            "SELECT count(*), min(time_unix_nano), max(time_unix_nano), max(attributes['l']) FROM spans WHERE {filter}"
        );
        assert_eq!(one(&files, &sql).await, one(&hot, &sql).await, "{filter}");
    }
    // Of the multiples of 50 below 900 the multiples of 150.
    assert_eq!(one(&files, "SELECT count(*) FROM spans WHERE attributes['other'] = 'rare'").await, "6");
}

/// Filters that say otherwise are believed, which shows what is not read: all of a file, or all but a run of it.
#[tokio::test]
async fn rows_that_filters_rule_out_are_not_read() {
    let count = |value: &str| format!("SELECT count(*) FROM spans WHERE attributes['k'] = '{value}'");
    let of = |value: &str| with_attributes(1, &[("k", value)]);
    let lying = SnapshotBuilder::new().filtered_file(&[of("first")], &[of("other")]).await.engine();
    assert_eq!(one(&lying, &count("first")).await, "0");
    assert_eq!(one(&lying, "SELECT count(*) FROM spans").await, "1");

    // A run of 65,536 rows, and one more; the empty ones belong to nobody.
    let rows = |first: Row, last: Row| [vec![first], vec![Row::new(); 65_535], vec![last]].concat();
    let spans = rows(of("first"), of("last"));
    let only_last = rows(Row::new(), with_attributes(1, &[("k", "first"), ("k", "last")]));
    let last_run = SnapshotBuilder::new().filtered_file(&spans, &only_last).await.engine();
    assert_eq!(one(&last_run, &count("first")).await, "0");
    assert_eq!(one(&last_run, &count("last")).await, "1");

    let short = SnapshotBuilder::new().filtered_file(&[of("first")], &[]).await.engine();
    assert_eq!(one(&short, &count("first")).await, "1", "a filter of other rows is none");
}

/// Filters on attributes that the scan applies leave the rows that the engine would: keys that a row has twice,
/// files without attributes, a buffer, other filters beside.
#[tokio::test]
async fn a_filter_that_the_scan_applies_is_the_engines() {
    let rows_of = |file: i64| -> Vec<Row> {
        let row = |i: i64| {
            let (few, many) = (["a", "b", "rare"][(i % 17).min(2) as usize], ["x", "y"][(i % 2) as usize]);
            match i % 5 {
                0 => with_attributes(i, &[("k", few), ("k", many), ("l", many)]),
                1 => with_attributes(i, &[("l", "a"), ("k", many)]),
                2 => with_attributes(i, &[]),
                _ => with_attributes(i, &[("l", few), ("m", many), ("k", few)]),
            }
        };
        (100 * file..100 * (file + 1)).map(row).collect()
    };
    let [first, second, third, fourth] = [0, 1, 2, 3].map(rows_of);
    let files = SnapshotBuilder::new().filtered_file(&first, &first).await;
    let files =
        files.file(Table::Spans, &second, &[]).await.file(Table::Spans, &third, &["attributes"]).await;
    let engine = files.hot(Table::Spans, 4, &fourth).engine();
    for filter in [
        "attributes['k'] = 'x'",
        "attributes['k'] = 'rare'",
        "attributes['k'] IN ('a', 'y')",
        "attributes['k'] = 'a' AND attributes['l'] = 'b'",
        "attributes['k'] = 'a' AND attributes['l'] = 'a'",
        "attributes['k'] = 'b' OR attributes['l'] = 'a'",
        "attributes['k'] = 'a' AND time_unix_nano % 2 = 0",
        "attributes['k'] = 'x' AND time_unix_nano < 150000000000",
        "attributes['k'] = 'a' AND attributes['m'] <> 'x'",
        "attributes['k'] = 'a' AND trace_id = '0af7651916cd43dd8448eb211c80319c'",
        "attributes['k'] = 'a' AND trace_id = 'another'",
        "attributes['k'] = 'a' AND (trace_id = '0af7651916cd43dd8448eb211c80319c' OR name = 'other')",
    ] {
        // A value with nothing behind it is the same, but the scan does not understand it.
        let by_engine = filter.replace("'] =", "'] || '' =").replace("'] IN", "'] || '' IN");
        for (select, end) in [
            ("SELECT count(*), count(attributes['l']), min(time_unix_nano) FROM spans s WHERE", ""),
            ("SELECT time_unix_nano, attributes FROM spans WHERE", "ORDER BY time DESC LIMIT 7"),
        ] {
            let sql = |filter: &str| format!("{select} {filter} {end}");
            let (ours, theirs) = (one(&engine, &sql(filter)).await, one(&engine, &sql(&by_engine)).await);
            assert_eq!(ours, theirs, "{}", sql(filter));
        }
    }
    // `x` is the first `k` of the rows 10 n + 6: 40 of 400, and none in the third file.
    assert_eq!(one(&engine, "SELECT count(*) FROM spans WHERE attributes['k'] = 'x'").await, "30");
    let some = rows(&engine, "SELECT name FROM spans WHERE attributes['k'] = 'x' LIMIT 25").await;
    assert_eq!(some.expect("an answer").len(), 25);
}

/// A file with a value in 1,025 rows of 1,030 is not searched: the scan filters its rows, and a limit counts those
/// that pass.
#[tokio::test]
async fn rows_of_a_frequent_value_are_filtered() {
    let row = |i: i64| with_attributes(i, &[("k", if i < 5 { "other" } else { "frequent" })]);
    let rows_of_file: Vec<Row> = (0..1_030).map(row).collect();
    let files = SnapshotBuilder::new().file(Table::Spans, &rows_of_file, &[]).await.engine();
    let frequent = "FROM spans WHERE attributes['k'] = 'frequent'";
    assert_eq!(
        one(&files, &format!("SELECT count(*), min(time_unix_nano) {frequent}")).await,
        "1025,5000000000"
    );
    for limit in [1, 1_024, 1_025, 1_026] {
        let some = rows(&files, &format!("SELECT time_unix_nano {frequent} LIMIT {limit}")).await;
        assert_eq!(some.expect("an answer").len(), limit.min(1_025));
    }
}
