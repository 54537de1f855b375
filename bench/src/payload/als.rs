//! Messages of Envoy's access log service, as a sidecar sends what it called.
//!
//! An entry has 690 bytes; 22 of real sidecars (`tests/data/envoy-als`) have 828 on average.
//! The messages are those of the demo, whose tests receive them with a crate of Envoy's API. Entries carry what Istio's sidecars
//! send: connections, times, the peer that was called, trace context.

use std::collections::HashMap;

use anyhow::Context as _;
use bytes::Bytes;
use prost::Message as _;

use super::envoy_messages::{
    AccessLogCommon, AccessLogType, Address, Any, Duration, HttpAccessLogEntries, HttpAccessLogEntry,
    HttpRequestProperties, HttpResponseProperties, HttpVersion, Identifier, Kind, Node, RequestMethod,
    SocketAddress, StreamAccessLogsMessage, Struct, Timestamp, UInt32Value, Value,
};
use super::packed_message;
use crate::random::Random;

/// Services that are called.
const CALLEES: u64 = 200;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The messages of one stream.
pub struct Stream {
    /// Says who the proxy is.
    pub head: Bytes,
    /// Of as many entries each.
    pub entries: Vec<Bytes>,
}

/// A stream of the sidecar with this number: so many messages of so many entries, of calls that began at `now`, nanoseconds
/// since the epoch.
///
/// # Errors
/// When a message is too long for a frame.
pub fn stream(number: u64, messages: usize, entries_a_message: usize, now: u64) -> anyhow::Result<Stream> {
    let mut random = Random::new(number + 1);
    let head = StreamAccessLogsMessage { identifier: Some(identifier(number)), http_logs: None };
    let packed = |message: &StreamAccessLogsMessage| packed_message(&message.encode_to_vec());
    let entries = (0..messages).map(|_| {
        let log_entry =
            (0..entries_a_message).map(|_| entry(number, now, &mut random)).collect::<Option<_>>();
        let log_entry = log_entry.context("the clock stands after 2554")?;
        packed(&StreamAccessLogsMessage {
            identifier: None,
            http_logs: Some(HttpAccessLogEntries { log_entry }),
        })
    });
    Ok(Stream { head: packed(&head)?, entries: entries.collect::<anyhow::Result<_>>()? })
}

fn name(service: u64) -> String {
    format!("svc-{service:03}")
}

fn pod(service: u64) -> String {
    format!("{}-v1-5f7d9c6b8d-x2x7q", name(service))
}

fn identifier(number: u64) -> Identifier {
    let caller = CALLEES + number;
    let metadata = object(&[
        ("NAME", &pod(caller)),
        ("NAMESPACE", "mesh"),
        ("WORKLOAD_NAME", &format!("{}-v1", name(caller))),
        ("CLUSTER_ID", "Kubernetes"),
        ("ISTIO_VERSION", "1.27.1"),
    ]);
    let id = format!("sidecar~10.9.0.{number}~{}.mesh~mesh.svc.cluster.local", pod(caller));
    let node =
        Node { id, cluster: format!("{}.mesh", name(caller)), metadata: Some(metadata), ..Node::default() };
    Identifier { node: Some(node), log_name: "otel_envoy_accesslog".to_owned() }
}

fn object(members: &[(&str, &str)]) -> Struct {
    let value = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    Struct { fields: members.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect() }
}

fn address(host: String, port: u64) -> Option<Address> {
    Some(Address { socket_address: Some(SocketAddress { address: host, port_value: port as u32 }) })
}

fn after(nanos: u64) -> Option<Duration> {
    Some(Duration { seconds: (nanos / NANOS_PER_SECOND) as i64, nanos: (nanos % NANOS_PER_SECOND) as i32 })
}

/// None when the time is beyond what the message can hold.
fn entry(number: u64, now: u64, random: &mut Random) -> Option<HttpAccessLogEntry> {
    let callee = random.below(CALLEES);
    let code = if random.below(97) == 0 { 503 } else { 200 };
    let response = HttpResponseProperties {
        response_code: Some(UInt32Value { value: code }),
        response_headers_bytes: 180,
        response_body_bytes: random.log_uniform(100, 50_000),
        response_code_details: "via_upstream".to_owned(),
    };
    Some(HttpAccessLogEntry {
        common_properties: Some(common(number, callee, now, random)?),
        protocol_version: HttpVersion::Http11 as i32,
        request: Some(request(callee, random)),
        response: Some(response),
    })
}

