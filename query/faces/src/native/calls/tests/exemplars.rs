//! Examples of calls: each trace that is named can be read.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;
use serde_json::{Value, json};

use super::{SECOND, call, get_json};

/// A trace with spans, and one that a proxy names and that was never sent.
const STORED: &str = "0af7651916cd43dd8448eb211c80319c";
const UNSAMPLED: &str = "11111111111111111111111111111111";

fn traced(second: i64, millis: i64, outcome: &str, trace_id: &str) -> Row {
    let mut row = call(second, "client", outcome);
    row.insert("duration_nano", (millis * 1_000_000).into());
    row.insert("trace_id", trace_id.into());
    row.insert("request_id", format!("r{second}").as_str().into());
    row
}

/// Calls of web to cart: a failed one that was not sampled, and a slow and a quick one of one trace.
fn snapshot() -> SnapshotBuilder {
    let rows = [
        traced(1_001, 10, "error", UNSAMPLED),
        traced(1_002, 20, "ok", STORED),
        traced(1_003, 90, "ok", STORED),
        call(1_004, "client", "error"),
    ];
    let span = row(
        1_003 * SECOND,
        [
            ("trace_id", STORED.into()),
            ("span_id", "00000000000000aa".into()),
            ("service_name", "other".into()),
            ("kind", 1.into()),
            ("adjusted_count", 1.0.into()),
            ("outcome", "ok".into()),
        ],
    );
    SnapshotBuilder::new().hot(Table::Requests, 1, &rows).hot(Table::Spans, 2, &[span])
}

async fn exemplars(parameters: &str) -> (u16, Value) {
    exemplars_from(1_000, parameters).await
}

async fn exemplars_from(from: i64, parameters: &str) -> (u16, Value) {
    get_json(snapshot(), &format!("/api/v1/exemplars?from={from}&to=1020{parameters}")).await
}

#[tokio::test]
async fn a_trace_is_named_once_and_only_if_it_is_stored() {
    for parameters in ["", "&service=cart", "&edge=web-%3Ecart", "&edge=shop/web,shop/cart&min_ms=90"] {
        let (status, answer) = exemplars(parameters).await;
        let told = &answer["exemplars"];
        let first = json!([told[0]["trace_id"], told[0]["client_ms"], told[0]["target"]]);
        assert_eq!((status, first), (200, json!([STORED, 90, "shop/cart"])), "{parameters}: {answer}");
        assert_eq!(
            (told.as_array().map(Vec::len), &answer["warnings"]),
            (Some(1), &json!([])),
            "{parameters}"
        );
        let id = told[0]["trace_id"].as_str().expect("a trace");
        let (status, _) = get_json(snapshot(), &format!("/api/v1/traces/{id}")).await;
        assert_eq!(status, 200);
    }
}

/// In 20 seconds all rows are looked at, in 17 minutes those of the minute that has calls.
#[tokio::test]
async fn calls_without_a_trace_are_said() {
    for from in [1_000, 0] {
        let (_, answer) = exemplars_from(from, "&errors=true").await;
        assert_eq!(answer["exemplars"], json!([]));
        assert_eq!(answer["warnings"], json!(["2 calls were looked at, and no trace of them is stored"]));
        let (_, answer) = exemplars_from(from, "&service=nobody").await;
        assert_eq!(answer["warnings"], json!(["no node is called `nobody` in this range"]));
        let (_, answer) = exemplars_from(from, "&service=cart&min_ms=91").await;
        assert_eq!((&answer["exemplars"], &answer["warnings"]), (&json!([]), &json!([])));
        let (_, answer) = exemplars_from(from, "&edge=web,cart").await;
        assert_eq!(answer["exemplars"][0]["trace_id"], json!(STORED), "{answer}");
    }
}

#[tokio::test]
async fn odd_questions_are_refused() {
    for (parameters, message) in [
        ("&limit=0", "limit=0 is not between 1 and 100"),
        ("&limit=101", "limit=101 is not between 1 and 100"),
        ("&edge=web", "edge=web is not CALLER,CALLEE"),
        ("&edge=,cart", "edge=,cart is not CALLER,CALLEE"),
        ("&min_ms=-1", "min_ms=-1 is not a number of milliseconds"),
        ("&errors=some", "errors=some is not one of false, true, 0, 1"),
    ] {
        let (status, answer) = exemplars(parameters).await;
        let told = answer["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(status == 400 && told.starts_with(message), "{parameters}: {answer}");
    }
    let (status, _) = exemplars("&limit=100").await;
    assert_eq!(status, 200);
}
