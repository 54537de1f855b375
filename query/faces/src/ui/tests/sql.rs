//! Statements on a page: which are run, and what their answers look like.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;

use super::{SECOND, ask, get, of_web, pages, text};

/// A link on somebody else's page shows a statement, and a person decides.
#[tokio::test]
async fn a_statement_from_another_page_is_not_run() {
    let pages = of_web();
    let path = "/sql?q=SELECT%20count(*)%20AS%20spans_counted%20FROM%20spans";
    let of_another = [("sec-fetch-site", "cross-site"), ("referer", "http://evil.example/")];
    for headers in [&of_another[..1], &of_another[1..], &[]] {
        let (_, headers, body) = ask(&pages, path, headers).await;
        assert!(
            body.contains("This statement came with a link") && !body.contains("spans_counted</th>"),
            "{body}"
        );
        assert_eq!(headers["referrer-policy"], "same-origin", "or its form would not be ours");
    }
    let ours = [("sec-fetch-site", "same-origin")];
    for headers in [&ours[..], &[("host", "mesh:7070"), ("referer", "http://mesh:7070/sql?q=SELECT")]] {
        let (_, _, body) = ask(&pages, path, headers).await;
        assert!(body.contains("spans_counted</th>") && body.contains(">3<"), "{body}");
    }
}

/// Two spans of web, of 40 and 30 ms, and one of cart.
#[tokio::test]
async fn an_answer_is_a_chart_or_a_plan() {
    let pages = of_web();
    let statement =
        "SELECT%20service_name%2C%20sum(duration_nano)%2F1000000%20AS%20ms%20FROM%20spans%20GROUP%20BY%201";
    let (_, body) = get(&pages, &format!("/sql?view=chart&q={statement}")).await;
    assert!(
        body.contains("class=\"chart bars\"") && body.contains(">70<") && body.contains(">20<"),
        "{body}"
    );
    let over_time = "SELECT%20time%2C%20duration_nano%2F1000000%20AS%20ms%20FROM%20spans";
    let (_, body) = get(&pages, &format!("/sql?view=chart&q={over_time}")).await;
    assert!(body.contains("ms 20 (max 40)"), "the line's last and largest value are told: {body}");
    let (_, body) = get(&pages, "/sql?view=chart&q=SELECT%20name%20FROM%20spans").await;
    assert!(body.contains("A chart needs numbers"), "{body}");
    let (_, body) = get(&pages, &format!("/sql?explain=1&q={statement}")).await;
    let steps = body.split("<div class=\"plan\">").nth(1).unwrap_or_default();
    assert!(steps.contains("<strong>Aggregate</strong>") && steps.contains("<ul><li>"), "{body}");
    let (_, body) = get(&pages, &format!("/sql?q={statement}")).await;
    for format in ["csv", "json", "ndjson", "parquet"] {
        assert!(body.contains(&format!("action=\"/api/v1/sql?format={format}\"")), "{body}");
    }
}

/// 501 rows where 500 are shown.
#[tokio::test]
async fn a_long_answer_is_cut_and_says_so() {
    let rows: Vec<Row> = (0..501).map(|second| row(second * SECOND, [("service_name", text("a"))])).collect();
    let pages = pages(SnapshotBuilder::new().hot(Table::Spans, 1, &rows));
    let (_, body) = get(&pages, "/sql?q=SELECT%20service_name%20FROM%20spans").await;
    assert_eq!(body.matches("<tr>").count(), 501, "a head and 500 rows");
    assert!(body.contains("there are more rows"), "{body}");
}
