//! One Envoy's log service, OTLP log and file log of the same calls: the same rows.
//!
//! What a way does not have at all is named in each test; everything else is compared, column by column.

use serde_json::{Value, json};

use super::envoy_als::{self, KnownPeers};
use super::otlp::logs::{LogBuilder, decode_logs};
use crate::access_log::LineFormat;
use crate::access_log::origin::LineOrigin;
use crate::access_log::rows::decode_lines;
use crate::access_log::rows::testing::rows;
use crate::request_rows::RequestBuilder;
use crate::tally::{Arrival, Tally, Warning};
use meshlake_schema::UnixNanos;

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/", $name)).as_slice()
    };
}

const PRODUCTPAGE_ALS: [&[u8]; 3] =
    [data!("envoy-als/sidecars-2.pb"), data!("envoy-als/sidecars-4.pb"), data!("envoy-als/sidecars-6.pb")];
const REVIEWS_ALS: [&[u8]; 3] =
    [data!("envoy-als/sidecars-1.pb"), data!("envoy-als/sidecars-3.pb"), data!("envoy-als/sidecars-5.pb")];
const PRODUCTPAGE_OTLP: [&[u8]; 3] = [
    data!("otlp-envoy/logs-text-2.pb"),
    data!("otlp-envoy/logs-text-4.pb"),
    data!("otlp-envoy/logs-text-6.pb"),
];
const REVIEWS_OTLP: [&[u8]; 3] = [
    data!("otlp-envoy/logs-text.pb"),
    data!("otlp-envoy/logs-text-3.pb"),
    data!("otlp-envoy/logs-text-5.pb"),
];

fn arrival() -> Arrival<'static> {
    let latest = UnixNanos(i64::MAX);
    Arrival { tenant: "default", ingest_time: UnixNanos(0), earliest: UnixNanos(0), latest }
}

fn of_als(stream: &[&[u8]]) -> Vec<Value> {
    let mut builder = RequestBuilder::default();
    let mut proxy = None;
    for message in stream {
        proxy = envoy_als::decode_identifier(message).expect("validated").or(proxy);
        let proxy = proxy.as_ref().expect("the first message has an identifier");
        envoy_als::decode_entries(message, proxy, &arrival(), &mut KnownPeers::default(), &mut builder)
            .expect("validated");
    }
    rows(&mut builder)
}

/// The rows of `requests` of OTLP exports, and how many rows of `logs` there were beside them.
fn of_otlp(exports: &[&[u8]], lines: Option<&LineOrigin>) -> (Vec<Value>, usize, Tally) {
    let (mut logs, mut requests) = (LogBuilder::default(), RequestBuilder::default());
    let mut tally = Tally::default();
    for export in exports {
        let one = decode_logs(export, lines, &arrival(), &mut logs, &mut requests).expect("validated");
        tally.merge(&one);
    }
    (rows(&mut requests), logs.rows(), tally)
}

/// The columns in which two rows differ, apart from those that are named.
fn differences(one: &Value, other: &Value, apart_from: &[&str]) -> Vec<String> {
    let (one, other) = (one.as_object().expect("a row"), other.as_object().expect("a row"));
    let columns = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
    let differ = columns.filter(|key| one.get(*key) != other.get(*key));
    let named = |key: &&String| !apart_from.contains(&key.as_str());
    differ.filter(named).map(|key| format!("{key}: {:?} and {:?}", one.get(key), other.get(key))).collect()
}

/// What only Envoy's log service says: more precisely, or at all.
const ALS_ALONE: [&str; 18] = [
    "source_format",
    "access_log_type",
    "scheme",
    "stream_id",
    "attempts",
    "downstream_direct_remote_address",
    "tls_version",
    "attributes",
    "attribute_types",
    // From the first byte sent to the last received; the others have the response's header, which says when it began.
    "upstream_duration_nano",
    // Whole milliseconds in the others.
    "duration_nano",
    // Written with underscores for its spaces.
    "upstream_transport_failure_reason",
    // Empty where no upstream was chosen; the text's operator knows better.
    "upstream_cluster",
    // From the metadata of the node, and its build.
    "proxy_version",
    "source_version",
    "source_cluster",
    "destination_version",
    "destination_cluster",
];

/// From the metadata of the caller, the certificates of both, and the address of the connection.
const ALS_ALONE_OF_THE_CALLER: [&str; 6] = [
    "source_service",
    "source_workload",
    "source_instance",
    "source_address",
    "destination_principal",
    "identity_source",
];

