//! Messages that a real Envoy 1.40 sent, against their JSON twins (tests/data/envoy-als).

use arrow::array::{Array as _, AsArray as _, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use meshlake_schema::{ResponseFlags, TableBatch, UnixNanos};
use serde_json::Value;

use super::*;
use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
use crate::protobuf::validate::validate;

macro_rules! capture {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../../../tests/data/envoy-als/", $name, ".pb")).as_slice(),
            include_str!(concat!("../../../../tests/data/envoy-als/", $name, ".json")),
        )
    };
}

const OUTBOUND: [(&[u8], &str); 3] = [capture!("sidecars-2"), capture!("sidecars-4"), capture!("sidecars-6")];
const INBOUND: [(&[u8], &str); 3] = [capture!("sidecars-1"), capture!("sidecars-3"), capture!("sidecars-5")];
const TCP: (&[u8], &str) = capture!("sidecars-7");
const PLAIN: [(&[u8], &str); 2] = [capture!("plain-1"), capture!("plain-2")];

/// Decodes the messages of one stream; gives the rows and the entries of the JSON twins.
fn decode(stream: &[(&[u8], &str)]) -> (TableBatch, Vec<Value>) {
    let (earliest, latest) = (UnixNanos(0), UnixNanos(i64::MAX));
    let arrival = Arrival { tenant: "default", ingest_time: UnixNanos(0), earliest, latest };
    let mut builder = RequestBuilder::default();
    let mut entries = Vec::new();
    let mut proxy = None;
    for (message, json) in stream {
        assert!(validate(message, &STREAM_ACCESS_LOGS_MESSAGE).is_ok());
        if let Some(identity) = decode_identifier(message).expect("validated") {
            proxy = Some(identity);
        }
        let proxy = proxy.as_ref().expect("the first message of a stream has an identifier");
        let tally = decode_entries(message, proxy, &arrival, &mut KnownPeers::default(), &mut builder)
            .expect("validated");
        let mut json: Value = serde_json::from_str(json).expect("protobuf JSON");
        let logs = if json["httpLogs"].is_null() { "tcpLogs" } else { "httpLogs" };
        let Value::Array(twins) = json[logs]["logEntry"].take() else { panic!("logEntry is a list") };
        assert_eq!((tally.received, tally.accepted), (twins.len() as u64, twins.len() as u64));
        entries.extend(twins);
    }
    (builder.finish().expect("rows"), entries)
}

/// A text column, plain or dictionary, with nulls as empty.
fn texts(batch: &TableBatch, column: &str) -> Vec<String> {
    let array = batch.rows().column_by_name(column).expect(column);
    let text = |strings: &StringArray, row: usize| strings.value(row).to_owned();
    (0..array.len())
        .map(|row| match array.as_dictionary_opt::<Int32Type>() {
            _ if array.is_null(row) => String::new(),
            Some(dictionary) => {
                let key = dictionary.keys().value(row) as usize;
                text(dictionary.values().as_string(), key)
            }
            None => text(array.as_string(), row),
        })
        .collect()
}

fn numbers(batch: &TableBatch, column: &str) -> Vec<Option<i64>> {
    let array = batch.rows().column_by_name(column).expect(column);
    match array.as_primitive_opt::<Int64Type>() {
        Some(numbers) => numbers.iter().collect(),
        None => array.as_primitive::<Int32Type>().iter().map(|number| number.map(i64::from)).collect(),
    }
}

/// `"1.5s"` as nanoseconds.
fn nanos(duration: &Value) -> Option<i64> {
    let (seconds, fraction) = duration.as_str()?.strip_suffix('s')?.split_once('.')?;
    let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
    Some(seconds.parse::<i64>().ok()? * 1_000_000_000 + fraction)
}

