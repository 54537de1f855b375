//! Requests that begin and never end: they hold what the collector gave them, until they are cut off.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, future, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::{Bytes, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::send::{Reply, read};
use super::signal::{Signal, Transport};
use crate::harness::Server;

/// The largest message, in the prefix of a gRPC frame.
const LARGEST_FRAME: [u8; 5] = [0, 0x04, 0, 0, 0];
const LARGEST_BYTES: usize = 64 << 20;

/// A tenant that has as much in memory as a tenant may.
pub const GREEDY_TENANT: &str = "greedy";

/// Three such messages are all that a tenant may have, four are all that there may be; so one tenant cannot take
/// everything, and requests of several sizes still fit beside it. The buffer has room for more than all of that.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("MESHLAKE_COLLECTOR__IN_FLIGHT_BYTES_MAX", "268435456"),
    ("MESHLAKE_COLLECTOR__TENANT_IN_FLIGHT_BYTES_MAX", "201326592"),
    ("MESHLAKE_STORE__BUFFER_BYTES_MAX", "536870912"),
];

const POLL_INTERVAL: Duration = Duration::from_millis(10);
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// gRPC calls on one connection whose bodies begin and never end.
pub struct Stalled {
    connection: JoinHandle<()>,
    pub calls: Vec<JoinHandle<Result<Reply>>>,
}

impl Stalled {
    /// Begins one call for each of `tenants`; they say that 64 MiB will come.
    ///
    /// # Errors
    /// When the server does not take the connection.
    pub async fn begin(address: &str, tenants: &[&str]) -> Result<Stalled> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        let mut calls = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            let uri = format!("http://{address}{}", Signal::Traces.grpc_path());
            let request = Request::post(uri)
                .header("content-type", Transport::Grpc.media_type())
                .header("x-scope-orgid", *tenant)
                .body(endless(&LARGEST_FRAME))?;
            let mut sender = sender.clone();
            calls.push(tokio::spawn(async move { read(sender.send_request(request)).await }));
        }
        Ok(Stalled { connection, calls })
    }

    /// Takes all memory that there is for requests, under [`ENVIRONMENT`].
    ///
    /// # Errors
    /// When it cannot be taken.
    pub async fn fill_budget(server: &Server) -> Result<Stalled> {
        Stalled::hold(server, &["one", "two", "three", "four"]).await
    }

    /// Takes all memory that [`GREEDY_TENANT`] may have, under [`ENVIRONMENT`].
    ///
    /// # Errors
    /// When it cannot be taken.
    pub async fn fill_quota(server: &Server) -> Result<Stalled> {
        Stalled::hold(server, &[GREEDY_TENANT; 3]).await
    }

    async fn hold(server: &Server, tenants: &[&str]) -> Result<Stalled> {
        let stalled = Stalled::begin(&server.addresses.otlp_grpc, tenants).await?;
        let bytes = (tenants.len() * LARGEST_BYTES) as f64;
        wait_for_metric(server, "meshlake_in_flight_bytes", bytes).await?;
        Ok(stalled)
    }

    /// Cuts the connection.
    pub fn cut(self) {
        self.connection.abort();
        for call in self.calls {
            call.abort();
        }
    }
}

/// Returns when a metric has that value.
///
/// # Errors
/// When it does not get it.
pub async fn wait_for_metric(server: &Server, name: &str, want: f64) -> Result<()> {
    let waiting = async {
        while server.metric(name).await? != want {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    };
    tokio::time::timeout(POLL_TIMEOUT, waiting).await.with_context(|| format!("{name} never was {want}"))?
}

fn endless(first: &'static [u8]) -> BoxBody<Bytes, Infallible> {
    let first = stream::once(future::ready(Ok(Frame::data(Bytes::from_static(first)))));
    BodyExt::boxed(StreamBody::new(first.chain(stream::pending())))
}
