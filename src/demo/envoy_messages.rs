//! The messages of Envoy's access log service that the demo's proxies send: the fields that they set, no others.
//!
//! Written by hand instead of taken from a crate with all of Envoy's API, which took longer to build than the rest of
//! the demo. The tests of the demo receive them with that crate, so that a wrong number would be seen.
//!
//! Source: envoy/service/accesslog/v3/als.proto, envoy/data/accesslog/v3/accesslog.proto,
//! envoy/config/core/v3/{base,address}.proto, google/protobuf/{any,duration,struct,timestamp,wrappers}.proto.

use std::collections::HashMap;

use prost::{Enumeration, Message, Oneof};

/// The one method of the service.
pub const STREAM_ACCESS_LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

#[derive(Clone, PartialEq, Message)]
pub struct StreamAccessLogsMessage {
    #[prost(message, optional, tag = "1")]
    pub identifier: Option<Identifier>,
    #[prost(message, optional, tag = "2")]
    pub http_logs: Option<HttpAccessLogEntries>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StreamAccessLogsResponse {}

#[derive(Clone, PartialEq, Message)]
pub struct Identifier {
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    #[prost(string, tag = "2")]
    pub log_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpAccessLogEntries {
    #[prost(message, repeated, tag = "1")]
    pub log_entry: Vec<HttpAccessLogEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub cluster: String,
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Struct>,
    #[prost(message, optional, tag = "4")]
    pub locality: Option<Locality>,
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Locality {
    #[prost(string, tag = "1")]
    pub region: String,
    #[prost(string, tag = "2")]
    pub zone: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Address {
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    #[prost(string, tag = "2")]
    pub address: String,
    #[prost(uint32, tag = "3")]
    pub port_value: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpAccessLogEntry {
    #[prost(message, optional, tag = "1")]
    pub common_properties: Option<AccessLogCommon>,
    #[prost(enumeration = "HttpVersion", tag = "2")]
    pub protocol_version: i32,
    #[prost(message, optional, tag = "3")]
    pub request: Option<HttpRequestProperties>,
    #[prost(message, optional, tag = "4")]
    pub response: Option<HttpResponseProperties>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum HttpVersion {
    Unspecified = 0,
    Http11 = 2,
}

#[derive(Clone, PartialEq, Message)]
pub struct AccessLogCommon {
    #[prost(message, optional, tag = "2")]
    pub downstream_remote_address: Option<Address>,
    #[prost(message, optional, tag = "3")]
    pub downstream_local_address: Option<Address>,
    #[prost(message, optional, tag = "4")]
    pub tls_properties: Option<TlsProperties>,
    #[prost(message, optional, tag = "5")]
    pub start_time: Option<Timestamp>,
    #[prost(message, optional, tag = "6")]
    pub time_to_last_rx_byte: Option<Duration>,
    #[prost(message, optional, tag = "7")]
    pub time_to_first_upstream_tx_byte: Option<Duration>,
    #[prost(message, optional, tag = "8")]
    pub time_to_last_upstream_tx_byte: Option<Duration>,
    #[prost(message, optional, tag = "9")]
    pub time_to_first_upstream_rx_byte: Option<Duration>,
    #[prost(message, optional, tag = "10")]
    pub time_to_last_upstream_rx_byte: Option<Duration>,
    #[prost(message, optional, tag = "11")]
    pub time_to_first_downstream_tx_byte: Option<Duration>,
    #[prost(message, optional, tag = "12")]
    pub time_to_last_downstream_tx_byte: Option<Duration>,
    #[prost(message, optional, tag = "13")]
    pub upstream_remote_address: Option<Address>,
    #[prost(message, optional, tag = "14")]
    pub upstream_local_address: Option<Address>,
    #[prost(string, tag = "15")]
    pub upstream_cluster: String,
    #[prost(message, optional, tag = "16")]
    pub response_flags: Option<ResponseFlags>,
    #[prost(string, tag = "19")]
    pub route_name: String,
    #[prost(message, optional, tag = "20")]
    pub downstream_direct_remote_address: Option<Address>,
    #[prost(map = "string, message", tag = "21")]
    pub filter_state_objects: HashMap<String, Any>,
    #[prost(message, optional, tag = "23")]
    pub duration: Option<Duration>,
    #[prost(uint32, tag = "24")]
    pub upstream_request_attempt_count: u32,
    #[prost(string, tag = "26")]
    pub stream_id: String,
    #[prost(enumeration = "AccessLogType", tag = "33")]
    pub access_log_type: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum AccessLogType {
    NotSet = 0,
    DownstreamEnd = 6,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct ResponseFlags {
    #[prost(bool, tag = "3")]
    pub upstream_request_timeout: bool,
    #[prost(bool, tag = "6")]
    pub upstream_connection_failure: bool,
    #[prost(bool, tag = "8")]
    pub upstream_overflow: bool,
    #[prost(bool, tag = "12")]
    pub rate_limited: bool,
    #[prost(bool, tag = "15")]
    pub downstream_connection_termination: bool,
    #[prost(bool, tag = "16")]
    pub upstream_retry_limit_exceeded: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct TlsProperties {
    #[prost(enumeration = "TlsVersion", tag = "1")]
    pub tls_version: i32,
    #[prost(message, optional, tag = "2")]
    pub tls_cipher_suite: Option<UInt32Value>,
    #[prost(string, tag = "3")]
    pub tls_sni_hostname: String,
    #[prost(message, optional, tag = "4")]
    pub local_certificate_properties: Option<CertificateProperties>,
    #[prost(message, optional, tag = "5")]
    pub peer_certificate_properties: Option<CertificateProperties>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum TlsVersion {
    Unspecified = 0,
    Tls13 = 4,
}

#[derive(Clone, PartialEq, Message)]
pub struct CertificateProperties {
    #[prost(message, repeated, tag = "1")]
    pub subject_alt_name: Vec<SubjectAltName>,
    #[prost(string, tag = "3")]
    pub issuer: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct SubjectAltName {
    #[prost(string, tag = "1")]
    pub uri: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpRequestProperties {
    #[prost(enumeration = "RequestMethod", tag = "1")]
    pub request_method: i32,
    #[prost(string, tag = "2")]
    pub scheme: String,
    #[prost(string, tag = "3")]
    pub authority: String,
    #[prost(string, tag = "5")]
    pub path: String,
    #[prost(string, tag = "6")]
    pub user_agent: String,
    #[prost(string, tag = "8")]
    pub forwarded_for: String,
    #[prost(string, tag = "9")]
    pub request_id: String,
    #[prost(uint64, tag = "11")]
    pub request_headers_bytes: u64,
    #[prost(uint64, tag = "12")]
    pub request_body_bytes: u64,
    #[prost(map = "string, string", tag = "13")]
    pub request_headers: HashMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum RequestMethod {
    Unspecified = 0,
    Get = 1,
    Post = 3,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpResponseProperties {
    #[prost(message, optional, tag = "1")]
    pub response_code: Option<UInt32Value>,
    #[prost(uint64, tag = "2")]
    pub response_headers_bytes: u64,
    #[prost(uint64, tag = "3")]
    pub response_body_bytes: u64,
    #[prost(string, tag = "6")]
    pub response_code_details: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Duration {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UInt32Value {
    #[prost(uint32, tag = "1")]
    pub value: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    #[prost(map = "string, message", tag = "1")]
    pub fields: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "3, 5")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    #[prost(string, tag = "3")]
    StringValue(String),
    #[prost(message, tag = "5")]
    StructValue(Struct),
}
