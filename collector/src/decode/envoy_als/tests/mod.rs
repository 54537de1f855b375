//! Messages encoded by `envoy-types`, an independent implementation, and the row that comes of each.
//!
//! `calls` is about the call itself, `parties` about who took part and what has no column.

mod calls;
mod every_field;
mod parties;

use std::collections::HashMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int32Type, Int64Type};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::data::accesslog::v3 as log;
use envoy_types::pb::envoy::service::accesslog::v3 as service;
use envoy_types::pb::google::protobuf::{
    Any, Duration, ListValue, Struct, Timestamp, UInt32Value, Value, value,
};
use meshlake_schema::attributes::map_to_json;
use meshlake_schema::response_flags::FLAGS;
use meshlake_schema::{TableBatch, UnixNanos};
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
use crate::protobuf::validate::{VALUE_DEPTH_MAX, validate};
use crate::tally::RejectReason;

const START_SECONDS: i64 = 1_795_417_200;
const NODE_ID: &str = "sidecar~10.0.0.1~productpage-v1-6b746f74dc-9rlmh.default~default.svc.cluster.local";

fn text(text: &str) -> Value {
    Value { kind: Some(value::Kind::StringValue(text.to_owned())) }
}

fn object(members: &[(&str, Value)]) -> Struct {
    Struct { fields: members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect() }
}

fn any(type_name: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/google.protobuf.{type_name}"), value }
}

/// The wrapper messages of protobuf hold their value in field 1, length-delimited here.
fn wrapped(bytes: &[u8]) -> Vec<u8> {
    [&[0x0a, bytes.len() as u8], bytes].concat()
}

fn duration(nanos: i64) -> Option<Duration> {
    Some(Duration { seconds: nanos / 1_000_000_000, nanos: (nanos % 1_000_000_000) as i32 })
}

fn socket(host: &str, port: u32) -> Option<core::Address> {
    let port_specifier = Some(core::socket_address::PortSpecifier::PortValue(port));
    let socket = core::SocketAddress { address: host.into(), port_specifier, ..Default::default() };
    Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) })
}

/// A listener inside Envoy, and the id of the endpoint behind it.
fn internal(listener: &str, endpoint_id: &str) -> Option<core::Address> {
    let name = core::envoy_internal_address::AddressNameSpecifier::ServerListenerName(listener.into());
    let address =
        core::EnvoyInternalAddress { endpoint_id: endpoint_id.into(), address_name_specifier: Some(name) };
    Some(core::Address { address: Some(core::address::Address::EnvoyInternalAddress(address)) })
}

fn common() -> log::AccessLogCommon {
    log::AccessLogCommon {
        start_time: Some(Timestamp { seconds: START_SECONDS, nanos: 123_456_000 }),
        duration: duration(15_001_501_621),
        upstream_cluster: "outbound|9080|v1|reviews.default.svc.cluster.local".into(),
        access_log_type: log::AccessLogType::DownstreamEnd as i32,
        ..Default::default()
    }
}

fn http(common: log::AccessLogCommon) -> log::HttpAccessLogEntry {
    log::HttpAccessLogEntry { common_properties: Some(common), ..Default::default() }
}

fn message(entries: Vec<log::HttpAccessLogEntry>) -> service::StreamAccessLogsMessage {
    let logs = service::stream_access_logs_message::HttpAccessLogEntries { log_entry: entries };
    let log_entries = Some(service::stream_access_logs_message::LogEntries::HttpLogs(logs));
    service::StreamAccessLogsMessage { identifier: None, log_entries }
}

fn tcp_message(entry: log::TcpAccessLogEntry) -> service::StreamAccessLogsMessage {
    let logs = service::stream_access_logs_message::TcpAccessLogEntries { log_entry: vec![entry] };
    let log_entries = Some(service::stream_access_logs_message::LogEntries::TcpLogs(logs));
    service::StreamAccessLogsMessage { identifier: None, log_entries }
}