/// The row of `rows` for the same call: begun at the same microsecond, with the same id.
fn same_call<'a>(rows: &'a [Value], row: &Value) -> Option<&'a Value> {
    let is_same = |other: &&Value| {
        ["time_unix_nano", "request_id", "observer"].iter().all(|key| other[key] == row[key])
    };
    rows.iter().find(is_same)
}

#[test]
fn the_otlp_logger_and_the_log_service_of_one_envoy_are_the_same_rows() {
    for (als, otlp) in [(PRODUCTPAGE_ALS, PRODUCTPAGE_OTLP), (REVIEWS_ALS, REVIEWS_OTLP)] {
        let als = of_als(&als);
        let (otlp, logs, tally) = of_otlp(&otlp, None);
        assert_eq!((logs, tally.unread.as_slice()), (0, [].as_slice()));
        let http: Vec<_> = otlp.iter().filter(|row| row["layer"] == "l7").collect();
        assert_eq!(http.len(), als.len());
        for row in http {
            let same = same_call(&als, row).unwrap_or_else(|| panic!("no entry for {row:#}"));
            // Of what never went upstream the log service has neither cluster nor trace, and so cannot name the callee.
            let unsent =
                ["destination_service", "destination_namespace", "identity_source", "trace_id", "span_id"];
            let apart_from = match (row["observer"] == "server", same["upstream_cluster"].is_null()) {
                (true, _) => [&ALS_ALONE[..], &ALS_ALONE_OF_THE_CALLER].concat(),
                (false, true) => [&ALS_ALONE[..], &unsent].concat(),
                (false, false) => ALS_ALONE.to_vec(),
            };
            assert_eq!(differences(row, same, &apart_from), [] as [String; 0], "{}", row["path"]);
        }
    }
}

/// Times to the millisecond and no ids of spans are all that the file has less than the OTLP log with the same text.
#[test]
fn the_file_log_and_the_otlp_logger_of_one_envoy_are_the_same_rows() {
    let cases = [
        (
            [
                data!("access-logs/access-productpage-istio-text.log"),
                data!("access-logs/access-productpage-tcp-istio-text.log"),
            ],
            PRODUCTPAGE_OTLP,
            "productpage",
        ),
        ([data!("access-logs/access-reviews-istio-text.log"), b""], REVIEWS_OTLP, "reviews"),
    ];
    for (files, otlp, service) in cases {
        let origin = LineOrigin {
            format: LineFormat::named("istio_text"),
            service: service.into(),
            namespace: "default".into(),
            instance: otlp_instance(service).into(),
            ..LineOrigin::default()
        };
        let mut builder = RequestBuilder::default();
        for file in files {
            decode_lines(file, &origin, &arrival(), &mut builder);
        }
        let file = rows(&mut builder);
        let (otlp, _, _) = of_otlp(&otlp, None);
        assert_eq!(file.len(), otlp.len());
        let apart_from = [
            "source_format",
            "time_unix_nano",
            "trace_id",
            "span_id",
            "attributes",
            "attribute_types",
            "proxy_id",
            // The node id has the address of the pod.
            "source_address",
            "destination_address",
            // An attribute has the certificate.
            "identity_source",
            "source_namespace",
            "source_service",
            "source_principal",
        ];
        for (file, otlp) in file.iter().zip(&otlp) {
            let micros = |row: &Value| row["time_unix_nano"].as_i64().expect("a time") / 1_000_000;
            assert_eq!(micros(file), micros(otlp), "{file:#}");
            assert_eq!(differences(file, otlp, &apart_from), [] as [String; 0], "{}", file["path"]);
        }
    }
}

fn otlp_instance(service: &str) -> &'static str {
    match service {
        "reviews" => "reviews-v1-545db77b95-2xq9k",
        _ => "productpage-v1-6b746f74dc-9rlmh",
    }
}

#[test]
fn fields_in_the_body_and_attributes_are_facts() {
    let exports = [data!("otlp-envoy/logs-structured.pb"), data!("otlp-envoy/logs-structured-2.pb")];
    let (rows, logs, tally) = of_otlp(&exports, None);
    assert_eq!((rows.len(), logs, tally.unread.as_slice()), (10, 0, [].as_slice()));
    // Values as in logs-structured.json beside the capture.
    let want = json!({
        "time_unix_nano": 1_795_417_430_639_643_000_i64, "method": "GET", "path": "/svc/ok", "response_code": 200,
        "route": "default", "protocol": "HTTP/1.1", "response_bytes": 319, "duration_nano": 1_000_000, "layer": "l7",
        "upstream_duration_nano": 1_000_000, "user_agent": "curl/7.88.1", "upstream_cluster": "local_app",
        "request_id": "d78ddfd4-8a8e-9203-9ae4-e11e2683af23", "upstream_host": "127.0.0.1:18080", "attempts": 1,
        "trace_id": "f3fd612e9c4e5e7d6fc959e435b493a3", "span_id": "ab8f96ea67bddbe8",
        "source_service": "front-proxy", "destination_service": "local_app", "observer": "gateway",
        "source_format": "envoy_otlp", "proxy_id": "front-proxy-0", "counted": true,
        "attributes": {"list": ["HTTP/1.1", "-"], "mesh_id": "cluster.local", "log_name": "backend_otel"},
    });
    for (column, want) in want.as_object().expect("columns") {
        assert_eq!(&rows[0][column], want, "{column} of {:#}", rows[0]);
    }
}

