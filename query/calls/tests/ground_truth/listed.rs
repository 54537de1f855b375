//! Calls one by one add up to what is counted, in every story and under every grouping.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use meshlake_calls::list::{ListedCall, Lookup, described, newest};
use meshlake_calls::{Evidence, Picture};

/// More than any story has.
pub const CALLS_OF_A_STORY_MAX: usize = 100_000;

/// Calls, retries and refused calls of an edge, in thousandths.
type Sums = [i64; 3];

/// # Panics
/// When the calls of an edge are not those that it counts, when a node without edges in has others, or when the rows of a
/// call are not found again.
pub fn check(picture: &Picture, of_requests: &[RecordBatch], of_spans: &[RecordBatch]) {
    let calls = newest(picture, None, CALLS_OF_A_STORY_MAX);
    let mut requests = Lookup::of(&calls, Evidence::Requests);
    let mut spans = Lookup::of(&calls, Evidence::Spans);
    of_requests.iter().for_each(|batch| requests.add(batch).expect("columns of requests"));
    of_spans.iter().for_each(|batch| spans.add(batch).expect("columns of spans"));
    let listed = described(picture, &calls, &[requests, spans]);
    listed.iter().for_each(is_told_by_its_rows);
    assert!(listed.is_sorted_by_key(|call| std::cmp::Reverse(call.time)), "newest first");

    let milli = |calls: f64| (calls * 1_000.0).round() as i64;
    let mut sums: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    for call in &listed {
        let Some(source) = &call.source else { continue };
        let sum = sums.entry((source, &call.target)).or_default();
        let retries = call.requests * (call.attempts - 1) as f64;
        let refused = if call.is_refused { call.requests } else { 0.0 };
        sum.iter_mut().zip([call.requests, retries, refused]).for_each(|(sum, more)| *sum += milli(more));
    }
    let mut counted: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    for edge in &picture.edge_cells {
        let ends = (picture.nodes[edge.source].id.as_str(), picture.nodes[edge.target].id.as_str());
        let of_edge = [edge.measure.requests(), edge.measure.retries(), edge.refused].map(milli);
        counted.entry(ends).or_default().iter_mut().zip(of_edge).for_each(|(sum, more)| *sum += more);
    }
    assert_eq!(sums, counted, "calls listed, and calls counted");
}

/// A span has an id of its trace; of a row of a proxy there are durations, which all rows of stories tell.
fn is_told_by_its_rows(call: &ListedCall) {
    match call.evidence {
        Evidence::Spans => assert!(call.trace_id.is_some(), "no span found: {call:?}"),
        Evidence::Requests => {
            assert_eq!(call.client_nano.is_some(), call.is_seen_by_client, "{call:?}");
            assert_eq!(call.server_nano.is_some(), call.is_seen_by_server, "{call:?}");
        }
    }
}
