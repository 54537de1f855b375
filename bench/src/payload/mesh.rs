//! Calls of a mesh, each of which two spans and two access logs of Envoy tell of.
//!
//! Operations are called in turn, each so many times in a row, and an operation has one service that is called and one that calls
//! it. So how many calls any answer has is arithmetic. A service has [`INSTANCES`] instances, which share its operations; one of
//! them is of another version. Every 97th call fails, by a time-out of its caller's; 97 is prime, so that every operation
//! has failures.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::attributes::{integer, text};
use crate::random::Random;

/// Instances of a service.
pub const INSTANCES: u64 = 4;

/// One call of so many fails.
const CALLS_AN_ERROR: u64 = 97;

const MICROS_MIN: u64 = 500;
const MICROS_MAX: u64 = 250_000;

/// What the caller's side takes longer.
const ON_THE_WAY_NANOS: u64 = 400_000;

/// How many there are of each.
#[derive(Debug, Clone, Copy)]
pub struct Mesh {
    pub services: u64,
    pub operations: u64,
    /// Calls of one operation before the next has its turn.
    pub in_a_row: u64,
    /// At least one; services take them in turn.
    pub namespaces: u64,
}

/// One call, all of it told by its number.
#[derive(Debug)]
struct Call {
    number: u64,
    start: u64,
    operation: u64,
    ends: [u64; 2],
    instance: u64,
    is_error: bool,
    /// In which the callee answers.
    nanos: u64,
    trace_id: Vec<u8>,
    span_ids: [Vec<u8>; 2],
}

impl Mesh {
    /// Of a service; `mesh` where there is only one.
    pub fn namespace(&self, service: u64) -> String {
        if self.namespaces <= 1 {
            "mesh".to_owned()
        } else {
            format!("mesh-{:02}", service % self.namespaces)
        }
    }

    /// What a service is called by in its cluster.
    pub fn host(&self, service: u64) -> String {
        format!("{}.{}.svc.cluster.local", name(service), self.namespace(service))
    }

    /// Who calls, and who is called.
    pub fn ends(&self, operation: u64) -> [u64; 2] {
        let callee = operation % self.services;
        [(callee + 1 + operation / self.services) % self.services, callee]
    }

    /// Which instance of an end serves an operation, or makes its calls. The last is of version `v2`, the others of `v1`.
    pub fn instance(&self, operation: u64) -> u64 {
        operation / self.services % INSTANCES
    }

    /// Of what operation the call with this number is.
    pub fn operation(&self, number: u64) -> u64 {
        number / self.in_a_row % self.operations
    }

    /// How many operations have calls, of so many calls.
    pub fn operations_of(&self, calls: u64) -> u64 {
        self.operations.min(calls.div_ceil(self.in_a_row))
    }

    pub fn is_error(number: u64) -> bool {
        number.is_multiple_of(CALLS_AN_ERROR)
    }

    fn call(&self, (number, start): (u64, u64)) -> Call {
        let mut random = Random::new(number);
        let operation = self.operation(number);
        Call {
            number,
            start,
            operation,
            ends: self.ends(operation),
            instance: self.instance(operation),
            is_error: Mesh::is_error(number),
            nanos: random.log_uniform(MICROS_MIN, MICROS_MAX) * 1_000,
            trace_id: random.id(16),
            span_ids: [random.id(8), random.id(8)],
        }
    }

    /// Two spans of each of these calls, given by number and start.
    pub fn spans(&self, calls: &[(u64, u64)]) -> ExportTraceServiceRequest {
        let resource_spans =
            self.by_instance(calls, |_, call, side| span(call, side)).map(|([service, instance], spans)| {
                ResourceSpans {
                    resource: resource(vec![
                        text("service.name", name(service)),
                        text("service.namespace", self.namespace(service)),
                        text("service.version", version(instance)),
                        text("service.instance.id", pod(service, instance)),
                        text("telemetry.sdk.language", "go"),
                    ]),
                    scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
                    ..ResourceSpans::default()
                }
            });
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
    }

