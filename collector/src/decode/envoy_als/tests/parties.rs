//! Addresses, peers, certificates, and what is kept in the attributes.

use super::*;

#[test]
fn a_tcp_connection_has_its_bytes() {
    let entry = log::TcpAccessLogEntry {
        common_properties: Some(log::AccessLogCommon {
            access_log_type: log::AccessLogType::TcpConnectionEnd as i32,
            upstream_cluster: "outbound|3306||mysql.default.svc.cluster.local".into(),
            upstream_remote_address: socket("10.0.0.9", 3306),
            downstream_local_address: socket("fd00::9", 3306),
            connection_termination_details: "idle".into(),
            ..common()
        }),
        connection_properties: Some(log::ConnectionProperties { received_bytes: 7, sent_bytes: u64::MAX }),
    };
    let row = row(&tcp_message(entry));
    let texts = [
        ("layer", "l4"),
        ("protocol", "TCP"),
        ("outcome", "ok"),
        ("destination_service", "mysql"),
        ("destination_address", "10.0.0.9"),
        ("upstream_host", "10.0.0.9:3306"),
        ("downstream_local_address", "[fd00::9]:3306"),
        ("connection_termination_details", "idle"),
        ("source_format", "envoy_als_tcp"),
    ];
    for (column, want) in texts {
        assert_eq!(row.text(column).as_deref(), Some(want), "{column}");
    }
    assert_eq!((row.number("request_bytes"), row.number("response_bytes")), (Some(7), Some(i64::MAX)));
}

#[test]
fn peers_are_read_in_every_encoding_of_a_struct() {
    let flat = object(&[
        ("workload", text("reviews-v3")),
        ("service", text("reviews")),
        ("namespace", text("default")),
        ("revision", text("v3")),
        ("name", text("reviews-v3-pod")),
        ("cluster", text("c1")),
        ("identity", text("spiffe://cluster.local/ns/default/sa/reviews")),
    ]);
    let labels = object(&[("app", text("reviews")), ("version", text("v3"))]);
    let exchanged = object(&[
        ("WORKLOAD_NAME", text("reviews-v3")),
        ("NAMESPACE", text("default")),
        ("NAME", text("reviews-v3-pod")),
        ("CLUSTER_ID", text("c1")),
        ("IDENTITY", text("spiffe://cluster.local/ns/default/sa/reviews")),
        ("LABELS", Value { kind: Some(value::Kind::StructValue(labels)) }),
    ]);
    for metadata in [flat, exchanged] {
        let peer = any("Struct", metadata.encode_to_vec());
        let filter_state_objects = HashMap::from([("upstream_peer".to_owned(), peer)]);
        let row = row(&message(vec![http(log::AccessLogCommon { filter_state_objects, ..common() })]));
        let texts = [
            ("destination_workload", "reviews-v3"),
            ("destination_service", "reviews"),
            ("destination_namespace", "default"),
            ("destination_version", "v3"),
            ("destination_instance", "reviews-v3-pod"),
            ("destination_cluster", "c1"),
            ("destination_principal", "spiffe://cluster.local/ns/default/sa/reviews"),
            ("identity_source", "peer_metadata"),
        ];
        for (column, want) in texts {
            assert_eq!(row.text(column).as_deref(), Some(want), "{column}");
        }
    }
}

#[test]
fn metadata_wins_over_the_node_id_in_any_order() {
    let id = b"sidecar~10.9.9.9~web-0.front~front.svc.cluster.local";
    let metadata = object(&[("workload", text("web")), ("namespace", text("front"))]);
    let objects = [
        ("wasm.downstream_peer_id".to_owned(), any("StringValue", wrapped(id))),
        ("downstream_peer".to_owned(), any("Struct", metadata.encode_to_vec())),
    ];
    let filter_state_objects = HashMap::from(objects.clone());
    let both =
        log::AccessLogCommon { filter_state_objects, upstream_cluster: "inbound|9080||".into(), ..common() };
    assert_eq!(row(&message(vec![http(both)])).text("identity_source").as_deref(), Some("peer_metadata"));
    let id_alone = log::AccessLogCommon {
        filter_state_objects: HashMap::from([objects[0].clone()]),
        upstream_cluster: "inbound|9080||".into(),
        ..common()
    };
    let row = row(&message(vec![http(id_alone)]));
    assert_eq!(row.text("identity_source").as_deref(), Some("node_id"));
    assert_eq!(row.text("source_instance").as_deref(), Some("web-0"));
    assert_eq!(row.text("source_workload").as_deref(), Some("web"));
}

