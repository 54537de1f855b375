//! Times, codes, flags, bytes, headers, and what is refused.

use super::*;

#[test]
fn the_identifier_names_the_proxy_and_may_ride_on_any_message() {
    let head =
        service::StreamAccessLogsMessage { identifier: Some(identifier()), ..message(vec![http(common())]) };
    let proxy = decode_identifier(&head.encode_to_vec()).expect("valid").expect("has an identifier");
    assert_eq!((proxy.node_id.as_str(), proxy.service.as_str()), (NODE_ID, "productpage"));
    assert_eq!((proxy.workload.as_str(), proxy.version.as_str()), ("productpage-v1", "v1"));
    assert_eq!((proxy.cluster.as_str(), proxy.namespace.as_str()), ("Kubernetes", "default"));
    assert_eq!(proxy.addresses, ["10.0.0.1", "fd00::1"]);
    let attributes: Vec<_> = proxy.attributes.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let want = [
        ("log_name", "als"),
        ("cloud.region", "r"),
        ("cloud.availability_zone", "z"),
        ("istio.version", "1.27.1"),
    ];
    assert_eq!(attributes, want);
    assert_eq!(decode_identifier(&message(vec![]).encode_to_vec()), Ok(None));
    let empty = service::StreamAccessLogsMessage {
        identifier: Some(service::stream_access_logs_message::Identifier::default()),
        log_entries: None,
    };
    assert!(decode_identifier(&empty.encode_to_vec()).is_ok_and(|proxy| proxy.is_some()));
}

/// Istio's release names the proxy before Envoy's, which is a text or three numbers.
#[test]
fn the_release_of_a_proxy_is_what_it_says_of_itself() {
    use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
    let of = |istio: &str, version| {
        let metadata = Some(object(&[("ISTIO_VERSION", text(istio))]));
        let node = Some(core::Node { metadata, user_agent_version_type: version, ..Default::default() });
        let identifier = service::stream_access_logs_message::Identifier { node, log_name: String::new() };
        let head = service::StreamAccessLogsMessage { identifier: Some(identifier), log_entries: None }
            .encode_to_vec();
        assert!(validate(&head, &STREAM_ACCESS_LOGS_MESSAGE).is_ok());
        decode_identifier(&head).expect("valid").expect("has an identifier").proxy_version
    };
    let build = |version| {
        let build = core::BuildVersion { version, metadata: None };
        Some(core::node::UserAgentVersionType::UserAgentBuildVersion(build))
    };
    let numbers = |major_number, minor_number, patch| {
        build(Some(SemanticVersion { major_number, minor_number, patch }))
    };
    let words = Some(core::node::UserAgentVersionType::UserAgentVersion("1.9-dev".to_owned()));
    assert_eq!(of("1.27.1", numbers(1, 35, 3)), "1.27.1");
    assert_eq!(of("", numbers(1, 35, 3)), "1.35.3");
    assert_eq!(of("", words), "1.9-dev");
    assert_eq!([of("", build(None)), of("", None)], ["", ""]);
}

#[test]
fn times_and_durations_are_exact_to_the_nanosecond() {
    let common = log::AccessLogCommon {
        time_to_first_upstream_tx_byte: duration(1_000),
        time_to_last_upstream_rx_byte: duration(2_000_000_001),
        ..common()
    };
    let row = row(&message(vec![http(common)]));
    assert_eq!(row.number("time_unix_nano"), Some(START_SECONDS * 1_000_000_000 + 123_456_000));
    assert_eq!(row.number("duration_nano"), Some(15_001_501_621), "whole seconds count");
    assert_eq!(row.number("upstream_duration_nano"), Some(1_999_999_001));
}

#[test]
fn every_flag_of_the_message_has_its_bit() {
    // A ResponseFlags message with one field set: its number in AccessLogCommon is 16.
    for flag in FLAGS.iter().filter(|flag| flag.bit < 28) {
        let number = flag.bit + 1;
        // Field 13 is a message (unauthorized_details.reason = 1), all others are bools.
        let tag = |wire_type: u32| {
            let mut tag = Vec::new();
            prost::encoding::encode_varint(u64::from(number << 3 | wire_type), &mut tag);
            tag
        };
        let bytes = if number == 13 { [tag(2), vec![2, 8, 1]].concat() } else { [tag(0), vec![1]].concat() };
        let flags = log::ResponseFlags::decode(bytes.as_slice()).expect("valid");
        let row = row(&message(vec![http(log::AccessLogCommon { response_flags: Some(flags), ..common() })]));
        assert_eq!(row.number("response_flags"), Some(1 << flag.bit), "{}", flag.short);
        assert_eq!(row.text("response_flags_text").as_deref(), Some(flag.short));
        assert_eq!(row.text("fault_class").as_deref(), Some(flag.class.name()));
    }
}

#[test]
fn a_flag_sent_as_false_is_not_set() {
    assert_eq!(super::super::entry::flags(b"\x08\x00"), Ok(meshlake_schema::ResponseFlags::default()));
}