    /// Two access logs of each of these calls, given by number and start.
    pub fn access_logs(&self, calls: &[(u64, u64)]) -> ExportLogsServiceRequest {
        let by_instance = self.by_instance(calls, Mesh::access_log);
        let resource_logs = by_instance.map(|([service, instance], log_records)| ResourceLogs {
            resource: resource(vec![
                text("log_name", "mesh"),
                text("zone_name", ""),
                text("cluster_name", format!("{}.{}", name(service), self.namespace(service))),
                text("service.version", version(instance)),
                text(
                    "node_name",
                    format!(
                        "sidecar~{}~{}.{namespace}~{namespace}.svc.cluster.local",
                        address(service, instance),
                        pod(service, instance),
                        namespace = self.namespace(service)
                    ),
                ),
            ]),
            scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        });
        ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
    }

    /// What both sides of these calls say, by service and instance.
    fn by_instance<T>(
        &self,
        calls: &[(u64, u64)],
        said: fn(&Mesh, &Call, usize) -> T,
    ) -> impl Iterator<Item = ([u64; 2], Vec<T>)> + use<T> {
        let mut by_instance: BTreeMap<[u64; 2], Vec<T>> = BTreeMap::new();
        for call in calls.iter().map(|call| self.call(*call)) {
            for side in 0..2 {
                by_instance
                    .entry([call.ends[side], call.instance])
                    .or_default()
                    .push(said(self, &call, side));
            }
        }
        by_instance.into_iter()
    }

    fn access_log(&self, call: &Call, side: usize) -> LogRecord {
        let (start, nanos) = seen(call, side);
        let callee = call.ends[1];
        let [from, to] = call.ends.map(|end| address(end, call.instance));
        // The caller's proxy gave up, of which the callee's knows nothing.
        let flags = if call.is_error && side == 0 { "UT" } else { "-" };
        let cluster = if side == 0 {
            format!("outbound|8080||{}", self.host(callee))
        } else {
            "inbound|8080||".to_owned()
        };
        let port = 20_000 + call.number % 40_000;
        let values = vec![
            text("method", "GET"),
            text("path", path(call.operation)),
            text("protocol", "HTTP/1.1"),
            text("response_code", if call.is_error { "503" } else { "200" }),
            text("response_flags", flags),
            text("bytes_received", "120"),
            text("bytes_sent", (1_000 + call.number % 5_000).to_string()),
            text("duration", (nanos / 1_000_000).to_string()),
            text("request_id", format!("{:08x}-0000-4000-8000-{:012x}", call.number >> 32, call.number)),
            text("authority", format!("{}:8080", name(callee))),
            text("upstream_cluster", cluster),
            text("upstream_host", format!("{to}:8080")),
            text("upstream_local_address", format!("{from}:{port}")),
            text("downstream_local_address", format!("{to}:8080")),
            text("downstream_remote_address", format!("{from}:{port}")),
        ];
        let body = Value::KvlistValue(KeyValueList { values });
        LogRecord {
            time_unix_nano: start,
            body: Some(AnyValue { value: Some(body) }),
            ..LogRecord::default()
        }
    }
}

pub fn name(service: u64) -> String {
    format!("svc-{service:05}")
}

/// Of an instance.
pub fn pod(service: u64, instance: u64) -> String {
    format!("{}-7d4f8-{instance}", name(service))
}

/// Of an instance.
pub fn version(instance: u64) -> &'static str {
    if instance + 1 == INSTANCES { "v2" } else { "v1" }
}

fn address(service: u64, instance: u64) -> String {
    format!("10.{}.{}.{}", service / 256, service % 256, instance + 1)
}

/// In letters, as numbers in a path are taken for ids.
fn path(operation: u64) -> String {
    let letter = |place: u32| char::from(b'a' + (operation / 26_u64.pow(place) % 26) as u8);
    format!("/things/{}", (0..5).map(letter).collect::<String>())
}