fn address(value: &Value) -> String {
    match value.get("socketAddress") {
        Some(socket) => format!("{}:{}", socket["address"].as_str().unwrap_or_default(), socket["portValue"]),
        None => String::new(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// 64-bit numbers are strings in protobuf's JSON; a missing one is 0.
fn count(value: &Value) -> Option<i64> {
    Some(value.as_str().map_or(value.as_i64().unwrap_or_default(), |text| text.parse().unwrap_or(-1)))
}

/// The node's metadata, else its build 1.40.0, whose patch of 0 protobuf leaves out.
#[test]
fn rows_name_the_release_of_their_proxy() {
    for (stream, release) in [(&OUTBOUND[..], "1.27.1"), (&INBOUND[..], "1.27.1"), (&PLAIN[..1], "1.40.0")] {
        let (batch, entries) = decode(stream);
        assert_eq!(texts(&batch, "proxy_version"), vec![release; entries.len()]);
    }
}

#[test]
fn every_field_with_a_column_is_as_in_the_json_twin() {
    for stream in [&OUTBOUND[..], &INBOUND[..], &[TCP], &PLAIN[..1], &PLAIN[1..]] {
        let (batch, entries) = decode(stream);
        let of = |read: &dyn Fn(&Value) -> String| entries.iter().map(read).collect::<Vec<_>>();
        let of_common = |key: &str| of(&|entry| text(&entry["commonProperties"][key]));
        let of_address = |key: &str| of(&|entry| address(&entry["commonProperties"][key]));
        let of_request = |key: &str| of(&|entry| text(&entry["request"][key]));
        assert_eq!(texts(&batch, "upstream_cluster"), of_common("upstreamCluster"));
        assert_eq!(texts(&batch, "route"), of_common("routeName"));
        assert_eq!(texts(&batch, "stream_id"), of_common("streamId"));
        assert_eq!(texts(&batch, "access_log_type"), of_common("accessLogType"));
        let reason = "upstreamTransportFailureReason";
        assert_eq!(texts(&batch, "upstream_transport_failure_reason"), of_common(reason));
        assert_eq!(texts(&batch, "downstream_remote_address"), of_address("downstreamRemoteAddress"));
        assert_eq!(
            texts(&batch, "downstream_direct_remote_address"),
            of_address("downstreamDirectRemoteAddress")
        );
        assert_eq!(texts(&batch, "downstream_local_address"), of_address("downstreamLocalAddress"));
        assert_eq!(texts(&batch, "upstream_local_address"), of_address("upstreamLocalAddress"));
        assert_eq!(texts(&batch, "upstream_host"), of_address("upstreamRemoteAddress"));
        assert_eq!(texts(&batch, "method"), of_request("requestMethod"));
        assert_eq!(texts(&batch, "scheme"), of_request("scheme"));
        assert_eq!(texts(&batch, "authority"), of_request("authority"));
        assert_eq!(texts(&batch, "user_agent"), of_request("userAgent"));
        assert_eq!(texts(&batch, "request_id"), of_request("requestId"));
        assert_eq!(texts(&batch, "forwarded_for"), of_request("forwardedFor"));
        let path = of(&|entry| {
            let request = &entry["request"];
            text(request.get("originalPath").unwrap_or(&request["path"]))
        });
        assert_eq!(texts(&batch, "path"), path);
        let details = of(&|entry| text(&entry["response"]["responseCodeDetails"]));
        assert_eq!(texts(&batch, "response_code_details"), details);
        let server_name = of(&|entry| text(&entry["commonProperties"]["tlsProperties"]["tlsSniHostname"]));
        assert_eq!(texts(&batch, "requested_server_name"), server_name);
        let traceparents = of(&|entry| text(&entry["request"]["requestHeaders"]["traceparent"]));
        let part = |index: usize| {
            traceparents
                .iter()
                .map(|header| header.split('-').nth(index).unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&batch, "trace_id"), part(1));
        assert_eq!(texts(&batch, "span_id"), part(2));

        let of_numbers = |read: &dyn Fn(&Value) -> Option<i64>| entries.iter().map(read).collect::<Vec<_>>();
        let duration = of_numbers(&|entry| nanos(&entry["commonProperties"]["duration"]));
        assert_eq!(numbers(&batch, "duration_nano"), duration);
        let code = of_numbers(&|entry| entry["response"]["responseCode"].as_i64());
        assert_eq!(numbers(&batch, "response_code"), code);
        let attempts = of_numbers(&|entry| count(&entry["commonProperties"]["upstreamRequestAttemptCount"]));
        assert_eq!(numbers(&batch, "attempts"), attempts);
        let received = of_numbers(&|entry| match entry.get("connectionProperties") {
            Some(connection) => count(&connection["receivedBytes"]),
            None => count(&entry["request"]["requestBodyBytes"]),
        });
        assert_eq!(numbers(&batch, "request_bytes"), received);
        let sent = of_numbers(&|entry| match entry.get("connectionProperties") {
            Some(connection) => count(&connection["sentBytes"]),
            None => count(&entry["response"]["responseBodyBytes"]),
        });
        assert_eq!(numbers(&batch, "response_bytes"), sent);
        let upstream = of_numbers(&|entry| {
            let common = &entry["commonProperties"];
            Some(nanos(&common["timeToLastUpstreamRxByte"])? - nanos(&common["timeToFirstUpstreamTxByte"])?)
        });
        assert_eq!(numbers(&batch, "upstream_duration_nano"), upstream);
    }
}

#[test]
fn the_outbound_side_sees_productpage_call_reviews() {
    let (batch, entries) = decode(&OUTBOUND);
    let sources = texts(&batch, "source_service");
    assert!(sources.iter().all(|source| source == "productpage"), "{sources:?}");
    assert!(texts(&batch, "observer").iter().all(|observer| observer == "client"));
    assert!(texts(&batch, "source_version").iter().all(|version| version == "v1"));
    assert!(texts(&batch, "source_instance").iter().all(|pod| pod == "productpage-v1-6b746f74dc-9rlmh"));
    for (row, entry) in entries.iter().enumerate() {
        let (service, version, by) = match entry["commonProperties"]["upstreamCluster"].as_str() {
            Some(cluster) if cluster.contains("|reviews.") => ("reviews", "v1", "cluster_name"),
            Some(cluster) if cluster.contains("|dead.") => ("dead", "", "cluster_name"),
            // Refused or answered by the proxy itself; the authority was an address and names nobody.
            _ => ("", "", ""),
        };
        assert_eq!(texts(&batch, "destination_service")[row], service, "{entry}");
        assert_eq!(texts(&batch, "destination_version")[row], version, "{entry}");
        assert_eq!(texts(&batch, "identity_source")[row], by, "{entry}");
    }
}

#[test]
fn the_inbound_side_sees_reviews_called_by_productpages_pod() {
    let (batch, _) = decode(&INBOUND);
    let all = |column: &str, want: &str| {
        let found = texts(&batch, column);
        assert!(found.iter().all(|text| text == want), "{column}: {found:?}");
    };
    all("observer", "server");
    all("destination_service", "reviews");
    all("destination_namespace", "default");
    all("destination_version", "v1");
    all("destination_workload", "reviews-v1");
    all("destination_principal", "spiffe://cluster.local/ns/default/sa/bookinfo-reviews");
    // The peer's node id names the pod `productpage-v1`.
    all("source_instance", "productpage-v1");
    all("source_namespace", "default");
    all("source_principal", "spiffe://cluster.local/ns/default/sa/bookinfo-productpage");
    all("identity_source", "node_id");
    all("tls_version", "TLSv1.2");
}

/// Rows by path, as (flags, class, outcome, attempts), from what the test scenario provoked.
#[test]
fn faults_are_told_apart() {
    let (batch, _) = decode(&OUTBOUND);
    let paths = texts(&batch, "path");
    let cases = [
        ("/svc/ok", "", "", "ok", 1),
        ("/svc/err", "", "", "error", 1),
        ("/unavail", "URX", "retries_exhausted", "error", 3),
        ("/dead", "UF", "upstream_connect", "error", 1),
        ("/nohealthy", "UH", "upstream_unavailable", "error", 1),
        ("/slow", "UT", "timeout", "error", 1),
        ("/direct", "", "", "client_error", 0),
        ("/redirect", "", "", "ok", 0),
        ("/abort", "FI", "fault_injection", "error", 0),
        ("/delay", "DI", "fault_injection", "ok", 1),
        ("/nomatch", "NR", "no_route", "error", 0),
        ("", "DPE", "client_error", "client_error", 0),
    ];
    for (path, flags, class, outcome, attempts) in cases {
        let row = paths.iter().position(|found| found == path).expect(path);
        assert_eq!(texts(&batch, "response_flags_text")[row], flags, "{path}");
        assert_eq!(texts(&batch, "fault_class")[row], class, "{path}");
        assert_eq!(texts(&batch, "outcome")[row], outcome, "{path}");
        assert_eq!(numbers(&batch, "attempts")[row], Some(attempts), "{path}");
        let bits = ResponseFlags::from_short_names(flags).0 as i64;
        assert_eq!(numbers(&batch, "response_flags")[row], Some(bits), "{path}");
    }
    let limited: Vec<_> = (0..paths.len()).filter(|row| paths[*row] == "/limited").collect();
    let outcomes: Vec<_> = limited.iter().map(|row| texts(&batch, "outcome")[*row].clone()).collect();
    assert_eq!(outcomes, ["ok", "client_error"], "the second request was over the limit");
}

#[test]
fn a_client_that_went_away_is_an_abort_without_code() {
    let (batch, _) = decode(&INBOUND);
    let codes = numbers(&batch, "response_code");
    let outcomes = texts(&batch, "outcome");
    let aborted: Vec<_> = (0..codes.len()).filter(|row| codes[*row].is_none()).collect();
    assert_eq!(aborted.len(), 3, "/slow twice and /svc/close");
    assert!(aborted.iter().all(|row| outcomes[*row] == "aborted"));
    // The first two of three attempts were cut off by the retrying caller although a 503 had been sent.
    let retried: Vec<_> = texts(&batch, "path")
        .iter()
        .enumerate()
        .filter(|(_, path)| *path == "/unavail")
        .map(|(row, _)| outcomes[row].clone())
        .collect();
    assert_eq!(retried, ["aborted", "aborted", "error"]);
}

#[test]
fn tcp_connections_are_l4_rows() {
    let (batch, _) = decode(&[TCP]);
    let row = |column: &str| texts(&batch, column).remove(0);
    assert_eq!((row("layer"), row("protocol")), ("l4".into(), "TCP".into()));
    assert_eq!(
        (row("destination_service"), row("destination_namespace")),
        ("redis".into(), "default".into())
    );
    assert_eq!((row("source_format"), row("outcome")), ("envoy_als_tcp".into(), "ok".into()));
    assert_eq!(
        (numbers(&batch, "request_bytes")[0], numbers(&batch, "response_bytes")[0]),
        (Some(86), Some(245))
    );
}

#[test]
fn a_plain_envoy_is_named_by_its_node_and_its_clusters() {
    let (front, _) = decode(&PLAIN[..1]);
    assert!(texts(&front, "source_service").iter().all(|service| service == "front-proxy"));
    assert!(texts(&front, "destination_service").iter().all(|service| service == "backend"));
    assert!(texts(&front, "observer").iter().all(|observer| observer == "client"));
    let (back, _) = decode(&PLAIN[1..]);
    assert!(texts(&back, "destination_service").iter().all(|service| service == "local_app"));
    assert!(texts(&back, "observer").iter().all(|observer| observer == "gateway"));
}

#[test]
fn nothing_of_the_extensions_is_kept() {
    let (message, _) = OUTBOUND[0];
    let proxy = decode_identifier(message).expect("validated").expect("the first message");
    let kept = format!("{proxy:?}");
    assert!(kept.len() < 1_000, "{} bytes of a head of {}", kept.len(), message.len());
    assert_eq!(proxy.attributes[0], ("log_name", "http_envoy_accesslog".to_owned()));
    assert_eq!(proxy.attributes[1], ("cloud.region", "us-west1".to_owned()));
    let (later, _) = OUTBOUND[1];
    assert_eq!(decode_identifier(later), Ok(None));
}

#[test]
fn truncation_at_every_offset_is_refused_or_whole() {
    let (message, _) = INBOUND[1];
    let (first, _) = INBOUND[0];
    let proxy = decode_identifier(first).expect("validated").expect("the first message");
    let arrival = Arrival {
        tenant: "t",
        ingest_time: UnixNanos(0),
        earliest: UnixNanos(0),
        latest: UnixNanos(i64::MAX),
    };
    let mut builder = RequestBuilder::default();
    for end in 0..message.len() {
        let valid = validate(&message[..end], &STREAM_ACCESS_LOGS_MESSAGE).is_ok();
        assert_eq!(valid, end == 0, "cut at {end}");
        // Decoders are only called after validation; without it they fail, and must not panic.
        let decoded =
            decode_entries(&message[..end], &proxy, &arrival, &mut KnownPeers::default(), &mut builder);
        assert_eq!(decoded.is_ok(), valid, "cut at {end}");
    }
}