fn identifier() -> service::stream_access_logs_message::Identifier {
    let labels = object(&[("service.istio.io/canonical-name", text("productpage")), ("version", text("v1"))]);
    let metadata = object(&[
        ("NAME", text("productpage-v1-6b746f74dc-9rlmh")),
        ("NAMESPACE", text("default")),
        ("CLUSTER_ID", text("Kubernetes")),
        ("OWNER", text("kubernetes://apis/apps/v1/namespaces/default/deployments/productpage-v1")),
        ("LABELS", Value { kind: Some(value::Kind::StructValue(labels)) }),
        ("INSTANCE_IPS", text("10.0.0.1,fd00::1")),
        ("ISTIO_VERSION", text("1.27.1")),
    ]);
    let node = core::Node {
        id: NODE_ID.into(),
        cluster: "productpage.default".into(),
        metadata: Some(metadata),
        locality: Some(core::Locality { region: "r".into(), zone: "z".into(), sub_zone: "s".into() }),
        extensions: vec![core::Extension { name: "x".repeat(10_000), ..Default::default() }],
        ..Default::default()
    };
    service::stream_access_logs_message::Identifier { node: Some(node), log_name: "als".into() }
}

fn arrival() -> Arrival<'static> {
    let second = |seconds: i64| UnixNanos(seconds * 1_000_000_000);
    Arrival {
        tenant: "default",
        ingest_time: second(START_SECONDS + 1),
        earliest: second(START_SECONDS - 100),
        latest: second(START_SECONDS + 100),
    }
}

fn decode(message: &service::StreamAccessLogsMessage) -> (Tally, Option<TableBatch>) {
    decode_of(identifier(), message)
}

fn decode_of(
    identifier: service::stream_access_logs_message::Identifier,
    message: &service::StreamAccessLogsMessage,
) -> (Tally, Option<TableBatch>) {
    let bytes = message.encode_to_vec();
    assert!(validate(&bytes, &STREAM_ACCESS_LOGS_MESSAGE).is_ok());
    let head = service::StreamAccessLogsMessage { identifier: Some(identifier), log_entries: None };
    let proxy = decode_identifier(&head.encode_to_vec()).expect("valid").expect("has an identifier");
    let mut builder = RequestBuilder::default();
    let tally = decode_entries(&bytes, &proxy, &arrival(), &mut KnownPeers::default(), &mut builder)
        .expect("validated");
    (tally, builder.finish())
}

/// The one row of a message.
struct Row(TableBatch);

fn row(message: &service::StreamAccessLogsMessage) -> Row {
    let (tally, batch) = decode(message);
    assert_eq!((tally.received, tally.accepted), (1, 1));
    Row(batch.expect("one row"))
}

impl Row {
    fn text(&self, column: &str) -> Option<String> {
        let array = self.0.rows().column_by_name(column).expect(column);
        if array.is_null(0) {
            return None;
        }
        Some(match array.as_dictionary_opt::<Int32Type>() {
            Some(dictionary) => {
                dictionary.values().as_string::<i32>().value(dictionary.keys().value(0) as usize).to_owned()
            }
            None => array.as_string::<i32>().value(0).to_owned(),
        })
    }

    fn number(&self, column: &str) -> Option<i64> {
        let array = self.0.rows().column_by_name(column).expect(column);
        match array.as_primitive_opt::<Int64Type>() {
            Some(numbers) => numbers.iter().next().flatten(),
            None => array.as_primitive::<Int32Type>().iter().next().flatten().map(i64::from),
        }
    }

    fn flag(&self, column: &str) -> bool {
        self.0.rows().column_by_name(column).expect(column).as_boolean().value(0)
    }

    fn attributes(&self) -> serde_json::Value {
        let entries = self.0.rows().column_by_name("attributes").expect("attributes").as_map().value(0);
        let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        let pairs = (0..entries.len()).map(|entry| (keys.value(entry), values.value(entry)));
        let types = self.text("attribute_types").expect("never null");
        serde_json::Value::Object(map_to_json(pairs, &types))
    }
}
