//! Tries of one call, and calls that are none.

use super::*;

fn failed(span: Span, at: i64) -> Span {
    Span { outcome: "error", at, ..span }
}

#[test]
fn one_made_span_answered_by_several_services_is_a_call_to_each() {
    check(
        &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), span(3, 1, SERVER, C)],
        &["default/a -> default/b 1/0", "default/a -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0"],
    );
}

#[test]
fn answers_after_failures_are_tries_of_one_call() {
    check(
        &[
            Span { millis: 100, ..span(1, 0, CLIENT, A) },
            failed(span(2, 1, SERVER, B), 0),
            failed(span(3, 1, SERVER, B), 20),
            Span { at: 40, ..span(4, 1, SERVER, B) },
        ],
        &["default/a -> default/b 1/0 +2"],
        &["default/b 3/2"],
    );
}

#[test]
fn answers_side_by_side_are_calls_each() {
    check(
        &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), Span { at: 20, ..span(3, 1, SERVER, B) }],
        &["default/a -> default/b 2/0"],
        &["default/b 2/0"],
    );
    // The first failed only after the second had begun.
    check(
        &[span(1, 0, CLIENT, A), failed(span(2, 1, SERVER, B), 0), Span { at: 5, ..span(3, 1, SERVER, B) }],
        &["default/a -> default/b 2/1"],
        &["default/b 2/1"],
    );
}

#[test]
fn a_try_that_was_given_up_may_overlap_the_next() {
    for given_up in [
        Span { http_status: 499, outcome: "client_error", ..span(2, 1, SERVER, B) },
        Span { grpc_status: 1, outcome: "aborted", ..span(2, 1, SERVER, B) },
        Span { grpc_status: 4, outcome: "error", ..span(2, 1, SERVER, B) },
    ] {
        let next = Span { at: 5, ..span(3, 1, SERVER, B) };
        let picture = picture(&[], &[span(1, 0, CLIENT, A), given_up, next]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0 +1"], "{given_up:?}");
    }
}

/// gRPC's hedging: a second try while the first still ran, called off when the first had answered.
#[test]
fn a_hedge_that_was_called_off_is_a_try() {
    let whole = Span { millis: 50, ..span(1, 0, CLIENT, A) };
    let first = Span { millis: 40, ..span(2, 1, CLIENT, A) };
    let hedge = Span { at: 20, millis: 20, grpc_status: 1, outcome: "aborted", ..span(3, 1, CLIENT, A) };
    let answers = [
        Span { millis: 38, ..span(4, 2, SERVER, B) },
        Span { parent: 3, service: B, kind: SERVER, id: 5, ..hedge },
    ];
    let picture = picture(&[], &[whole, first, hedge, answers[0], answers[1]]);
    assert_eq!((edges(&picture), nodes(&picture)), {
        (vec!["default/a -> default/b 1/0 +1".to_owned()], vec!["default/b 2/0".to_owned()])
    });
    assert_eq!(picture.edge_cells[0].measure.aborted(), 0.0);
    // The hedge alone under one made span, as a proxy that hedges has it.
    let answered =
        [span(1, 0, CLIENT, A), Span { parent: 1, ..answers[0] }, Span { parent: 1, ..answers[1] }];
    check(&answered, &["default/a -> default/b 1/0 +1"], &["default/b 2/0"]);
}

#[test]
fn requests_inside_one_operation_are_tries_if_each_failed() {
    check(
        &[
            Span { millis: 50, ..span(1, 0, CLIENT, A) },
            failed(span(2, 1, CLIENT, A), 0),
            Span { at: 20, ..span(3, 1, CLIENT, A) },
            failed(span(4, 2, SERVER, B), 0),
            Span { at: 20, ..span(5, 3, SERVER, B) },
        ],
        &["default/a -> default/b 1/0 +1"],
        &["default/b 2/1"],
    );
}

#[test]
fn requests_side_by_side_are_tries_only_by_their_resend_count() {
    let first = failed(span(2, 1, CLIENT, A), 0);
    let second = Span { at: 20, resends: 1, ..span(3, 1, CLIENT, A) };
    let answers = [failed(span(4, 2, SERVER, B), 0), Span { at: 20, ..span(5, 3, SERVER, B) }];
    let all = |second| [span(1, 0, INTERNAL, A), first, second, answers[0], answers[1]];
    let resent = picture(&[], &all(second));
    assert_eq!(edges(&resent), ["default/a -> default/b 1/0 +1"]);
    // From the first try's start, 0 ms, to the last one's end, 30 ms.
    assert_eq!(resent.edge_cells[0].measure.max_ms(), Some(30.0));
    // Another service's call to the same callee, below another parent that is not stored, is none of its tries.
    let lost = |span, parent| Span { parent, ..span };
    let of_c = failed(Span { parent: 77, ..span(9, 0, CLIENT, C) }, 0);
    let others = picture(
        &[],
        &[of_c, lost(first, 78), lost(second, 78), answers[0], answers[1], span(10, 9, SERVER, B)],
    );
    assert_eq!(edges(&others), ["default/a -> default/b 1/0 +1", "default/c -> default/b 1/1"]);
    let again = picture(&[], &all(Span { resends: 0, ..second }));
    assert_eq!(edges(&again), ["default/a -> default/b 2/1"]);
}

/// The clock of the pod that failed is five seconds ahead: its answer seems to come after the one that it was tried again for.
#[test]
fn tries_by_two_clocks_are_one_call() {
    let whole = Span { millis: 100, ..span(1, 0, CLIENT, A) };
    let ahead = failed(span(2, 1, SERVER, B), 5_000);
    let next = Span { at: 40, ..span(3, 1, SERVER, B) };
    check(&[whole, ahead, next], &["default/a -> default/b 1/0 +1"], &["default/b 2/1"]);
    // Two that answered are two calls by any clock.
    let answered = Span { outcome: "ok", ..ahead };
    check(&[whole, answered, next], &["default/a -> default/b 2/0"], &["default/b 2/0"]);
}