#[test]
fn what_has_no_column_is_kept_in_the_attributes() {
    let list = ListValue { values: vec![text("a"), Value { kind: Some(value::Kind::NumberValue(1.5)) }] };
    let metadata = object(&[
        ("list", Value { kind: Some(value::Kind::ListValue(list)) }),
        ("on", Value { kind: Some(value::Kind::BoolValue(true)) }),
        ("none", Value { kind: Some(value::Kind::NullValue(0)) }),
    ]);
    let common = log::AccessLogCommon {
        custom_tags: HashMap::from([("mesh_id".into(), "m".into())]),
        metadata: Some(core::Metadata {
            filter_metadata: HashMap::from([("envoy.filters.http.x".into(), metadata)]),
            ..Default::default()
        }),
        filter_state_objects: HashMap::from([
            ("a".to_owned(), any("StringValue", wrapped(b"text"))),
            ("b".to_owned(), Any { type_url: "example.com/T".into(), value: vec![1, 2] }),
            ("c".to_owned(), any("Struct", vec![0xff])),
        ]),
        downstream_wire_bytes_sent: 5,
        time_to_last_rx_byte: duration(39),
        downstream_transport_failure_reason: "reset".into(),
        ..common()
    };
    let attributes = row(&message(vec![http(common)])).attributes();
    let wants = [
        ("mesh_id", json!("m")),
        ("metadata.envoy.filters.http.x", json!({"list": ["a", 1.5], "on": true, "none": null})),
        ("filter_state.a", json!("text")),
        ("filter_state.b", json!({"@type": "example.com/T", "value": "AQI="})),
        ("filter_state.c", json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": "/w=="})),
        ("bytes", json!({"downstream_sent": 5})),
        ("offsets_nano", json!({"last_rx": 39})),
        ("downstream_transport_failure_reason", json!("reset")),
    ];
    for (key, want) in wants {
        assert_eq!(attributes[key], want, "{key}");
    }
}

#[test]
fn metadata_is_written_as_deep_as_it_may_nest() {
    let of_depth = |levels: usize| {
        let plain = Value { kind: Some(value::Kind::BoolValue(true)) };
        let list = |inner| Value { kind: Some(value::Kind::ListValue(ListValue { values: vec![inner] })) };
        let deep = object(&[("deep", (1..levels).fold(plain, |inner, _| list(inner)))]);
        let filter_metadata = HashMap::from([("x".to_owned(), deep)]);
        let metadata = Some(core::Metadata { filter_metadata, ..Default::default() });
        message(vec![http(log::AccessLogCommon { metadata, ..common() })])
    };
    let attributes = row(&of_depth(VALUE_DEPTH_MAX)).attributes();
    let mut deepest = &attributes["metadata.x"]["deep"];
    for _ in 1..VALUE_DEPTH_MAX {
        deepest = &deepest[0];
    }
    assert_eq!(deepest, &json!(true));
    let deeper = of_depth(VALUE_DEPTH_MAX + 1).encode_to_vec();
    assert_eq!(validate(&deeper, &STREAM_ACCESS_LOGS_MESSAGE), Err(WireError::TooDeep(VALUE_DEPTH_MAX)));
}

#[test]
fn tls_properties_name_both_ends() {
    let certificate = |uri: &str| {
        let san = log::tls_properties::certificate_properties::subject_alt_name::San::Uri(uri.into());
        let subject_alt_name =
            vec![log::tls_properties::certificate_properties::SubjectAltName { san: Some(san) }];
        Some(log::tls_properties::CertificateProperties {
            subject_alt_name,
            issuer: "O=ca".into(),
            ..Default::default()
        })
    };
    let tls = log::TlsProperties {
        tls_version: log::tls_properties::TlsVersion::TlSv13 as i32,
        tls_cipher_suite: Some(UInt32Value { value: 4865 }),
        tls_sni_hostname: "outbound_.9080_._.reviews.default.svc.cluster.local".into(),
        local_certificate_properties: certificate("spiffe://cluster.local/ns/default/sa/reviews"),
        peer_certificate_properties: certificate("spiffe://cluster.local/ns/front/sa/web"),
        ..Default::default()
    };
    let common = log::AccessLogCommon {
        tls_properties: Some(tls),
        upstream_cluster: "inbound|9080||".into(),
        ..common()
    };
    let row = row(&message(vec![http(common)]));
    let texts = [
        ("tls_version", "TLSv1.3"),
        ("destination_principal", "spiffe://cluster.local/ns/default/sa/reviews"),
        ("source_principal", "spiffe://cluster.local/ns/front/sa/web"),
        ("source_namespace", "front"),
        ("destination_service", "reviews"),
        ("identity_source", "certificate"),
    ];
    for (column, want) in texts {
        assert_eq!(row.text(column).as_deref(), Some(want), "{column}");
    }
    assert_eq!(row.attributes()["tls_cipher_suite"], json!(4865));
    assert_eq!(row.attributes()["tls.client.issuer"], json!("O=ca"));
}

#[test]
fn sockets_of_every_kind_are_addresses() {
    let pipe = core::Pipe { path: "/run/app.sock".into(), mode: 7 };
    let common = log::AccessLogCommon {
        downstream_remote_address: Some(core::Address { address: Some(core::address::Address::Pipe(pipe)) }),
        upstream_cluster: "inbound|8080||".into(),
        upstream_remote_address: socket("fd00::9", 8080),
        upstream_local_address: internal("inner", "e"),
        ..common()
    };
    let row = row(&message(vec![http(common)]));
    assert_eq!(row.text("downstream_remote_address").as_deref(), Some("/run/app.sock"));
    assert_eq!(row.text("source_address"), None, "a path is no address of a caller");
    assert_eq!(row.text("upstream_host").as_deref(), Some("[fd00::9]:8080"));
    assert_eq!(row.text("upstream_local_address"), None);
    assert_eq!(row.attributes()["internal_address.upstream_local_address"], json!("envoy://inner/e"));
}

/// What a waypoint of Istio's ambient mode reports: callers and callees behind listeners inside Envoy, whose endpoint is
/// the pod's address upstream and empty downstream.
#[test]
fn a_waypoint_s_internal_addresses_are_the_pod_s_or_nothing() {
    let cases = [
        ("10.40.2.7:9080", Some("10.40.2.7"), Some("10.40.2.7:9080")),
        ("[fd00::7]:9080", Some("fd00::7"), Some("[fd00::7]:9080")),
        ("cart.shop.svc.cluster.local:9080", None, None),
        ("", None, None),
    ];
    for (endpoint_id, address, host) in cases {
        let nothing = || internal("internal_client_address", "");
        let entry = log::AccessLogCommon {
            downstream_remote_address: nothing(),
            downstream_direct_remote_address: nothing(),
            downstream_local_address: nothing(),
            upstream_local_address: nothing(),
            upstream_remote_address: internal("connect_originate", endpoint_id),
            upstream_cluster: "inbound-vip|9080|http/v2|cart.shop.svc.cluster.local".into(),
            ..common()
        };
        let node = core::Node {
            id: "waypoint~10.40.3.3~wp-6d5f8c9b7d-x2v4q.shop~shop.svc.cluster.local".into(),
            ..Default::default()
        };
        let waypoint =
            service::stream_access_logs_message::Identifier { node: Some(node), ..Default::default() };
        let row = Row(decode_of(waypoint, &message(vec![http(entry)])).1.expect("one row"));
        assert_eq!(row.text("destination_address").as_deref(), address, "{endpoint_id}");
        assert_eq!(row.text("upstream_host").as_deref(), host, "{endpoint_id}");
        for (column, want) in [
            ("observer", Some("server")),
            ("destination_service", Some("cart")),
            ("destination_namespace", Some("shop")),
            ("destination_version", Some("v2")),
            ("source_address", None),
            ("source_service", None),
            ("downstream_remote_address", None),
            ("downstream_direct_remote_address", None),
            ("downstream_local_address", None),
            ("upstream_local_address", None),
        ] {
            assert_eq!(row.text(column).as_deref(), want, "{column} of {endpoint_id}");
        }
        let kept = format!("envoy://connect_originate/{endpoint_id}");
        assert_eq!(row.attributes()["internal_address.upstream_host"], json!(kept));
        let kept = "envoy://internal_client_address/";
        assert_eq!(row.attributes()["internal_address.downstream_local_address"], json!(kept));
    }
}

/// Nowhere is an internal address a name: not where the host that was asked for is unknown, nor through a tunnel.
#[test]
fn internal_addresses_name_nobody() {
    let entry = |cluster: &str, endpoint_id: &str| log::AccessLogCommon {
        upstream_cluster: cluster.into(),
        upstream_remote_address: internal("connect_originate", endpoint_id),
        downstream_local_address: internal("main_internal", ""),
        ..common()
    };
    for cluster in ["PassthroughCluster", "BlackHoleCluster", "encap", "connect_originate", ""] {
        let row = row(&message(vec![http(entry(cluster, ""))]));
        assert_eq!(row.text("destination_service"), None, "{cluster}");
        assert_eq!(row.text("destination_address"), None, "{cluster}");
    }
    let named = row(&message(vec![http(entry("PassthroughCluster", "10.40.2.7:9080"))]));
    assert_eq!(named.text("destination_service").as_deref(), Some("10.40.2.7"));
    let tunnel = row(&message(vec![http(entry("connect_originate", "10.40.2.7:9080"))]));
    assert_eq!(tunnel.text("destination_address").as_deref(), Some("10.40.2.7"));
    assert!(!tunnel.flag("counted"));
}
