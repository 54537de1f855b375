//! Requests in, pages out.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;

use crate::ui::tests::{HOSTILE, SECOND, get, pages};

/// A request from `client` to shop/cart that failed with 503 and UH, so many seconds before the present.
fn request(client: &str, seconds: i64, path: &str) -> Row {
    row(
        (1_020 - seconds) * SECOND,
        [
            ("source_namespace", "shop".into()),
            ("source_service", client.into()),
            ("destination_namespace", "shop".into()),
            ("destination_service", "cart".into()),
            ("method", "GET".into()),
            ("path", path.into()),
            ("response_code", 503.into()),
            ("response_flags", 2.into()),
            ("response_flags_text", "UH".into()),
            ("outcome", "error".into()),
            ("observer", "client".into()),
            ("duration_nano", 12_300_000.into()),
            ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
            ("attributes", [("x.tenant", path)].as_slice().into()),
        ],
    )
}

fn snapshot(client: &str) -> SnapshotBuilder {
    let rows: Vec<Row> = (0..103).map(|at| request(client, at % 60 + 1, &format!("/items/{at}"))).collect();
    SnapshotBuilder::new().hot(Table::Requests, 1, &rows)
}

#[tokio::test]
async fn requests_are_listed_counted_and_told_in_full() {
    let pages = pages(snapshot("web"));
    let (status, body) = get(&pages, "/requests").await;
    assert_eq!(status, 200);
    for want in ["GET /items/", "shop/web", "12.3 ms", ">UH<", "client=shop%2Fweb", "status=503", "flag=UH"] {
        assert!(body.contains(want), "{want} is not on the page: {body}");
    }
    assert_eq!(body.matches(" id=\"r").count(), 100, "a page of rows");
    let next =
        body.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let (_, second) = get(&pages, &next.replace("&amp;", "&")).await;
    assert_eq!(second.matches(" id=\"r").count(), 3, "the rest");
    assert!(!second.contains("rel=\"next\""));
    let row = body.split("row=").nth(1).and_then(|rest| rest.split('#').next()).expect("a link");
    let (_, opened) = get(&pages, &format!("/requests?row={row}&columns=path,observer")).await;
    for want in
        ["<dt>x.tenant</dt>", "response_code", "/edge?range=15m&amp;client=shop%2Fweb&amp;server=shop%2Fcart"]
    {
        assert!(opened.contains(want), "{want} is not in the open row: {opened}");
    }
    assert!(!opened.contains("<th scope=\"col\">took"), "other columns are chosen");
}

#[tokio::test]
async fn what_narrows_is_said_and_can_be_taken_away() {
    let pages = pages(snapshot("web"));
    let (_, body) = get(&pages, "/requests?client=shop%2Fweb&path=items%2F7&status=5xx").await;
    // 7, and 70 to 79.
    assert_eq!(body.matches(" id=\"r").count(), 11);
    assert!(body.contains("href=\"/requests?range=15m&amp;path=items%2F7&amp;status=5xx\""), "{body}");
    let (_, body) = get(&pages, "/requests?server=shop%2Fweb").await;
    assert!(body.contains("No request in this range passes."), "{body}");
    let (status, body) = get(&pages, "/requests?status=odd&min=x&trace=y&columns=z&after=w").await;
    assert_eq!(status, 200);
    for want in ["status: &quot;odd&quot;", "min=x", "trace=y", "columns=z", "after=w"] {
        assert!(body.contains(want), "{want} is not complained of: {body}");
    }
}

#[tokio::test]
async fn hostile_names_are_text_in_an_open_row_too() {
    let pages = pages(snapshot(HOSTILE));
    let (_, body) = get(&pages, "/requests").await;
    let row = body.split("row=").nth(1).and_then(|rest| rest.split('#').next()).expect("a link");
    let (_, opened) = get(&pages, &format!("/requests?row={row}")).await;
    for raw in ["<script>", "<img", "\"'>", "\u{202e}"] {
        assert!(!opened.contains(raw), "{raw}: {opened}");
    }
    assert!(opened.contains("class=\"opened\"") && opened.contains("&lt;script&gt;"));
}
