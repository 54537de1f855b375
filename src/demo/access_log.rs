//! The access log entries of one call: what each proxy on its way writes, in Envoy's own message.
//!
//! Pure translation. Fields that Envoy leaves out are left out here too: no response code when nothing was
//! sent, no upstream address when no connection was used, no peer where no peer answered, no TLS on the side
//! that faces the own application.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::envoy_messages::{
    AccessLogCommon, AccessLogType, Address, Any, CertificateProperties, Duration, HttpAccessLogEntry,
    HttpRequestProperties, HttpResponseProperties, HttpVersion, RequestMethod, ResponseFlags, SocketAddress,
    SubjectAltName, Timestamp, TlsProperties, TlsVersion, UInt32Value,
};
use super::mesh::{EXTERNAL, EXTERNAL_ADDRESS, EXTERNAL_PORT, Instance, InstanceId, Mesh, PUBLIC_HOST};
use super::model::{Attempt, Call, Callee, Flag, ProxyReport, Visit};
use super::proxy_identity;

/// TLS_AES_256_GCM_SHA384, which Istio's proxies agree on (RFC 8446, B.4).
const TLS_CIPHER_SUITE: u32 = 0x1302;
/// Where Istio's proxies send what is for no service that they know, and by which route.
/// Source: istio pilot/pkg/util/constants, `PassthroughCluster`; pilot/pkg/networking/core/httproute.go, `allow_any`.
const PASSTHROUGH: &str = "PassthroughCluster";
const ALLOW_ANY: &str = "allow_any";
const DEFAULT_ROUTE: &str = "default";
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The inbound side connects to its application from this address (Istio's `InboundPassthroughBindIpv4`).
const INBOUND_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
/// The load balancer in front of the gateway does not keep the caller's address on the connection.
const LOAD_BALANCER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);

/// The entries of a visit that started at `start` (nanoseconds since the epoch), each with the pod whose
/// proxy writes it.
pub fn entries(mesh: &Mesh, visit: &Visit, start: i64) -> Vec<(InstanceId, HttpAccessLogEntry)> {
    let mut entries = Vec::new();
    add_call(&Teller { mesh, visit, start }, &visit.entry, &mut entries);
    entries
}

fn add_call(teller: &Teller<'_>, call: &Call, into: &mut Vec<(InstanceId, HttpAccessLogEntry)>) {
    if let Some(seen) = &call.outbound {
        into.push((call.caller, teller.outbound(call, seen)));
    }
    for attempt in &call.attempts {
        if let Some(seen) = &attempt.inbound {
            into.push((attempt.server, teller.inbound(call, attempt, seen)));
        }
        attempt.calls.iter().for_each(|inner| add_call(teller, inner, into));
    }
}

/// Tells of the calls of one visit.
struct Teller<'a> {
    mesh: &'a Mesh,
    visit: &'a Visit,
    start: i64,
}

