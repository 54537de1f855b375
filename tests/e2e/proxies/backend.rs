//! What stands behind every proxy: a server that answers as the path says.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// How long `/slow` takes: far more than a proxy needs for itself, and than a unit of time could be mistaken for.
pub const SLOW: Duration = Duration::from_millis(150);

/// What a path of its kind is answered with.
pub const KINDS: [(&str, u16); 5] =
    [("ok", 200), ("slow", 200), ("missing", 404), ("err", 500), ("unavailable", 503)];

/// Starts it; returns its port.
pub async fn start() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A proxy that closes its connection ends it; that is no failure.
                drop(builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
            });
        }
    });
    Ok(port)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let kind = request.uri().path().trim_start_matches('/');
    if kind == "slow" {
        tokio::time::sleep(SLOW).await;
    }
    let status = KINDS.iter().find(|(known, _)| *known == kind).map_or(404, |(_, status)| *status);
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = StatusCode::from_u16(status).expect("all are valid status codes");
    Ok(response)
}
