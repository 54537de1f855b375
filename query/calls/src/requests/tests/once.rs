//! Rows that came twice.

use super::*;

#[test]
fn a_row_that_came_by_two_ways_is_one() {
    let by_als = Request { stream_id: "s1", request_id: "r1", proxy: "p", ..SERVED };
    let by_file = Request { stream_id: "", ..by_als };
    check(&[by_als, by_als, by_file], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// Envoy's OTLP logger knows when a request began as well as its log service does, and how long it took to the millisecond.
#[test]
fn a_start_and_a_duration_are_each_as_exact_as_they_are() {
    let by_als = Request { request_id: "r1", proxy: "p", nanos: 123_000, duration_nanos: 456_000, ..SERVED };
    let by_otlp = Request { duration_nanos: 0, ..by_als };
    let by_file = Request { nanos: 0, ..by_otlp };
    check(&[by_otlp, by_file, by_als], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    let next_try = Request { nanos: 623_000, ..by_als };
    let next_by_otlp = Request { duration_nanos: 0, ..next_try };
    assert_eq!(nodes(&picture(&[next_by_otlp, by_als, by_otlp, next_try], &[])), ["default/b 2/0"]);
}

#[test]
fn rows_of_two_streams_or_proxies_are_two() {
    let row = Request { stream_id: "s1", request_id: "r1", proxy: "p", ..SERVED };
    let other_stream = Request { stream_id: "s2", ..row };
    let other_proxy = Request { proxy: "q", ..row };
    let picture = picture(&[row, other_stream, other_proxy], &[]);
    assert_eq!(nodes(&picture), ["default/b 3/0"]);
}

#[test]
fn rows_without_any_id_are_never_merged() {
    assert_eq!(nodes(&picture(&[SERVED, SERVED], &[])), ["default/b 2/0"]);
}

/// Each of two calls is told three times: by the caller's proxy to the log service with ids and the callee, by the same proxy
/// over OTLP with neither, and by the callee's proxy. The third is told over OTLP alone.
#[test]
fn what_a_second_log_tells_without_ids_is_no_second_call() {
    let made = |request_id, nanos| Request { request_id, proxy: "p", nanos, duration_nanos: 9_000, ..CALL };
    let by_otlp = |nanos| Request {
        destination: ("", ""),
        source_version: "",
        millis: 0,
        is_untimed: true,
        nanos,
        ..CALL
    };
    let served = |request_id, nanos| Request { request_id, proxy: "q", nanos, ..SERVED };
    check(
        &[
            by_otlp(123_000),
            Request { source_version: "v1", ..made("r1", 123_000) },
            served("r1", 300_000),
            made("r2", 5_000_000),
            by_otlp(5_000_000),
            served("r2", 5_300_000),
            by_otlp(6_001_000),
        ],
        &["default/a -> default/b 2/0", "default/a -> unknown@default/a 1/0"],
        &["default/b 2/0", "unknown@default/a 1/0"],
    );
}

/// Refused calls, which arrive nowhere, and rows of the callee's side are told twice as well.
#[test]
fn neither_refused_calls_nor_received_sides_count_twice() {
    let refused =
        Request { flags: "UH", outcome: "error", code: 503, nanos: 7_000, duration_nanos: 9_000, ..CALL };
    let by_otlp =
        Request { destination: ("", ""), is_untimed: true, millis: 0, duration_nanos: 0, ..refused };
    let told = picture(&[by_otlp, Request { request_id: "r1", ..refused }], &[]);
    assert_eq!(edges(&told), ["default/a -> default/b 1/1"]);
    let served = Request { nanos: 7_000, ..SERVED };
    let with_id = Request { request_id: "r1", duration_nanos: 9_000, ..served };
    check(&[served, with_id], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// A line that names no far end is taken for one of another side than it is of: of a sidecar for the caller's, of a plain
/// Envoy for a gateway's, which is of both.
#[test]
fn the_side_of_a_line_without_a_far_end_is_a_guess() {
    let served = Request { request_id: "r1", nanos: 7_000, duration_nanos: 9_000, ..SERVED };
    let as_made = Request { source: ("default", "b"), destination: ("", ""), request_id: "", ..served };
    let as_made = Request { observer: "client", ..as_made };
    check(&[served, as_made], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    let made = Request { request_id: "r1", nanos: 7_000, duration_nanos: 9_000, ..CALL };
    let by_gateway = Request { observer: "gateway", destination: ("", ""), request_id: "", ..made };
    check(&[by_gateway, made], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// Two calls of one instant of which one is told twice are two; and so are those of two services, and those that are known to
/// the millisecond only.
#[test]
fn an_instant_is_taken_once() {
    let with_id = Request { request_id: "r1", nanos: 7_000, duration_nanos: 9_000, ..SERVED };
    let without = Request { request_id: "", ..with_id };
    let received = |rows: &[Request]| nodes(&picture(rows, &[]));
    assert_eq!(received(&[with_id, without, without]), ["default/b 2/0"]);
    assert_eq!(received(&[with_id, Request { nanos: 8_000, ..without }]), ["default/b 2/0"]);
    let coarse = Request { nanos: 0, duration_nanos: 0, ..with_id };
    assert_eq!(received(&[coarse, Request { request_id: "", ..coarse }]), ["default/b 2/0"]);
    let other = Request { destination: ("default", "c"), ..without };
    assert_eq!(received(&[with_id, other]), ["default/b 1/0", "default/c 1/0"]);
}

#[test]
fn rows_that_are_no_call_do_not_count() {
    check(&[Request { counted: false, ..CALL }], &[], &[]);
    check(&[Request { second: 999, ..CALL }, Request { second: 1_060, ..CALL }], &[], &[]);
}

/// Envoy's stream id of an HTTP request is its `x-request-id`; a retry comes with the same one a moment later.
#[test]
fn tries_that_share_a_stream_id_are_not_one() {
    let first = Request { stream_id: "r1", request_id: "r1", proxy: "p", outcome: "error", ..SERVED };
    let second = Request { at: 20, outcome: "ok", ..first };
    assert_eq!(nodes(&picture(&[first, second], &[])), ["default/b 2/1"]);
}

/// A try that is refused takes a tenth of a millisecond, and the next comes at once.
#[test]
fn tries_within_a_millisecond_are_told_apart_where_times_are_exact() {
    let first = Request { stream_id: "r1", request_id: "r1", proxy: "p", nanos: 100_000, ..SERVED };
    let second = Request { nanos: 300_000, ..first };
    let first_by_file = Request { nanos: 0, stream_id: "", ..first };
    assert_eq!(nodes(&picture(&[first, second, first, first_by_file], &[])), ["default/b 2/0"]);
}
