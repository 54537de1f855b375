//! Subsets side by side.

use meshlake_fixture::{Row, SnapshotBuilder};
use meshlake_schema::Table;
use serde_json::json;

use super::{RANGE, get_json, served};

/// 40 calls of v1 that took 10 ms, 20 of v2 that took 20 ms and of which the half failed.
fn canary() -> SnapshotBuilder {
    let v1 = (0..40).map(|_| served("v1", 10, "ok"));
    let v2 = (0..20).map(|number| served("v2", 20, if number < 10 { "error" } else { "ok" }));
    let rows: Vec<Row> = v1.chain(v2).collect();
    SnapshotBuilder::new().hot(Table::Requests, 1, &rows)
}

#[tokio::test]
async fn versions_are_compared_with_the_busiest() {
    let (status, answer) = get_json(canary(), &format!("/api/v1/versions?service=cart&{RANGE}")).await;
    assert_eq!(status, 200, "{answer}");
    for (key, want) in [
        ("from", json!("1970-01-01T00:16:00Z")),
        ("service", json!("shop/cart")),
        ("by", json!("version")),
        ("baseline", json!("v1")),
        ("warnings", json!([])),
    ] {
        assert_eq!(answer[key], want, "{key}");
    }
    let [v1, v2] = [0, 1].map(|at| &answer["versions"][at]);
    assert_eq!(
        [&v1["version"], &v1["requests"], &v1["comparison"]],
        [&json!("v1"), &json!(40), &json!(null)]
    );
    assert_eq!(
        [&v2["version"], &v2["share"], &v2["errors"]],
        [&json!("v2"), &json!(20.0 / 60.0), &json!(10)]
    );
    let compared = &v2["comparison"];
    assert_eq!(compared["verdict"], "worse");
    assert_eq!(
        [&compared["errors"]["method"], &compared["errors"]["effect"]],
        [&json!("fisher_mid_p"), &json!(0.5)]
    );
    assert_eq!(
        [&compared["latency"]["method"], &compared["latency"]["effect"]],
        [&json!("mann_whitney"), &json!(1.0)]
    );
    let path = format!("/api/v1/versions?service=shop/cart&baseline=v2&{RANGE}");
    let (_, answer) = get_json(canary(), &path).await;
    assert_eq!(answer["versions"][0]["comparison"]["verdict"], "better");
}

#[tokio::test]
async fn odd_questions_are_refused_or_answered_with_a_word() {
    for (path, status, want) in [
        ("versions", 400, "name a service"),
        ("versions?service=", 400, "name a service"),
        ("versions?service=cart&source=logs", 400, "is not one of auto, requests, spans"),
        ("versions?service=nobody", 200, "no node is called `nobody` in this range"),
        ("versions?service=cart&baseline=v9", 200, "no version is called `v9`"),
        ("versions?service=cart&step=10", 200, "`step` means nothing here"),
    ] {
        let joined = if path.contains('?') { '&' } else { '?' };
        let (got, answer) = get_json(canary(), &format!("/api/v1/{path}{joined}{RANGE}")).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer.to_string().contains(want), "{path}: {answer}");
    }
}