/// An HTTP/2 call with everything that a request and a response can say.
fn full_entry() -> log::HttpAccessLogEntry {
    let request = log::HttpRequestProperties {
        request_method: core::RequestMethod::Post as i32,
        scheme: "http".into(),
        authority: "reviews:9080".into(),
        path: "/rewritten".into(),
        original_path: "/asked?x=y".into(),
        user_agent: "curl".into(),
        forwarded_for: "1.2.3.4".into(),
        request_id: "id".into(),
        referer: "r".into(),
        request_body_bytes: 10,
        request_headers_bytes: 300,
        request_headers: HashMap::from([
            ("traceparent".into(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            ("x-user".into(), "u".into()),
        ]),
        ..Default::default()
    };
    let response = log::HttpResponseProperties {
        response_code: Some(UInt32Value { value: 200 }),
        response_body_bytes: 20,
        response_headers: HashMap::from([("grpc-status".into(), "2".into())]),
        response_trailers: HashMap::from([("grpc-status".into(), "14".into())]),
        response_code_details: "via_upstream".into(),
        ..Default::default()
    };
    log::HttpAccessLogEntry {
        protocol_version: log::http_access_log_entry::HttpVersion::Http2 as i32,
        request: Some(request),
        response: Some(response),
        ..http(common())
    }
}

#[test]
fn request_and_response_fill_their_columns() {
    let row = row(&message(vec![full_entry()]));
    let texts = [
        ("method", "POST"),
        ("scheme", "http"),
        ("authority", "reviews:9080"),
        ("path", "/asked?x=y"),
        ("user_agent", "curl"),
        ("forwarded_for", "1.2.3.4"),
        ("request_id", "id"),
        ("protocol", "HTTP/2"),
        ("response_code_details", "via_upstream"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("span_id", "00f067aa0ba902b7"),
        ("outcome", "error"),
        ("access_log_type", "DownstreamEnd"),
        ("proxy_id", NODE_ID),
        ("source_format", "envoy_als_http"),
        ("layer", "l7"),
    ];
    for (column, want) in texts {
        assert_eq!(row.text(column).as_deref(), Some(want), "{column}");
    }
    assert_eq!((row.number("request_bytes"), row.number("response_bytes")), (Some(10), Some(20)));
    assert_eq!(
        (row.number("response_code"), row.number("grpc_status")),
        (Some(200), Some(14)),
        "trailer first"
    );
    let attributes = row.attributes();
    let wants = [
        ("rewritten_path", json!("/rewritten")),
        ("referer", json!("r")),
        ("request_header.x-user", json!("u")),
        ("response_header.grpc-status", json!("2")),
        ("response_trailer.grpc-status", json!("14")),
        ("trace_flags", json!("01")),
        ("bytes", json!({"request_headers": 300})),
        ("log_name", json!("als")),
    ];
    for (key, want) in wants {
        assert_eq!(attributes[key], want, "{key}");
    }
    assert_eq!(attributes.get("request_header.traceparent"), None, "it has columns");
}

#[test]
fn a_code_of_zero_is_a_missing_one() {
    for code in [None, Some(UInt32Value { value: 0 })] {
        let response = Some(log::HttpResponseProperties { response_code: code, ..Default::default() });
        let flags = log::ResponseFlags { downstream_connection_termination: true, ..Default::default() };
        let common = log::AccessLogCommon { response_flags: Some(flags), ..common() };
        let row = row(&message(vec![log::HttpAccessLogEntry { response, ..http(common) }]));
        assert_eq!(row.number("response_code"), None);
        assert_eq!(row.text("outcome").as_deref(), Some("aborted"));
    }
}

#[test]
fn retries_are_one_row_with_its_attempts() {
    let common = log::AccessLogCommon { upstream_request_attempt_count: 3, ..common() };
    let row = row(&message(vec![http(common)]));
    assert_eq!((row.number("attempts"), row.flag("counted")), (Some(3), true));
}

#[test]
fn rows_that_start_or_go_on_with_a_call_are_kept_and_not_counted() {
    for number in [1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14] {
        let row = row(&message(vec![http(log::AccessLogCommon { access_log_type: number, ..common() })]));
        assert!(!row.flag("counted"), "{number}");
    }
    #[allow(deprecated)]
    let intermediate = log::AccessLogCommon { intermediate_log_entry: true, access_log_type: 0, ..common() };
    assert!(!row(&message(vec![http(intermediate)])).flag("counted"));
}

#[test]
fn rows_without_or_outside_their_time_are_refused_and_leave_nothing() {
    let at = |seconds: i64| {
        http(log::AccessLogCommon { start_time: Some(Timestamp { seconds, nanos: 0 }), ..common() })
    };
    let entries = vec![
        http(log::AccessLogCommon { start_time: None, ..common() }),
        at(0),
        at(START_SECONDS - 100),
        at(START_SECONDS - 101),
        at(START_SECONDS + 101),
        at(-1),
        at(i64::MAX),
        log::HttpAccessLogEntry::default(),
    ];
    let (tally, batch) = decode(&message(entries));
    assert_eq!((tally.received, tally.accepted), (8, 1));
    assert_eq!(tally.rejected, [(RejectReason::MissingTime, 3), (RejectReason::TimeOutOfRange, 4)]);
    assert_eq!(batch.map(|batch| batch.row_count()), Some(1));
}

#[test]
fn text_that_is_no_utf8_is_replaced_and_counted() {
    let mut bytes =
        message(vec![http(log::AccessLogCommon { route_name: "XX".into(), ..common() })]).encode_to_vec();
    let at = bytes.windows(2).position(|pair| pair == b"XX").expect("the route");
    bytes[at..at + 2].copy_from_slice(b"\xff\xfe");
    let head = service::StreamAccessLogsMessage { identifier: Some(identifier()), log_entries: None };
    let proxy = decode_identifier(&head.encode_to_vec()).expect("valid").expect("has an identifier");
    let mut builder = RequestBuilder::default();
    let tally = decode_entries(&bytes, &proxy, &arrival(), &mut KnownPeers::default(), &mut builder)
        .expect("validated");
    assert_eq!((tally.accepted, tally.warnings.count(Warning::TextReplaced)), (1, 1));
    let row = Row(builder.finish().expect("one row"));
    assert_eq!(row.text("route").as_deref(), Some("\u{fffd}\u{fffd}"));
}
