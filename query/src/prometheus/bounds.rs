//! How large what is answered is in memory, and what is said where there is more than is answered.

use meshlake_promql::{Labels, Point};

/// What an answer says that has more series than were asked for; Prometheus's words.
pub const CUT: &str = "results truncated due to limit";

/// Bytes of a label set, about.
pub fn label_bytes(labels: &Labels) -> usize {
    labels.iter().map(|label| label.name.len() + label.value.len()).sum::<usize>() + size_of::<Labels>()
}

/// Bytes of a point with its time, about.
pub fn point_bytes(point: &Point) -> usize {
    const BUCKET: usize = size_of::<(i32, f64)>();
    let histogram = match point {
        Point::Histogram(histogram) => (histogram.positive.len() + histogram.negative.len()) * BUCKET,
        Point::None | Point::Float(_) => 0,
    };
    size_of::<(i64, Point)>() + histogram
}
