//! Formats as operators write and paste them, and lines as their proxies write them then: what each becomes is read off
//! the documentation of the proxy.

mod envoy;
mod nginx;

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
