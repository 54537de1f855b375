//! Texts that files tell by their dictionaries: all of a tenant's, no others', and the files that cannot tell are named.

use std::collections::BTreeSet;

use meshlake_schema::{TimeRange, UnixNanos};

use super::*;

const NAMES: Texts = Texts::Column("name");
const KEYS: Texts = Texts::Keys(&["attributes"]);
const ROUTES: Texts = Texts::Named("http_route");
const OF_EVENTS: Texts = Texts::Keys(&["events", "attributes"]);

fn seconds(from: i64, to: i64) -> TimeRange {
    TimeRange { from: UnixNanos(from * SECOND), to: UnixNanos(to * SECOND) }
}

/// What is told of each, joined, and how many files do not tell.
async fn told(snapshot: SnapshotBuilder, asked: &[Texts], range: TimeRange) -> (Vec<String>, usize) {
    let query = snapshot.engine().begin("default").await.expect("a place is free");
    let told = query.told(Table::Spans, asked, range).await.expect("files are readable");
    let joined = |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    (told.texts.iter().map(joined).collect(), told.untold.len())
}

fn with(mut row: Row, cells: &[(&'static str, Cell)]) -> Row {
    row.extend(cells.iter().cloned());
    row
}

#[tokio::test]
async fn each_text_of_the_files_of_the_range_is_told() {
    let attributes = Cell::from([("k1", "x"), ("k2", "y")].as_slice());
    let first = [
        with(span(1, "a"), &[("attributes", attributes), ("http_route", "/r".into())]),
        span(2, "b"),
        span(3, "a"),
    ];
    let second = [with(span(100, "c"), &[("attributes", [("k3", "x")].as_slice().into())])];
    let snapshot = async || {
        let files = SnapshotBuilder::new().file(Table::Spans, &first, &[]).await;
        files.file(Table::Spans, &second, &[]).await.hot(Table::Spans, 1, &[span(4, "in memory")])
    };
    let asked = [NAMES, KEYS, ROUTES, OF_EVENTS];
    let all = ["a b c", "k1 k2 k3", "http_route", ""].map(str::to_owned).to_vec();
    assert_eq!(told(snapshot().await, &asked, TimeRange::ALL).await, (all, 0));
    let late = ["c", "k3", "", ""].map(str::to_owned).to_vec();
    assert_eq!(told(snapshot().await, &asked, seconds(50, 200)).await, (late, 0));
    let none = vec![String::new(); 4];
    assert_eq!(told(snapshot().await, &asked, seconds(200, 300)).await, (none, 0));
}

#[tokio::test]
async fn texts_of_other_tenants_are_not_told() {
    let others = [of_tenant("other", span(1, "secret"))];
    let mixed = [span(1, "a"), of_tenant("other", span(2, "secret"))];
    let of_others = SnapshotBuilder::new().file(Table::Spans, &others, &[]).await;
    assert_eq!(told(of_others, &[NAMES], TimeRange::ALL).await, (vec![String::new()], 0));
    let of_both = SnapshotBuilder::new().file(Table::Spans, &mixed, &[]).await;
    assert_eq!(told(of_both, &[NAMES], TimeRange::ALL).await, (vec![String::new()], 1));
}

/// 300 texts of 5,000 bytes are more than the megabyte of a dictionary, so that some pages have texts themselves.
#[tokio::test]
async fn a_file_whose_dictionary_has_not_all_does_not_tell() {
    let long: Vec<Row> = (0..300).map(|n| span(n, &format!("{n:05000}"))).collect();
    let snapshot = SnapshotBuilder::new().file(Table::Spans, &long, &[]).await;
    assert_eq!(told(snapshot, &[NAMES], TimeRange::ALL).await, (vec![String::new()], 1));
}

#[tokio::test]
async fn a_column_that_a_file_lacks_has_no_texts_there() {
    let snapshot = SnapshotBuilder::new().file(Table::Spans, &[span(1, "a")], &["http_route"]).await;
    assert_eq!(told(snapshot, &[ROUTES, NAMES], TimeRange::ALL).await, (vec![String::new(), "a".into()], 0));
}
