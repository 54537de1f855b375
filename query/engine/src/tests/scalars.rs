//! Scalar functions that are ours, as statements call them.

use super::*;

async fn check(engine: &Engine, expression: &str, want: &str) {
    assert_eq!(one(engine, &format!("SELECT {expression}")).await, want, "{expression}");
}

/// Expected values are those of TimescaleDB's reference: weeks begin on Mondays, months and years on their first day.
#[tokio::test]
async fn time_bucket_is_the_start_of_the_bucket() {
    let engine = mixed().await;
    let cases = [
        ("time_bucket(INTERVAL '5 minutes', TIMESTAMP '2026-11-29T07:44:59')", "2026-11-29T07:40:00"),
        ("time_bucket('5 minutes', TIMESTAMP '2026-11-29T07:44:59')", "2026-11-29T07:40:00"),
        // 2026-11-29 is a Sunday.
        ("time_bucket('1 week', TIMESTAMP '2026-11-29T07:44:59')", "2026-11-23T00:00:00"),
        ("time_bucket('1 month', TIMESTAMP '2026-11-29T07:44:59')", "2026-11-01T00:00:00"),
        ("time_bucket('1 year', TIMESTAMP '2026-11-29T07:44:59')", "2026-01-01T00:00:00"),
        ("time_bucket('1 hour', TIMESTAMP '1969-12-31T23:59:59')", "1969-12-31T23:00:00"),
        ("time_bucket('1 day', DATE '2026-11-29')", "2026-11-29T00:00:00"),
        (
            "time_bucket('1 day', TIMESTAMP '2026-11-29T07:00:00', TIMESTAMP '2026-01-01T06:00:00')",
            "2026-11-29T06:00:00",
        ),
        ("time_bucket('1 day', CAST(NULL AS TIMESTAMP))", ""),
    ];
    for (expression, want) in cases {
        check(&engine, expression, want).await;
    }
    let sql = "SELECT time_bucket('1 day', time) AS day, count(*) FROM spans GROUP BY day ORDER BY day";
    assert_eq!(one(&engine, sql).await, "1970-01-01T00:00:00Z,2;1970-01-02T00:00:00Z,2");
    for bad in
        ["time_bucket('1 day')", "time_bucket('1 day', 5)", "time_bucket('nonsense', TIMESTAMP '2026-11-29')"]
    {
        let answer = rows(&engine, &format!("SELECT {bad}")).await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "{bad}: {answer:?}");
    }
}

#[tokio::test]
async fn log_pattern_and_json_get_read_text_of_every_form() {
    let logs = [
        row(SECOND, [("body", "took 12ms".into()), ("severity_text", "WARN3".into())]),
        row(2 * SECOND, [("body", r#"{"user": {"ids": [7, "x"]}}"#.into())]),
    ];
    let file = SnapshotBuilder::new().file(Table::Logs, &logs, &[]).await.engine();
    let hot = SnapshotBuilder::new().hot(Table::Logs, 1, &logs).engine();
    for engine in [file, hot] {
        let sql = "SELECT log_pattern(body), log_pattern(severity_text), json_get(body, 'user', 'ids', 1), \
                   CAST(json_get(body, 'user', 'ids', 0) AS BIGINT) + 1 FROM logs ORDER BY time";
        assert_eq!(one(&engine, sql).await, r#"took <_>,WARN3,,;{"user": {"ids": [<_>, "<_>"]}},,x,8"#);
        check(&engine, "log_pattern(NULL), json_get(NULL, 'a'), json_get('{\"a\":1}', NULL)", ",,").await;
        let answer = rows(&engine, "SELECT json_get(body, severity_text) FROM logs").await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "a key that is not constant: {answer:?}");
    }
}

#[tokio::test]
async fn a_key_of_the_resource_is_asked_for_like_one_of_the_attributes() {
    let resource = r#"{"k8s.node.name":"n1","process.pid":7,"service.name":"shop"}"#;
    let spans = [row(SECOND, [("resource", resource.into()), ("scope_attributes", r#"{"a":"b"}"#.into())])];
    let file = SnapshotBuilder::new().file(Table::Spans, &spans, &[]).await.engine();
    let hot = SnapshotBuilder::new().hot(Table::Spans, 1, &spans).engine();
    for engine in [file, hot] {
        let sql = "SELECT resource['service.name'], s.resource['process.pid'], resource['none'], \
                   scope_attributes['a'] FROM spans s WHERE resource['k8s.node.name'] = 'n1'";
        assert_eq!(one(&engine, sql).await, "shop,7,,b");
        let sql =
            "SELECT resource['k8s.node.name'] AS node, count(*) FROM (SELECT * FROM spans) GROUP BY node";
        assert_eq!(one(&engine, sql).await, "n1,1");
    }
}