fn resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource { attributes, ..Resource::default() })
}

/// Start and length of what a side saw; the callee's lies in the middle of the caller's.
fn seen(call: &Call, side: usize) -> (u64, u64) {
    if side == 0 {
        (call.start, call.nanos + ON_THE_WAY_NANOS)
    } else {
        (call.start + ON_THE_WAY_NANOS / 2, call.nanos)
    }
}

fn span(call: &Call, side: usize) -> Span {
    let (start, nanos) = seen(call, side);
    let path = path(call.operation);
    let mut attributes = vec![
        text("http.request.method", "GET"),
        integer("http.response.status_code", if call.is_error { 503 } else { 200 }),
    ];
    let (name, kind, parent_span_id) = if side == 0 {
        attributes.push(text("server.address", name(call.ends[1])));
        ("GET".to_owned(), SpanKind::Client, Vec::new())
    } else {
        attributes.push(text("http.route", path.clone()));
        (format!("GET {path}"), SpanKind::Server, call.span_ids[0].clone())
    };
    Span {
        trace_id: call.trace_id.clone(),
        span_id: call.span_ids[side].clone(),
        parent_span_id,
        name,
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + nanos,
        attributes,
        ..Span::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_of_one_edge_and_no_service_calls_itself() {
        let mesh = Mesh { services: 200, operations: 1_500, namespaces: 1, in_a_row: 1 };
        let ends: Vec<[u64; 2]> = (0..mesh.operations).map(|operation| mesh.ends(operation)).collect();
        assert!(ends.iter().all(|[caller, callee]| caller != callee && *caller < 200 && *callee < 200));
        let edges: std::collections::BTreeSet<_> = ends.iter().collect();
        assert_eq!(edges.len(), 1_500, "each of another");
        // 1,500 operations of 200 services: eight of the first hundred, seven of the rest.
        let of = |service: u64| ends.iter().filter(|[_, callee]| *callee == service).count();
        assert_eq!((of(0), of(99), of(100), of(199)), (8, 8, 7, 7));
        // Of eight two each, of seven one less at the last.
        let served = |service: u64, instance: u64| {
            let of = |operation: &u64| {
                mesh.ends(*operation)[1] == service && mesh.instance(*operation) == instance
            };
            (0..mesh.operations).filter(of).count()
        };
        assert_eq!([0, 1, 2, 3].map(|instance| served(0, instance)), [2, 2, 2, 2]);
        assert_eq!([0, 1, 2, 3].map(|instance| served(100, instance)), [2, 2, 2, 1]);
    }

    #[test]
    fn operations_take_turns() {
        let mesh = Mesh { services: 4, operations: 3, namespaces: 1, in_a_row: 2 };
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|number| mesh.operation(number)), [0, 0, 1, 1, 2, 2, 0]);
        assert_eq!([1, 2, 3, 100].map(|calls| mesh.operations_of(calls)), [1, 1, 2, 3]);
    }

    #[test]
    fn a_call_has_two_spans_and_two_access_logs() {
        let mesh = Mesh { services: 4, operations: 9, namespaces: 1, in_a_row: 3 };
        let calls: Vec<(u64, u64)> = (0..100).map(|number| (number, 1_000_000_000 + number)).collect();
        let spans = mesh.spans(&calls).resource_spans.into_iter().flat_map(|of| of.scope_spans);
        assert_eq!(spans.map(|scope| scope.spans.len()).sum::<usize>(), 200);
        let logs = mesh.access_logs(&calls).resource_logs.into_iter().flat_map(|of| of.scope_logs);
        assert_eq!(logs.map(|scope| scope.log_records.len()).sum::<usize>(), 200);
        assert_eq!(calls.iter().filter(|(number, _)| Mesh::is_error(*number)).count(), 2, "0 and 97");
    }
}
