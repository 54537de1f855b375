//! nginx: its variables, quotes and ends.

use serde_json::json;

use super::{Language, LineFormat, LineOrigin, SECOND, TIME, check, check_all, row, rows_of};

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