impl Teller<'_> {
    /// By the caller's sidecar, or by the gateway.
    fn outbound(&self, call: &Call, seen: &ProxyReport) -> HttpAccessLogEntry {
        let caller = self.mesh.instance(call.caller);
        let reached = call.attempts.last().map(|attempt| (self.mesh.instance(attempt.server), attempt.port));
        let (cluster, service, upstream) = match call.callee {
            Callee::Service { name, subset } => {
                let pods = self.mesh.pods_of(name, subset);
                let pod =
                    self.mesh.instance(*pods.first().expect("the mesh has pods for every service it calls"));
                (
                    upstream_cluster(pod, subset),
                    (pod.service_ip, pod.port),
                    reached.map(|(to, _)| (to.ip, to.port)),
                )
            }
            _ => {
                let address = (EXTERNAL_ADDRESS, EXTERNAL_PORT);
                (PASSTHROUGH.to_owned(), address, Some(address))
            }
        };
        let port = reached.map_or(call.caller_port, |(_, port)| port);
        let (downstream, direct, local) = if caller.is_gateway() {
            let client = parsed(&self.visit.client_address);
            (socket(client, call.caller_port), (LOAD_BALANCER, call.caller_port), (caller.ip, caller.port))
        } else {
            (socket(caller.ip, call.caller_port), (caller.ip, call.caller_port), service)
        };
        // A peer is known when it has answered.
        let answered = reached.filter(|_| seen.upstream_last_received.is_some());
        let common = AccessLogCommon {
            downstream_remote_address: Some(downstream),
            downstream_direct_remote_address: Some(socket(direct.0, direct.1)),
            downstream_local_address: Some(socket(local.0, local.1)),
            upstream_remote_address: upstream.map(|(ip, port)| socket(ip, port)),
            upstream_local_address: upstream.map(|_| socket(caller.ip, port)),
            upstream_cluster: cluster,
            filter_state_objects: peer_state("upstream_peer", answered.map(|(to, _)| to)),
            route_name: if call.callee == Callee::External { ALLOW_ANY } else { DEFAULT_ROUTE }.to_owned(),
            ..self.common(seen)
        };
        self.entry(call, common, seen)
    }

    /// By the sidecar of the pod that an attempt reached.
    fn inbound(&self, call: &Call, attempt: &Attempt, seen: &ProxyReport) -> HttpAccessLogEntry {
        let caller = self.mesh.instance(call.caller);
        let server = self.mesh.instance(attempt.server);
        let remote = socket(caller.ip, attempt.port);
        let reached = seen.upstream_first_sent.is_some();
        let common = AccessLogCommon {
            downstream_remote_address: Some(remote.clone()),
            downstream_direct_remote_address: Some(remote),
            downstream_local_address: Some(socket(server.ip, server.port)),
            upstream_remote_address: reached.then(|| socket(server.ip, server.port)),
            upstream_local_address: reached.then(|| socket(INBOUND_SOURCE, attempt.port)),
            upstream_cluster: format!("inbound|{}||", server.port),
            tls_properties: caller.is_protected().then(|| tls(caller, server, call.callee)),
            filter_state_objects: peer_state("downstream_peer", Some(caller)),
            ..self.common(seen)
        };
        self.entry(call, common, seen)
    }

    fn common(&self, seen: &ProxyReport) -> AccessLogCommon {
        let whole = Some(duration(seen.duration));
        let received = seen.upstream_last_received.map(duration);
        let answered = seen.status.and(whole);
        AccessLogCommon {
            start_time: Some(timestamp(self.start, seen.start)),
            duration: whole,
            time_to_last_rx_byte: Some(duration(
                seen.upstream_first_sent.unwrap_or(seen.duration).min(20_000),
            )),
            time_to_first_upstream_tx_byte: seen.upstream_first_sent.map(duration),
            time_to_last_upstream_tx_byte: seen.upstream_first_sent.map(duration),
            time_to_first_upstream_rx_byte: received,
            time_to_last_upstream_rx_byte: received,
            time_to_first_downstream_tx_byte: answered,
            time_to_last_downstream_tx_byte: answered,
            response_flags: seen.flag.map(response_flags),
            route_name: DEFAULT_ROUTE.to_owned(),
            stream_id: self.visit.request_id.clone(),
            upstream_request_attempt_count: seen.attempts,
            access_log_type: AccessLogType::DownstreamEnd.into(),
            ..AccessLogCommon::default()
        }
    }

    fn entry(&self, call: &Call, common: AccessLogCommon, seen: &ProxyReport) -> HttpAccessLogEntry {
        let entered = self.mesh.instance(call.caller).is_gateway();
        let request = HttpRequestProperties {
            request_method: method(call.operation.method).into(),
            scheme: if matches!(call.callee, Callee::External) { "https" } else { "http" }.to_owned(),
            authority: self.authority(call),
            path: call.operation.path.clone(),
            user_agent: self.visit.user_agent.to_owned(),
            forwarded_for: if entered { self.visit.client_address.clone() } else { String::new() },
            request_id: self.visit.request_id.clone(),
            request_headers: self.traceparent(call),
            request_body_bytes: seen.request_bytes,
            request_headers_bytes: 380 + call.operation.path.len() as u64,
        };
        let response = HttpResponseProperties {
            response_code: seen.status.map(|status| UInt32Value { value: status.into() }),
            response_code_details: seen.details.to_owned(),
            response_body_bytes: seen.response_bytes,
            response_headers_bytes: if seen.status.is_some() { 196 } else { 0 },
        };
        HttpAccessLogEntry {
            common_properties: Some(common),
            protocol_version: HttpVersion::Http11.into(),
            request: Some(request),
            response: Some(response),
        }
    }

    fn authority(&self, call: &Call) -> String {
        match call.callee {
            _ if self.mesh.instance(call.caller).is_gateway() => PUBLIC_HOST.to_owned(),
            Callee::Service { name, .. } => format!("{name}:9080"),
            _ => EXTERNAL.to_owned(),
        }
    }

    /// The proxies make no spans, so the header is the calling application's; the gateway's callers send none.
    fn traceparent(&self, call: &Call) -> HashMap<String, String> {
        let header =
            call.client_span.map(|span| format!("00-{:032x}-{:016x}-01", self.visit.trace_id, span.id));
        header.map(|value| ("traceparent".to_owned(), value)).into_iter().collect()
    }
}

