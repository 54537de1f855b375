//! Rows in, pages out: what each shows, that nothing on them can be more than text, and that odd addresses are answered.

mod many;
mod mesh;
mod places;
mod sql;

use std::io::Read as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use flate2::read::GzDecoder;
use futures::StreamExt as _;
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{Clock, Table, UnixNanos};
use tower::ServiceExt;

use crate::{FaceState, router};

pub(super) const SECOND: i64 = 1_000_000_000;
const PAGE_BYTES_MAX: usize = 8 << 20;
pub(super) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Markup, quotes, and characters that reorder text, in a name.
pub(super) const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}";

/// What a page says in the place of a part.
pub(super) const NOT_ANSWERED: &str = "The question could not be answered.";

pub(super) const PAGES: [&str; 12] = [
    "/",
    "/?compare=1h&label=mtls&collapse=none",
    "/service?name=shop%2Fcart",
    "/edge?client=shop%2Fweb&server=shop%2Fcart",
    "/traces",
    "/trace/0af7651916cd43dd8448eb211c80319c",
    "/requests",
    "/logs",
    "/sql?q=SELECT%20service_name%20FROM%20spans",
    "/sql",
    "/operate",
    "/start",
];

/// Every test's present: 17 minutes after the epoch.
struct Now;

impl Clock for Now {
    fn now(&self) -> UnixNanos {
        UnixNanos(1_020 * SECOND)
    }
}

pub(super) fn pages(snapshot: SnapshotBuilder) -> Router {
    pages_within(snapshot, EngineConfig { parallelism: 1, ..EngineConfig::default() })
}

pub(super) fn pages_within(snapshot: SnapshotBuilder, config: EngineConfig) -> Router {
    let engine = Engine::new(snapshot.reader(), config, Arc::new(Now)).expect("no directory is named");
    router(FaceState::new(engine))
}

async fn ask(pages: &Router, path: &str, headers: &[(&'static str, &str)]) -> (u16, HeaderMap, String) {
    let mut request = Request::get(path).body(Body::empty()).expect("the path is a URI");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let (parts, body) = pages.clone().oneshot(request).await.expect("never fails").into_parts();
    let body = to_bytes(body, PAGE_BYTES_MAX).await.expect("the page is whole");
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).expect("a page is text"))
}

pub(super) async fn get(pages: &Router, path: &str) -> (u16, String) {
    // As of somebody who typed the address.
    let (status, _, body) = ask(pages, path, &[("sec-fetch-site", "none")]).await;
    (status, body)
}

fn text(text: &str) -> Cell {
    text.into()
}

/// A span of `service`: its id, its parent's, kind, start and length in milliseconds after second 1000.
pub(super) fn span(
    service: &str,
    id: &str,
    parent: &str,
    kind: i64,
    start: i64,
    length: i64,
    status: i64,
) -> Row {
    let resource = serde_json::json!({"service.name": service, "service.namespace": "shop"});
    let cells = [
        ("trace_id", text(TRACE)),
        ("span_id", text(id)),
        ("service_name", text(service)),
        ("service_namespace", text("shop")),
        ("service_version", text("v1")),
        ("name", text("GET /cart")),
        ("kind", kind.into()),
        ("duration_nano", (length * 1_000_000).into()),
        ("status_code", status.into()),
        ("outcome", text(if status == 2 { "error" } else { "ok" })),
        ("counted", (kind == 2).into()),
        ("adjusted_count", 1.0.into()),
        ("attributes", Cell::Attributes(vec![("customer.tier".to_owned(), "gold".to_owned())])),
        ("resource", text(&resource.to_string())),
        ("parent_span_id", text(parent)),
    ];
    let mut span = row(1_000 * SECOND + start * 1_000_000, cells);
    if parent.is_empty() {
        span.remove("parent_span_id");
    }
    span
}

