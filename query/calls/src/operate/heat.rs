//! How long the calls of an edge took over time: how many of each bucket of time fell into each band of latency.
//!
//! Bands are whole runs of the buckets of the one latency sketch, half a power of two wide, so that no call is split between
//! two. Two modes, such as of a cache that is hit and missed, are two bands here and one lie in a percentile. Limit:
//! [`BANDS_MAX`]; where latencies are further apart, bands are wider by powers of two.

use meshlake_schema::{LatencyHistogram, UnixNanos};

use crate::measure::MILLI;
use crate::{NodeIdentity, Picture};

/// Buckets of the sketch to a power of two, and to half of one.
const BUCKETS_PER_OCTAVE: f64 = 32.0;
const BUCKETS_PER_BAND: i32 = 16;

/// Bands of one answer: from a tenth of a millisecond to ten seconds is 33 half powers of two, which a screen can show.
pub const BANDS_MAX: usize = 36;

const NANOS_PER_MILLI: f64 = 1e6;

/// Calls by time and latency.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heat {
    /// Starts of the buckets of time, ascending, each of the range.
    pub times: Vec<UnixNanos>,
    /// Ends of the bands in milliseconds, ascending: band `i` is above `edges_ms[i]` and at most `edges_ms[i + 1]`.
    pub edges_ms: Vec<f64>,
    /// Calls, by time, then band; of sampled spans not always whole.
    pub calls: Vec<Vec<f64>>,
}

/// The calls of the edge between two nodes, each by id or by name. The picture must have a step and edges.
pub fn heat(picture: &Picture, client: &str, server: &str) -> Heat {
    let is = |node: &NodeIdentity, name: &str| node.id == name || node.name == name;
    let nodes = &picture.nodes;
    let cells = picture.edge_cells.iter();
    let cells = cells.filter(|cell| is(&nodes[cell.source], client) && is(&nodes[cell.target], server));
    let held: Vec<(u16, &LatencyHistogram)> =
        cells.map(|cell| (cell.bucket, cell.measure.latency())).collect();
    let indices = || held.iter().flat_map(|(_, latency)| latency.buckets().map(|(index, _)| index));
    let (Some(least), Some(most)) = (indices().min(), indices().max()) else { return Heat::default() };
    let mut width = BUCKETS_PER_BAND;
    while (most.div_euclid(width) - least.div_euclid(width)) as usize >= BANDS_MAX {
        width *= 2;
    }
    let (first, last) = (least.div_euclid(width), most.div_euclid(width));
    let times: Vec<UnixNanos> = picture.range.bucket_starts().collect();
    let mut calls = vec![vec![0.0; (last - first + 1) as usize]; times.len()];
    for (bucket, latency) in held {
        for (index, count) in latency.buckets() {
            calls[usize::from(bucket)][(index.div_euclid(width) - first) as usize] +=
                count as f64 / MILLI as f64;
        }
    }
    let edge_ms = |band: i32| (f64::from(band * width) / BUCKETS_PER_OCTAVE).exp2() / NANOS_PER_MILLI;
    Heat { times, edges_ms: (first..=last + 1).map(edge_ms).collect(), calls }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture::{CALL, FROM_SECOND, Request, requests};
    use crate::{By, Fold, Grain, Question, Range, Source};

    fn told(rows: &[Request]) -> Heat {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let step = Some(Duration::from_secs(30));
        let range = Range::new(at(FROM_SECOND), at(FROM_SECOND + 60), step).expect("a minute");
        let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
        let mut fold = Fold::new(question);
        fold.add_requests(&requests(rows));
        heat(&fold.finish().expect("a few cells"), "a", "default/b")
    }

    /// 10 ms and 10.5 ms share a band, 40 ms is four half powers of two above; a call to c is none of the edge's.
    #[test]
    fn calls_fall_into_bands_of_half_a_power_of_two() {
        let at = |second, millis| Request { second: FROM_SECOND + second, millis, ..CALL };
        let elsewhere = Request { destination: ("default", "c"), ..CALL };
        let heat = told(&[at(0, 10), at(1, 10), at(31, 10), at(31, 40), elsewhere]);
        assert_eq!(heat.times.iter().map(|time| time.seconds()).collect::<Vec<_>>(), [1_000, 1_030]);
        assert_eq!(heat.calls, [[2.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 1.0]]);
        // 2^23 ns = 8.388608 ms is the largest half power of two below 10 ms.
        assert!((heat.edges_ms[0] - 8.388_608).abs() < 1e-9, "{:?}", heat.edges_ms);
        let ratios = heat.edges_ms.windows(2).map(|pair| pair[1] / pair[0]);
        assert!(ratios.into_iter().all(|ratio| (ratio - 2.0_f64.sqrt()).abs() < 1e-9));
    }

    /// From a millisecond to three hours is 23 powers of two, 46 halves: more than are shown, so that bands are whole ones.
    #[test]
    fn bands_are_bounded() {
        let heat = told(&[Request { millis: 1, ..CALL }, Request { millis: 10_000_000, ..CALL }]);
        assert!(heat.calls[0].len() <= BANDS_MAX, "{}", heat.calls[0].len());
        assert!((heat.edges_ms[1] / heat.edges_ms[0] - 2.0).abs() < 1e-9);
        assert_eq!(heat.calls[0].iter().sum::<f64>(), 2.0);
        assert_eq!(told(&[]), Heat::default());
    }
}
