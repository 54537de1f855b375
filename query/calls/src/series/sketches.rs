//! What series tell of a sketch: how much lies below the bounds of each histogram, and the sum of its values.

use meshlake_schema::LatencyHistogram;

use super::bounds::Bounds;
use super::metrics::{DURATION, Histogram, LATENCY, REQUEST_BYTES, SERVER_SECONDS};
use crate::measure::{MILLI, Measure};

/// Bounds in the sketch, of each histogram.
pub struct Thresholds {
    pub duration: Bounds,
    pub bytes: Bounds,
    pub graph: Bounds,
    pub spans: Bounds,
}

impl Default for Thresholds {
    fn default() -> Self {
        let of = |histogram: &Histogram| Bounds::of(histogram.bounds, histogram.unit);
        Thresholds {
            duration: of(&DURATION),
            bytes: of(&REQUEST_BYTES),
            graph: of(&SERVER_SECONDS),
            spans: of(&LATENCY),
        }
    }
}

/// The sum of the durations in the sketch, in thousandths of microseconds: exact, unless calls without a latency were
/// summed with others.
pub fn duration(measure: &Measure) -> u64 {
    let [requests, .., duration, _squares] = measure.sums();
    let sketch = measure.latency();
    if sketch.count() == requests { duration } else { about(sketch) / MILLI }
}

/// The sum of all values of a sketch, to 1.09 %.
pub fn about(sketch: &LatencyHistogram) -> u64 {
    let middle = |index: i32| ((f64::from(index) + 0.5) / 32.0).exp2();
    sketch.buckets().map(|(index, count)| (middle(index) * count as f64) as u64).fold(0, u64::saturating_add)
}
