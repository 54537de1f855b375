//! Rows in, a page and counts out.

use std::sync::Arc;

use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::rows::{Rows, Text};
use meshlake_schema::{SystemClock, Table};

use super::*;

const SECOND: i64 = 1_000_000_000;

/// A request of `path` that begins at `nanos`, with a status and flags.
fn request(nanos: i64, path: &str, status: i64, flags: i64) -> Row {
    let outcome = if status >= 500 { "error" } else { "ok" };
    row(
        nanos,
        [
            ("path", path.into()),
            ("response_code", status.into()),
            ("response_flags", flags.into()),
            ("outcome", outcome.into()),
            ("method", "GET".into()),
            ("observer", "server".into()),
            ("source_namespace", "shop".into()),
            ("source_service", "web".into()),
            ("destination_namespace", "shop".into()),
            ("destination_workload", "cart".into()),
            ("duration_nano", (status * 1_000).into()),
            ("stream_id", path.into()),
            // One of them has no id.
            ("request_id", (if path == "/c" { "" } else { "same" }).into()),
        ],
    )
}

/// In a file: /c and /a of one instant, and /d that failed with UF and URX (bits 5 and 15). Hot: /b, and one beyond the range.
async fn snapshot() -> SnapshotBuilder {
    let flags = (1 << 5) | (1 << 15);
    let stored = [
        request(2 * SECOND, "/c", 200, 0),
        request(2 * SECOND, "/a", 200, 0),
        request(SECOND, "/d", 503, flags),
    ];
    let hot = [request(3 * SECOND, "/b", 404, 0), request(60 * SECOND, "/late", 200, 0)];
    SnapshotBuilder::new().file(Table::Requests, &stored, &[]).await.hot(Table::Requests, 2, &hot)
}

async fn query() -> Query {
    let engine = Engine::new(snapshot().await.reader(), EngineConfig::default(), Arc::new(SystemClock));
    engine.expect("no directory is named").begin("default").await.expect("a place is free")
}

fn asked(narrowing: &Narrowing, cursor: Cursor, rows_max: usize) -> Asked<'_> {
    let range = TimeRange { from: UnixNanos(0), to: UnixNanos(10 * SECOND) };
    Asked { range, narrowing, columns: &["method"], cursor, rows_max, values_max: 5 }
}

fn paths(rows: &RecordBatch) -> Vec<String> {
    let paths: Text<'_> = Rows::of(Table::Requests, rows).read("path").expect("it is read");
    (0..rows.num_rows()).map(|row| paths.get(row).unwrap_or_default().to_owned()).collect()
}

async fn found(narrowing: &Narrowing, cursor: Cursor, rows_max: usize) -> Found {
    find(&query().await, &asked(narrowing, cursor, rows_max)).await.expect("it is answered")
}

fn narrowed(by: &[(Dimension, &str)]) -> Narrowing {
    let mut narrowing = Narrowing::default();
    by.iter().for_each(|(dimension, value)| narrowing.by(*dimension, value).expect(value));
    narrowing
}

/// Each page begins where the one before ended, also between two rows of one nanosecond; counts are of all of them.
#[tokio::test]
async fn pages_follow_one_another_newest_first() {
    let all = Narrowing::default();
    let (mut cursor, mut seen) = (Some(Cursor::NEWEST), Vec::new());
    while let Some(at) = cursor {
        let found = found(&all, at, 2).await;
        assert_eq!((found.bars.total(), found.places.len()), (4, found.rows.num_rows()));
        seen.push(paths(&found.rows));
        cursor = found.next;
    }
    assert_eq!(seen, [vec!["/b", "/a"], vec!["/c", "/d"]]);
}

/// Twenty minutes, so that bars are of ten seconds and a file is counted once. In it: one row at 5 s, two at 15 s and one that failed
/// at 15.5 s; hot: one at 25 s. Pages begin and end between rows of one slice, and of one nanosecond.
#[tokio::test]
async fn what_a_file_says_is_as_if_it_were_read_again() {
    let stored = [
        request(5 * SECOND, "/old", 200, 0),
        request(15 * SECOND, "/a", 200, 0),
        request(15 * SECOND, "/b", 200, 0),
        request(15 * SECOND + SECOND / 2, "/failed", 503, 0),
    ];
    let hot = [request(25 * SECOND, "/hot", 200, 0)];
    let both = SnapshotBuilder::new().file(Table::Requests, &stored, &[]).await.hot(Table::Requests, 2, &hot);
    let engine = Engine::new(both.reader(), EngineConfig::default(), Arc::new(SystemClock));
    let query = engine.expect("no directory is named").begin("default").await.expect("a place is free");
    let range = TimeRange { from: UnixNanos(0), to: UnixNanos(1_200 * SECOND) };
    let check = async |narrowing: &Narrowing, rows_max: usize, want: &[&str], bars: [[u64; 4]; 3]| {
        let (mut cursor, mut seen) = (Some(Cursor::NEWEST), Vec::new());
        while let Some(at) = cursor {
            let asked = Asked { range, ..asked(narrowing, at, rows_max) };
            let found = find(&query, &asked).await.expect("it is answered");
            assert_eq!(found.bars.counts[..3], bars);
            let rows = found.facets.iter().flat_map(|(_, facet)| &facet.values);
            let gets: u64 = rows.filter(|counted| counted.value == "GET").map(|counted| counted.rows).sum();
            assert_eq!((found.bars.total(), gets), (want.len() as u64, want.len() as u64));
            seen.extend(paths(&found.rows));
            cursor = found.next;
        }
        assert_eq!(seen, want, "{rows_max} a page");
    };
    let all = Narrowing::default();
    for rows_max in [10, 3, 2, 1] {
        let bars = [[1, 0, 0, 0], [2, 0, 0, 1], [1, 0, 0, 0]];
        check(&all, rows_max, &["/hot", "/failed", "/a", "/b", "/old"], bars).await;
    }
    let failed = narrowed(&[(Dimension::Status, "503")]);
    check(&failed, 1, &["/failed"], [[0; 4], [0, 0, 0, 1], [0; 4]]).await;
    let mut of_path = Narrowing::default();
    of_path.path("ol");
    check(&of_path, 1, &["/old"], [[1, 0, 0, 0], [0; 4], [0; 4]]).await;
}