/// web (named `caller`) calls cart, which fails after 20 ms; web waits 30.
pub(super) fn mesh(caller: &str) -> SnapshotBuilder {
    let spans = [
        span(caller, "00f067aa0ba902b7", "", 2, 0, 40, 0),
        span(caller, "00f067aa0ba902b8", "00f067aa0ba902b7", 3, 5, 30, 2),
        span("cart", "00f067aa0ba902b9", "00f067aa0ba902b8", 2, 10, 20, 2),
    ];
    SnapshotBuilder::new().hot(Table::Spans, 1, &spans)
}

pub(super) fn of_web() -> Router {
    pages(mesh("web"))
}

#[tokio::test]
async fn every_page_is_answered() {
    let pages = of_web();
    for path in PAGES {
        let (status, headers, body) = ask(&pages, path, &[]).await;
        assert_eq!(
            (status, &headers["content-type"]),
            (200, &"text/html; charset=utf-8".parse().expect("a header")),
            "{path}: {body}"
        );
        assert!(body.starts_with("<!DOCTYPE html><html lang=\"en\">") && body.ends_with("</html>"), "{path}");
    }
}

/// One of one calls failed, from web to cart, in 30 ms as web saw it and 20 as cart did.
#[tokio::test]
async fn pages_tell_what_happened() {
    let pages = of_web();
    for (path, wants) in [
        ("/", vec!["shop/web → shop/cart", "100 %", "30 ms", "counted from spans", "name=shop%2Fcart"]),
        (
            "/service?name=shop%2Fcart",
            vec![
                "shop/web → shop/cart",
                "20 ms",
                "GET /cart",
                TRACE,
                "v1",
                "<a class=\"example\" href=\"/trace/",
                "/logs?range=15m&amp;service=shop%2Fcart",
                "<th scope=\"row\" class=\"text\"><time datetime=\"1970-01-01T00:16:40Z\">",
            ],
        ),
        (
            "/edge?client=shop%2Fweb&server=shop%2Fcart",
            vec!["30 ms", "both ends agree on", TRACE, "class=\"cell\"", "23.7 ms – 33.6 ms: 1<"],
        ),
        ("/traces?service=cart&failed=1", vec![TRACE, "GET /cart", "30 ms"]),
        ("/operate", vec!["Nobody has sent anything since the start", "Nothing to warn of"]),
        (
            "/start",
            vec![
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317",
                "port_value: 4317",
                "nothing yet",
                "psql postgres://127.0.0.1:7432/default",
                "grpc://127.0.0.1:7050",
            ],
        ),
    ] {
        let (status, body) = get(&pages, path).await;
        assert_eq!(status, 200);
        for want in wants {
            assert!(body.contains(want), "{want} is not on {path}: {body}");
        }
    }
}

/// web's own: 0..5 and 35..40 before and after the call that it made, which is 5..35; cart is 10..30 of that.
#[tokio::test]
async fn a_trace_is_a_tree_with_its_critical_path() {
    let pages = of_web();
    let (_, body) = get(&pages, &format!("/trace/{TRACE}")).await;
    let waterfall = body.split("id=\"waterfall\"").nth(1).and_then(|rest| rest.split("</table>").next());
    let rows: Vec<&str> = waterfall.expect("a waterfall").split("<tr").skip(2).collect();
    assert_eq!(rows.len(), 3, "{body}");
    for (row, wants) in rows.iter().zip([
        ["indent d0", ">40 ms<", ">10 ms<"],
        ["indent d1", ">30 ms<", ">10 ms<"],
        ["indent d2", ">20 ms<", ">20 ms<"],
    ]) {
        assert!(wants.iter().all(|want| row.contains(want)), "{wants:?} is not in {row}");
    }
    assert!(!body.contains("customer.tier"), "details are of the span that is chosen");
    let (_, body) = get(&pages, &format!("/trace/{TRACE}?span=00f067aa0ba902b9")).await;
    assert!(body.contains("customer.tier") && body.contains("gold"), "{body}");
}

