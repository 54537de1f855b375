//! One sender's connection over OTLP/HTTP or OTLP/gRPC, and what an answer means to it.

use std::error::Error as _;

use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::transport::{Channel, Endpoint};

use crate::harness::{Addresses, HttpClient, http_client, request_with};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    Grpc,
}

/// What a request was answered.
pub enum Answer {
    Acked,
    /// Come back later: nothing was stored.
    Refused,
    /// No answer came.
    Gone(anyhow::Error),
}

/// One sender's connection.
pub enum Client {
    Http { client: HttpClient, base: String },
    Grpc { spans: TraceServiceClient<Channel>, logs: LogsServiceClient<Channel> },
}

impl Client {
    pub async fn connect(transport: Transport, addresses: &Addresses) -> Result<Client> {
        if transport == Transport::Http {
            let base = format!("http://{}", addresses.otlp_http);
            return Ok(Client::Http { client: http_client(), base });
        }
        let endpoint = Endpoint::from_shared(format!("http://{}", addresses.otlp_grpc))?;
        let channel = endpoint.connect().await.context("connect to OTLP/gRPC")?;
        Ok(Client::Grpc {
            spans: TraceServiceClient::new(channel.clone()),
            logs: LogsServiceClient::new(channel),
        })
    }

    /// # Errors
    /// An answer that is neither an acknowledgement in full nor a refusal that passes.
    pub async fn export_spans(&mut self, spans: ExportTraceServiceRequest) -> Result<Answer> {
        match self {
            Client::Http { client, base } => post(client, base, "/v1/traces", spans.encode_to_vec()).await,
            Client::Grpc { spans: client, .. } => {
                let reply = client.export(spans).await;
                grpc_answer(reply.map(|reply| reply.into_inner().partial_success.is_none()))
            }
        }
    }

    /// # Errors
    /// As [`Client::export_spans`].
    pub async fn export_logs(&mut self, logs: ExportLogsServiceRequest) -> Result<Answer> {
        match self {
            Client::Http { client, base } => post(client, base, "/v1/logs", logs.encode_to_vec()).await,
            Client::Grpc { logs: client, .. } => {
                let reply = client.export(logs).await;
                grpc_answer(reply.map(|reply| reply.into_inner().partial_success.is_none()))
            }
        }
    }
}

async fn post(client: &HttpClient, base: &str, path: &str, body: Vec<u8>) -> Result<Answer> {
    http_answer(request_with(client, "POST", &format!("{base}{path}"), &[PROTOBUF], body.into()).await)
}

fn http_answer(answer: Result<(u16, Bytes)>) -> Result<Answer> {
    match answer {
        // Without a partial_success the reply has no field at all.
        Ok((200, reply)) if reply.is_empty() => Ok(Answer::Acked),
        Ok((503, _)) => Ok(Answer::Refused),
        Ok((status, reply)) => bail!("HTTP {status}: {}", String::from_utf8_lossy(&reply)),
        Err(error) => Ok(Answer::Gone(error)),
    }
}

fn grpc_answer(answer: Result<bool, tonic::Status>) -> Result<Answer> {
    match answer {
        Ok(true) => Ok(Answer::Acked),
        Ok(false) => bail!("a partial success, of records that are all valid"),
        // A status that the server sent has no source; the transport's has.
        Err(status) if status.source().is_some() => Ok(Answer::Gone(status.into())),
        Err(status) if status.code() == tonic::Code::Unavailable => Ok(Answer::Refused),
        Err(status) => Err(status.into()),
    }
}
