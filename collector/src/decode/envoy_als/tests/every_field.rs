//! A message with every field set, and where each is in the row: none is lost.
//!
//! Written down from the field numbers of `envoy/data/accesslog/v3/accesslog.proto`. The structs below have no
//! `..Default::default()`: a field that a newer Envoy adds fails to compile until it is told here where it goes.

#![expect(deprecated, reason = "older Envoys still set `intermediate_log_entry`")]

use super::*;

/// A certificate with two URIs and a DNS name; `who` is in each.
fn certificate(who: &str) -> Option<log::tls_properties::CertificateProperties> {
    use log::tls_properties::certificate_properties::{SubjectAltName, subject_alt_name::San};
    let names = [
        San::Uri(format!("spiffe://cluster.local/ns/{who}/sa/{who}")),
        San::Uri(format!("spiffe://other/{who}")),
        San::Dns(format!("{who}.example")),
    ];
    Some(log::tls_properties::CertificateProperties {
        subject_alt_name: names.into_iter().map(|san| SubjectAltName { san: Some(san) }).collect(),
        subject: format!("CN={who}"),
        issuer: format!("CN=ca of {who}"),
    })
}

fn every_common_field() -> log::AccessLogCommon {
    let entry = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
    let metadata = core::Metadata {
        filter_metadata: HashMap::from([("istio".to_owned(), object(&[("workload", text("w"))]))]),
        typed_filter_metadata: HashMap::from([("typed".to_owned(), any("StringValue", wrapped(b"t")))]),
    };
    log::AccessLogCommon {
        sample_rate: 0.25,
        downstream_remote_address: socket("10.0.0.2", 2),
        downstream_local_address: socket("10.0.0.3", 3),
        tls_properties: Some(log::TlsProperties {
            tls_version: log::tls_properties::TlsVersion::TlSv12 as i32,
            tls_cipher_suite: Some(UInt32Value { value: 4865 }),
            tls_sni_hostname: "sni.example".into(),
            local_certificate_properties: certificate("local"),
            peer_certificate_properties: certificate("peer"),
            tls_session_id: "session".into(),
            ja3_fingerprint: "ja3".into(),
        }),
        start_time: Some(Timestamp { seconds: START_SECONDS, nanos: 5 }),
        time_to_last_rx_byte: duration(6),
        time_to_first_upstream_tx_byte: duration(7),
        time_to_last_upstream_tx_byte: duration(8),
        time_to_first_upstream_rx_byte: duration(9),
        time_to_last_upstream_rx_byte: duration(10),
        time_to_first_downstream_tx_byte: duration(11),
        time_to_last_downstream_tx_byte: duration(12),
        upstream_remote_address: socket("10.0.0.13", 13),
        upstream_local_address: socket("10.0.0.14", 14),
        upstream_cluster: "outbound|15|v15|cart.shop.svc.cluster.local".into(),
        response_flags: Some(log::ResponseFlags {
            delay_injected: true,
            no_healthy_upstream: true,
            ..Default::default()
        }),
        metadata: Some(metadata),
        upstream_transport_failure_reason: "reason 18".into(),
        route_name: "route 19".into(),
        downstream_direct_remote_address: socket("10.0.0.20", 20),
        filter_state_objects: HashMap::from([("state".to_owned(), any("StringValue", wrapped(b"21")))]),
        custom_tags: entry("tag", "22"),
        duration: duration(23),
        upstream_request_attempt_count: 24,
        connection_termination_details: "details 25".into(),
        stream_id: "stream 26".into(),
        intermediate_log_entry: false,
        downstream_transport_failure_reason: "reason 28".into(),
        downstream_wire_bytes_sent: 29,
        downstream_wire_bytes_received: 30,
        upstream_wire_bytes_sent: 31,
        upstream_wire_bytes_received: 32,
        access_log_type: log::AccessLogType::DownstreamEnd as i32,
    }
}

fn check_texts(row: &Row, texts: &[(&str, &str)]) {
    for (column, want) in texts {
        assert_eq!(row.text(column).as_deref(), Some(*want), "{column}");
    }
}

fn check_common(row: &Row) {
    check_texts(
        row,
        &[
            ("downstream_remote_address", "10.0.0.2:2"),
            ("downstream_local_address", "10.0.0.3:3"),
            ("tls_version", "TLSv1.2"),
            ("requested_server_name", "sni.example"),
            ("upstream_host", "10.0.0.13:13"),
            ("upstream_local_address", "10.0.0.14:14"),
            ("upstream_cluster", "outbound|15|v15|cart.shop.svc.cluster.local"),
            ("destination_service", "cart"),
            ("destination_version", "v15"),
            ("response_flags_text", "UH,DI"),
            ("upstream_transport_failure_reason", "reason 18"),
            ("route", "route 19"),
            ("downstream_direct_remote_address", "10.0.0.20:20"),
            ("connection_termination_details", "details 25"),
            ("stream_id", "stream 26"),
            ("access_log_type", "DownstreamEnd"),
        ],
    );
    let numbers = [
        ("time_unix_nano", START_SECONDS * 1_000_000_000 + 5),
        ("duration_nano", 23),
        // From the first byte sent upstream to the last one received.
        ("upstream_duration_nano", 10 - 7),
        ("attempts", 24),
    ];
    for (column, want) in numbers {
        assert_eq!(row.number(column), Some(want), "{column}");
    }
    let attributes = row.attributes();
    let want = json!({
        "sample_rate": 0.25,
        "tls_cipher_suite": 4865, "tls_session_id": "session", "tls.client.ja3": "ja3",
        "tls.server.principal": "spiffe://cluster.local/ns/local/sa/local",
        "tls.client.principal": "spiffe://cluster.local/ns/peer/sa/peer",
        "tls.server.subject": "CN=local", "tls.server.issuer": "CN=ca of local",
        "tls.server.uri": "spiffe://other/local", "tls.server.dns": "local.example",
        "tls.client.subject": "CN=peer", "tls.client.issuer": "CN=ca of peer",
        "tls.client.uri": "spiffe://other/peer", "tls.client.dns": "peer.example",
        "offsets_nano": {
            "last_rx": 6, "first_upstream_tx": 7, "last_upstream_tx": 8, "first_upstream_rx": 9,
            "last_upstream_rx": 10, "first_downstream_tx": 11, "last_downstream_tx": 12,
        },
        "metadata.istio": {"workload": "w"}, "metadata.typed": "t", "filter_state.state": "21", "tag": "22",
        "downstream_transport_failure_reason": "reason 28",
    });
    for (key, want) in want.as_object().expect("an object") {
        assert_eq!(&attributes[key], want, "{key}");
    }
    let bytes = [
        ("downstream_sent", 29),
        ("downstream_received", 30),
        ("upstream_sent", 31),
        ("upstream_received", 32),
    ];
    for (name, want) in bytes {
        assert_eq!(attributes["bytes"][name], json!(want), "{name}");
    }
}

