//! The cases of `tests/cases/calls` as data, and what of them is sent.
//!
//! A case is written for people: ids of spans and traces are short words, times are milliseconds since a
//! moment in the range that is asked for, a line that stands for several has `repeat`, and `{n}` in its texts
//! is the number of the copy.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use envoy_types::pb::envoy::config::core::v3::{Address, Node, SocketAddress, address, socket_address};
use envoy_types::pb::envoy::data::accesslog::v3::tls_properties::CertificateProperties;
use envoy_types::pb::envoy::data::accesslog::v3::tls_properties::certificate_properties::SubjectAltName;
use envoy_types::pb::envoy::data::accesslog::v3::tls_properties::certificate_properties::subject_alt_name::San;
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, ConnectionProperties, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
    ResponseFlags, TcpAccessLogEntry, TlsProperties,
};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, Identifier, LogEntries, TcpAccessLogEntries,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Duration, Struct, Timestamp, UInt32Value, Value as ProtoValue};
use prost::Message as _;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The fact that the case is about.
    pub kind: String,
    /// So many copies of all spans, each in traces of its own.
    #[serde(default = "once")]
    pub repeat: usize,
    #[serde(default)]
    pub exports: Vec<Vec<Resource>>,
    #[serde(default)]
    pub access_logs: Vec<Proxy>,
    pub right: super::right::Right,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    resource: BTreeMap<String, Value>,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    trace: String,
    id: String,
    parent: Option<String>,
    kind: SpanKind,
    name: String,
    ms: [u64; 2],
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    #[serde(default)]
    links: Vec<[String; 2]>,
    status: Option<Status>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Error = 2,
}

