//! Calls one by one: the shape of the answer, and that they are those that golden metrics count.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;
use serde_json::{Value, json};

use super::{SECOND, calls, get_json};

/// A call of web to cart as the proxies at both ends saw it: 12.5 ms at web's, which tried twice, and 9 ms at cart's.
fn both_sides(second: i64) -> [Row; 2] {
    let made = [
        ("duration_nano", 12_500_000.into()),
        ("observer", "client".into()),
        ("layer", "l7".into()),
        ("counted", true.into()),
        ("outcome", "error".into()),
        ("attempts", 2.into()),
        ("method", "GET".into()),
        ("path", "/carts/7?full=1".into()),
        ("response_code", 503.into()),
        ("fault_class", "retries_exhausted".into()),
        ("request_id", "r-1".into()),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
        ("source_service", "web".into()),
        ("source_namespace", "shop".into()),
        ("source_address", "10.0.0.1".into()),
        ("destination_service", "cart".into()),
        ("destination_namespace", "shop".into()),
        ("upstream_local_address", "10.0.0.1:4001".into()),
        ("upstream_host", "10.0.0.2:80".into()),
    ];
    let mut received = row(second * SECOND, made.clone());
    received.insert("observer", "server".into());
    received.insert("duration_nano", 9_000_000.into());
    received.insert("attempts", 1.into());
    received.insert("downstream_remote_address", "10.0.0.1:4001".into());
    received.insert("downstream_local_address", "10.0.0.2:80".into());
    ["source_address", "upstream_local_address", "upstream_host"].iter().for_each(|name| {
        received.remove(*name);
    });
    [row(second * SECOND, made), received]
}

#[tokio::test]
async fn a_call_tells_both_sides_and_what_lay_between() {
    let snapshot = SnapshotBuilder::new().hot(Table::Requests, 1, &both_sides(1_003));
    let (status, answer) = get_json(snapshot, "/api/v1/calls?from=1000&to=1020&service=cart&limit=5").await;
    let want = json!({
        "from": "1970-01-01T00:16:40Z", "to": "1970-01-01T00:17:00Z", "service": "cart", "source": "auto",
        "limit": 5, "warnings": [],
        "calls": [{
            "time": "1970-01-01T00:16:43Z", "source": "shop/web", "target": "shop/cart", "identity_source": "own", "protocol": "http",
            "operation": "GET /carts/{id}", "response_code": 503, "grpc_status": null, "outcome": "error",
            "fault_class": "retries_exhausted", "refused": false, "attempts": 1, "requests": 1,
            "client_ms": 12.5, "server_ms": 9, "overhead_ms": 3.5, "seen_by": "both", "evidence": "requests",
            "trace_id": "0af7651916cd43dd8448eb211c80319c", "request_id": "r-1",
        }],
    });
    assert_eq!((status, answer), (200, want));
}

/// Of the three calls two are asked for: the newest, and the answer says that there are more.
#[tokio::test]
async fn the_newest_come_first_and_a_cut_is_told() {
    let times = |answer: &Value| -> Vec<Value> {
        answer["calls"].as_array().into_iter().flatten().map(|call| call["time"].clone()).collect()
    };
    let (_, all) = get_json(calls().await, "/api/v1/calls?from=1000&to=1020").await;
    assert_eq!(times(&all), ["1970-01-01T00:16:50Z", "1970-01-01T00:16:41Z", "1970-01-01T00:16:40Z"]);
    assert_eq!(all["warnings"], json!([]));
    let (_, cut) = get_json(calls().await, "/api/v1/calls?from=1000&to=1020&limit=2").await;
    assert_eq!(times(&cut), ["1970-01-01T00:16:50Z", "1970-01-01T00:16:41Z"]);
    assert_eq!(cut["warnings"], json!(["there are more calls: these are the newest 2"]));
}

/// What lies longer before the end of the range than is looked at first is found all the same: two calls hours apart.
#[tokio::test]
async fn few_calls_of_a_long_range_are_all_found() {
    let rows: Vec<Row> = [100, 10_000, 40_000].into_iter().flat_map(both_sides).collect();
    let snapshot = || SnapshotBuilder::new().hot(Table::Requests, 1, &rows);
    let (_, answer) = get_json(snapshot(), "/api/v1/calls?from=0&to=50000").await;
    assert_eq!(answer["calls"].as_array().map(Vec::len), Some(3), "{answer}");
    let (_, golden) = get_json(snapshot(), "/api/v1/golden?by=edge&from=0&to=50000").await;
    assert_eq!(golden["rows"][0]["requests"], 3);
}
