//! What is posted over HTTP: read whole, refused so that its sender hears why.
//!
//! A refused request is read on for a while and thrown away. Over HTTP/1.1, because closing a socket with unread bytes makes
//! the kernel reset it and the sender then never sees why it was refused. Over HTTP/2, because a stream whose rest is not read
//! is reset behind its answer: RFC 9113, 8.1 wants senders to take the answer then, and OkHttp, which OpenTelemetry's SDK for
//! Java sends with, tells of the reset instead, so that it neither hears what was wrong nor when to come back.
//!
//! Source: RFC 9112, 9.6 (lingering before a close).

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Incoming;
use meshlake_listen::Caller;

use super::{Call, Port, Read, Receivers, Route, all_routes};
use crate::admit::ReplyBody;
use crate::admit::body::{Chunks, read_body};
use crate::admit::headers::{block_encoding_of, http_encoding_of, media_type_of, written_as};
use crate::admit::media::{Encoding, MediaType};
use crate::admit::refusal::Refusal;
use crate::admit::unpack::Packed;
use crate::decode::Format;

/// How long the rest of a refused body is read on; nginx's `lingering_timeout` has the same value.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// How much of it: twice the default size limit, so that a body somewhat too large hears its 413.
const LINGER_BYTES_MAX: usize = 128 << 20;

/// Reads one export. What is left of a refused one is read on in the background; over HTTP/1.1 the answer should then close
/// the connection.
pub(super) async fn read_posted(call: Call) -> Result<Read, Refusal> {
    read_posted_by(call, http_encoding_of, |route, head| written_as(&head.headers, route.formats)).await
}

/// Reads one export of Prometheus remote write, which is packed in its own ways.
pub(super) async fn read_posted_block(call: Call) -> Result<Read, Refusal> {
    read_posted_by(call, block_encoding_of, |route, head| written_as(&head.headers, route.formats)).await
}

/// Reads one export that is in `format`, whatever its sender calls it.
pub(super) async fn read_posted_as(call: Call, format: &'static Format) -> Result<Read, Refusal> {
    read_posted_by(call, http_encoding_of, |_, _| Ok(format)).await
}

type EncodingOf = fn(&HeaderMap) -> Result<Encoding, Refusal>;

async fn read_posted_by<F>(call: Call, encoding_of: EncodingOf, format_of: F) -> Result<Read, Refusal>
where
    F: FnOnce(&Route, &Parts) -> Result<&'static Format, Refusal>,
{
    let Call { receivers, route, request, caller } = call;
    let (head, mut body) = request.into_parts();
    let said = |head: &Parts| {
        is_post(head)?;
        Ok((format_of(route, head)?, encoding_of(&head.headers)?))
    };
    let read = match said(&head) {
        Ok(said) => read_parts(&receivers, route, caller, said, &mut body).await,
        Err(refusal) => Err(refusal),
    };
    if read.is_err() {
        tokio::spawn(linger(body));
    }
    read
}

async fn read_parts(
    receivers: &Receivers,
    route: &'static Route,
    caller: Caller,
    (format, encoding): (&'static Format, Encoding),
    body: &mut Incoming,
) -> Result<Read, Refusal> {
    let tenant = caller.principal?.tenant.shared();
    let budget = receivers.admit(&tenant)?;
    let limit_bytes = receivers.export_bytes_max();
    let (bytes, tickets) = read_body(body, limit_bytes, &budget).await?;
    receivers.quotas.charge(&tenant, bytes.len());
    let packed = Packed { bytes, encoding, format, limit_bytes, tickets };
    Ok(Read { path: route.path, tenant, packed, answer_by: None })
}

fn is_post(head: &Parts) -> Result<(), Refusal> {
    match head.method {
        Method::POST => Ok(()),
        _ => Err(Refusal::WrongVerb(head.method.to_string())),
    }
}

/// Answers a request that is not read. Even "no such path" is answered in the type of the request, where that is one
/// that we speak.
pub(super) fn refuse_unread(request: Request<Incoming>, refusal: Refusal) -> Response<ReplyBody> {
    let response = refusal.into_http(media_type_of(request.headers()).unwrap_or(MediaType::Json));
    let is_http_2 = request.version() > Version::HTTP_11;
    tokio::spawn(linger(request.into_body()));
    if is_http_2 { response } else { closing(response) }
}

/// Answers a gRPC call that is not read.
pub(super) fn refuse_unread_grpc(body: Incoming, refusal: Refusal) -> Response<ReplyBody> {
    tokio::spawn(linger(body));
    refusal.into_grpc()
}

/// Says what there is in place of what was asked for: most who are told so have put the path of a signal behind an address
/// that gets it anyway, or left it out.
pub(super) fn unknown_path(port: Port, path: &str) -> Refusal {
    let known: Vec<_> = all_routes().filter(|route| route.port == port).map(|route| route.path).collect();
    Refusal::UnknownPath { path: path.to_owned(), known: known.join(", ") }
}

/// An answer behind which the connection ends.
pub(super) fn closing(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads the rest of a body and throws it away, within bounds.
pub(super) async fn linger(body: Incoming) {
    let mut chunks = Chunks::new(body);
    let reading = async {
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX
            && let Ok(Some(chunk)) = chunks.next().await
        {
            bytes += chunk.len();
        }
    };
    // Whether it ended or was cut off makes no difference: the request has been answered.
    let _ = tokio::time::timeout(LINGER_TIME_MAX, reading).await;
}