fn common(number: u64, callee: u64, now: u64, random: &mut Random) -> Option<AccessLogCommon> {
    let nanos = random.log_uniform(500_000, 250_000_000);
    let (caller, port) = (format!("10.9.0.{number}"), 32_768 + random.below(28_000));
    let host = |network: &str| format!("{network}.{}.{}", callee / 250, callee % 250);
    let start = Timestamp {
        seconds: i64::try_from(now / NANOS_PER_SECOND).ok()?,
        nanos: (now % NANOS_PER_SECOND) as i32,
    };
    Some(AccessLogCommon {
        downstream_remote_address: address(caller.clone(), port),
        downstream_local_address: address(host("10.96"), 8080),
        start_time: Some(start),
        time_to_last_rx_byte: after(40_000),
        time_to_first_upstream_tx_byte: after(300_000),
        time_to_last_upstream_tx_byte: after(320_000),
        time_to_first_upstream_rx_byte: after(nanos - 100_000),
        time_to_last_upstream_rx_byte: after(nanos - 60_000),
        time_to_first_downstream_tx_byte: after(nanos - 50_000),
        time_to_last_downstream_tx_byte: after(nanos),
        upstream_remote_address: address(host("10.8"), 8080),
        upstream_local_address: address(caller, port + 1),
        upstream_cluster: format!("outbound|8080||{}.mesh.svc.cluster.local", name(callee)),
        route_name: "default".to_owned(),
        filter_state_objects: HashMap::from([("upstream_peer".to_owned(), peer(callee))]),
        duration: after(nanos),
        upstream_request_attempt_count: 1,
        stream_id: format!("{:016x}", random.bits()),
        access_log_type: AccessLogType::DownstreamEnd as i32,
        ..AccessLogCommon::default()
    })
}

/// What Istio's proxies tell one another of a workload.
fn peer(service: u64) -> Any {
    let (name, workload, instance) = (name(service), format!("{}-v1", name(service)), pod(service));
    let peer = object(&[
        ("name", &instance),
        ("namespace", "mesh"),
        ("workload", &workload),
        ("service", &name),
        ("revision", "v1"),
        ("cluster", "Kubernetes"),
        ("app", &name),
        ("version", "v1"),
    ]);
    Any { type_url: "type.googleapis.com/google.protobuf.Struct".to_owned(), value: peer.encode_to_vec() }
}

fn request(callee: u64, random: &mut Random) -> HttpRequestProperties {
    let hexadecimal = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let traceparent = format!("00-{}-{}-01", hexadecimal(random.id(16)), hexadecimal(random.id(8)));
    HttpRequestProperties {
        request_method: RequestMethod::Get as i32,
        scheme: "http".to_owned(),
        authority: format!("{}:8080", name(callee)),
        path: format!("/api/v1/things/{}", random.below(50_000)),
        user_agent: "Go-http-client/1.1".to_owned(),
        request_id: format!("{:08x}-0000-4000-8000-{:012x}", random.bits() as u32, random.bits() >> 16),
        request_headers_bytes: 980,
        request_headers: HashMap::from([("traceparent".to_owned(), traceparent)]),
        ..HttpRequestProperties::default()
    }
}

#[cfg(test)]
mod tests {
    use meshlake_collector::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
    use meshlake_collector::protobuf::validate::validate;

    use super::*;

    /// By the collector's own table of the protocol; in a frame five bytes come before a message.
    #[test]
    fn messages_are_envoys_and_about_as_long_as_real_ones() {
        let stream = stream(0, 2, 64, 1_795_417_200_123_456_789).expect("short");
        for packed in stream.entries.iter().chain([&stream.head]) {
            assert!(validate(&packed[5..], &STREAM_ACCESS_LOGS_MESSAGE).is_ok());
        }
        let first = StreamAccessLogsMessage::decode(&stream.entries[0][5..]).expect("it was encoded");
        let entries = first.http_logs.expect("entries").log_entry;
        assert_eq!(entries.len(), 64);
        let start =
            entries[0].common_properties.as_ref().and_then(|common| common.start_time).expect("a start");
        assert_eq!((start.seconds, start.nanos), (1_795_417_200, 123_456_789));
        let bytes = stream.entries[0].len() / 64;
        assert!((650..750).contains(&bytes), "{bytes}");
    }
}
