//! How a whole mesh fared over time: calls and errors of all nodes in each bucket of a picture.
//!
//! Calls are those that nodes received, so that a call from outside counts at each hop that it takes: what rises and falls, and
//! where it failed, is what is asked here, not how many came in.

use meshlake_schema::UnixNanos;

use crate::Picture;

/// One bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub from: UnixNanos,
    /// Exclusive; the range's end at the latest.
    pub to: UnixNanos,
    pub requests: f64,
    /// Requests a second.
    pub rate: f64,
    pub errors: f64,
}

impl Moment {
    /// 0..=1; 0 without calls.
    pub fn error_ratio(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }
}

/// Every bucket of the range, in order, those without calls as well. The picture must have a step and nodes.
pub fn timeline(picture: &Picture) -> Vec<Moment> {
    let range = &picture.range;
    let starts: Vec<UnixNanos> = range.bucket_starts().collect();
    let mut sums = vec![(0.0, 0.0); starts.len()];
    for cell in &picture.node_cells {
        let (requests, errors) = &mut sums[usize::from(cell.bucket)];
        *requests += cell.measure.requests();
        *errors += cell.measure.errors();
    }
    let ends = starts.iter().skip(1).copied().chain([range.to()]);
    let moments = starts.iter().zip(ends).zip(sums).zip(0_u16..);
    let moments = moments.map(|(((from, to), (requests, errors)), bucket)| {
        let rate = requests / range.bucket_seconds(bucket);
        Moment { from: *from, to, requests, rate, errors }
    });
    moments.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture::{FROM_SECOND, Request, SERVED, requests};
    use crate::{By, Fold, Grain, Question, Range, Source};

    /// A minute in steps of 40 s: three calls to b and c, one of which failed, then none in the 20 s that are left.
    #[test]
    fn every_bucket_is_told_and_calls_of_all_nodes_add_up() {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let step = Some(Duration::from_secs(40));
        let range = Range::new(at(FROM_SECOND), at(FROM_SECOND + 60), step).expect("a minute");
        let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
        let mut fold = Fold::new(question);
        let to_c = Request { destination: ("default", "c"), outcome: "error", ..SERVED };
        fold.add_requests(&requests(&[SERVED, SERVED, to_c]));
        let told = timeline(&fold.finish().expect("a few cells"));
        let want = [
            Moment {
                from: at(FROM_SECOND),
                to: at(FROM_SECOND + 40),
                requests: 3.0,
                rate: 3.0 / 40.0,
                errors: 1.0,
            },
            Moment {
                from: at(FROM_SECOND + 40),
                to: at(FROM_SECOND + 60),
                requests: 0.0,
                rate: 0.0,
                errors: 0.0,
            },
        ];
        assert_eq!(told, want);
        assert_eq!((told[0].error_ratio(), told[1].error_ratio()), (1.0 / 3.0, 0.0));
    }
}
