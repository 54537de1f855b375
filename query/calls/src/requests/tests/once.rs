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
