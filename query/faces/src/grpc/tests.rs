//! Calls as they are framed on the wire, without a socket. Source of the framing: `grpc/grpc` doc/PROTOCOL-HTTP2.md: a
//! byte that tells of compression, the length in four bytes, the message.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use meshlake_fixture::SnapshotBuilder;
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::SystemClock;
use tonic::Code;
use tower::ServiceExt as _;

use super::MESSAGE_BYTES_MAX;
use crate::{FaceState, router};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

/// Status over HTTP, head and trailers together, the body.
async fn call(
    path: &str,
    headers: &[(&'static str, &'static str)],
    body: Vec<u8>,
) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = Request::post(path).body(Body::from(body)).expect("the path is a URI");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    let principal = Principal::of(request.headers(), Role::Reader);
    request.extensions_mut().insert(principal);
    let reader = SnapshotBuilder::new().reader();
    let engine = Engine::new(reader, EngineConfig::default(), Arc::new(SystemClock)).expect("no directory");
    let response = router(FaceState::new(engine)).oneshot(request).await.expect("the router cannot fail");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the answer is whole");
    let mut headers = parts.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    (parts.status.as_u16(), headers, body.to_bytes().to_vec())
}

/// The code that a call of `message` ends with, and the messages that came before it.
async fn check(path: &str, tenant: &'static str, message: &[u8]) -> (Code, Vec<u8>) {
    let headers = [("content-type", "application/grpc+proto"), ("x-scope-orgid", tenant)];
    let (status, headers, body) = call(path, &headers, framed(message)).await;
    assert_eq!(status, 200);
    let code = headers.get("grpc-status").expect("every answer has one").as_bytes();
    (Code::from_bytes(code), body)
}

/// Field 1 of the request is the name, of the answer the status: 1 is SERVING.
#[tokio::test]
async fn the_server_and_its_services_are_healthy_and_no_other() {
    let serving = framed(&[0x08, 1]);
    assert_eq!(check(CHECK, "a", b"").await, (Code::Ok, serving.clone()));
    let health = b"\x0a\x15grpc.health.v1.Health";
    assert_eq!(check(CHECK, "a", health).await, (Code::Ok, serving));
    assert_eq!(check(CHECK, "a", b"\x0a\x01x").await.0, Code::NotFound);
}

/// Without a listener there is no stop to wait for: the stream ends when all is said. 3 is SERVICE_UNKNOWN.
#[tokio::test]
async fn a_watch_says_what_is_so_and_names_no_error() {
    assert_eq!(check(WATCH, "a", b"").await, (Code::Ok, framed(&[0x08, 1])));
    assert_eq!(check(WATCH, "a", b"\x0a\x01x").await, (Code::Ok, framed(&[0x08, 3])));
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_told_as_grpc_tells_it() {
    assert_eq!(check(CHECK, "no tenant!", b"").await.0, Code::InvalidArgument);
    // A length of 5 before nothing; a wire type that does not exist.
    assert_eq!(check(CHECK, "a", b"\x0a\x05").await.0, Code::Internal);
    assert_eq!(check(CHECK, "a", b"\x0f").await.0, Code::Internal);
    for path in ["/grpc.health.v1.Health/List", "/no.Such/Method"] {
        assert_eq!(check(path, "a", b"").await.0, Code::Unimplemented, "{path}");
    }
}

/// A name as long as a message can be: a byte of tag, three of length.
#[tokio::test]
async fn messages_have_a_bound() {
    let named = |bytes: usize| {
        let length = bytes - 4;
        let length = [(length & 127) as u8 | 128, (length >> 7 & 127) as u8 | 128, (length >> 14) as u8];
        [&[0x0a], length.as_slice(), &vec![b'x'; bytes - 4]].concat()
    };
    assert_eq!(check(CHECK, "a", &named(MESSAGE_BYTES_MAX)).await.0, Code::NotFound);
    assert_eq!(check(CHECK, "a", &named(MESSAGE_BYTES_MAX + 1)).await.0, Code::OutOfRange);
}

#[tokio::test]
async fn what_is_not_a_call_is_answered_over_http() {
    for content_type in ["text/plain", "application/grpc-web", "application/json"] {
        let (status, headers, _) = call(CHECK, &[("content-type", content_type)], framed(b"")).await;
        assert_eq!((status, headers.get("grpc-status")), (415, None), "{content_type}");
    }
    assert_eq!(call("/no.Such/Method", &[("content-type", "text/plain")], vec![]).await.0, 404);
}
