//! Spans in, calls out: the rules of `docs/calls.md` that are about traces, by name.

use crate::fixture::{
    CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, SPAN, Span, check as check_rows, edges, kind, nodes,
    picture,
};

const A: (&str, &str) = ("default", "a");
const B: (&str, &str) = ("default", "b");
const C: (&str, &str) = ("default", "c");
const GATEWAY: (&str, &str) = ("istio-system", "gateway");

fn span(id: u64, parent: u64, kind: i32, service: (&'static str, &'static str)) -> Span {
    Span { id, parent, kind, service, ..SPAN }
}

fn check(spans: &[Span], want_edges: &[&str], want_nodes: &[&str]) {
    check_rows(&[], spans, want_edges, want_nodes);
}

mod pairing;
mod received;
mod proxies;
mod layers;
mod attempts;
mod messages;
mod far_ends;
mod bounds;
mod odd;
mod reported;
