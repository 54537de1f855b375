//! Room for labels: each takes the first spot along its edge where nothing is yet.

use super::curve::{NODE_HEIGHT, point};
use super::layout::{Layout, NODE_WIDTH};

pub const LABEL_HEIGHT: f64 = 28.0;

/// What is in the way of labels: boxes, and labels placed before. Middle, width, height.
pub struct Labels(Vec<((f64, f64), f64, f64)>);

impl Labels {
    pub fn around(layout: &Layout) -> Labels {
        Labels(layout.nodes.iter().map(|place| (point(*place), NODE_WIDTH, NODE_HEIGHT)).collect())
    }

    /// The first spot that is free; the first of all if none is.
    pub fn place(&mut self, spots: &[(f64, f64)], label_width: f64) -> (f64, f64) {
        let is_free = |spot: &&(f64, f64)| {
            !self.0.iter().any(|((x, y), width, height)| {
                (spot.0 - x).abs() < (width + label_width) / 2.0
                    && (spot.1 - y).abs() < (height + LABEL_HEIGHT) / 2.0
            })
        };
        let spot = *spots.iter().find(is_free).unwrap_or(&spots[0]);
        self.0.push((spot, label_width, LABEL_HEIGHT));
        spot
    }
}
