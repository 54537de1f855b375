//! Lines that real proxies wrote (tests/data/access-logs), line for line; formats that were not run are in `examples`.

use meshlake_schema::UnixNanos;
use serde_json::{Value, json};

use super::testing::rows;
use super::*;
use crate::access_log::Language;

macro_rules! capture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../tests/data/access-logs/", $name)).as_slice()
    };
}

mod bad_input;
mod examples;
mod pasted;

fn arrival() -> Arrival<'static> {
    let latest = UnixNanos(i64::MAX);
    Arrival { tenant: "default", ingest_time: UnixNanos(7_000), earliest: UnixNanos(0), latest }
}

fn origin(format: &str) -> LineOrigin {
    LineOrigin { format: LineFormat::named(format), ..LineOrigin::default() }
}

/// Rows as JSON, by the names of their columns; nulls are left out.
fn rows_of(lines: &[u8], origin: &LineOrigin) -> (Vec<Value>, Tally) {
    let mut builder = RequestBuilder::default();
    let tally = decode_lines(lines, origin, &arrival(), &mut builder);
    (rows(&mut builder), tally)
}

/// The columns that are named in `want`, of one row.
fn check(row: &Value, want: &Value) {
    for (column, want) in want.as_object().expect("columns") {
        assert_eq!(&row[column], want, "{column} of {row:#}");
    }
}

fn one(line: &str, format: &str) -> Value {
    let (mut rows, tally) = rows_of(line.as_bytes(), &origin(format));
    assert_eq!((tally.received, tally.unread.as_slice()), (1, [].as_slice()), "{line}");
    rows.remove(0)
}

#[test]
fn istios_text_fills_every_column_that_it_has_a_field_for() {
    // The example of Istio's access log task, and what its documentation says of each field.
    let line = r#"[2020-11-25T21:26:18.409Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 4 3 "10.9.8.7" "curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "10.44.1.27:80" outbound|8000||httpbin.foo.svc.cluster.local 10.44.1.23:37652 10.0.45.184:8000 10.44.1.23:46520 - default"#;
    let row = one(line, "istio_text");
    // date -u -d 2020-11-25T21:26:18Z +%s is 1606339578.
    check(
        &row,
        &json!({
            "time_unix_nano": 1_606_339_578_409_000_000_i64, "duration_nano": 4_000_000, "observer": "client",
            "layer": "l7", "counted": true, "protocol": "HTTP/1.1", "method": "GET", "path": "/status/418",
            "authority": "httpbin:8000", "route": "default", "response_code": 418, "response_flags": 0,
            "response_code_details": "via_upstream", "outcome": "client_error", "request_bytes": 0,
            "response_bytes": 135, "attempts": 1, "source_address": "10.44.1.23",
            "destination_service": "httpbin", "destination_namespace": "foo", "destination_address": "10.44.1.27",
            "downstream_remote_address": "10.44.1.23:46520", "downstream_local_address": "10.0.45.184:8000",
            "upstream_local_address": "10.44.1.23:37652", "upstream_host": "10.44.1.27:80",
            "upstream_cluster": "outbound|8000||httpbin.foo.svc.cluster.local",
            "upstream_duration_nano": 3_000_000, "forwarded_for": "10.9.8.7", "user_agent": "curl/7.73.0-DEV",
            "request_id": "84961386-6d84-929d-98bd-c5aee93b5c88", "source_format": "istio_text",
            "identity_source": "cluster_name", "attributes": {}, "raw": null, "requested_server_name": null,
        }),
    );
}

#[test]
fn a_line_that_cannot_be_read_is_kept_whole_and_not_counted() {
    let lines =
        b"[2020-11-25T21:26:18.409Z] \"GET / HTTP/1.1\" 2x0 - via_upstream - \"-\" 0 135 4 3\nwhat is this\n";
    let (rows, tally) = rows_of(lines, &origin("istio_text"));
    assert_eq!((tally.received, tally.accepted, tally.rejected_count()), (2, 2, 0));
    assert_eq!(tally.unread, [("response_code", 1), (LINE, 1)]);
    assert_eq!(tally.warnings.count(Warning::LineUnread), 2);
    check(
        &rows[0],
        &json!({"counted": false, "source_format": "istio_text", "attributes": {"unread_field": "response_code"},
                "time_unix_nano": 1_606_339_578_409_000_000_i64, "response_code": null,
                "raw": "[2020-11-25T21:26:18.409Z] \"GET / HTTP/1.1\" 2x0 - via_upstream - \"-\" 0 135 4 3"}),
    );
    check(&rows[1], &json!({"raw": "what is this", "time_unix_nano": 7_000, "counted": false}));
}