fn every_field_of_a_request() -> log::HttpAccessLogEntry {
    let headers = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
    let request = log::HttpRequestProperties {
        request_method: core::RequestMethod::Patch as i32,
        scheme: "https".into(),
        authority: "cart:3".into(),
        port: Some(UInt32Value { value: 4 }),
        path: "/path/5".into(),
        user_agent: "agent 6".into(),
        referer: "referer 7".into(),
        forwarded_for: "10.0.0.8".into(),
        request_id: "request 9".into(),
        original_path: "/original/10".into(),
        request_headers_bytes: 111,
        request_body_bytes: 112,
        request_headers: headers("x-request", "13"),
        upstream_header_bytes_sent: 114,
        downstream_header_bytes_received: 115,
    };
    let response = log::HttpResponseProperties {
        response_code: Some(UInt32Value { value: 503 }),
        response_headers_bytes: 202,
        response_body_bytes: 203,
        response_headers: headers("x-response", "4"),
        response_trailers: headers("grpc-status", "14"),
        response_code_details: "no_healthy_upstream".into(),
        upstream_header_bytes_received: 207,
        downstream_header_bytes_sent: 208,
    };
    log::HttpAccessLogEntry {
        common_properties: Some(every_common_field()),
        protocol_version: log::http_access_log_entry::HttpVersion::Http3 as i32,
        request: Some(request),
        response: Some(response),
    }
}

#[test]
fn every_field_of_a_request_is_in_its_row() {
    let row = row(&message(vec![every_field_of_a_request()]));
    check_common(&row);
    check_texts(
        &row,
        &[
            ("protocol", "HTTP/3"),
            ("method", "PATCH"),
            ("scheme", "https"),
            ("authority", "cart:3"),
            ("path", "/original/10"),
            ("user_agent", "agent 6"),
            ("forwarded_for", "10.0.0.8"),
            ("request_id", "request 9"),
            ("response_code_details", "no_healthy_upstream"),
        ],
    );
    let numbers =
        [("request_bytes", 112), ("response_bytes", 203), ("response_code", 503), ("grpc_status", 14)];
    for (column, want) in numbers {
        assert_eq!(row.number(column), Some(want), "{column}");
    }
    let attributes = row.attributes();
    for (key, want) in [
        ("port", json!(4)),
        ("rewritten_path", json!("/path/5")),
        ("referer", json!("referer 7")),
        ("request_header.x-request", json!("13")),
        ("response_header.x-response", json!("4")),
        ("response_trailer.grpc-status", json!("14")),
    ] {
        assert_eq!(attributes[key], want, "{key}");
    }
    for (name, want) in [
        ("request_headers", 111),
        ("upstream_headers_sent", 114),
        ("downstream_headers_received", 115),
        ("response_headers", 202),
        ("upstream_headers_received", 207),
        ("downstream_headers_sent", 208),
    ] {
        assert_eq!(attributes["bytes"][name], json!(want), "{name}");
    }
}

#[test]
fn every_field_of_a_connection_is_in_its_row() {
    let entry = log::TcpAccessLogEntry {
        common_properties: Some(log::AccessLogCommon {
            access_log_type: log::AccessLogType::TcpConnectionEnd as i32,
            ..every_common_field()
        }),
        connection_properties: Some(log::ConnectionProperties { received_bytes: 1, sent_bytes: 2 }),
    };
    let row = row(&tcp_message(entry));
    assert_eq!((row.number("request_bytes"), row.number("response_bytes")), (Some(1), Some(2)));
    check_texts(&row, &[("protocol", "TCP"), ("access_log_type", "TcpConnectionEnd"), ("layer", "l4")]);
    let attributes = row.attributes();
    assert_eq!((&attributes["tag"], &attributes["filter_state.state"]), (&json!("22"), &json!("21")));
}

/// The older way to say that a request goes on: by itself it makes a row that counts nothing.
#[test]
fn an_intermediate_entry_is_kept_and_not_counted() {
    let common = log::AccessLogCommon {
        intermediate_log_entry: true,
        access_log_type: log::AccessLogType::NotSet as i32,
        ..every_common_field()
    };
    assert!(!row(&message(vec![http(common)])).flag("counted"));
}