/// A proxy of Istio and what it logged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    node: ProxyNode,
    #[serde(default)]
    http: Vec<Entry>,
    #[serde(default)]
    tcp: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyNode {
    id: String,
    cluster: String,
    namespace: String,
    pod: String,
    workload: String,
    labels: BTreeMap<String, String>,
    ip: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    ms: u64,
    took_ms: u32,
    cluster: String,
    upstream: Option<String>,
    upstream_local: Option<String>,
    downstream: Option<String>,
    downstream_local: Option<String>,
    sni: Option<String>,
    principal: Option<String>,
    downstream_peer: Option<BTreeMap<String, String>>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    authority: String,
    #[serde(default)]
    request_id: String,
    code: Option<u32>,
    #[serde(default = "once")]
    repeat: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Flag {
    #[serde(rename = "UF")]
    UpstreamConnectionFailure,
}

fn once() -> usize {
    1
}

impl Case {
    pub fn read(file: &Path) -> Result<Case> {
        let text = std::fs::read_to_string(file)?;
        serde_json::from_str(&text).with_context(|| format!("read {}", file.display()))
    }

    /// The bodies of OTLP/JSON, in order; `start` is the moment from which times count, in nanoseconds.
    pub fn otlp(&self, start: u64) -> Vec<Value> {
        let body = |export: &Vec<Resource>| {
            let copies = (0..self.repeat).flat_map(|copy| export.iter().map(move |r| r.otlp(start, copy)));
            json!({ "resourceSpans": copies.collect::<Vec<_>>() })
        };
        self.exports.iter().map(body).collect()
    }

    /// The messages of the access log service, one a proxy.
    pub fn als(&self, start: u64) -> Vec<StreamAccessLogsMessage> {
        self.access_logs.iter().map(|proxy| proxy.als(start)).collect()
    }
}

impl Resource {
    fn otlp(&self, start: u64, copy: usize) -> Value {
        let spans: Vec<Value> = self.spans.iter().map(|span| span.otlp(start, copy)).collect();
        json!({
            "resource": { "attributes": attributes(&self.resource) },
            "scopeSpans": [{ "scope": { "name": "test" }, "spans": spans }],
        })
    }
}

impl Span {
    fn otlp(&self, start: u64, copy: usize) -> Value {
        let nanos = |ms: u64| (start + ms * 1_000_000).to_string();
        let trace = |word: &str| hex(&format!("{word}/{copy}"), 32);
        let links: Vec<Value> = self
            .links
            .iter()
            .map(|[of, id]| json!({ "traceId": trace(of), "spanId": hex(id, 16) }))
            .collect();
        json!({
            "traceId": trace(&self.trace),
            "spanId": hex(&self.id, 16),
            "parentSpanId": self.parent.as_deref().map(|parent| hex(parent, 16)).unwrap_or_default(),
            "name": self.name,
            "kind": self.kind as i32,
            "startTimeUnixNano": nanos(self.ms[0]),
            "endTimeUnixNano": nanos(self.ms[1]),
            "attributes": attributes(&self.attributes),
            "links": links,
            "status": self.status.map_or(json!({}), |status| json!({ "code": status as i32 })),
        })
    }
}

/// An id of so many digits that only the same word has.
fn hex(word: &str, digits: usize) -> String {
    let bytes: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{bytes:0>digits$}")
}

fn attributes(pairs: &BTreeMap<String, Value>) -> Vec<Value> {
    let value = |value: &Value| match value.as_i64() {
        Some(int) => json!({ "intValue": int.to_string() }),
        None => json!({ "stringValue": value }),
    };
    pairs.iter().map(|(key, text)| json!({ "key": key, "value": value(text) })).collect()
}

impl Proxy {
    fn als(&self, start: u64) -> StreamAccessLogsMessage {
        let log_entries = if self.tcp.is_empty() {
            let log_entry = copies(&self.http).map(|(entry, copy)| entry.http(start, copy)).collect();
            LogEntries::HttpLogs(HttpAccessLogEntries { log_entry })
        } else {
            let log_entry = copies(&self.tcp).map(|(entry, copy)| entry.tcp(start, copy)).collect();
            LogEntries::TcpLogs(TcpAccessLogEntries { log_entry })
        };
        let identifier = Identifier { node: Some(self.node.node()), log_name: "als".to_owned() };
        StreamAccessLogsMessage { identifier: Some(identifier), log_entries: Some(log_entries) }
    }
}

impl ProxyNode {
    fn node(&self) -> Node {
        let mut metadata = fields(
            [
                ("NAMESPACE", &self.namespace),
                ("NAME", &self.pod),
                ("WORKLOAD_NAME", &self.workload),
                ("INSTANCE_IPS", &self.ip),
            ]
            .into_iter(),
        );
        let labels = fields(self.labels.iter().map(|(key, label)| (key.as_str(), label)));
        metadata.fields.insert("LABELS".to_owned(), ProtoValue { kind: Some(Kind::StructValue(labels)) });
        Node {
            id: self.id.clone(),
            cluster: self.cluster.clone(),
            metadata: Some(metadata),
            ..Node::default()
        }
    }
}

impl Entry {
    fn common(&self, start: u64, copy: usize) -> AccessLogCommon {
        let address = |text: &Option<String>| text.as_deref().map(|text| address(&numbered(text, copy)));
        let nanos = start + (self.ms + copy as u64) * 1_000_000;
        let took = Duration { seconds: 0, nanos: self.took_ms as i32 * 1_000_000 };
        let peer = self.downstream_peer.as_ref().map(|peer| {
            let described = fields(peer.iter().map(|(key, text)| (key.as_str(), text)));
            let type_url = "type.googleapis.com/google.protobuf.Struct".to_owned();
            ("downstream_peer".to_owned(), Any { type_url, value: described.encode_to_vec() })
        });
        AccessLogCommon {
            start_time: Some(Timestamp {
                seconds: (nanos / 1_000_000_000) as i64,
                nanos: (nanos % 1_000_000_000) as i32,
            }),
            duration: Some(took),
            time_to_last_downstream_tx_byte: Some(took),
            upstream_cluster: self.cluster.clone(),
            upstream_request_attempt_count: 1,
            upstream_remote_address: address(&self.upstream),
            upstream_local_address: address(&self.upstream_local),
            downstream_remote_address: address(&self.downstream),
            downstream_direct_remote_address: address(&self.downstream),
            downstream_local_address: address(&self.downstream_local),
            tls_properties: self.tls(),
            filter_state_objects: peer.into_iter().collect(),
            response_flags: Some(ResponseFlags {
                upstream_connection_failure: self.flags.contains(&Flag::UpstreamConnectionFailure),
                ..ResponseFlags::default()
            }),
            ..AccessLogCommon::default()
        }
    }

    fn tls(&self) -> Option<TlsProperties> {
        let uri = self.principal.clone()?;
        let peer = CertificateProperties {
            subject_alt_name: vec![SubjectAltName { san: Some(San::Uri(uri)) }],
            ..CertificateProperties::default()
        };
        Some(TlsProperties {
            tls_sni_hostname: self.sni.clone().unwrap_or_default(),
            peer_certificate_properties: Some(peer),
            ..TlsProperties::default()
        })
    }

    fn tcp(&self, start: u64, copy: usize) -> TcpAccessLogEntry {
        TcpAccessLogEntry {
            common_properties: Some(self.common(start, copy)),
            connection_properties: Some(ConnectionProperties { received_bytes: 1, sent_bytes: 1 }),
        }
    }

    fn http(&self, start: u64, copy: usize) -> HttpAccessLogEntry {
        /// HTTP/1.1 and GET, by the numbers of Envoy's enums.
        const HTTP_11: i32 = 2;
        const GET: i32 = 1;
        HttpAccessLogEntry {
            common_properties: Some(self.common(start, copy)),
            protocol_version: HTTP_11,
            request: Some(HttpRequestProperties {
                request_method: GET,
                path: "/".to_owned(),
                authority: self.authority.clone(),
                request_id: numbered(&self.request_id, copy),
                ..HttpRequestProperties::default()
            }),
            response: Some(HttpResponseProperties {
                response_code: self.code.map(|value| UInt32Value { value }),
                ..HttpResponseProperties::default()
            }),
        }
    }
}

/// Every line as often as it is repeated, with the number of the copy.
fn copies(entries: &[Entry]) -> impl Iterator<Item = (&Entry, usize)> {
    entries.iter().flat_map(|entry| (0..entry.repeat).map(move |copy| (entry, copy)))
}

fn numbered(text: &str, copy: usize) -> String {
    text.replace("{n}", &copy.to_string())
}

fn address(text: &str) -> Address {
    let (host, port) = text.rsplit_once(':').expect("addresses of cases have a port");
    let port = socket_address::PortSpecifier::PortValue(port.parse().expect("a port is a number"));
    let socket =
        SocketAddress { address: host.to_owned(), port_specifier: Some(port), ..SocketAddress::default() };
    Address { address: Some(address::Address::SocketAddress(socket)) }
}

fn fields<'a>(pairs: impl Iterator<Item = (&'a str, &'a String)>) -> Struct {
    let value = |text: &String| ProtoValue { kind: Some(Kind::StringValue(text.clone())) };
    Struct { fields: pairs.map(|(key, text)| (key.to_owned(), value(text))).collect() }
}
