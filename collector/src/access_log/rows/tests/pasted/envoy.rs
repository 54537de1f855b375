//! Envoy and Istio: operators by all their names, formats as they are quoted, older releases.

use serde_json::{Value, json};

use super::{SECOND, TIME, check, row};

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
