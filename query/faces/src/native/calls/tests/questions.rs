//! Questions that are odd: answered with a warning, or refused with a word on why.

use serde_json::json;

use super::{calls, get_json};

/// web only calls, so that it has no rows; of nobody nothing is known, and an answer without rows says so.
#[tokio::test]
async fn a_service_that_nothing_is_known_of_is_told() {
    for (path, want) in [
        ("golden?service=nobody", Some("no node is called `nobody` in this range")),
        ("golden?service=nobody&by=edge", Some("no node is called `nobody` in this range")),
        ("golden?service=web", None),
        ("golden?service=cart", None),
        ("calls?service=nobody", Some("no node is called `nobody` in this range")),
        ("graph?focus=nobody", Some("no node is called `nobody` in this range")),
    ] {
        let (status, answer) = get_json(calls().await, &format!("/api/v1/{path}&from=1000&to=1020")).await;
        assert_eq!(
            (status, &answer["warnings"]),
            (200, &json!(want.into_iter().collect::<Vec<_>>())),
            "{path}"
        );
    }
}

/// A slip of the fingers must not be answered as if nothing had been asked.
#[tokio::test]
async fn unknown_parameters_are_told_in_the_answer() {
    for (path, known) in [
        ("golden?servcie=cart", "by, service, from, to, step, source"),
        (
            "graph?servcie=cart",
            "by, from, to, focus, depth, namespace, min_rate, errors_only, kind, protocol, source",
        ),
        ("calls?servcie=cart", "from, to, service, source, limit"),
    ] {
        let (status, answer) = get_json(calls().await, &format!("/api/v1/{path}&from=1000&to=1020")).await;
        let want = format!("`servcie` means nothing here; known are {known}");
        assert_eq!((status, &answer["warnings"]), (200, &json!([want])), "{path}");
    }
}

/// What cannot be answered is refused with a word on why, and what is odd but can be is answered.
#[tokio::test]
async fn odd_questions_are_refused_or_answered() {
    for (path, want, message) in [
        ("golden?from=1020&to=1000", 400, "is not before to"),
        ("golden?from=1000&to=1000", 400, "is not before to"),
        ("graph?from=1020&to=1000", 400, "is not before to"),
        ("golden?by=colour", 400, "by=colour is not one of service, operation, edge, version, instance"),
        ("graph?by=colour", 400, "by=colour is not one of service, workload, version"),
        ("golden?source=logs", 400, "is not one of auto, requests, spans"),
        ("golden?step=15", 400, "is not a multiple of 10 s"),
        ("golden?step=-5", 400, "is not a number of seconds"),
        ("golden?from=0&to=1020&step=10s&by=edge", 200, ""),
        ("golden?from=0&to=9223372020&step=10", 400, "buckets"),
        ("golden?from=0&to=9223372036", 400, "the years 1677 to 2262"),
        ("golden?from=never", 400, "neither RFC 3339 nor unix seconds"),
        ("golden?from=99999999999999999999", 400, "neither RFC 3339 nor unix seconds"),
        ("calls?from=1020&to=1000", 400, "is not before to"),
        ("calls?source=logs", 400, "is not one of auto, requests, spans"),
        ("calls?limit=0", 400, "limit=0 is not between 1 and 1000"),
        ("calls?limit=1001", 400, "limit=1001 is not between 1 and 1000"),
        ("calls?limit=1&from=0&to=1020", 200, ""),
        ("calls?limit=1000&from=0&to=1020", 200, ""),
        ("calls?limit=-1", 400, "limit"),
        ("graph?depth=-1", 400, "depth"),
        ("graph?depth=18446744073709551615&focus=cart&from=1000&to=1020", 200, ""),
        ("graph?from=0&to=9223372020", 200, ""),
        ("graph?min_rate=fast", 400, "min_rate=fast is not a number of requests a second"),
        ("graph?min_rate=-1", 400, "min_rate=-1 is not a number"),
        ("graph?min_rate=NaN", 400, "min_rate=NaN is not a number"),
        ("graph?errors_only=yes", 400, "errors_only=yes is not one of false, true, 0, 1"),
        ("golden?from=-5&to=1020", 400, "neither RFC 3339 nor unix seconds"),
    ] {
        let (status, answer) = get_json(calls().await, &format!("/api/v1/{path}")).await;
        assert_eq!(status, want, "{path}: {answer}");
        let told = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(told.contains(message), "{path}: {told}");
    }
}

/// web calls cart three times in 20 s, once without success, and cart calls nobody.
#[tokio::test]
async fn what_a_graph_leaves_out_is_said() {
    let nothing = json!({"nodes": 0, "edges": 0, "requests": 0});
    let all = json!({"nodes": 2, "edges": 1, "requests": 3});
    for (filter, shown, hidden) in [
        ("", 2, &nothing),
        ("&min_rate=0.15&errors_only=true&namespace=shop", 2, &nothing),
        ("&min_rate=0.16", 0, &all),
        ("&namespace=bank", 0, &all),
        ("&focus=cart&depth=1&min_rate=0.16", 1, &json!({"nodes": 1, "edges": 1, "requests": 3})),
    ] {
        let (_, answer) = get_json(calls().await, &format!("/api/v1/graph?from=1000&to=1020{filter}")).await;
        let nodes = answer["nodes"].as_array().map(Vec::len);
        assert_eq!((nodes, &answer["hidden"]), (Some(shown), hidden), "{filter}");
    }
}

/// web calls cart three times, once without success, which cart's proxy logged with a key of its own.
#[tokio::test]
async fn golden_metrics_are_grouped_by_what_calls_tell() {
    for (by, want) in [
        ("namespace", json!([{"namespace": "shop"}, 3, 1])),
        ("cluster", json!([{"cluster": null}, 3, 1])),
        ("attribute:service.name", json!([{"attribute": "service.name", "value": "cart"}, 3, 1])),
        ("attribute:tier", json!([{"attribute": "tier", "value": null}, 3, 1])),
    ] {
        let path = format!("/api/v1/golden?from=1000&to=1020&by={by}");
        let (status, answer) = get_json(calls().await, &path).await;
        let row = answer["rows"][0].as_object().expect("a row").clone();
        let names = ["namespace", "cluster", "attribute", "value"];
        let group: serde_json::Map<_, _> = row
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        let told = json!([group, row["requests"], row["errors"]]);
        assert_eq!((status, &answer["by"], told), (200, &json!(by), want), "{answer}");
    }
    let (_, answer) = get_json(calls().await, "/api/v1/golden?from=1000&to=1020&by=attribute:tier").await;
    let warning = answer["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("3 of 3 calls tell no `tier`"), "{warning}");
}
