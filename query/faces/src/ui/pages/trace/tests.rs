//! Spans in, a trace's page out.

use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_schema::Table;

use super::waterfall::ROWS;
use crate::ui::tests::{SECOND, TRACE, get, mesh, of_web, pages, span};

/// A root with so many children, one after the other.
fn wide(children: usize) -> SnapshotBuilder {
    let root = span("web", "00f067aa0ba902b7", "", 2, 0, 5_000, 0);
    let child = |at: usize| span("cart", &format!("{at:016x}"), "00f067aa0ba902b7", 1, at as i64, 1, 0);
    let spans: Vec<Row> = [root].into_iter().chain((1..=children).map(child)).collect();
    SnapshotBuilder::new().hot(Table::Spans, 1, &spans)
}

fn rows(body: &str) -> usize {
    body.split("id=\"waterfall\"").nth(1).expect("a waterfall").matches("class=\"indent ").count()
}

#[tokio::test]
async fn a_long_trace_comes_in_pages() {
    let pages = pages(wide(ROWS + 4));
    let (_, first) = get(&pages, &format!("/trace/{TRACE}")).await;
    let (_, second) = get(&pages, &format!("/trace/{TRACE}?rows={ROWS}")).await;
    assert_eq!((rows(&first), rows(&second)), (ROWS, 5));
    assert!(first.contains(&format!("rows={ROWS}\"")) && second.contains("rows=0\""));
    assert_eq!(rows(&get(&pages, &format!("/trace/{TRACE}?rows=99999")).await.1), 5, "the last page");
    let (status, all) = get(&pages, &format!("/trace/{TRACE}/rows")).await;
    let all: serde_json::Value = serde_json::from_str(&all).expect("JSON");
    assert_eq!((status, all["rows"].as_array().map(Vec::len)), (200, Some(ROWS + 5)));
    assert_eq!(get(&pages, "/trace/abc/rows").await.0, 404);
}

/// web's own 40 ms, its call of 30 that failed, 5 after the start, and cart's 20 ms of it that failed.
#[tokio::test]
async fn rows_are_told_for_scripts() {
    let (_, body) = get(&of_web(), &format!("/trace/{TRACE}/rows?find=customer.TIER")).await;
    let told: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let want = serde_json::json!({
        "nanos": 40_000_000,
        "services": ["web", "cart"],
        "rows": [
            ["00f067aa0ba902b7", "GET /cart", 0, 0, 0, 40_000_000, 10_000_000, 10_000_000, 8],
            ["00f067aa0ba902b8", "GET /cart", 0, 1, 5_000_000, 30_000_000, 10_000_000, 10_000_000, 9],
            ["00f067aa0ba902b9", "GET /cart", 1, 2, 10_000_000, 20_000_000, 20_000_000, 20_000_000, 9],
        ],
    });
    assert_eq!(told, want);
}

#[tokio::test]
async fn spans_are_searched_and_closed_by_the_address() {
    let pages = of_web();
    let (_, body) = get(&pages, &format!("/trace/{TRACE}?find=0ba902b8")).await;
    assert_eq!((rows(&body), body.matches("<tr class=\"bad match\"").count()), (2, 1), "{body}");
    let (_, body) = get(&pages, &format!("/trace/{TRACE}?find=nothing+of+it")).await;
    assert!(body.contains("No span of this trace has that text."), "{body}");
    let (_, body) = get(&pages, &format!("/trace/{TRACE}?closed=00f067aa0ba902b8")).await;
    assert_eq!((rows(&body), body.contains("1 spans are hidden below it")), (2, true), "{body}");
}

#[tokio::test]
async fn what_lies_beside_a_trace_is_told() {
    let ids = |service: &str| {
        [
            ("trace_id", Cell::from(TRACE)),
            ("span_id", Cell::from("00f067aa0ba902b8")),
            ("destination_service", Cell::from(service)),
            ("response_code", 503.into()),
            ("response_flags_text", "UH".into()),
            ("observer", "client".into()),
        ]
    };
    let request = row(1_000 * SECOND + 6_000_000, ids("cart"));
    let log = row(
        1_000 * SECOND + 7_000_000,
        [
            ("trace_id", TRACE.into()),
            ("span_id", "00f067aa0ba902b9".into()),
            ("service_name", "cart".into()),
            ("severity_number", 17.into()),
            ("body", "no <stock>".into()),
        ],
    );
    let elsewhere = row(1_000 * SECOND, [("body", "of nobody".into())]);
    let snapshot = mesh("web").hot(Table::Requests, 1, &[request]).hot(Table::Logs, 1, &[log, elsewhere]);
    let (_, body) = get(&pages(snapshot), &format!("/trace/{TRACE}")).await;
    for want in [">6 ms</a>", ">UH<", "+7 ms", "no &lt;stock&gt;", "Where errors began"] {
        assert!(body.contains(want), "{want}: {body}");
    }
    assert!(!body.contains("of nobody"));
}

#[tokio::test]
async fn a_trace_is_compared_with_another() {
    let other = "aaaa1916cd43dd8448eb211c80319caa";
    let mut pay = span("pay", "00f067aa0ba902c1", "", 2, 0, 15, 0);
    pay.insert("trace_id", other.into());
    let pages = pages(mesh("web").hot(Table::Spans, 2, &[pay]));
    let (_, body) = get(&pages, &format!("/trace/{TRACE}?with={other}")).await;
    for want in ["<strong>added</strong>", "<strong>gone</strong>", "+15 ms", "−20 ms"] {
        assert!(body.contains(want), "{want}: {body}");
    }
    let (status, body) = get(&pages, &format!("/trace/{TRACE}?with=123")).await;
    assert_eq!((status, body.contains("There is no span of this trace here")), (200, true));
}
