//! Formats as operators write and paste them, and lines as their proxies write them then: what each becomes is read off
//! the documentation of the proxy.

use serde_json::{Value, json};

use super::{check, rows_of};
use crate::access_log::origin::LineOrigin;
use crate::access_log::{Language, LineFormat};

/// 2026-11-29T20:00:00Z; date -u -d 2026-11-29T20:00:00Z +%s.
const TIME: i64 = 1_795_982_400;
const SECOND: i64 = 1_000_000_000;

/// The row of the last of `lines`, all of which are read, in a format that shows its language.
fn row(format: &str, lines: &str) -> Value {
    let format = (!format.is_empty()).then(|| {
        let language = Language::of(format).expect("a language");
        LineFormat::compile(language, format).unwrap_or_else(|error| panic!("{format}: {error}"))
    });
    let origin = LineOrigin { format, ..LineOrigin::default() };
    let (mut rows, tally) = rows_of(lines.as_bytes(), &origin);
    assert_eq!(tally.unread.as_slice(), [], "{lines}");
    rows.pop().expect("a row")
}

fn check_all(cases: &[(&str, &str, Value)]) {
    for (format, lines, want) in cases {
        check(&row(format, lines), want);
    }
}

#[test]
fn variables_of_nginx_in_every_arrangement() {
    check_all(&[
        (
            "$remote_addr $msec $request_method $scheme://$host$request_uri $status $request_time",
            "10.0.0.1 1795982400.250 GET https://shop.example/cart?x=1 201 0.250",
            json!({"scheme": "https", "authority": "shop.example", "path": "/cart?x=1", "response_code": 201,
                   "duration_nano": SECOND / 4, "time_unix_nano": TIME * SECOND}),
        ),
        (
            "$msec $uri$is_args$args $status",
            "1795982400.250 /cart?x=1 201",
            json!({"path": "/cart?x=1", "response_code": 201}),
        ),
        ("$msec $uri$is_args$args $status", "1795982400.250 /cart 201", json!({"path": "/cart"})),
        ("$msec $uri $args $status", "1795982400.250 /cart x=1 201", json!({"path": "/cart?x=1"})),
        ("$msec $uri $args $status", "1795982400.250 /cart - 201", json!({"path": "/cart"})),
        (
            "$msec $uri $request_uri $status",
            "1795982400.250 /index.html / 201",
            json!({"path": "/", "attributes": {"rewritten_path": "/index.html"}}),
        ),
        (
            "$msec $status $bytes_sent",
            "1795982400.250 200 180",
            json!({"response_bytes": 180, "attributes": {}}),
        ),
        (
            "$msec $status $bytes_sent $body_bytes_sent",
            "1795982400.250 304 180 0",
            json!({"response_bytes": 0, "attributes": {"bytes_sent": "180"}}),
        ),
        (
            "$remote_addr:$remote_port $msec $status",
            "2001:db8::1:43210 1795982400.250 200",
            json!({"downstream_remote_address": "[2001:db8::1]:43210", "response_code": 200}),
        ),
        (
            r#"$http_x_forwarded_for - $remote_user [$time_local] "$request" $status"#,
            r#"1.2.3.4, 10.0.0.2 - - [29/Nov/2026:20:00:00 +0000] "GET /a HTTP/1.1" 200"#,
            json!({"forwarded_for": "1.2.3.4, 10.0.0.2", "path": "/a", "attributes": {}}),
        ),
        (
            r#"$http_x_forwarded_for - $remote_user [$time_local] "$request" $status "$http_x_forwarded_for""#,
            r#"1.2.3.4, - - [29/Nov/2026:20:00:00 +0000] "GET /a HTTP/1.1" 200 "1.2.3.4,""#,
            json!({"forwarded_for": "1.2.3.4,", "path": "/a", "response_code": 200}),
        ),
        (
            "[$msec] $status $namespace $service_name $proxy_upstream_name",
            "[1795982400.250] 200 shop web shop-web-80",
            json!({"destination_namespace": "shop", "destination_service": "web"}),
        ),
    ]);
}

