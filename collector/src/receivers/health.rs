//! `grpc.health.v1`: whether exports are taken, for probes of orchestrators and balancers.
//!
//! The answer is one for the whole process, given for every service of the gRPC port and for the empty name: SERVING
//! unless the process is stopping, its log has given up or its disk is full. A full buffer is no reason: it passes
//! within seconds, and who is told to come back does, while a probe that fails restarts what only had to be waited for.
//!
//! A watched status is looked at twice a second, as often as the store looks at its disk. Limits: a stream lasts until
//! its caller or the process ends it.
//!
//! Source: grpc/health/v1/health.proto; the gRPC health checking protocol (NOT_FOUND for a service that is not known,
//! SERVICE_UNKNOWN when it is watched).

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use meshlake_listen::Stopping;
use prost::Message;
use tokio::sync::mpsc;

use super::{Call, Port, Receivers, Route, all_routes, caught, check_grpc_head};
use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::body::BODY_TIME_MAX;
use crate::admit::frame::FrameReader;
use crate::admit::media::Encoding;
use crate::admit::refusal::Refusal;
use crate::intake::Budget;

pub(super) static ROUTES: [Route; 3] = [
    Route {
        port: Port::Grpc,
        path: "/grpc.health.v1.Health/Check",
        formats: &[],
        receive: |call| Box::pin(async { answered(caught(check(call)).await) }),
    },
    Route {
        port: Port::Grpc,
        path: "/grpc.health.v1.Health/List",
        formats: &[],
        receive: |call| Box::pin(async { answered(caught(list(call)).await) }),
    },
    Route {
        port: Port::Grpc,
        path: "/grpc.health.v1.Health/Watch",
        formats: &[],
        receive: |call| Box::pin(async { answered(caught(watch(call)).await) }),
    },
];

/// Bytes of a question, which is the name of a service; those of our services have some 60.
const QUESTION_BYTES_MAX: usize = 1 << 10;

/// How often a watched status is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// `HealthCheckResponse.ServingStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct HealthListResponse {
    #[prost(map = "string, message", tag = "1")]
    statuses: HashMap<String, HealthCheckResponse>,
}

impl From<Status> for HealthCheckResponse {
    fn from(status: Status) -> Self {
        HealthCheckResponse { status: status as i32 }
    }
}

fn answered(result: Result<Response<ReplyBody>, Refusal>) -> Response<ReplyBody> {
    result.unwrap_or_else(Refusal::into_grpc)
}

async fn check(call: Call) -> Result<Response<ReplyBody>, Refusal> {
    let (receivers, stopping) = (Arc::clone(&call.receivers), call.caller.stopping.clone());
    let service = question(call).await?;
    if !is_known(&service) {
        return Err(Refusal::UnknownService(service));
    }
    let status = status(&receivers, &stopping);
    Ok(answer::grpc(&HealthCheckResponse::from(status).encode_to_vec()))
}

async fn list(call: Call) -> Result<Response<ReplyBody>, Refusal> {
    let (receivers, stopping) = (Arc::clone(&call.receivers), call.caller.stopping.clone());
    question(call).await?;
    let status = status(&receivers, &stopping);
    let statuses = services().map(|name| (name.to_owned(), status.into())).collect();
    Ok(answer::grpc(&HealthListResponse { statuses }.encode_to_vec()))
}

async fn watch(call: Call) -> Result<Response<ReplyBody>, Refusal> {
    let (receivers, stopping) = (Arc::clone(&call.receivers), call.caller.stopping.clone());
    let is_known = is_known(&question(call).await?);
    let (frames, watched) = mpsc::channel(1);
    tokio::spawn(async move {
        // Fails when the caller has gone, which is an end like any other.
        let _ = tell(&receivers, is_known, stopping, &frames).await;
    });
    let mut response = Response::new(Watched(watched).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// Sends the status, and again whenever it is another one, until the process stops.
async fn tell(
    receivers: &Receivers,
    is_known: bool,
    mut stopping: Stopping,
    frames: &mpsc::Sender<Frame<Bytes>>,
) -> Result<(), mpsc::error::SendError<Frame<Bytes>>> {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    let mut told = None;
    loop {
        let status = match is_known {
            true => status(receivers, &stopping),
            false => Status::ServiceUnknown,
        };
        if told != Some(status) {
            let message = HealthCheckResponse::from(status).encode_to_vec();
            frames.send(Frame::data(answer::grpc_frame(&message))).await?;
            told = Some(status);
        }
        tokio::select! {
            _ = looks.tick() => {}
            () = frames.closed() => return Ok(()),
            () = stopping.wait() => break,
        }
    }
    if is_known && told != Some(Status::NotServing) {
        let message = HealthCheckResponse::from(Status::NotServing).encode_to_vec();
        frames.send(Frame::data(answer::grpc_frame(&message))).await?;
    }
    frames.send(Frame::trailers(Refusal::Draining.into_grpc_trailers())).await
}

/// The name that is asked about.
async fn question(call: Call) -> Result<String, Refusal> {
    static LIMIT_BYTES: AtomicUsize = AtomicUsize::new(QUESTION_BYTES_MAX);
    let Call { receivers, request, .. } = call;
    let (head, body) = request.into_parts();
    check_grpc_head(&receivers, &head)?;
    // Of its own, so that an overload is not taken for a process that does not answer.
    let budget = Budget::new(QUESTION_BYTES_MAX);
    let reader = FrameReader::new(body, Encoding::Identity, &LIMIT_BYTES);
    let frame = reader.only(|bytes| Ok(budget.take(bytes)?), BODY_TIME_MAX).await?;
    let undecodable = |error: prost::DecodeError| Refusal::Undecodable(error.to_string());
    Ok(HealthCheckRequest::decode(frame.bytes).map_err(undecodable)?.service)
}

/// The services that health is told of: the process as a whole and those of the gRPC port.
fn services() -> impl Iterator<Item = &'static str> {
    let routes = all_routes().filter(|route| route.port == Port::Grpc);
    let services = routes.filter_map(|route| route.path.split('/').nth(1));
    std::iter::once("").chain(services)
}

fn is_known(service: &str) -> bool {
    services().any(|known| known == service)
}

fn status(receivers: &Receivers, stopping: &Stopping) -> Status {
    match receivers.is_fit() && !stopping.has_begun() {
        true => Status::Serving,
        false => Status::NotServing,
    }
}

/// The frames of a watched status as a body.
struct Watched(mpsc::Receiver<Frame<Bytes>>);

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}
