//! Who called whom: trees, shared ids, weights, errors.

use super::*;

#[test]
fn a_client_and_a_server_span_are_one_call() {
    check(
        &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, B)],
        &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
        &["default/a 1/0", "default/b 1/0"],
    );
}

#[test]
fn the_caller_is_the_nearest_ancestor_of_another_service() {
    check(
        &[
            span(1, 0, INTERNAL, A),
            span(2, 1, CLIENT, A),
            span(3, 2, INTERNAL, A),
            span(4, 3, SERVER, B),
            span(5, 4, INTERNAL, B),
            span(6, 5, INTERNAL, B),
            span(7, 6, CLIENT, B),
            span(8, 7, SERVER, C),
        ],
        &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0"],
    );
}

#[test]
fn a_call_without_a_client_span_still_is_one() {
    // nginx records SERVER spans only; what it calls has it as its parent.
    check(
        &[span(1, 0, SERVER, A), span(2, 1, SERVER, B)],
        &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
        &["default/a 1/0", "default/b 1/0"],
    );
}

#[test]
fn a_service_that_calls_itself_has_a_loop() {
    check(
        &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, A)],
        &["client@default/a -> default/a 1/0", "default/a -> default/a 1/0"],
        &["default/a 2/0"],
    );
}

#[test]
fn the_same_span_stored_twice_is_one() {
    let spans = [span(1, 0, CLIENT, A), span(2, 1, SERVER, B)];
    check(&[spans[1], spans[0], spans[1], spans[0]], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

/// Zipkin: both halves have the id 2 and the parent 1; the query belongs to the half of its own service.
#[test]
fn two_halves_may_share_an_id() {
    let query = Span { db_system: "mysql", server_address: "db.example", ..span(3, 2, CLIENT, B) };
    check(
        &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(2, 1, SERVER, B), query],
        &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0", "default/b -> db.example 1/0"],
        &["db.example 1/0", "default/a 1/0", "default/b 1/0"],
    );
}

/// Both halves are of one service: a child belongs to the received one.
#[test]
fn a_child_of_a_shared_id_of_one_service_belongs_to_the_received_half() {
    check(
        &[span(1, 0, CLIENT, A), span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, B)],
        &["default/a -> default/a 1/0", "default/a -> default/b 1/0"],
        &["default/a 1/0", "default/b 1/0"],
    );
    let lookup = Span { name: "dns.lookup", peer_address: "10.0.0.1", ..span(2, 1, CLIENT, A) };
    check(
        &[span(1, 0, CLIENT, A), span(1, 0, SERVER, A), lookup],
        &["default/a -> default/a 1/0"],
        &["default/a 1/0"],
    );
}

#[test]
fn equal_span_ids_in_two_traces_are_two_spans() {
    let other = Span { trace: 2, ..span(2, 1, SERVER, B) };
    let picture = picture(&[], &[span(1, 0, CLIENT, A), other]);
    assert_eq!(edges(&picture), ["default/a -> unknown@default/a 1/0"]);
    assert_eq!(nodes(&picture), ["default/b 1/0", "unknown@default/a 1/0"]);
}

#[test]
fn a_missing_parent_is_told_and_draws_no_edge() {
    let picture = picture(&[], &[span(2, 1, SERVER, B)]);
    assert_eq!((edges(&picture).len(), nodes(&picture)), (0, vec!["default/b 1/0".to_owned()]));
    assert_eq!(
        picture.warnings,
        ["1 of 1 received calls have a parent span that is not stored; they are on no edge"]
    );
}

/// Zipkin's remote endpoint of a received span, or what a mesh without tracing in the caller knows: who called.
#[test]
fn a_caller_that_only_its_callee_names_is_that_service() {
    let named =
        Span { peer_service: "a", server_address: "b-host", url: "http://b-host/", ..span(1, 0, SERVER, B) };
    check(&[named], &["a -> default/b 1/0"], &["default/b 1/0"]);
    let itself = Span { trace: 2, ..span(1, 0, SERVER, A) };
    let orphan = Span { parent: 77, ..named };
    check(
        &[orphan, itself],
        &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
        &["default/a 1/0", "default/b 1/0"],
    );
    // Where the caller's own span is there, it is the caller.
    check(
        &[span(3, 0, CLIENT, C), Span { parent: 3, ..named }],
        &["default/c -> default/b 1/0"],
        &["default/b 1/0"],
    );
}

#[test]
fn parents_in_a_circle_end() {
    let circle = [span(1, 2, SERVER, A), span(2, 1, SERVER, A), span(3, 3, SERVER, B)];
    let picture = picture(&[], &circle);
    assert_eq!(nodes(&picture), ["default/a 1/0", "default/b 1/0"]);
}

/// The call has one time, the start of its made side: before the range, it is counted in the range before.
#[test]
fn a_call_counts_when_it_was_made() {
    let parent = Span { second: 999, ..span(1, 0, CLIENT, A) };
    let child = Span { second: 1_000, ..span(2, 1, SERVER, B) };
    check(&[child, parent], &[], &[]);
    // Where no span of the caller stands for the call, the callee's does.
    check(&[child, Span { kind: INTERNAL, ..parent }], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
}

#[test]
fn a_call_has_the_weight_of_its_made_side() {
    let made = Span { weight: 8.0, ..span(1, 0, CLIENT, A) };
    let received = Span { weight: 2.0, ..span(2, 1, SERVER, B) };
    check(&[made, received], &["default/a -> default/b 8/0"], &["default/b 8/0"]);
    check(&[Span { parent: 0, ..received }], &["client@default/b -> default/b 2/0"], &["default/b 2/0"]);
}

#[test]
fn an_error_of_either_side_is_one_of_the_edge() {
    let failed = Span { outcome: "error", ..span(2, 1, SERVER, B) };
    check(&[span(1, 0, CLIENT, A), failed], &["default/a -> default/b 1/1"], &["default/b 1/1"]);
    let gave_up = Span { outcome: "error", ..span(1, 0, CLIENT, A) };
    let picture = picture(&[], &[gave_up, span(2, 1, SERVER, B)]);
    assert_eq!((edges(&picture), nodes(&picture)), {
        (vec!["default/a -> default/b 1/1".to_owned()], vec!["default/b 1/0".to_owned()])
    });
}

/// Some SDKs send a span when it begins, without an end, and again when it has ended.
#[test]
fn a_span_that_is_sent_before_it_ended_is_the_one_that_ended() {
    let ended = span(2, 1, SERVER, B);
    let begun = Span { millis: 0, ..ended };
    check(&[span(1, 0, CLIENT, A), begun, ended], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    let later = Span { millis: 20, ..ended };
    check(&[span(1, 0, CLIENT, A), ended, later], &["default/a -> default/b 2/0"], &["default/b 2/0"]);
}
