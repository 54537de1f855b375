//! Traces that nobody would make on purpose.

use std::time::{Duration, Instant};

use super::*;

/// Linear walks over 200,000 spans take well under a second even unoptimised; a quadratic one takes hours.
const ENOUGH: Duration = Duration::from_secs(120);

fn timed(spans: &[Span]) -> crate::Picture {
    let began = Instant::now();
    let picture = picture(&[], spans);
    assert!(began.elapsed() < ENOUGH, "took {:?}", began.elapsed());
    picture
}

#[test]
fn a_trace_may_be_as_deep_as_it_likes() {
    let deep = |kind| (1..=50_000).map(move |id| span(id, id - 1, kind, A)).collect::<Vec<_>>();
    assert_eq!(nodes(&timed(&deep(SERVER))), ["default/a 1/0"]);
    assert_eq!(edges(&timed(&deep(CLIENT))), ["default/a -> unknown@default/a 1/0"]);
    assert!(nodes(&timed(&deep(INTERNAL))).is_empty());
    // A calls B, which calls A, and so on; the last one made no call.
    let alternating: Vec<Span> = (1..50_000)
        .map(|id| {
            span(id, id - 1, if id % 2 == 0 { CLIENT } else { SERVER }, if id / 2 % 2 == 0 { A } else { B })
        })
        .collect();
    assert_eq!(nodes(&timed(&alternating)).len(), 2);
}

#[test]
fn a_trace_may_be_as_wide_as_it_likes() {
    let wide = |kind, service| (2..=100_000).map(move |id| span(id, 1, kind, service));
    let answers: Vec<Span> = wide(SERVER, B).chain([span(1, 0, CLIENT, A)]).collect();
    assert_eq!(nodes(&timed(&answers)), ["default/b 99999/0"]);
    let requests: Vec<Span> = wide(CLIENT, A).chain([span(1, 0, CLIENT, A)]).collect();
    assert_eq!(edges(&timed(&requests)), ["default/a -> unknown@default/a 99999/0"]);
}

#[test]
fn all_spans_may_have_one_id_or_be_in_one_circle() {
    let same: Vec<Span> = (0..100_000).map(|at| Span { at, ..span(1, 1, SERVER, A) }).collect();
    timed(&same);
    let circle: Vec<Span> = (1..=100_000).map(|id| span(id, id % 100_000 + 1, SERVER, A)).collect();
    assert_eq!(nodes(&timed(&circle)), ["default/a 1/0"]);
    let selves: Vec<Span> = (1..=100_000).map(|id| span(id, id, SERVER, A)).collect();
    assert_eq!(nodes(&timed(&selves)), ["default/a 100000/0"]);
}