#[test]
fn a_record_that_says_nothing_of_a_call_is_kept_and_not_counted() {
    let (rows, logs, tally) = of_otlp(&[data!("otlp-envoy/logs-bare.pb")], None);
    assert_eq!((rows.len(), logs, tally.accepted), (10, 0, 10));
    assert_eq!(tally.unread, [("line", 10)]);
    assert_eq!(tally.warnings.count(Warning::LineUnread), 10);
    assert!(rows.iter().all(|row| row["counted"] == false && row["attributes"]["unread_field"] == "line"));
}

mod others {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message as _;

    use super::*;

    const LINE: &str = r#"[2020-11-25T21:26:18.409Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 4 3 "-" "curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "10.44.1.27:80" outbound|8000||httpbin.foo.svc.cluster.local 10.44.1.23:37652 10.0.45.184:8000 10.44.1.23:46520 - default"#;
    const NGINX: &str =
        r#"10.0.0.9 - - [23/Nov/2026:07:07:07 +0000] "GET /svc/ok HTTP/1.1" 200 289 "-" "curl/8""#;

    fn text(text: &str) -> Option<AnyValue> {
        Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) })
    }

    fn export(resource: &[(&str, &str)], records: Vec<LogRecord>) -> Vec<u8> {
        let attributes = resource.iter().map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: text(value),
            ..KeyValue::default()
        });
        let resource = Some(Resource { attributes: attributes.collect(), ..Resource::default() });
        let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
        ExportLogsServiceRequest { resource_logs }.encode_to_vec()
    }

    fn record(body: &str, observed_time_unix_nano: u64) -> LogRecord {
        LogRecord { time_unix_nano: 7, observed_time_unix_nano, body: text(body), ..LogRecord::default() }
    }

    /// What Istio's default provider sends: no resource, the default format with its line feed, no attributes.
    #[test]
    fn istios_default_is_known_by_its_lines() {
        let line = format!("{LINE}\n");
        let (rows, logs, _) = of_otlp(&[&export(&[], vec![record(&line, 0)])], None);
        assert_eq!((rows.len(), logs), (1, 0));
        assert_eq!(
            (&rows[0]["destination_service"], &rows[0]["observer"]),
            (&json!("httpbin"), &json!("client"))
        );
        assert_eq!(rows[0]["time_unix_nano"], 7, "the record's own time");
        for other in
            [record(&line, 5), record("it broke", 0), LogRecord { severity_number: 9, ..record(&line, 0) }]
        {
            let (rows, logs, _) = of_otlp(&[&export(&[], vec![other])], None);
            assert_eq!((rows.len(), logs), (0, 1));
        }
        let named = export(&[("service.name", "shop")], vec![record(&line, 0)]);
        assert_eq!(of_otlp(&[&named], None).1, 1, "an application may print such a line");
    }

    #[test]
    fn lines_that_others_pass_on_are_requests_where_asked_for() {
        let resource = [
            ("k8s.pod.name", "nginx-6b746f74dc-9rlmh"),
            ("k8s.namespace.name", "web"),
            ("host.arch", "arm64"),
        ];
        let export = export(&resource, vec![record(NGINX, 9), record("worker process 7 exited", 9)]);
        let (rows, logs, _) = of_otlp(&[&export], None);
        assert_eq!((rows.len(), logs), (0, 2), "nobody asked");
        let (rows, logs, tally) = of_otlp(&[&export], Some(&LineOrigin::default()));
        assert_eq!((rows.len(), logs, tally.accepted), (1, 1, 2));
        let row = &rows[0];
        assert_eq!(
            (&row["source_instance"], &row["source_namespace"]),
            (&json!(resource[0].1), &json!("web"))
        );
        assert_eq!((&row["source_format"], &row["response_code"]), (&json!("nginx_combined"), &json!(200)));
        assert_eq!(row["time_unix_nano"], 1_795_417_627_000_000_000_i64, "the line's own time");
        assert_eq!(row["attributes"]["host.arch"], "arm64");
    }
}
