//! Lines in, pages out.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;

use crate::ui::tests::{HOSTILE, SECOND, get, pages};

/// A line of `service`, an error every tenth second.
fn line(service: &str, seconds: i64) -> Row {
    let resource = serde_json::json!({"service.name": service, "service.namespace": "shop"});
    row(
        (1_020 - seconds) * SECOND,
        [
            ("service_name", service.into()),
            ("resource", resource.to_string().as_str().into()),
            ("resource_id", (service.len() as i64).into()),
            ("severity_number", (if seconds % 10 == 0 { 17 } else { 9 }).into()),
            ("body", format!("{service} waited {seconds} s").as_str().into()),
            ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
            ("attributes", [("wait.reason", "lock")].as_slice().into()),
        ],
    )
}

fn snapshot(service: &str) -> SnapshotBuilder {
    let mut rows: Vec<Row> = (1..=103).map(|seconds| line(service, seconds)).collect();
    rows.push(line("other", 104));
    SnapshotBuilder::new().hot(Table::Logs, 1, &rows)
}

#[tokio::test]
async fn lines_are_listed_counted_and_told_in_full() {
    let pages = pages(snapshot("cart"));
    let (status, body) = get(&pages, "/logs").await;
    assert_eq!(status, 200);
    for want in
        ["cart waited 1 s", "level=error", "service=cart", "service=other", "wait_reason", "/trace/0af7"]
    {
        assert!(body.contains(want), "{want} is not on the page: {body}");
    }
    assert_eq!(body.matches("<li class=\"line ").count(), 100);
    let next =
        body.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let (_, second) = get(&pages, &next.replace("&amp;", "&")).await;
    assert_eq!(second.matches("<li class=\"line ").count(), 4);
    let count = async |path: &str| get(&pages, path).await.1.matches("<li class=\"line ").count();
    assert_eq!(count("/logs?level=error&service=shop%2Fcart").await, 10);
    assert_eq!(count("/logs?service=elsewhere%2Fcart").await, 0);
    assert_eq!(count("/logs?text=waited+7+s").await, 1);
    assert_eq!(count("/logs?trace=af7651916cd43dd8448eb211c80319c&service=other").await, 1);
    assert_eq!(count("/logs?q=%7Bservice_name%3D%22cart%22%7D+%7C%3D+%2299+s%22").await, 1);
}

#[tokio::test]
async fn a_mistake_is_shown_where_it_is() {
    let pages = pages(snapshot("cart"));
    let (status, body) = get(&pages, "/logs?q=%7Ba%3D%22b%22%7D+%7C%3D+1").await;
    assert_eq!(status, 400);
    let caret = body.split("class=\"mistake\"").nth(1).expect("a mistake");
    assert!(caret.contains("|= 1") && caret.contains('^'), "{body}");
}

#[tokio::test]
async fn hostile_lines_are_text() {
    let (_, body) = get(&pages(snapshot(HOSTILE)), "/logs").await;
    for raw in ["<script>", "<img", "\"'>", "\u{202e}"] {
        assert!(!body.contains(raw), "{raw}: {body}");
    }
    assert!(body.contains("&lt;script&gt;"));
}
