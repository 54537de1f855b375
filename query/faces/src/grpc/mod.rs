//! gRPC beside HTTP on one port: a method is a route like any other, so that it has the listener's caps and the principal.
//!
//! ```text
//! POST /<package>.<Service>/<Method>, application/grpc -> tenant -> message -> what a face answers -> message(s), trailers
//! ```
//! Code generated for services wants a trait and a server for each, which for a handful of methods is more than the
//! methods are; tonic's `Grpc` takes any function once the framing is left to it. A face lists its methods in a router of
//! its own by [`unary`] and [`streaming`], with messages that it declares by `prost`.
//!
//! What is not application/grpc is refused with 415, so that no page of another origin can make a browser ask: that
//! content type needs a preflight, and there is no CORS. Source: `grpc/grpc` doc/PROTOCOL-HTTP2.md. Limits: no compression,
//! no reflection.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod health;
pub mod status;

use std::marker::PhantomData;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use futures::stream::BoxStream;
use meshlake_listen::Stopping;
use prost::Message;
use tonic::Status;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic_prost::ProstCodec;

use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Bytes of one message to us: as the bodies of questions over HTTP, whose longest part is a query's text of 64 KiB.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What the content types of gRPC start with; `+proto` and others may follow.
const CONTENT_TYPE: &str = "application/grpc";

/// A call and all that its answer may depend on.
pub struct Call<Q> {
    pub state: FaceState,
    pub tenant: String,
    pub message: Q,
    /// An answer without an end of its own ends when it says so; none where there is no listener.
    pub stopping: Option<Stopping>,
}

/// Messages of an answer that comes in several.
pub type Messages<A> = BoxStream<'static, Result<A, Status>>;

/// The routes of what every server of gRPC answers, whichever faces it has. `services` are theirs, by full name.
pub fn router(services: &'static [&'static str]) -> Router<FaceState> {
    Router::new()
        .route(health::CHECK, unary(move |call| health::check(services, call)))
        .route(health::WATCH, streaming(move |call| health::watch(services, call)))
}

/// A method whose answer is one message.
pub fn unary<Q, A, R>(
    answer: impl Fn(Call<Q>) -> R + Clone + Send + Sync + 'static,
) -> MethodRouter<FaceState>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    R: Future<Output = Result<A, Status>> + Send + 'static,
{
    post(async move |State(state): State<FaceState>, request: Request| {
        if !is_grpc(request.headers()) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        let method = Method { state, answer, question: PhantomData };
        server().unary(method, request).await.map(Body::new)
    })
}

/// A method whose answer is a stream of messages.
pub fn streaming<Q, A, R>(
    answer: impl Fn(Call<Q>) -> R + Clone + Send + Sync + 'static,
) -> MethodRouter<FaceState>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    R: Future<Output = Result<Messages<A>, Status>> + Send + 'static,
{
    post(async move |State(state): State<FaceState>, request: Request| {
        if !is_grpc(request.headers()) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        let method = Method { state, answer, question: PhantomData };
        server().server_streaming(method, request).await.map(Body::new)
    })
}

/// Whether a request is a call of gRPC, and its answer must be one.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let suffix = content_type.and_then(|value| value.strip_prefix(CONTENT_TYPE));
    suffix.is_some_and(|suffix| suffix.is_empty() || suffix.starts_with(['+', ';']))
}

/// Answers a method that nobody knows.
pub fn no_such_method(path: &str) -> Response {
    Status::unimplemented(format!("there is no method {path}")).into_http::<Body>()
}

fn server<Q, A>() -> Grpc<ProstCodec<A, Q>>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// A method on its way through tonic.
struct Method<Q, F> {
    state: FaceState,
    answer: F,
    question: PhantomData<fn(Q)>,
}

impl<Q, F> Method<Q, F> {
    fn call(&self, request: tonic::Request<Q>) -> Result<Call<Q>, Status> {
        let tenant = tenant_of(request.extensions());
        let tenant = tenant.ok_or_else(|| Status::invalid_argument(NOT_A_TENANT))?;
        let stopping = request.extensions().get().cloned();
        Ok(Call { state: self.state.clone(), tenant, message: request.into_inner(), stopping })
    }
}

type Answering<A> = Pin<Box<dyn Future<Output = Result<tonic::Response<A>, Status>> + Send>>;

/// The answer of `answer` to a call, or why there is none.
fn answered<Q, A, R>(call: Result<Call<Q>, Status>, answer: impl Fn(Call<Q>) -> R) -> Answering<A>
where
    A: Send + 'static,
    R: Future<Output = Result<A, Status>> + Send + 'static,
{
    match call {
        Ok(call) => {
            let answer = answer(call);
            Box::pin(async move { answer.await.map(tonic::Response::new) })
        }
        Err(status) => Box::pin(std::future::ready(Err(status))),
    }
}

impl<Q, A, F, R> UnaryService<Q> for Method<Q, F>
where
    A: Send + 'static,
    F: Fn(Call<Q>) -> R,
    R: Future<Output = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type Future = Answering<A>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        answered(Method::call(self, request), &self.answer)
    }
}

impl<Q, A, F, R> ServerStreamingService<Q> for Method<Q, F>
where
    A: Send + 'static,
    F: Fn(Call<Q>) -> R,
    R: Future<Output = Result<Messages<A>, Status>> + Send + 'static,
{
    type Response = A;
    type ResponseStream = Messages<A>;
    type Future = Answering<Messages<A>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        answered(Method::call(self, request), &self.answer)
    }
}

#[cfg(test)]
mod tests;
