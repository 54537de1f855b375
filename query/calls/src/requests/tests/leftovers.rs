//! Rows that nothing joins.

use super::*;

/// Three rows of either side without ids: three calls, not six.
#[test]
fn what_nothing_joins_is_matched_in_order_of_time() {
    let made = |at| Request { at, ..CALL };
    let received = |at| Request { at, ..SERVED };
    check(
        &[made(0), made(100), made(200), received(5), received(105), received(205)],
        &["default/a -> default/b 3/0"],
        &["default/b 3/0"],
    );
}

/// A minute ends at second 1,020. What is within half a minute of it is matched over it, 59 seconds apart; a second
/// later it is not, and they are two calls, of which one lies before the range.
#[test]
fn matches_lie_less_than_a_minute_apart() {
    let late = |second| Request { second, ..SERVED };
    let made = Request { second: 990, ..CALL };
    assert_eq!(edges(&picture(&[made, late(1_049)], &[])), Vec::<String>::new());
    assert_eq!(edges(&picture(&[made, late(1_050)], &[])), ["default/a -> default/b 1/0"]);
    let apart = Request { second: 989, ..CALL };
    assert_eq!(edges(&picture(&[apart, late(1_048)], &[])), ["default/a -> default/b 1/0"]);
}

#[test]
fn a_client_that_tried_three_times_matches_three() {
    check(
        &[Request { attempts: 3, ..CALL }, SERVED, SERVED, SERVED],
        &["default/a -> default/b 1/0 +2"],
        &["default/b 3/0"],
    );
}

#[test]
fn observers_that_disagree_are_told_apart() {
    // The caller gave up on 2 of 3 calls; the callee answered all of them.
    let gave_up = Request { outcome: "error", flags: "UT", ..CALL };
    check(
        &[CALL, gave_up, gave_up, SERVED, SERVED, SERVED],
        &["default/a -> default/b 3/2"],
        &["default/b 3/0"],
    );
}

/// What b's callers call it was learnt from the call that was joined.
#[test]
fn an_alias_brings_the_rows_of_one_edge_together() {
    let joined = [
        Request {
            destination: ("default", "web"),
            request_id: "r1",
            upstream_local: "10.0.0.1:4000",
            ..CALL
        },
        Request { request_id: "r1", downstream: "10.0.0.1:4000", ..SERVED },
    ];
    let left = [Request { destination: ("default", "web"), ..CALL }, SERVED];
    let refused = Request { destination: ("default", "web"), flags: "UH", outcome: "error", ..CALL };
    check(
        &[joined[0], joined[1], left[0], left[1], refused],
        &["default/a -> default/b 3/1"],
        &["default/b 2/0"],
    );
}
