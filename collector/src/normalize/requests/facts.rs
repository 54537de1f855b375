//! A proxy's report of one call or connection, in the words that all access logs share.
//!
//! Every field may be missing: an empty text or address means that the format has no such field or that the
//! proxy had nothing to say. Text borrows from the payload wherever it was valid as sent.

use std::borrow::Cow;
use std::sync::Arc;

use meshlake_schema::{ResponseFlags, UnixNanos};

use super::proxy::WorkloadFacts;
use crate::address::Address;

/// What was reported about one call or connection.
#[derive(Debug, Clone, Default)]
pub struct RequestFacts<'a> {
    /// The column `source_format`.
    pub source_format: &'static str,
    pub layer: Layer,
    /// Where the proxy stood, where the row or its format says it.
    pub observer: Option<Observer>,
    pub log_type: LogType,
    pub start: UnixNanos,
    pub duration_nano: i64,
    /// Nothing tells how long it took; the duration is 0 then.
    pub is_untimed: bool,
    pub upstream_duration_nano: Option<i64>,
    /// As the column `protocol` names it; empty when unknown.
    pub protocol: &'static str,
    pub method: Cow<'a, str>,
    pub scheme: Cow<'a, str>,
    pub authority: Cow<'a, str>,
    /// Before any rewrite.
    pub path: Cow<'a, str>,
    pub route: Cow<'a, str>,
    /// `None` when no response was sent.
    pub response_code: Option<i32>,
    pub grpc_status: Option<i32>,
    pub flags: ResponseFlags,
    pub response_code_details: Cow<'a, str>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub attempts: u64,
    pub downstream_remote: Address<'a>,
    pub downstream_direct_remote: Address<'a>,
    pub downstream_local: Address<'a>,
    pub upstream_local: Address<'a>,
    pub upstream_host: Address<'a>,
    pub upstream_cluster: Cow<'a, str>,
    pub upstream_transport_failure_reason: Cow<'a, str>,
    pub connection_termination_details: Cow<'a, str>,
    /// TLS server name that the caller asked for.
    pub requested_server_name: Cow<'a, str>,
    pub forwarded_for: Cow<'a, str>,
    pub stream_id: Cow<'a, str>,
    pub request_id: Cow<'a, str>,
    pub trace_context: Option<TraceContext>,
    /// Towards the caller; empty in clear text.
    pub tls_version: &'static str,
    pub user_agent: Cow<'a, str>,
    /// SPIFFE identities of the TLS connection towards the caller.
    pub caller_principal: Cow<'a, str>,
    pub own_principal: Cow<'a, str>,
    /// Metadata of the workloads at the far ends, where proxies exchange it; many requests share one.
    pub upstream_peer: Option<Arc<WorkloadFacts<'a>>>,
    pub downstream_peer: Option<Arc<WorkloadFacts<'a>>>,
}

/// Where the proxy stood that reported the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observer {
    /// Beside the caller.
    Client,
    /// Beside, or in front of, the callee.
    Server,
    /// At the edge of the mesh, a party of its own.
    Gateway,
}

impl Observer {
    pub const fn name(self) -> &'static str {
        match self {
            Observer::Client => "client",
            Observer::Server => "server",
            Observer::Gateway => "gateway",
        }
    }
}

/// Whether a row is about a request or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layer {
    #[default]
    L7,
    L4,
}

impl Layer {
    pub const fn name(self) -> &'static str {
        match self {
            Layer::L7 => "l7",
            Layer::L4 => "l4",
        }
    }
}

/// When in the life of a call or connection the row was written. Numbers and names are those of
/// `AccessLogType` in envoy/data/accesslog/v3/accesslog.proto.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogType {
    /// 0 when the proxy does not say.
    pub number: i32,
    /// The older mark of a row that is not the last of its stream.
    pub intermediate: bool,
}

impl LogType {
    /// The name; `None` when not set or not known.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.number {
            1 => "TcpUpstreamConnected",
            2 => "TcpPeriodic",
            3 => "TcpConnectionEnd",
            4 => "DownstreamStart",
            5 => "DownstreamPeriodic",
            6 => "DownstreamEnd",
            7 => "UpstreamPoolReady",
            8 => "UpstreamPeriodic",
            9 => "UpstreamEnd",
            10 => "DownstreamTunnelSuccessfullyEstablished",
            11 => "UdpTunnelUpstreamConnected",
            12 => "UdpPeriodic",
            13 => "UdpSessionEnd",
            14 => "TcpConnectionStart",
            _ => return None,
        })
    }

    /// Whether the row is the one that stands for the whole call: the end of it, or a log that has no other.
    pub const fn ends_call(self) -> bool {
        matches!(self.number, 0 | 3 | 6 | 13) && !self.intermediate
    }

    /// Whether the row is about UDP, which shares its log with TCP.
    pub const fn is_udp(self) -> bool {
        matches!(self.number, 11..=13)
    }
}

/// The ids of a `traceparent` header; the span's is all zero where only the trace is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_end_a_call_stand_for_it() {
        for number in 0..=14 {
            let ends = LogType { number, intermediate: false }.ends_call();
            assert_eq!(ends, [0, 3, 6, 13].contains(&number), "{number}");
            assert!(!LogType { number, intermediate: true }.ends_call());
            assert_eq!(LogType { number, intermediate: false }.name().is_none(), number == 0);
        }
        assert!(!LogType { number: 99, intermediate: false }.ends_call());
    }
}
