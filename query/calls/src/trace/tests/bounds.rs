//! Traces that nobody would make on purpose.

use super::*;
use crate::trace::order::WALKED_SPANS_MAX;

/// A walk over these takes well under a second even unoptimised. A quadratic one takes hours, and needs no clock to be seen.
fn walked(spans: &[Span]) -> crate::Picture {
    picture(&[], spans)
}

#[test]
fn a_trace_may_be_as_deep_as_it_likes() {
    let deep = |kind| (1..=50_000).map(move |id| span(id, id - 1, kind, A)).collect::<Vec<_>>();
    assert_eq!(nodes(&walked(&deep(SERVER))), ["default/a 1/0"]);
    assert_eq!(edges(&walked(&deep(CLIENT))), ["default/a -> unknown@default/a 1/0"]);
    assert!(nodes(&walked(&deep(INTERNAL))).is_empty());
    // A calls B, which calls A, and so on; the last one made no call.
    let alternating: Vec<Span> = (1..50_000)
        .map(|id| {
            span(id, id - 1, if id % 2 == 0 { CLIENT } else { SERVER }, if id / 2 % 2 == 0 { A } else { B })
        })
        .collect();
    assert_eq!(nodes(&walked(&alternating)).len(), 2);
}

#[test]
fn a_trace_may_be_as_wide_as_it_likes() {
    let wide = |kind, service| (2..=100_000).map(move |id| span(id, 1, kind, service));
    let answers: Vec<Span> = wide(SERVER, B).chain([span(1, 0, CLIENT, A)]).collect();
    assert_eq!(nodes(&walked(&answers)), ["default/b 99999/0"]);
    let requests: Vec<Span> = wide(CLIENT, A).chain([span(1, 0, CLIENT, A)]).collect();
    assert_eq!(edges(&walked(&requests)), ["default/a -> unknown@default/a 99999/0"]);
}

#[test]
fn all_spans_may_have_one_id_or_be_in_one_circle() {
    let same: Vec<Span> = (0..100_000).map(|at| Span { at, ..span(1, 1, SERVER, A) }).collect();
    walked(&same);
    let circle: Vec<Span> = (1..=100_000).map(|id| span(id, id % 100_000 + 1, SERVER, A)).collect();
    assert_eq!(nodes(&walked(&circle)), ["default/a 1/0"]);
    let selves: Vec<Span> = (1..=100_000).map(|id| span(id, id, SERVER, A)).collect();
    assert_eq!(nodes(&walked(&selves)), ["default/a 100000/0"]);
}

/// The ids of all requests' traces are one. A span before the first call has the last made span of the first part lose its other
/// half, which is in the next.
#[test]
fn a_trace_of_too_many_spans_is_walked_in_parts() {
    let calls = WALKED_SPANS_MAX as u64 / 2;
    let call = |number: u64| {
        let at = number as i64 / 1_000;
        let made = Span { at, ..span(2 * number, 0, CLIENT, A) };
        [made, Span { at, ..span(2 * number + 1, 2 * number, SERVER, B) }]
    };
    let spans: Vec<Span> = [span(1, 0, INTERNAL, A)].into_iter().chain((1..=calls).flat_map(call)).collect();
    let picture = walked(&spans);
    let at_nodes = [format!("default/b {calls}/0"), "unknown@default/a 1/0".to_owned()];
    assert_eq!(nodes(&picture), at_nodes);
    let want =
        [format!("default/a -> default/b {}/0", calls - 1), "default/a -> unknown@default/a 1/0".to_owned()];
    assert_eq!(edges(&picture), want);
    assert!(
        picture.warnings.iter().any(|warning| warning.contains("looked at in parts")),
        "{:?}",
        picture.warnings
    );
    let whole = walked(&spans[1..]);
    assert_eq!((edges(&whole), whole.warnings), (vec![format!("default/a -> default/b {calls}/0")], vec![]));
}
