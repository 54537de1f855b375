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
        ("graph?servcie=cart", "by, from, to, focus, depth, source"),
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
        ("golden?from=-5&to=1020", 400, "neither RFC 3339 nor unix seconds"),
    ] {
        let (status, answer) = get_json(calls().await, &format!("/api/v1/{path}")).await;
        assert_eq!(status, want, "{path}: {answer}");
        let told = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(told.contains(message), "{path}: {told}");
    }
}