#[tokio::test]
async fn hostile_names_are_text() {
    let pages = pages(mesh(HOSTILE));
    let name: String = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let of_hostile = [
        format!("/service?name=shop%2F{name}"),
        format!("/?open={name}&kind={name}&protocol={name}&compare={name}&than={name}"),
        format!("/edge?client=shop%2F{name}&server=shop%2Fcart"),
        format!("/?focus={name}&namespace={name}&by={name}&label={name}&min_rate={name}&range={name}"),
        format!("/traces?service={name}&client={name}&min_ms={name}"),
        format!("/traces?q={name}&operation={name}&attributes={name}&min={name}"),
        format!("/requests?client={name}&status={name}&path={name}&columns={name}&after={name}&row={name}"),
        format!("/logs?q={name}&service={name}&trace={name}&after={name}"),
        format!("/logs?service={name}&text={name}"),
        format!("/sql?q={name}"),
        format!("/trace/{name}"),
        format!("/trace/{TRACE}?span={name}"),
    ];
    for path in PAGES.into_iter().chain(of_hostile.iter().map(String::as_str)) {
        let (_, body) = get(&pages, path).await;
        let scripts = body.matches("<script").count();
        assert!(
            scripts == 1 && body.contains("<script type=\"module\" src=\"/ui/"),
            "{scripts} scripts on {path}"
        );
        for raw in ["<script>", "<img", "\"'>", "\u{202e}"] {
            assert!(!body.contains(raw), "{raw} is on {path}");
        }
        // What the content security policy would refuse.
        for forbidden in [" style=", "<style", "javascript:", " onload=", " onclick="] {
            assert!(!body.contains(forbidden), "{forbidden} is on {path}");
        }
    }
    assert!(get(&pages, "/").await.1.contains("&lt;script&gt;"), "the name is shown");
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let pages = of_web();
    for (path, status, want) in [
        ("/service?name=crat", 404, "Did you mean one of these?"),
        ("/service", 404, "Did you mean one of these?"),
        ("/edge?client=cart&server=web", 404, "There were no calls between these two"),
        ("/trace/00000000000000000000000000000001", 404, "There is no span of this trace here"),
        ("/?range=5x", 200, "This is no range of time"),
        ("/?min_rate=many", 200, "This is no number that fits"),
        ("/?namespace=none", 200, "Nothing fits these choices"),
        ("/sql?q=DROP%20TABLE%20spans", 400, "The question could not be answered."),
        ("/sql?q=SELEC", 400, "The question could not be answered."),
    ] {
        let (found, body) = get(&pages, path).await;
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(want), "{want} is not on {path}: {body}");
    }
    let first = get(&pages, "/service?name=crat").await.1;
    assert!(first.find("name=shop%2Fcart") < first.find("name=shop%2Fweb"), "the nearest comes first");
}

#[tokio::test]
async fn an_empty_mesh_says_why() {
    let pages = pages(SnapshotBuilder::new());
    let (status, body) = get(&pages, "/").await;
    assert_eq!(status, 200);
    assert!(
        body.contains("Nothing has been received yet") && body.contains("href=\"/start?range=15m\""),
        "{body}"
    );
    assert!(!body.contains("<svg"), "there is nothing to draw");
}

#[tokio::test]
async fn links_keep_range_refresh_and_language() {
    let pages = of_web();
    let (_, body) = get(&pages, "/?range=1h&refresh=10&lang=zh").await;
    for want in [
        "<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>",
        "<body data-refresh=\"10\">",
        "<html lang=\"zh\">",
        "网格",
        "href=\"/sql?range=1h&amp;refresh=10&amp;lang=zh\"",
        "href=\"/?range=5m&amp;refresh=10&amp;lang=zh\"",
        "href=\"/?range=1h&amp;lang=zh\"",
    ] {
        assert!(body.contains(want), "{want}: {body}");
    }
    let (_, _, body) = ask(&pages, "/", &[("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")]).await;
    assert!(body.contains("<html lang=\"zh\">"));
}

