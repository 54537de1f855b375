//! What a listener speaks: HTTP, answered by a function or a service, or a protocol of its own.
//!
//! A listener knows no more of it than that it serves one connection until it ends, so that a protocol which is not
//! HTTP has the same accept loop, cap, wrap and stop as one that is.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use crate::connection::Connection;
use crate::http::{self as calls, Caller, TIME_LIMITS, TimeLimits};

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves connections. Cheap to clone.
#[derive(Clone)]
pub struct Protocol {
    serve: Arc<dyn Fn(Connection) -> Serving + Send + Sync>,
}

impl Protocol {
    /// A protocol of its own: `serve` takes a connection and returns when it has ended, soon after
    /// [`Connection::stopping`] has said so. Its time limits are its own.
    pub fn raw<F>(serve: impl Fn(Connection) -> F + Send + Sync + 'static) -> Protocol
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Protocol { serve: Arc::new(move |connection| Box::pin(serve(connection))) }
    }

    /// HTTP, each request answered by `handler`.
    pub fn http<H, F, B>(handler: H) -> Protocol
    where
        H: Fn(Request<Incoming>, Caller) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Protocol::http_within(TIME_LIMITS, handler)
    }

    /// HTTP within other limits than those of every port.
    pub(crate) fn http_within<H, F, B>(limits: TimeLimits, handler: H) -> Protocol
    where
        H: Fn(Request<Incoming>, Caller) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Protocol::raw(move |connection| {
            let handler = handler.clone();
            async move { calls::serve(connection, &handler, limits).await }
        })
    }

    /// HTTP, each request answered by `service`, as a router is one; it finds the caller's
    /// [`Principal`](crate::Principal) beside the request.
    pub fn service<S, B>(service: S) -> Protocol
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Protocol::http(move |mut request: Request<Incoming>, caller: Caller| {
            request.extensions_mut().insert(caller.principal);
            request.extensions_mut().insert(caller.stopping);
            let mut service = service.clone();
            async move {
                // A service whose error is impossible is ready without error; routers always are.
                let ready = std::future::poll_fn(|context| service.poll_ready(context)).await;
                let answered = match ready {
                    Ok(()) => service.call(request).await,
                    Err(never) => match never {},
                };
                answered.unwrap_or_else(|never| match never {})
            }
        })
    }

    pub(crate) fn serve(&self, connection: Connection) -> Serving {
        (self.serve)(connection)
    }
}