#[test]
fn haproxys_default_formats_are_read_as_its_manual_explains_them() {
    // The example of 8.2.3 and its explanation: 10 ms for the request, 0 in queues, 30 to connect, 69 for the response,
    // 109 in all, so that the server was busy for 109 - 40 = 69.
    let line = r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#;
    // date -u -d 2009-02-06T12:14:14Z +%s is 1233922454.
    check(
        &one(line, "haproxy_http"),
        &json!({
            "time_unix_nano": 1_233_922_454_655_000_000_i64, "duration_nano": 109_000_000,
            "upstream_duration_nano": 69_000_000, "observer": "gateway", "method": "GET", "path": "/index.html",
            "protocol": "HTTP/1.1", "response_code": 200, "response_bytes": 2750, "attempts": 1, "outcome": "ok",
            "downstream_remote_address": "10.0.1.2:33317", "upstream_cluster": "static",
            "source_service": "haproxy", "destination_service": "static", "fault_class": null,
        }),
    );
}

/// What the client of the capture saw, in the order in which it asked.
#[test]
fn a_real_haproxy_tells_faults_apart() {
    let lines = String::from_utf8_lossy(capture!("haproxy-syslog.txt"));
    let message = |line: &str| Some(line.strip_prefix("UDP <134>")?.split_once("]: ")?.1.to_owned());
    let http: Vec<_> = lines.lines().filter_map(message).filter(|line| line.contains(" fe_http ")).collect();
    let (rows, tally) = rows_of(http.join("\n").as_bytes(), &origin("haproxy_http"));
    assert_eq!((tally.received, tally.unread.as_slice()), (9, [].as_slice()));
    let cases = [
        ("/svc/ok", 200, "ok", Value::Null, 1, "bk_app"),
        ("/svc/a?b=%22c%22", 200, "ok", Value::Null, 1, "bk_app"),
        ("/svc/err", 500, "error", Value::Null, 1, "bk_app"),
        // Refused connections, tried again once (`retries 1`).
        ("/dead/x", 503, "error", "upstream_connect".into(), 2, "bk_dead"),
        ("/deny", 403, "client_error", "authz_denied".into(), 0, ""),
        ("/none", 503, "error", "upstream_unavailable".into(), 0, "bk_none"),
        ("/ret", 200, "ok", Value::Null, 1, "bk_app"),
        ("/slow", 504, "error", "timeout".into(), 1, "bk_app"),
        ("", 400, "client_error", "client_error".into(), 0, ""),
    ];
    for (row, (path, code, outcome, class, attempts, backend)) in rows.iter().zip(cases) {
        let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        check(
            row,
            &json!({"path": text(path), "response_code": code, "outcome": outcome, "fault_class": class,
                    "attempts": attempts, "upstream_cluster": text(backend)}),
        );
    }
    assert_eq!(rows[0]["attributes"]["captured_request_headers"], r#"scout "q" \ é"#);
    assert_eq!(rows[8]["attributes"]["request_line"], "<BADREQ>");
}

/// Every line of every capture is read, by its own format and by whichever recognises it.
#[test]
fn captures_are_read_to_the_last_line() {
    let cases = [
        ("istio_text", capture!("access-productpage-istio-text.log")),
        ("istio_text", capture!("access-reviews-istio-text.log")),
        ("istio_text", capture!("access-productpage-tcp-istio-text.log")),
        ("istio_json", capture!("access-productpage-istio-json.log")),
        ("istio_json", capture!("access-reviews-istio-json.log")),
        ("envoy_default", capture!("access-productpage-envoy-default.log")),
        ("envoy_default", capture!("access-reviews-envoy-default.log")),
        ("nginx_combined", capture!("nginx-combined.log")),
        ("nginx_json", capture!("nginx-json.log")),
        ("ingress_nginx", capture!("nginx-k8s-ingress.log")),
        ("apache_combined", capture!("apache-combined.log")),
        ("apache_vhost_combined", capture!("apache-vhost_combined.log")),
    ];
    for (format, capture) in cases {
        let (named, tally) = rows_of(capture, &origin(format));
        assert_eq!(tally.unread, [], "{format}");
        assert_eq!(tally.accepted, lines(capture).count() as u64, "{format}");
        let first: Vec<_> = lines(capture).collect();
        assert_eq!(LineFormat::detect(&first).map(|format| format.name()), Some(format));
        let (recognised, _) = rows_of(capture, &LineOrigin::default());
        for (named, recognised) in named.iter().zip(&recognised) {
            assert_eq!(named, recognised);
        }
    }
}

#[test]
fn text_and_json_of_one_envoy_are_the_same_rows() {
    let cases = [
        (capture!("access-productpage-istio-text.log"), capture!("access-productpage-istio-json.log")),
        (capture!("access-reviews-istio-text.log"), capture!("access-reviews-istio-json.log")),
    ];
    for (text, json) in cases {
        let (text, _) = rows_of(text, &origin("istio_text"));
        let (json, _) = rows_of(json, &origin("istio_json"));
        assert_eq!(text.len(), json.len());
        for (mut text, json) in text.into_iter().zip(json) {
            text["source_format"] = "istio_json".into();
            assert_eq!(text, json);
        }
    }
}

/// nginx's own format with retries: both dead servers are tried, one after the other.
#[test]
fn nginxs_lists_are_attempts_and_say_why_they_failed() {
    let format = r#"log_format upstream '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
        '"$http_referer" "$http_user_agent" rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" '
        'urt="$upstream_response_time" us="$upstream_status" ua="$upstream_addr" rid=$request_id';"#;
    let format = LineFormat::compile(Language::Nginx, format).expect("a format");
    let (rows, tally) = rows_of(
        capture!("nginx-upstream.log"),
        &LineOrigin { format: Some(format), ..LineOrigin::default() },
    );
    assert_eq!(tally.unread, []);
    let cases = [
        (0, 200, 1, Value::Null, "127.0.0.1:18080"),
        (3, 502, 2, "upstream_connect".into(), "127.0.0.1:2"),
        (7, 504, 1, "timeout".into(), "127.0.0.1:18080"),
    ];
    for (row, code, attempts, class, host) in cases {
        check(
            &rows[row],
            &json!({"response_code": code, "attempts": attempts, "fault_class": class, "upstream_host": host}),
        );
    }
    assert_eq!(rows[0]["user_agent"], "scout \"q\" \\ é");
    assert_eq!(rows[6]["attempts"], 0, "nginx answered by itself");
    assert_eq!(rows[8]["attributes"]["request_line"], "BAD \u{16}\u{3} ");
    // Line 8: written at 07:07:09 after 1.002 s; date -u -d 2026-11-23T07:07:09Z +%s is 1795417629.
    check(
        &rows[7],
        &json!({"time_unix_nano": 1_795_417_629_000_000_000_i64 - 1_002_000_000, "duration_nano": 1_002_000_000,
                "upstream_duration_nano": 1_001_000_000}),
    );
}

/// The other formats of the captured HAProxy: connections, CLF, and two kinds of JSON.
#[test]
fn a_real_haproxys_other_formats_are_recognised() {
    let lines = String::from_utf8_lossy(capture!("haproxy-syslog.txt"));
    let message = |line: &str| Some(line.strip_prefix("UDP <134>")?.split_once("]: ")?.1.to_owned());
    let messages: Vec<_> = lines.lines().filter_map(message).collect();
    let read = |part: &str, format: &str, count: usize| {
        let some: Vec<_> = messages.iter().filter(|line| line.contains(part)).map(String::as_str).collect();
        let (rows, tally) = rows_of(some.join("\n").as_bytes(), &LineOrigin::default());
        assert_eq!((rows.len(), tally.unread.as_slice()), (count, [].as_slice()), "{part}");
        assert!(rows.iter().all(|row| row["source_format"] == format), "{part}");
        rows
    };
    let tcp = read(" fe_tcp ", "haproxy_tcp", 1);
    check(
        &tcp[0],
        &json!({"layer": "l4", "protocol": "TCP", "duration_nano": 6_000_000, "response_bytes": 240, "outcome": "ok",
                "destination_service": "bk_tcp", "attempts": 1}),
    );
    let clf = read("\"fe_clf\"", "haproxy_clf", 8);
    // 07:07:11.870, 3 ms; date -u -d 2026-11-23T07:07:11Z +%s is 1795417631.
    check(
        &clf[0],
        &json!({"time_unix_nano": 1_795_417_631_870_000_000_i64, "duration_nano": 3_000_000, "response_code": 200,
                "downstream_remote_address": "127.0.0.1:39886", "upstream_cluster": "bk_app"}),
    );
    check(&clf[7], &json!({"fault_class": "timeout", "response_code": 504, "path": "/slow"}));
    let json = read("\"fe_json\"", "haproxy_json", 8);
    check(
        &json[7],
        &json!({"fault_class": "timeout", "response_code": 504, "duration_nano": 1_001_000_000_i64}),
    );

    let encoded = String::from_utf8_lossy(capture!("haproxy-3.2-json-syslog.txt"));
    let encoded: Vec<_> = encoded.lines().filter_map(|line| line.split_once(" - - {")).collect();
    let encoded: Vec<_> = encoded.iter().map(|(_, line)| format!("{{{line}")).collect();
    let (rows, tally) = rows_of(encoded.join("\n").as_bytes(), &LineOrigin::default());
    assert_eq!((rows.len(), tally.unread.as_slice()), (3, [].as_slice()));
    check(
        &rows[2],
        &json!({"response_code": 500, "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
                "downstream_remote_address": "127.0.0.1:52140", "path": "/svc/err", "duration_nano": 4_000_000}),
    );
}

#[test]
fn caddy_logs_when_a_request_is_over() {
    let (rows, tally) = rows_of(capture!("caddy.json"), &LineOrigin::default());
    assert_eq!((rows.len(), tally.unread.as_slice()), (5, [].as_slice()));
    check(
        &rows[0],
        &json!({"time_unix_nano": 1_795_417_715_777_900_200_i64 - 2_176_423, "duration_nano": 2_176_423,
                "source_format": "caddy_json", "user_agent": "scout \"q\" \\ é", "authority": "127.0.0.1:10300",
                "response_bytes": 242, "response_code": 200, "downstream_direct_remote_address": "127.0.0.1",
                "path": "/svc/ok", "outcome": "ok"}),
    );
    check(&rows[3], &json!({"response_code": 502, "outcome": "error"}));
}

#[test]
fn apaches_json_with_escapes_that_are_none_is_mended() {
    let format = r#"LogFormat "{\"t\":\"%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t\",\"client\":\"%a\",\"method\":\"%m\",\"path\":\"%U\",\"q\":\"%q\",\"status\":%>s,\"bytes\":%B,\"us\":%D,\"ua\":\"%{User-Agent}i\",\"uid\":\"%{UNIQUE_ID}e\"}" js"#;
    let format = LineFormat::compile(Language::Apache, format).expect("a format");
    let (rows, tally) =
        rows_of(capture!("apache-json.log"), &LineOrigin { format: Some(format), ..LineOrigin::default() });
    assert_eq!((rows.len(), tally.unread.as_slice()), (8, [].as_slice()));
    // date -u -d 2026-11-23T07:07:41Z +%s is 1795417661.
    check(
        &rows[1],
        &json!({"time_unix_nano": 1_795_417_661_861_000_000_i64, "duration_nano": 43_748_000, "method": "GET",
                "path": "/svc/a?b=%22c%22", "user_agent": "scout \"q\" \\ é", "request_id": "awPmPeqZeXZavU1BH5PGDAAAAII"}),
    );
}

/// 0 is a duration where a line says it, and none where no field does; of a line that cannot be read nothing is known.
#[test]
fn a_line_without_a_duration_says_so() {
    let combined = r#"10.0.0.1 - - [22/Nov/2026:07:07:07 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8""#;
    let untold = json!({"duration_nano": 0, "is_timed": false, "counted": true});
    for format in ["nginx_combined", "apache_combined"] {
        check(&one(combined, format), &untold);
    }
    let format = LineFormat::compile(Language::Nginx, "$msec $status $request_time").expect("a format");
    let origin = LineOrigin { format: Some(format), ..LineOrigin::default() };
    let (rows, _) = rows_of(b"1795417629.000 200 0.000\n1795417629.000 200 -\nthree\n", &origin);
    check(&rows[0], &json!({"duration_nano": 0, "is_timed": null, "counted": true}));
    check(&rows[1], &untold);
    check(&rows[2], &json!({"is_timed": false, "counted": false, "raw": "three"}));
    let (rows, _) = rows_of(capture!("caddy.json"), &LineOrigin::default());
    assert!(rows.iter().all(|row| row["is_timed"].is_null()), "{rows:?}");
}

#[test]
fn varnish_writes_whole_urls() {
    let (rows, tally) = rows_of(capture!("varnish-vncsa.log"), &LineOrigin::default());
    assert_eq!((rows.len(), tally.unread.as_slice()), (8, [].as_slice()));
    check(&rows[1], &json!({"authority": "127.0.0.1:10500", "path": "/svc/a?b=%22c%22", "scheme": "http"}));
}

#[test]
fn the_documentation_names_every_format_and_language() {
    let page = include_str!("../../../../../docs/access-logs.md");
    for name in LineFormat::names().chain(Language::ALL.map(Language::name)) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

/// A format with an error says where it is: the position of the operator, or of the end.
#[test]
fn errors_of_formats_say_where_and_what() {
    let cases = [
        (Language::Envoy, "[%START_TIME] x", 1, "an operator without its closing %"),
        (Language::Envoy, "%START_TIME(%Q)% x", 0, "a time with %Q, which is not known"),
        (Language::Envoy, "no operator", 0, "no field at all"),
        (Language::Nginx, "$status $", 8, "a $ without the name of a variable"),
        (Language::Nginx, "${status $request", 0, "a ${ without its }"),
        (Language::Nginx, "$status$request", 15, ""),
        (Language::Apache, "%h %", 3, "a % without a directive"),
        (Language::Haproxy, "%ci %", 4, "a % without an alias"),
        (Language::Fields, "{status} {duration:h}", 9, "the unit h, which is none of s, ms, us, ns"),
        (Language::EnvoyJson, "{\"a\":\n 1 2}", 9, ""),
    ];
    for (language, text, position, what) in cases {
        match LineFormat::compile(language, text) {
            Err(error) if what.is_empty() => assert_eq!(error.position, position, "{error}"),
            Err(error) => assert_eq!((error.position, error.what.as_str()), (position, what), "{text}"),
            // Digits end by themselves.
            Ok(_) => assert_eq!(text, "$status$request"),
        }
    }
}

/// The same instant in every way that a format may write it; date -u -d 2026-11-23T07:07:41Z +%s is 1795417661.
#[test]
fn times_in_every_way_are_one_instant() {
    let cases = [
        ("%START_TIME%", "2026-11-23T07:07:41.851Z"),
        ("%START_TIME%", "2026-11-23 08:07:41.851+0100"),
        ("%START_TIME(%s.%3f)%", "1795417661.851"),
        ("%START_TIME(%s%3f)%", "1795417661851"),
        ("%START_TIME(%d/%b/%Y:%T.%3f %z)%", "23/Nov/2026:02:07:41.851 -0500"),
        ("%START_TIME(%Y/%m/%d %I:%M:%S.%f %p)%", "2026/11/23 07:07:41.851000 AM"),
        ("%START_TIME(%a %d %B %Y %T.%3f)%", "Mon 23 November 2026 07:07:41.851"),
    ];
    for (format, text) in cases {
        let format =
            LineFormat::compile(Language::Envoy, &format!("{format}|%RESPONSE_CODE%")).expect("a format");
        let origin = LineOrigin { format: Some(format), ..LineOrigin::default() };
        let (rows, _) = rows_of(format!("{text}|200").as_bytes(), &origin);
        check(&rows[0], &json!({"time_unix_nano": 1_795_417_661_851_000_000_i64, "response_code": 200}));
    }
}

#[test]
fn envoys_json_format_may_nest_and_hold_several_fields_in_one_text() {
    let format = r#"{"at": "%START_TIME%", "call": "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%", "constant": "x",
        "answer": {"code": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS_LONG%", "took": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%"},
        "peer": {"w": "%FILTER_STATE(upstream_peer_obj:FIELD:workload)%"}}"#;
    let format = LineFormat::compile(Language::EnvoyJson, format).expect("a format");
    let line = r#"{"answer":{"took":1500,"code":503,"flags":"UpstreamConnectionFailure","more":[1]},"constant":"x","call":"GET /a HTTP/2","at":"2026-11-23T07:07:41.851Z","peer":{"w":"reviews-v1"},"n":7}"#;
    let (rows, tally) =
        rows_of(line.as_bytes(), &LineOrigin { format: Some(format), ..LineOrigin::default() });
    assert_eq!(tally.unread, []);
    check(
        &rows[0],
        &json!({"method": "GET", "path": "/a", "protocol": "HTTP/2", "response_code": 503, "duration_nano": 1_500_000,
                "response_flags_text": "UF", "destination_workload": "reviews-v1", "source_format": "envoy_json",
                "attributes": {"constant": "x", "n": 7, "answer.more": "[1]"}}),
    );
}