#[test]
fn quotes_and_ends_of_nginx_formats() {
    let want = json!({"path": "/a\"b", "user_agent": "x \"y\"", "response_code": 200, "attempts": 2,
                      "upstream_host": "10.0.0.2:80"});
    let line = r#"{"t":"2026-11-29T20:00:00+00:00","r":"GET /a\"b HTTP/1.1","s":200,"u":"x \"y\"","h":"10.0.0.1:80, 10.0.0.2:80"}"#;
    let object =
        r#"{"t":"$time_iso8601","r":"$request","s":$status,"u":"$http_user_agent","h":"$upstream_addr"}"#;
    let directive = format!("log_format main escape=json '{}'\n    '{}';", &object[..20], &object[20..]);
    let pieces = format!("'{}'\n  '{}'", &object[..20], &object[20..]);
    check_all(&[(object, line, want.clone()), (&directive, line, want.clone()), (&pieces, line, want)]);
    let line = r#"[29/Nov/2026:20:00:00 +0000] "GET /a HTTP/1.1" 200"#;
    for end in ["", r"\n", r" \n", " ", " $upstream_addr", " $upstream_addr $upstream_status"] {
        let format = format!(r#"[$time_local] "$request" $status{end}"#);
        // Fields behind the last that has a value leave spaces, which are no part of a line.
        check(&row(&format, &format!("{line}  ")), &json!({"path": "/a", "response_code": 200}));
    }
}

/// Blank values at the end of a line are none; a line that ends before its status has been cut.
#[test]
fn a_line_that_was_cut_is_none_without_values() {
    let format =
        LineFormat::compile(Language::Envoy, "%START_TIME(%s)% %DURATION% %RESPONSE_CODE% %ROUTE_NAME%");
    let origin = LineOrigin { format: format.ok(), ..LineOrigin::default() };
    for (line, unread) in [
        ("1795982400 5 200 ", 0),
        ("1795982400 5 200", 0),
        ("1795982400 5 ", 1),
        ("1795982400 5", 1),
        ("1795982400 ", 1),
        ("1795982400", 1),
    ] {
        let (_, tally) = rows_of(line.as_bytes(), &origin);
        assert_eq!((tally.received, tally.unread.len()), (1, unread), "{line:?}");
    }
}

#[test]
fn connections_through_nginx() {
    let format = "$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received $session_time \"$upstream_addr\"";
    let line = |protocol: &str, status: u16| {
        format!("10.0.0.1 [29/Nov/2026:20:00:00 +0000] {protocol} {status} 1234 567 1.500 \"10.1.0.1:5432\"")
    };
    let want = json!({"layer": "l4", "protocol": "TCP", "outcome": "ok", "response_code": null, "response_bytes": 1234,
                      "request_bytes": 567, "duration_nano": SECOND + SECOND / 2, "attempts": 1,
                      "time_unix_nano": TIME * SECOND - SECOND - SECOND / 2, "upstream_host": "10.1.0.1:5432"});
    check(&row(format, &line("TCP", 200)), &want);
    check(&row(format, &line("UDP", 200)), &json!({"layer": "l4", "protocol": null, "outcome": "ok"}));
    for (status, class, outcome) in [
        (400, "client_error", "client_error"),
        (403, "authz_denied", "client_error"),
        (502, "upstream_connect", "error"),
        (503, "rate_limited", "client_error"),
    ] {
        let want = json!({"fault_class": class, "outcome": outcome, "response_code": null});
        check(&row(format, &line("TCP", status)), &want);
    }
}

/// Texts of `format` before a status, in lines that begin with a time unless the format has its own.
fn check_operators(cases: &[(&str, &str, Value)]) {
    for (format, text, want) in cases {
        let (start, time) =
            if format.contains("START_TIME") { ("", "") } else { ("%START_TIME(%s)% ", "1795982400 ") };
        check(&row(&format!("{start}{format} %RESPONSE_CODE%"), &format!("{time}{text} 503")), want);
    }
}

#[test]
fn times_of_envoy_in_every_format() {
    check_operators(&[
        ("%START_TIME(%s)%", "1795982400", json!({"time_unix_nano": TIME * SECOND})),
        ("%START_TIME(%s.%3f)%", "1795982400.123", json!({"time_unix_nano": TIME * SECOND + 123_000_000})),
        ("%START_TIME(%s%3f)%", "1795982400123", json!({"time_unix_nano": TIME * SECOND + 123_000_000})),
        (
            "%START_TIME(%Y/%m/%dT%H:%M:%S%z)%",
            "2026/11/29T21:00:00+0100",
            json!({"time_unix_nano": TIME * SECOND}),
        ),
        (
            "%START_TIME(%FT%T.%9fZ)%",
            "2026-11-29T20:00:00.123456789Z",
            json!({"time_unix_nano": TIME * SECOND + 123_456_789}),
        ),
        ("%START_TIME(%D %T)%", "11/29/26 20:00:00", json!({"time_unix_nano": TIME * SECOND})),
        ("%START_TIME(%D %r)%", "11/29/26 08:00:00 PM", json!({"time_unix_nano": TIME * SECOND})),
    ]);
}

#[test]
fn operators_of_envoy_by_all_their_names() {
    check_operators(&[
        (
            "%REQUEST_HEADER(:METHOD)% %REQUEST_HEADER(X-ENVOY-ORIGINAL-PATH?:PATH):64% %REQUEST_HEADER(:AUTHORITY)%",
            "GET /x?a=b h.example",
            json!({"method": "GET", "path": "/x?a=b", "authority": "h.example"}),
        ),
        (
            "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:AUTHORITY)%",
            "/x h",
            json!({"path": "/x", "authority": "h"}),
        ),
        ("%PATH(NQ:ORIG_OR_PATH)%", "/x", json!({"path": "/x"})),
        (
            "%REQ(:SCHEME)%://%REQ(:AUTHORITY)%%REQ(:PATH)%",
            "https://h/x",
            json!({"authority": "h", "path": "/x"}),
        ),
        (
            "%REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH)%",
            "/new /asked",
            json!({"path": "/asked", "attributes": {"rewritten_path": "/new"}}),
        ),
        (
            "%REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH)%",
            "/asked -",
            json!({"path": "/asked", "attributes": {}}),
        ),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% \
             %DOWNSTREAM_LOCAL_PORT% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%:%UPSTREAM_REMOTE_PORT% \
             %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%:%UPSTREAM_LOCAL_PORT%",
            "10.0.0.1 4000 10.0.0.2 80 2001:db8::9:8080 10.0.0.2:51000",
            json!({"downstream_remote_address": "10.0.0.1:4000", "downstream_local_address": "10.0.0.2:80",
                   "upstream_host": "[2001:db8::9]:8080", "upstream_local_address": "10.0.0.2:51000"}),
        ),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)% %UPSTREAM_PEER_URI_SAN%",
            "10.1.0.0/16 spiffe://td/ns/shop/sa/web",
            json!({"downstream_remote_address": null, "destination_principal": "spiffe://td/ns/shop/sa/web"}),
        ),
        (
            "%RESPONSE_FLAGS_LONG% %GRPC_STATUS(SNAKE_STRING)%",
            "UpstreamConnectionFailure,DropOverload DEADLINE_EXCEEDED",
            json!({"response_flags_text": "DO,UF", "grpc_status": 4, "outcome": "error"}),
        ),
        (
            "%DYNAMIC_METADATA(com.test.my_filter:a:b):64% %HOSTNAME%",
            r#"{"c": "d e"} pod-1"#,
            json!({"attributes": {"dynamic_metadata.com.test.my_filter:a:b": r#"{"c":"#, "hostname": r#""d e"} pod-1"#}}),
        ),
    ]);
}

/// As it stands in YAML, in JSON, or in Envoy's own documentation, with values left out or not.
#[test]
fn formats_of_envoy_as_they_are_quoted() {
    let line = r#"[2026-11-29T20:00:00.310Z] "GET /a HTTP/2" 204  154 0 226  "tcp://10.0.2.1:80""#;
    let want = json!({"time_unix_nano": TIME * SECOND + 310_000_000, "path": "/a", "response_code": 204,
                      "request_bytes": 154, "duration_nano": 226_000_000, "upstream_host": "10.0.2.1:80"});
    let format = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%UPSTREAM_HOST%""#;
    let quoted = format!("\"{}\\n\"", format.replace('"', "\\\""));
    for format in [format, &format!("{format}\\n"), &format!("{format}\n"), &quoted] {
        check(&row(format, line), &want);
    }
    let object = r#"{"ts":"%START_TIME%","st":"%RESPONSE_CODE%","http":{"m":"%REQ(:METHOD)%"},"to":"%UPSTREAM_HOST% %DURATION%","fixed":7}"#;
    let line =
        r#"{"ts":"2026-11-29T20:00:00.310Z","st":200,"http":{"m":"GET"},"to":"10.0.0.1:80 12","fixed":7}"#;
    let want = json!({"response_code": 200, "method": "GET", "upstream_host": "10.0.0.1:80", "duration_nano": 12_000_000});
    check(&row(object, line), &want);
    let yaml = "json_format:\n  ts: \"%START_TIME%\"\n  st: \"%RESPONSE_CODE%\"\n  http:\n    m: '%REQ(:METHOD)%'\n  \
                to: \"%UPSTREAM_HOST% %DURATION%\"\n  fixed: \"7\"\n";
    check(&row(yaml, line), &want);
}

#[test]
fn older_releases_of_istio() {
    let end = r#"0 135 4 3 "-" "curl/7.60.0" "r1" "httpbin:8000" "10.44.1.27:80" outbound|8000||httpbin.foo.svc.cluster.local - 10.0.45.184:8000 10.44.1.23:46520 -"#;
    for (middle, route) in [
        (r#"- via_upstream - "-""#, " default"),
        (r#"- "-" "-""#, " default"),
        (r#"- "-" "-""#, ""),
        (r#"- "-""#, ""),
        (r#"UF "-" "delayed connect error: 111""#, " default"),
    ] {
        let line =
            format!(r#"[2026-11-29T20:00:00.310Z] "GET /status/418 HTTP/1.1" 418 {middle} {end}{route}"#);
        let route = if route.is_empty() { Value::Null } else { "default".into() };
        check(
            &row("", &line),
            &json!({"source_format": "istio_text", "response_code": 418, "duration_nano": 4_000_000, "route": route,
                    "upstream_duration_nano": 3_000_000, "response_bytes": 135, "request_id": "r1", "observer": "client",
                    "destination_service": "httpbin", "destination_namespace": "foo", "attributes": {}}),
        );
    }
}

#[test]
fn aliases_of_haproxy_in_every_arrangement() {
    check_all(&[
        (
            "",
            r#"2001:db8::1:33317 [29/Nov/2026:20:00:00.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#,
            json!({"source_format": "haproxy_http", "downstream_remote_address": "[2001:db8::1]:33317", "path": "/"}),
        ),
        (
            "%Ts %ci %HM %{+Q}HU %ST %Ta %b/%s",
            r#"1795982400 10.0.1.2 GET "/a?b=c" 200 12 be/srv1"#,
            json!({"path": "/a?b=c", "response_code": 200, "duration_nano": 12_000_000, "upstream_cluster": "be"}),
        ),
        (
            "%Ts %HM %HP%HQ %ST %{+Q}[req.hdr(host)] %{+Q}sslv",
            r#"1795982400 GET /a?b=c 200 "h.example" "TLSv1.3""#,
            json!({"path": "/a?b=c", "authority": "h.example", "tls_version": "TLSv1.3"}),
        ),
        (
            r#"log-format "%ci:%cp [%tr] id=%ID %ST""#,
            "10.0.1.2:1 [29/Nov/2026:20:00:00.655] id=abc 200",
            json!({"request_id": "abc", "response_code": 200, "downstream_remote_address": "10.0.1.2:1"}),
        ),
        (
            r#"{"ts":"%tr","ci":"%ci","st":%ST,"r":"%r","ta":%Ta}"#,
            r#"{"ts":"29/Nov/2026:20:00:00.655","ci":"10.0.0.1","st":200,"r":"GET / HTTP/1.1","ta":12}"#,
            json!({"response_code": 200, "path": "/", "duration_nano": 12_000_000}),
        ),
    ]);
}

#[test]
fn directives_of_apache_in_every_arrangement() {
    let start = "10.0.0.2 - - [29/Nov/2026:20:00:00 +0000] \"GET /a HTTP/1.1\" 200";
    let check_end = |format: &str, end: &str, want: Value| {
        check(&row(&format!(r#"%h %l %u %t "%r" %>s {format}"#), &format!("{start} {end}")), &want);
    };
    check_end("%b %D", "- 12345", json!({"duration_nano": 12_345_000, "time_unix_nano": TIME * SECOND}));
    check_end("%b %T/%D", "- 0/12345", json!({"duration_nano": 12_345_000}));
    check_end("%b %{ms}T", "- 12", json!({"duration_nano": 12_000_000}));
    check_end("%X", "X", json!({"response_flags_text": "DC", "outcome": "aborted"}));
    check_end("%X", "+", json!({"response_flags_text": null, "outcome": "ok"}));
    check_end("%I %O", "300 700", json!({"request_bytes": 300, "response_bytes": 700}));
    check_all(&[
        (
            "%h [%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t %{%z}t] %m %U%q %H %>s",
            "10.0.0.2 [2026-11-29 20:00:00.123 +0000] GET /a?x HTTP/1.1 200",
            json!({"time_unix_nano": TIME * SECOND + 123_000_000, "path": "/a?x"}),
        ),
        (
            r#"%{X-Forwarded-For}i %l %u %t \"%r\" %>s"#,
            r#"1.2.3.4, 10.0.0.2 - - [29/Nov/2026:20:00:00 +0000] "GET /a HTTP/1.1" 200"#,
            json!({"forwarded_for": "1.2.3.4, 10.0.0.2", "path": "/a"}),
        ),
        (
            r#"CustomLog logs/access_log "%h %t \"%r\" %>s""#,
            r#"10.0.0.2 [29/Nov/2026:20:00:00 +0000] "GET /a HTTP/1.1" 200"#,
            json!({"path": "/a", "response_code": 200}),
        ),
        (
            r#"%t "%r" %>s"#,
            r#"[29/Nov/2026:20:00:00 +0000] "CONNECT shop.example:443 HTTP/1.1" 200"#,
            json!({"method": "CONNECT", "authority": "shop.example:443", "path": null, "protocol": "HTTP/1.1"}),
        ),
        (
            "%{Host}i:%p %t %>s",
            "[::1]:8080:443 [29/Nov/2026:20:00:00 +0000] 200",
            json!({"authority": "[::1]:8080", "response_code": 200}),
        ),
    ]);
}

/// Keys named as the variables, values as text or numbers; a list where a second upstream was tried.
#[test]
fn json_with_the_names_of_nginx_is_recognised() {
    let line = r#"{"time_iso8601":"2026-11-29T20:00:00+00:00","remote_addr":"10.0.0.9","remote_user":"","request":"GET /a?b=c HTTP/1.1","status":"200","body_bytes_sent":"12","request_time":"0.250","http_user_agent":"curl/8","upstream_addr":"10.1.0.1:80, 10.1.0.2:80","upstream_status":"502, 200","upstream_response_time":"0.001, 0.200","pod":"web-1"}"#;
    let want = json!({"source_format": "nginx_json", "time_unix_nano": TIME * SECOND - SECOND / 4, "path": "/a?b=c",
                      "response_code": 200, "response_bytes": 12, "duration_nano": SECOND / 4, "attempts": 2,
                      "upstream_host": "10.1.0.2:80", "upstream_duration_nano": 201_000_000, "user_agent": "curl/8"});
    let first = row("", line);
    check(&first, &want);
    assert_eq!(first["attributes"]["pod"], "web-1");
    for paths in [
        r#""request_uri":"/a","uri":"/b""#,
        r#""uri":"/b","request_uri":"/a""#,
        r#""uri":"/b","request":"GET /a HTTP/1.1""#,
    ] {
        let line =
            format!(r#"{{"time":"2026-11-29T20:00:00Z","remote_addr":"10.0.0.9",{paths},"status":404}}"#);
        check(&row("", &line), &json!({"path": "/a", "attributes": {"rewritten_path": "/b"}}));
    }
    // With escape=json what is missing is nothing, and no dash.
    let line = r#"{"time":"2026-11-29T20:00:00Z","remote_addr":"10.0.0.9","status":200,"upstream_addr":"","upstream_connect_time":"","upstream_header_time":"","upstream_response_time":""}"#;
    check(&row("", line), &json!({"attempts": 0, "upstream_duration_nano": null, "attributes": {}}));
    let line = r#"{"@timestamp":"2026-11-29T20:00:00Z","remote_addr":"10.0.0.9","method":"GET","uri":"/a","status":404}"#;
    check(&row("", line), &json!({"path": "/a", "method": "GET", "response_code": 404}));
}

/// What nobody has to say: the defaults of programs and of their packages.
#[test]
fn defaults_of_packages_are_recognised() {
    let combined = r#"- - [29/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 615 "-" "curl/8""#;
    check_all(&[
        (
            "",
            &format!(r#"10.0.0.1 {combined} "1.2.3.4, 5.6.7.8""#),
            json!({"source_format": "nginx_main", "forwarded_for": "1.2.3.4, 5.6.7.8", "user_agent": "curl/8"}),
        ),
        ("", &format!("2001:db8::1 {combined}"), json!({"downstream_remote_address": "2001:db8::1"})),
        (
            "",
            &format!("shop.example 10.0.0.1 {combined}"),
            json!({"source_format": "apache_vhost_combined", "authority": "shop.example",
                   "downstream_remote_address": "10.0.0.1"}),
        ),
        (
            "",
            r#"shop.example 10.0.0.1 - frank [29/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 615"#,
            json!({"source_format": "apache_vhost_common", "authority": "shop.example",
                   "attributes": {"remote_user": "frank"}}),
        ),
        (
            "",
            r#"{"level":"info","ts":"2026/11/29 20:00:00.250","msg":"handled request","request":{"method":"GET","uri":"/"},"duration":0.25,"status":200}"#,
            json!({"source_format": "caddy_json", "time_unix_nano": TIME * SECOND}),
        ),
        (
            "",
            "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs-uri-query cs-protocol time-taken\n\
             2026-11-29\t20:00:00\tLAX1\t2390\t192.0.2.100\tGET\td111.cloudfront.net\t/index.html\t200\ta=b\thttps\t0.250",
            json!({"source_format": "w3c", "path": "/index.html?a=b", "authority": "d111.cloudfront.net", "scheme": "https",
                   "duration_nano": SECOND / 4, "time_unix_nano": TIME * SECOND - SECOND / 4, "response_bytes": 2390}),
        ),
    ]);
}

/// What stands in front of a line is taken off, also of a line in a format that was told, and tells when a line was logged
/// that does not.
#[test]
fn lines_in_envelopes_are_read() {
    let nginx = r#"10.0.0.1 - - [29/Nov/2026:20:00:00 +0000] "GET /a HTTP/1.1" 200 615 "-" "curl/8""#;
    let haproxy = r#"10.0.1.2:33317 [29/Nov/2026:20:00:00.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /a HTTP/1.1""#;
    let time = "2026-11-29T20:00:00.955123+00:00";
    for (before, line) in [
        ("Nov 29 20:00:00 lb1 haproxy[912]: ".to_owned(), haproxy),
        ("Nov 29 20:00:00 lb1 nginx: ".to_owned(), nginx),
        (format!("{time} lb1 haproxy[912]: "), haproxy),
        (format!("{time} "), nginx),
        ("[pod/web-0/nginx] ".to_owned(), nginx),
        (format!("[pod/web-0/nginx] {time} "), nginx),
        ("web-1  | ".to_owned(), nginx),
        ("web-1  | ".to_owned(), haproxy),
        ("\u{feff}".to_owned(), nginx),
    ] {
        let plain = row("", line);
        let lines = format!("{before}{line}\n{before}{line}\n{line}\n{before}{line}");
        assert_eq!(row("", &lines), plain, "{before}");
    }
    let object = json!({"date": 1.5, "log": format!("{nginx}\n"), "stream": "stdout"}).to_string();
    assert_eq!(row("", &object), row("", nginx));
    let row = row(
        r#"$remote_addr "$request" $status $request_time"#,
        &format!("{time} lb1 nginx: 10.0.0.1 \"GET / HTTP/1.1\" 200 0.250"),
    );
    check(&row, &json!({"path": "/", "response_code": 200}));
    // Nothing is taken off a line that can be read with it.
    let format = LineFormat::compile(Language::Nginx, "$hostname | $msec $status");
    let origin = LineOrigin { format: format.ok(), ..LineOrigin::default() };
    let (rows, _) = rows_of(b"web-1 | 1795982400.250 200", &origin);
    check(&rows[0], &json!({"response_code": 200, "attributes": {"hostname": "web-1"}}));
}