#[tokio::test]
async fn a_row_is_found_at_its_place_with_all_of_its_columns() {
    let (all, query) = (Narrowing::default(), query().await);
    let found = find(&query, &asked(&all, Cursor::NEWEST, 10)).await.expect("it is answered");
    for (place, path) in found.places.iter().zip(paths(&found.rows)) {
        let row = super::row(&query, &all, *place).await.expect("it is answered");
        assert_eq!(
            (paths(&row), row.num_columns()),
            (vec![path], Table::Requests.open_schema().fields().len())
        );
    }
    let beyond = Cursor { time: UnixNanos(SECOND), skip: 1 };
    assert_eq!(super::row(&query, &all, beyond).await.map(|row| row.num_rows()), Ok(0));
}

#[tokio::test]
async fn facets_and_bars_count_the_whole_range() {
    let found = found(&Narrowing::default(), Cursor::NEWEST, 1).await;
    let told = |wanted: Dimension| -> Vec<(String, u64)> {
        let facet = found.facets.iter().find(|(dimension, _)| *dimension == wanted).expect("it is there");
        facet.1.values.iter().map(|counted| (counted.value.clone(), counted.rows)).collect()
    };
    let want = |values: &[(&str, u64)]| -> Vec<(String, u64)> {
        values.iter().map(|(value, rows)| ((*value).to_owned(), *rows)).collect()
    };
    assert_eq!(told(Dimension::Client), want(&[("shop/web", 4)]));
    assert_eq!(told(Dimension::Server), want(&[("shop/cart", 4)]), "a workload names what has no service");
    assert_eq!(told(Dimension::Status), want(&[("200", 2), ("404", 1), ("503", 1)]));
    assert_eq!(told(Dimension::Flag), want(&[("UF", 1), ("URX", 1)]));
    assert_eq!(told(Dimension::Host), want(&[]));
    assert_eq!(found.bars.counts[..4], [[0, 0, 0, 0], [0, 0, 0, 1], [2, 0, 0, 0], [1, 0, 0, 0]]);
    assert_eq!(found.facets.len(), Dimension::ALL.len());
}

#[tokio::test]
async fn every_dimension_narrows() {
    let check = async |by: &[(Dimension, &str)], want: &[&str]| {
        let found = found(&narrowed(by), Cursor::NEWEST, 10).await;
        let want: Vec<String> = want.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!((paths(&found.rows), found.bars.total()), (want.clone(), want.len() as u64), "{by:?}");
    };
    check(&[(Dimension::Status, "5xx")], &["/d"]).await;
    check(&[(Dimension::Status, "404")], &["/b"]).await;
    check(&[(Dimension::Status, "4xx")], &["/b"]).await;
    check(&[(Dimension::Flag, "URX")], &["/d"]).await;
    check(&[(Dimension::Flag, "UF,URX")], &["/d"]).await;
    check(&[(Dimension::Flag, "UF,UH")], &[]).await;
    check(&[(Dimension::Server, "shop/cart"), (Dimension::Client, "web")], &["/b", "/a", "/c", "/d"]).await;
    check(&[(Dimension::Server, "other/cart")], &[]).await;
    check(&[(Dimension::Outcome, "error"), (Dimension::Method, "GET")], &["/d"]).await;
    check(&[(Dimension::Method, "POST")], &[]).await;
    check(&[(Dimension::Grpc, "14")], &[]).await;
    let (mut slow, mut part, mut service) =
        (Narrowing::default(), Narrowing::default(), Narrowing::default());
    slow.lasted(404_000);
    part.path("b");
    service.of_service("shop/web");
    for (narrowing, want) in [(slow, 2), (part, 1), (service, 4)] {
        assert_eq!(found(&narrowing, Cursor::NEWEST, 10).await.rows.num_rows(), want, "{narrowing:?}");
    }
}

#[test]
fn what_no_request_can_have_is_said() {
    let cases = [
        (Dimension::Status, "abc"),
        (Dimension::Status, "0xx"),
        (Dimension::Status, "1000"),
        (Dimension::Grpc, "17"),
        (Dimension::Flag, "UF,XX"),
        (Dimension::Outcome, "fine"),
    ];
    for (dimension, value) in cases {
        let mut narrowing = Narrowing::default();
        assert!(narrowing.by(dimension, value).is_err(), "{value}");
        assert_eq!(narrowing, Narrowing::default());
    }
}
