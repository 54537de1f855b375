//! Instances that came and went, and dark traffic: shapes, and questions that are odd.

use meshlake_fixture::{Row, SnapshotBuilder};
use meshlake_schema::Table;
use serde_json::{Value, json};

use super::{RANGE, SECOND, get_json, served};

/// Calls to one pod of cart until second 500, and to another from then on, one a second; one is lost in between.
fn replaced() -> SnapshotBuilder {
    let row = |(second, pod): (i64, &str)| {
        let mut row = served("v1", 10, "ok");
        row.insert("time_unix_nano", (second * SECOND).into());
        row.insert("time", (second * SECOND / 1_000).into());
        row.insert("destination_instance", pod.into());
        row
    };
    let old = (100..500).map(|second| (second, "cart-1"));
    let new = (500..1_000).map(|second| (second, "cart-2"));
    let mut rows: Vec<Row> = old.chain(new).map(row).collect();
    let mut lost = served("v1", 1, "error");
    for (name, value) in [("observer", "client"), ("response_flags_text", "UF")] {
        lost.insert(name, value.into());
    }
    lost.extend([("time_unix_nano", (501 * SECOND).into()), ("time", (501 * SECOND / 1_000).into())]);
    // Bit 5 is field 6 of Envoy's ResponseFlags, upstream_connection_failure.
    lost.extend([("response_flags", 32.into()), ("attempts", 1.into()), ("response_code", 503.into())]);
    rows.push(lost);
    SnapshotBuilder::new().hot(Table::Requests, 1, &rows)
}

#[tokio::test]
async fn a_rollout_is_told_with_what_it_cost() {
    let (status, answer) = get_json(replaced(), "/api/v1/rollouts?service=cart&from=100&to=1000").await;
    assert_eq!(
        (status, &answer["step"], &answer["service"]),
        (200, &json!(10), &json!("shop/cart")),
        "{answer}"
    );
    let rollouts = answer["rollouts"].as_array().expect("a list");
    assert_eq!(rollouts.len(), 1, "{answer}");
    let rollout = &rollouts[0];
    let times = ["from", "to", "kind", "came_count", "went_count"].map(|key| rollout[key].clone());
    // Steps of ten seconds: 30 s before 490, when the old pod's last step begins, and 30 s after 510.
    let want = json!(["1970-01-01T00:07:40Z", "1970-01-01T00:09:00Z", "restart", 1, 1]);
    assert_eq!(json!(times), want);
    assert_eq!([&rollout["went"][0]["instance"], &rollout["came"][0]["instance"]], ["cart-1", "cart-2"]);
    let cost = &rollout["cost"];
    let told = ["requests", "lost", "usual", "beyond", "by"].map(|key| cost[key].clone());
    // 80 s of one call a second, and the one that was lost.
    let by = json!([{
        "response_flags": "UF", "response_code": null, "grpc_status": null,
        "before": 0, "during": 1, "after": 0, "beyond": 1,
    }]);
    assert_eq!(told, [json!(81), json!(1), json!(0), json!(1), by], "{cost}");
    assert_eq!(rollout["before"]["requests"], json!(360));
    let instances: Vec<Value> = answer["instances"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|life| json!([life["instance"], life["first_seen"], life["came"], life["went"]]))
        .collect();
    let want = [
        json!(["cart-2", "1970-01-01T00:08:20Z", true, false]),
        json!(["cart-1", "1970-01-01T00:01:40Z", false, true]),
    ];
    assert_eq!(instances, want);
}

#[tokio::test]
async fn dark_edges_say_how_it_is_known() {
    let rows = [served("v1", 10, "ok"), served("v1", 10, "error")];
    let snapshot = || SnapshotBuilder::new().hot(Table::Requests, 1, &rows);
    let (status, answer) = get_json(snapshot(), &format!("/api/v1/dark?{RANGE}")).await;
    let edge = &answer["edges"][0];
    let told = ["source", "target", "requests", "bytes"].map(|key| edge[key].clone());
    let end = |id: &str| json!({"id": id, "kind": "service"});
    assert_eq!((status, told), (200, [end("shop/web"), end("shop/cart"), json!(2), json!(0)]), "{answer}");
    let kinds: Vec<_> = edge["dark"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|dark| json!([dark["kind"], dark["requests"]]))
        .collect();
    assert_eq!(kinds, [json!(["plaintext", 2]), json!(["no_caller", 2])]);
    assert_eq!(edge["dark"][1]["how"], "The callee's proxy logged it, and no proxy of the caller did.");
    let (_, other) = get_json(snapshot(), &format!("/api/v1/dark?service=nobody&{RANGE}")).await;
    assert_eq!((&other["edges"], &other["requests"]), (&json!([]), &json!(2)));
    assert_eq!(other["warnings"], json!(["no node is called `nobody` in this range"]));
}

#[tokio::test]
async fn odd_questions_are_refused_or_answered() {
    for (path, want, told) in [
        ("rollouts", 400, "name a service"),
        ("rollouts?service=cart&source=logs", 400, "source=logs is not one of"),
        ("rollouts?service=cart&from=0&to=99999999", 400, "buckets"),
        ("rollouts?service=nobody", 200, "no node is called `nobody` in this range"),
        ("rollouts?service=cart&step=5", 200, "`step` means nothing here"),
        ("dark?source=logs", 400, "source=logs is not one of"),
        ("dark", 200, ""),
    ] {
        let (status, answer) = get_json(replaced(), &format!("/api/v1/{path}")).await;
        assert!(status == want && answer.to_string().contains(told), "{path}: {answer}");
    }
}
