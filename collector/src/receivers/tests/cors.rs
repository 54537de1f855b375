//! Browsers: a preflight and the export behind it, from pages that are allowed and pages that are not.

use std::net::SocketAddr;

use ::http::{Method, Request};
use bytes::Bytes;
use http_body_util::Full;

use super::{Headers, Reply, Running, send_http1, start, start_with};
use crate::CollectorConfig;

const SHOP: &str = "https://shop.example";

async fn start_for(origins: &[&str]) -> Running {
    let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    start_with(CollectorConfig { cors_origins, ..CollectorConfig::default() }).await
}

async fn send(to: SocketAddr, method: Method, path: &str, headers: Headers<'_>) -> Reply {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send_http1(to, request.body(Full::new(Bytes::from_static(b"{}"))).expect("a request")).await
}

/// As the OpenTelemetry SDK for browsers sends it, with a header of its user's.
async fn preflight(to: SocketAddr, path: &str, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-scope-orgid"),
    ];
    send(to, Method::OPTIONS, path, &headers).await
}

async fn export(to: SocketAddr, origin: &str, content_type: &str) -> Reply {
    send(to, Method::POST, "/v1/traces", &[("origin", origin), ("content-type", content_type)]).await
}

#[tokio::test]
async fn a_page_that_is_named_may_send_and_read_the_answer() {
    let running = start_for(&[SHOP]).await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        let reply = preflight(running.http, path, SHOP).await;
        assert_eq!(reply.status.as_u16(), 204, "{path}");
        for (header, want) in [
            ("access-control-allow-origin", SHOP),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", "content-type,x-scope-orgid"),
            ("access-control-max-age", "7200"),
            ("vary", "origin, access-control-request-method, access-control-request-headers"),
        ] {
            assert_eq!(reply.header(header), Some(want), "{path}");
        }
    }
    for (content_type, want) in [("application/json", 200), ("text/plain", 415)] {
        let reply = export(running.http, SHOP, content_type).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (want, Some(SHOP)));
        assert_eq!(reply.header("access-control-expose-headers"), Some("retry-after"));
    }
    assert_eq!(running.counted("ok") + running.counted("wrong_media_type"), 2, "a preflight is no export");
    running.stop().await;
}

#[tokio::test]
async fn any_other_page_is_told_nothing() {
    let running = start_for(&[SHOP]).await;
    let reply = preflight(running.http, "/v1/traces", "https://evil.example").await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (405, None));
    let reply = export(running.http, "https://evil.example", "application/json").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let reply = preflight(running.http, "/v1/nothing", SHOP).await;
    assert_eq!(reply.status.as_u16(), 404, "there is nothing to allow");
    running.stop().await;
}

#[tokio::test]
async fn every_page_is_allowed_without_its_credentials() {
    let running = start_for(&["*"]).await;
    let reply = preflight(running.http, "/v1/traces", SHOP).await;
    let of = |header| reply.header(header);
    assert_eq!(of("access-control-allow-origin"), Some("*"));
    assert_eq!(of("access-control-allow-credentials"), None);
    running.stop().await;
}

#[tokio::test]
async fn without_a_list_no_page_is_allowed() {
    let running = start().await;
    let reply = preflight(running.http, "/v1/traces", SHOP).await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (405, None));
    let reply = export(running.http, SHOP, "application/json").await;
    assert_eq!((reply.status.as_u16(), reply.header("vary")), (200, None));
    running.stop().await;
}
