//! Lines that are ambiguous, broken, or not what they are said to be.

use serde_json::json;

use super::super::LINE_BYTES_MAX;
use super::*;

fn istio(user_agent: &str, path: &str) -> String {
    format!(
        r#"[2020-11-25T21:26:18.409Z] "GET {path} HTTP/1.1" 418 - via_upstream - "-" 0 135 4 3 "-" "{user_agent}" "r1" "httpbin:8000" "10.44.1.27:80" outbound|8000||httpbin.foo.svc.cluster.local 10.44.1.23:37652 10.0.45.184:8000 10.44.1.23:46520 - default"#
    )
}

/// Envoy escapes nothing, so a client can write what looks like the end of a field.
#[test]
fn quotes_and_spaces_that_envoy_does_not_escape_are_text() {
    let (rows, _) = rows_of(capture!("access-productpage-istio-text.log"), &origin("istio_text"));
    assert_eq!(rows[2]["user_agent"], r#"scout/1.0 "quoted""#);
    for user_agent in
        [r#"a "b" c"#, r#"a" "b"#, r#"" "" ""#, r#"" 200 - "x"#, r#"x" "y" "z:80" "1.2.3.4:5" c"#]
    {
        let row = one(&istio(user_agent, "/"), "istio_text");
        check(&row, &json!({"user_agent": user_agent, "request_id": "r1", "upstream_host": "10.44.1.27:80"}));
    }
    for path in ["/a b", "/a HTTP/1.1", "/a?q=x y z"] {
        check(&one(&istio("u", path), "istio_text"), &json!({"path": path, "protocol": "HTTP/1.1"}));
    }
}

/// Made to be ambiguous everywhere and wrong at the end: the time for it must not grow with the ways to read it.
#[test]
fn a_line_of_nothing_but_ends_of_fields_is_given_up() {
    let line = istio(&r#"" ""#.repeat(20_000), "/").replace("10.44.1.23:46520", "not an address");
    let (rows, tally) = rows_of(line.as_bytes(), &origin("istio_text"));
    assert_eq!((rows.len(), tally.unread.len()), (1, 1));
}

#[test]
fn numbers_that_are_none_make_a_line_unread() {
    let cases = [
        (" 0 135 4 ", " 18446744073709551616 135 4 ", "request_bytes"),
        (" 0 135 4 ", " 0 x 4 ", "response_bytes"),
        (" 0 135 4 ", " 0 135 4m ", "duration_nano"),
        (" 418 ", " 1418 ", "response_code"),
        ("[2020-11-25T21:26:18.409Z]", "[2020-13-25T21:26:18.409Z]", "time"),
        ("[2020-11-25T21:26:18.409Z]", "[-]", "time"),
        ("HTTP/1.1", "no protocol", "protocol"),
        ("10.0.45.184:8000", "a|b", "downstream_local_address"),
    ];
    for (part, with, field) in cases {
        let line = istio("u", "/").replace(part, with);
        let (rows, tally) = rows_of(line.as_bytes(), &origin("istio_text"));
        assert_eq!(tally.unread, [(field, 1)], "{line}");
        check(&rows[0], &json!({"raw": line, "counted": false, "attributes": {"unread_field": field}}));
    }
    let row = one(&istio("u", "/").replace(" 0 135 4 3 ", " 18446744073709551615 135 -1 - "), "istio_text");
    check(&row, &json!({"request_bytes": i64::MAX, "duration_nano": 0, "upstream_duration_nano": null}));
}

#[test]
fn two_formats_in_one_file_are_told_apart_unless_one_was_told() {
    let json = r#"{"start_time":"2022-12-15T03:49:38.504Z","response_code":503,"response_flags":"UH","upstream_cluster":null}"#;
    let nginx = r#"10.0.0.9 - - [23/Nov/2026:07:07:07 +0000] "GET / HTTP/1.1" 200 289 "-" "curl/8""#;
    let lines =
        [&istio("u", "/"), json, nginx, "2026-11-23T07:00:00Z info xdsproxy connected", nginx].join("\r\n");
    let (rows, tally) = rows_of(lines.as_bytes(), &LineOrigin::default());
    let formats: Vec<_> = rows.iter().map(|row| row["source_format"].as_str().unwrap_or_default()).collect();
    assert_eq!(formats, ["istio_text", "istio_json", "nginx_combined", "nginx_combined", "nginx_combined"]);
    assert_eq!((tally.received, tally.unread.iter().map(|(_, lines)| lines).sum::<u64>()), (5, 1));
    check(&rows[3], &json!({"counted": false, "raw": "2026-11-23T07:00:00Z info xdsproxy connected"}));
    let (_, tally) = rows_of(lines.as_bytes(), &origin("istio_text"));
    assert_eq!(tally.unread.iter().map(|(_, lines)| lines).sum::<u64>(), 4);
}

#[test]
fn bytes_that_are_no_text_are_kept_as_far_as_they_are() {
    let (rows, tally) = rows_of(b"\x00\xff\xfe\x01 garbage \x80\n", &LineOrigin::default());
    assert_eq!(
        (tally.unread.as_slice(), tally.warnings.count(Warning::TextReplaced)),
        ([(LINE, 1)].as_slice(), 1)
    );
    assert_eq!(rows[0]["raw"], "\0\u{fffd}\u{fffd}\u{1} garbage \u{fffd}");
    let half = [istio("caf", "/").as_bytes(), b"\n"].concat();
    let half = String::from_utf8_lossy(&half).replace("caf", "caf?").into_bytes();
    let half: Vec<u8> = half.into_iter().map(|byte| if byte == b'?' { 0xc3 } else { byte }).collect();
    let (rows, tally) = rows_of(&half, &origin("istio_text"));
    assert_eq!((tally.unread.as_slice(), tally.warnings.count(Warning::TextReplaced)), ([].as_slice(), 1));
    assert_eq!(rows[0]["user_agent"], "caf\u{fffd}");
    let cut = r#"{"start_time":"2022-12-15T03:49:38.504Z","response_code":503,"resp"#;
    assert_eq!(rows_of(cut.as_bytes(), &origin("istio_json")).1.unread, [(LINE, 1)]);
}

/// Two bytes a character, as tools of Windows write: nothing of it can be read, and all of it is there.
#[test]
fn text_of_two_bytes_a_character_is_kept_unread() {
    let text = format!("\u{feff}{0}\r\n{0}", istio("u", "/"));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (rows, tally) = rows_of(&bytes, &LineOrigin::default());
    assert_eq!((tally.received, tally.accepted, tally.unread.as_slice()), (2, 2, [(LINE, 2)].as_slice()));
    let second = rows[1]["raw"].as_str().expect("text").replace('\0', "");
    assert_eq!((second, &rows[1]["counted"]), (istio("u", "/"), &json!(false)));
}

#[test]
fn a_line_is_read_up_to_its_longest_and_cut_beyond() {
    let room = LINE_BYTES_MAX - istio("u", "/").len();
    for (more, unread) in [(0, 0), (1, 1)] {
        let line = istio("u", &format!("/{}", "a".repeat(room + more)));
        let (rows, tally) = rows_of(line.as_bytes(), &origin("istio_text"));
        assert_eq!((tally.unread.len(), tally.warnings.count(Warning::ValueCut)), (unread, unread as u64));
        let raw = rows[0]["raw"].as_str().map_or(0, str::len);
        assert_eq!(raw, unread * LINE_BYTES_MAX);
    }
}

/// A host in Berlin in winter writes times of its own zone, and HAProxy writes none beside them.
#[test]
fn times_without_a_zone_are_the_origins() {
    let line = r#"10.0.1.2:33317 [06/Feb/2009:13:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#;
    let origin = LineOrigin { offset_seconds: 3_600, ..origin("haproxy_http") };
    let (rows, _) = rows_of(line.as_bytes(), &origin);
    check(&rows[0], &json!({"time_unix_nano": 1_233_922_454_655_000_000_i64}));
    let with_zone = istio("u", "/").replace("21:26:18.409Z", "22:26:18.409+01:00");
    let (rows, _) =
        rows_of(with_zone.as_bytes(), &LineOrigin { offset_seconds: 3_600, ..super::origin("istio_text") });
    check(&rows[0], &json!({"time_unix_nano": 1_606_339_578_409_000_000_i64}));
}

/// A line without a time was logged when the header of its message says, if that can be; one that tells a time keeps it.
#[test]
fn a_header_tells_when_a_line_without_a_time_was_logged() {
    // date -u -d 2026-11-22T07:07:07Z +%s is 1795331227.
    let second = 1_000_000_000;
    let now = UnixNanos((1_795_331_227 + 3) * second);
    let arrival = Arrival { ingest_time: now, latest: UnixNanos(now.0 + 3_600 * second), ..arrival() };
    let untimed = LineFormat::compile(Language::Nginx, r#"$remote_addr "$request" $status $request_time"#);
    let untimed = LineOrigin { format: untimed.ok(), offset_seconds: 3_600, ..LineOrigin::default() };
    let row = |header: &str, text: &str, origin: &LineOrigin| {
        let mut builder = RequestBuilder::default();
        let line = Line { header_time: header.as_bytes(), text: text.as_bytes() };
        let tally = decode_each([line].into_iter(), origin, &arrival, &mut builder);
        assert_eq!((tally.received, tally.accepted), (1, 1), "{header} {text}");
        rows(&mut builder).remove(0)
    };
    let line = r#"10.0.0.1 "GET / HTTP/1.1" 200 0.250"#;
    // Logged at the end, in the zone that is configured.
    let start = 1_795_331_227 * second - second / 4;
    check(&row("Nov 22 08:07:07", line, &untimed), &json!({"time_unix_nano": start, "counted": true}));
    for header in ["", "Nov 22 12:07:07", "Nov 22 8:07", "\u{e9}"] {
        check(&row(header, line, &untimed), &json!({"time_unix_nano": now.0, "counted": false}));
    }
    let own = row("Nov 22 08:07:07", istio("u", "/").trim_end(), &origin("istio_text"));
    check(&own, &json!({"time_unix_nano": 1_606_339_578_409_000_000_i64}));
}

#[test]
fn times_outside_the_window_are_refused_by_reason() {
    let arrival = Arrival { latest: UnixNanos(1_606_339_578_000_000_000), ..arrival() };
    let mut builder = RequestBuilder::default();
    let tally = decode_lines(istio("u", "/").as_bytes(), &origin("istio_text"), &arrival, &mut builder);
    assert_eq!((tally.received, tally.accepted, builder.rows()), (1, 0, 0));
    assert_eq!(tally.rejected, [(RejectReason::TimeOutOfRange, 1)]);
}