fn upstream_cluster(pod: &Instance, subset: Option<&str>) -> String {
    format!("outbound|{}|{}|{}", pod.port, subset.unwrap_or_default(), pod.host())
}

fn tls(caller: &Instance, server: &Instance, callee: Callee) -> TlsProperties {
    let subset = match callee {
        Callee::Service { subset, .. } => subset.unwrap_or_default(),
        Callee::Database | Callee::Queue | Callee::External => "",
    };
    TlsProperties {
        tls_version: TlsVersion::Tls13.into(),
        tls_cipher_suite: Some(UInt32Value { value: TLS_CIPHER_SUITE }),
        tls_sni_hostname: format!("outbound_.{}_.{subset}_.{}", server.port, server.host()),
        local_certificate_properties: Some(certificate(server)),
        peer_certificate_properties: Some(certificate(caller)),
    }
}

fn certificate(owner: &Instance) -> CertificateProperties {
    let san = SubjectAltName { uri: owner.principal() };
    CertificateProperties { subject_alt_name: vec![san], issuer: "O=cluster.local".to_owned() }
}

fn peer_state(key: &str, peer: Option<&Instance>) -> HashMap<String, Any> {
    peer.map(|instance| (key.to_owned(), proxy_identity::peer(instance))).into_iter().collect()
}

fn response_flags(flag: Flag) -> ResponseFlags {
    let none = ResponseFlags::default();
    match flag {
        Flag::CallerGone => ResponseFlags { downstream_connection_termination: true, ..none },
        Flag::TimedOut => ResponseFlags { upstream_request_timeout: true, ..none },
        Flag::Overflow => ResponseFlags { upstream_overflow: true, ..none },
        Flag::RateLimited => ResponseFlags { rate_limited: true, ..none },
        Flag::RetriesExhausted => ResponseFlags { upstream_retry_limit_exceeded: true, ..none },
        Flag::NoConnection => ResponseFlags { upstream_connection_failure: true, ..none },
    }
}

fn method(name: &str) -> RequestMethod {
    match name {
        "GET" => RequestMethod::Get,
        "POST" => RequestMethod::Post,
        _ => RequestMethod::Unspecified,
    }
}

fn parsed(address: &str) -> Ipv4Addr {
    address.parse().expect("the model writes IPv4 addresses")
}

fn socket(ip: Ipv4Addr, port: u16) -> Address {
    Address { socket_address: Some(SocketAddress { address: ip.to_string(), port_value: port.into() }) }
}

