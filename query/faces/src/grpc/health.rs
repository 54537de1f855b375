//! `grpc.health.v1.Health`: whether a service is served. Whoever can ask is answered by a server that serves, so a service
//! that is there is SERVING.
//!
//! Source: `grpc/grpc` doc/health-checking.md, src/proto/grpc/health/v1/health.proto. Limits: no List.

use futures::{StreamExt as _, stream};
use tonic::Status;

use super::{Call, Messages};

pub const CHECK: &str = "/grpc.health.v1.Health/Check";
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// `ServingStatus`.
const SERVING: i32 = 1;
const SERVICE_UNKNOWN: i32 = 3;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HealthCheckRequest {
    /// Full name; empty for the server as a whole.
    #[prost(string, tag = "1")]
    pub service: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// Answers for the server and for those of its services that are named.
pub async fn check(
    services: &'static [&'static str],
    call: Call<HealthCheckRequest>,
) -> Result<HealthCheckResponse, Status> {
    let asked = call.message.service.as_str();
    match is_served(services, asked) {
        true => Ok(HealthCheckResponse { status: SERVING }),
        false => Err(Status::not_found(format!("there is no service {asked}"))),
    }
}

/// Says once what will not change, and then nothing until the server stops.
pub async fn watch(
    services: &'static [&'static str],
    call: Call<HealthCheckRequest>,
) -> Result<Messages<HealthCheckResponse>, Status> {
    let status = if is_served(services, &call.message.service) { SERVING } else { SERVICE_UNKNOWN };
    let stopping = call.stopping;
    let silence = stream::once(async move {
        if let Some(mut stopping) = stopping {
            stopping.wait().await;
        }
    });
    let silence = silence.filter_map(|()| std::future::ready(None));
    Ok(stream::iter([Ok(HealthCheckResponse { status })]).chain(silence).boxed())
}

fn is_served(services: &[&str], asked: &str) -> bool {
    asked.is_empty() || services.contains(&asked)
}
