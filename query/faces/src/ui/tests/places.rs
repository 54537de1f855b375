//! Places of questions: that a page takes one and leaves it, and what it says without.

use axum::body::Body;
use axum::http::Request;
use futures::StreamExt as _;
use meshlake_fixture::SnapshotBuilder;
use meshlake_listen::{Principal, Role};
use meshlake_query::EngineConfig;
use tower::ServiceExt;

use super::{NOT_ANSWERED, PAGES, get, mesh, pages_within};

/// With room for one question at a time: a page that took a second place while it holds one would wait until its time is over.
#[tokio::test]
async fn a_page_takes_one_place() {
    let config = EngineConfig { concurrent_queries_max: 1, parallelism: 1, ..EngineConfig::default() };
    let of_mesh = pages_within(mesh("web"), config.clone());
    for path in PAGES {
        let (status, body) = get(&of_mesh, path).await;
        assert!(status == 200 && !body.contains(NOT_ANSWERED), "{path}: {body}");
    }
    let (status, body) = get(&pages_within(SnapshotBuilder::new(), config), "/").await;
    assert!(status == 200 && body.contains("Nothing has been received yet"), "{body}");
}

/// Its first piece was read, and its parts are being answered.
#[tokio::test]
async fn whoever_goes_away_leaves_the_place() {
    let config = EngineConfig { concurrent_queries_max: 1, parallelism: 1, ..EngineConfig::default() };
    let pages = pages_within(mesh("web"), config);
    let mut request = Request::get("/service?name=shop%2Fcart").body(Body::empty()).expect("a URI");
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let answer = pages.clone().oneshot(request).await.expect("never fails");
    let mut pieces = answer.into_body().into_data_stream();
    pieces.next().await.expect("a piece").expect("it is whole");
    drop(pieces);
    let (status, body) = get(&pages, "/").await;
    assert!(status == 200 && !body.contains(NOT_ANSWERED), "{body}");
}

/// No time at all: each page says so, and has all else that a page has.
#[tokio::test]
async fn what_takes_too_long_is_said() {
    let config = EngineConfig { timeout_seconds: 0, parallelism: 1, ..EngineConfig::default() };
    let pages = pages_within(mesh("web"), config);
    for path in ["/", "/service?name=shop%2Fcart", "/edge?client=shop%2Fweb&server=shop%2Fcart"] {
        let (status, body) = get(&pages, path).await;
        assert!(status >= 400 && body.contains(NOT_ANSWERED), "{path}: {status} {body}");
        assert!(body.contains("href=\"/operate?range=15m\"") && body.ends_with("</html>"), "{path}: {body}");
    }
}