fn timestamp(start: i64, offset: u64) -> Timestamp {
    let nanos = start.saturating_add_unsigned(offset);
    let per_second = NANOS_PER_SECOND as i64;
    let part = i32::try_from(nanos.rem_euclid(per_second)).expect("a remainder below 10^9");
    Timestamp { seconds: nanos.div_euclid(per_second), nanos: part }
}

fn duration(nanos: u64) -> Duration {
    let part = i32::try_from(nanos % NANOS_PER_SECOND).expect("a remainder below 10^9");
    Duration { seconds: i64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(i64::MAX), nanos: part }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::demo::envoy_messages::{Kind, Struct};
    use crate::demo::mesh::{PRODUCTPAGE, REVIEWS};
    use crate::demo::model::{AppSpan, Operation};

    const START: i64 = 1_700_000_000_250_000_000;

    /// productpage (second pod) asks reviews v1: 7.5 ms at its own sidecar, 7 ms at the other one.
    fn call(mesh: &Mesh) -> Call {
        let seen = ProxyReport {
            start: 40_000,
            duration: 7_500_000,
            status: Some(200),
            flag: None,
            details: "via_upstream",
            attempts: 1,
            upstream_first_sent: Some(100_000),
            upstream_last_received: Some(7_400_000),
            request_bytes: 0,
            response_bytes: 295,
        };
        let inbound = ProxyReport { start: 240_000, duration: 7_000_000, ..seen };
        let span = AppSpan { id: 0xabc, start: 0, duration: 7_600_000, status: Some(200), failed: false };
        let attempt = Attempt {
            server: mesh.pods_of(REVIEWS, Some("v1"))[0],
            port: 40_001,
            inbound: Some(inbound),
            server_span: Some(AppSpan { id: 0xdef, start: 300_000, duration: 6_900_000, ..span }),
            calls: Vec::new(),
        };
        Call {
            caller: mesh.pods_of(PRODUCTPAGE, None)[1],
            callee: Callee::Service { name: REVIEWS, subset: Some("v1") },
            operation: Operation {
                method: "GET",
                route: "/reviews/{id}",
                path: "/reviews/0".to_owned(),
                request_bytes: 0,
            },
            caller_port: 50_123,
            client_span: Some(span),
            outbound: Some(seen),
            attempts: vec![attempt],
        }
    }

    fn entries_of(call: impl FnOnce(&mut Call)) -> Vec<HttpAccessLogEntry> {
        let mesh = Mesh::bookinfo();
        let mut entry = self::call(&mesh);
        call(&mut entry);
        let visit = Visit {
            trace_id: 0x5,
            request_id: "4ab196ca-fb37-434c-99b4-b7249104e6c7".to_owned(),
            client_address: "198.51.100.7".to_owned(),
            user_agent: "curl/7.88.1",
            entry,
        };
        entries(&mesh, &visit, START).into_iter().map(|(_, entry)| entry).collect()
    }

    fn address(address: &Option<Address>) -> String {
        let socket = address.as_ref().and_then(|address| address.socket_address.as_ref());
        socket.map_or("-".to_owned(), |socket| format!("{}:{}", socket.address, socket.port_value))
    }

    #[test]
    fn a_call_is_one_entry_at_each_end() {
        let entries = entries_of(|_| {});
        let [outbound, inbound] = entries.as_slice() else { panic!("two entries, not {}", entries.len()) };
        let common = outbound.common_properties.as_ref().expect("common properties");
        assert_eq!(common.upstream_cluster, "outbound|9080|v1|reviews.default.svc.cluster.local");
        assert_eq!(common.start_time, Some(Timestamp { seconds: 1_700_000_000, nanos: 250_040_000 }));
        assert_eq!(common.duration, Some(Duration { seconds: 0, nanos: 7_500_000 }));
        assert_eq!(common.upstream_request_attempt_count, 1);
        assert_eq!(common.response_flags, None);
        assert_eq!(common.stream_id, "4ab196ca-fb37-434c-99b4-b7249104e6c7");
        assert!(common.tls_properties.is_none(), "the application speaks to its sidecar in clear text");
        let request = outbound.request.as_ref().expect("request");
        assert_eq!((request.authority.as_str(), request.path.as_str()), ("reviews:9080", "/reviews/0"));
        let traceparent = "00-00000000000000000000000000000005-0000000000000abc-01";
        assert_eq!(request.request_headers["traceparent"], traceparent);
        let response = outbound.response.as_ref().expect("response");
        assert_eq!(response.response_code, Some(UInt32Value { value: 200 }));
        assert_eq!(
            (response.response_body_bytes, response.response_code_details.as_str()),
            (295, "via_upstream")
        );

        let common = inbound.common_properties.as_ref().expect("common properties");
        assert_eq!(common.upstream_cluster, "inbound|9080||");
        let tls = common.tls_properties.as_ref().expect("mutual TLS");
        assert_eq!(tls.tls_sni_hostname, "outbound_.9080_.v1_.reviews.default.svc.cluster.local");
        let peer = tls.peer_certificate_properties.as_ref().expect("the caller's certificate");
        let uri = "spiffe://cluster.local/ns/default/sa/bookinfo-productpage".to_owned();
        assert_eq!(peer.subject_alt_name[0].uri, uri);
    }

    #[test]
    fn both_ends_share_the_connection() {
        let entries = entries_of(|_| {});
        let common = |n: usize| entries[n].common_properties.clone().expect("common properties");
        let (client, server) = (common(0), common(1));
        // The second pod of productpage is the third pod of the mesh: 10.244.<pod 1>.<10 + 2>.
        assert_eq!(address(&client.upstream_local_address), "10.244.1.12:40001");
        assert_eq!(address(&server.downstream_remote_address), "10.244.1.12:40001");
        assert_eq!(address(&client.upstream_remote_address), address(&server.downstream_local_address));
        assert_eq!(address(&client.downstream_remote_address), "10.244.1.12:50123");
    }

    #[test]
    fn each_end_describes_the_other() {
        let entries = entries_of(|_| {});
        for (n, key, workload) in
            [(0, "upstream_peer", "reviews-v1"), (1, "downstream_peer", "productpage-v1")]
        {
            let state =
                &entries[n].common_properties.as_ref().expect("common properties").filter_state_objects;
            let peer = Struct::decode(state[key].value.as_slice()).expect("a struct");
            assert_eq!(peer.fields["workload"].kind, Some(Kind::StringValue(workload.to_owned())));
            assert_eq!(peer.fields["namespace"].kind, Some(Kind::StringValue("default".to_owned())));
        }
    }

    #[test]
    fn a_caller_that_left_got_no_response() {
        let entries = entries_of(|call| {
            let inbound = call.attempts[0].inbound.as_mut().expect("seen");
            (inbound.status, inbound.flag) = (None, Some(Flag::CallerGone));
        });
        let flags = entries[1].common_properties.as_ref().and_then(|common| common.response_flags);
        assert_eq!(
            flags,
            Some(ResponseFlags { downstream_connection_termination: true, ..Default::default() })
        );
        assert_eq!(entries[1].response.as_ref().and_then(|response| response.response_code), None);
    }

    #[test]
    fn a_refused_call_has_no_upstream_and_no_second_entry() {
        let entries = entries_of(|call| {
            call.attempts.clear();
            let seen = call.outbound.as_mut().expect("seen");
            (seen.status, seen.flag) = (Some(503), Some(Flag::Overflow));
            (seen.upstream_first_sent, seen.upstream_last_received) = (None, None);
        });
        assert_eq!(entries.len(), 1);
        let common = entries[0].common_properties.as_ref().expect("common properties");
        assert_eq!(
            (address(&common.upstream_remote_address), address(&common.upstream_local_address)),
            ("-".into(), "-".into())
        );
        assert!(common.filter_state_objects.is_empty());
        assert!(common.response_flags.as_ref().is_some_and(|flags| flags.upstream_overflow));
        assert_eq!(common.upstream_cluster, "outbound|9080|v1|reviews.default.svc.cluster.local");
    }
}