/// The addresses that a page names, and the same with another hash, as in a page that is older than the server.
#[tokio::test]
async fn what_a_page_loads_is_there_and_kept() {
    let pages = of_web();
    let (_, body) = get(&pages, "/").await;
    let named = body.split('"').filter(|text| text.starts_with("/ui/")).collect::<Vec<_>>();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    assert_eq!(
        named.iter().map(|path| name(path)).collect::<Vec<_>>(),
        ["graph.css", "style.css", "icon.svg", "main.js"]
    );
    for path in named {
        let (status, headers, _) = ask(&pages, path, &[]).await;
        let is_kept = headers["cache-control"].to_str().is_ok_and(|kept| kept.ends_with("immutable"));
        assert!(status == 200 && is_kept, "{path}: {headers:?}");
        let (status, headers, _) = ask(&pages, &format!("/ui/0/{}", name(path)), &[]).await;
        assert_eq!((status, &headers["cache-control"]), (200, &"no-cache".parse().expect("a header")));
    }
    let types = ["/ui/0/main.js", "/ui/0/style.css", "/ui/0/icon.svg"];
    for (path, want) in types.into_iter().zip(["text/javascript", "text/css", "image/svg+xml"]) {
        let (_, headers, _) = ask(&pages, path, &[]).await;
        assert!(headers["content-type"].to_str().is_ok_and(|found| found.starts_with(want)), "{path}");
    }
    assert_eq!(get(&pages, "/ui/0/nothing.js").await.0, 404);
    let (_, headers, _) = ask(&pages, "/ui/0/main.js", &[]).await;
    let tag = headers["etag"].to_str().expect("a tag is text");
    let (status, headers, body) = ask(&pages, "/ui/0/main.js", &[("if-none-match", tag)]).await;
    assert_eq!((status, headers["etag"].to_str().ok(), body.as_str()), (304, Some(tag), ""));
    assert_eq!(ask(&pages, "/ui/0/main.js", &[("if-none-match", "W/\"0\"")]).await.0, 200);
}

/// What differs by what was asked says so, or a cache would hand one person's page to another.
#[tokio::test]
async fn pages_are_packed_for_those_who_take_it() {
    let pages = of_web();
    let (_, headers, plain) = ask(&pages, "/", &[]).await;
    assert_eq!(headers.get("content-encoding"), None);
    let varies: Vec<_> = headers.get_all("vary").iter().filter_map(|value| value.to_str().ok()).collect();
    assert_eq!(varies, ["Accept-Language", "accept-encoding"]);
    let mut request = Request::get("/").body(Body::empty()).expect("the path is a URI");
    request.headers_mut().insert("accept-encoding", "gzip".parse().expect("a header"));
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let (parts, body) = pages.oneshot(request).await.expect("never fails").into_parts();
    assert_eq!(parts.headers["content-encoding"], "gzip");
    let packed = to_bytes(body, PAGE_BYTES_MAX).await.expect("the page is whole");
    let mut unpacked = String::new();
    GzDecoder::new(packed.as_ref()).read_to_string(&mut unpacked).expect("it is gzip");
    assert!(unpacked == plain && packed.len() * 2 < plain.len(), "{} bytes", packed.len());
}

/// What a page begins with is there before any of its parts is answered.
#[tokio::test]
async fn a_page_begins_before_its_parts_are_there() {
    let mut request = Request::get("/service?name=shop%2Fcart").body(Body::empty()).expect("a URI");
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let answer = of_web().oneshot(request).await.expect("never fails");
    let mut pieces = answer.into_body().into_data_stream();
    let first = pieces.next().await.expect("a piece").expect("it is whole");
    let first = String::from_utf8(first.to_vec()).expect("a page is text");
    assert!(first.starts_with("<!DOCTYPE html>") && first.contains("20 ms"), "{first}");
    assert!(!first.contains("id=\"operations\"") && !first.contains("</html>"), "{first}");
    let mut rest = String::new();
    while let Some(piece) = pieces.next().await {
        rest.push_str(std::str::from_utf8(&piece.expect("it is whole")).expect("a page is text"));
    }
    let parts = ["time", "operations", "versions", "instances", "saturation", "policies", "examples"];
    let places = parts.map(|id| rest.find(&format!("<h2 id=\"{id}\"")));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    assert!(rest.ends_with("</main></body></html>"));
}
