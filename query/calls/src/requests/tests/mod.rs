//! Rows of proxies in, calls out: the rules of `docs/calls.md` that are about access logs, by name.

use crate::choice::Source;
use crate::fixture::{
    CALL, CLIENT, FROM_SECOND, Request, SERVED, SPAN, Span, check as check_rows, edges, kind, nodes, picture,
    picture_of,
};
use crate::grouping::{By, Grain};

const GATEWAY: Request = Request {
    observer: "gateway",
    source: ("istio-system", "ingress"),
    destination: ("default", "b"),
    downstream: "192.0.2.7:5000",
    ..CALL
};

fn check(rows: &[Request], want_edges: &[&str], want_nodes: &[&str]) {
    check_rows(rows, &[], want_edges, want_nodes);
}

mod joining;
mod leftovers;
mod once;
mod gateways;
mod waypoints;
mod outcomes;
mod far_ends;
mod groups;
mod by_address;
mod connections;
