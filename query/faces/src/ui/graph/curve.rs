//! The way of an edge through a drawing: level out of its source, around the boxes of the layers that it passes, level into its
//! target.

use super::layout::{NODE_WIDTH, Place};

/// Sizes in drawing units.
pub const NODE_HEIGHT: f64 = 66.0;
pub const PADDING: f64 = 18.0;

/// Where along its curve a label is tried, in this order: the middle is best, the ends are crowded.
const LABEL_SPOTS: [f64; 9] = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7];

/// How far off its curve a label is tried when there is no room on it; half its height still touches.
const LABEL_NUDGES: [f64; 3] = [0.0, -14.0, 14.0];

/// Where a place of the layout lies.
pub fn point(place: Place) -> (f64, f64) {
    (PADDING + place.x, PADDING + place.y)
}

/// A path of cubic curves.
pub struct Curve {
    start: (f64, f64),
    parts: Vec<[(f64, f64); 3]>,
}

impl Curve {
    pub fn of(ends: (usize, usize), route: &[Place]) -> Curve {
        if ends.0 == ends.1 { Curve::around(point(route[0])) } else { Curve::along(route) }
    }

    /// From the right side of the source to the left side of the target, level at both ends and at each
    /// bend; the other way round for an edge that points back.
    fn along(route: &[Place]) -> Curve {
        let points: Vec<(f64, f64)> = route.iter().map(|place| point(*place)).collect();
        let (first, last) = (points[0], points[points.len() - 1]);
        let direction = if first.0 <= last.0 { 1.0 } else { -1.0 };
        let start = (first.0 + direction * NODE_WIDTH / 2.0, first.1);
        // The arrow's head takes six units before the box.
        let end = (last.0 - direction * (NODE_WIDTH / 2.0 + 6.0), last.1);
        let mut parts = Vec::new();
        let mut from = start;
        for (at, bend) in points.iter().enumerate().skip(1) {
            let is_last = at == points.len() - 1;
            // A bend is as long as a box is wide, so that the edge passes boxes of its layer level.
            let enter = if is_last { end } else { (bend.0 - direction * NODE_WIDTH / 2.0, bend.1) };
            let middle = (from.0 + enter.0) / 2.0;
            parts.push([(middle, from.1), (middle, enter.1), enter]);
            from = enter;
            if !is_last {
                let leave = (bend.0 + direction * NODE_WIDTH / 2.0, bend.1);
                parts.push([from, leave, leave]);
                from = leave;
            }
        }
        Curve { start, parts }
    }

    /// A loop over a node that calls itself.
    fn around((x, y): (f64, f64)) -> Curve {
        let top = y - NODE_HEIGHT / 2.0;
        let part = [(x + 46.0, top - 26.0), (x - 46.0, top - 26.0), (x - 22.0, top - 5.0)];
        Curve { start: (x + 22.0, top), parts: vec![part] }
    }

    pub fn path(&self) -> String {
        let mut path = format!("M{:.0} {:.0}", self.start.0, self.start.1);
        let mut from = self.start;
        for [a, b, end] in &self.parts {
            // Past a box an edge runs level. Of a large mesh those are half of all parts, and megabytes as curves.
            if *a == from && b == end {
                path.push_str(&format!("H{:.0}", end.0));
            } else {
                path.push_str(&format!(
                    "C{:.0} {:.0} {:.0} {:.0} {:.0} {:.0}",
                    a.0, a.1, b.0, b.1, end.0, end.1
                ));
            }
            from = *end;
        }
        path
    }

    /// Points where a label may stand, best first: along the first and the last part.
    pub fn spots(&self) -> Vec<(f64, f64)> {
        let last = self.parts.len() - 1;
        let mut spots = Vec::new();
        for nudge in LABEL_NUDGES {
            for spot in LABEL_SPOTS {
                for part in [0, last] {
                    let (x, y) = self.at(part, spot);
                    spots.push((x, y + nudge));
                }
            }
        }
        spots
    }

    /// The point at `t` of a part: B(t) of a cubic Bezier curve.
    fn at(&self, part: usize, t: f64) -> (f64, f64) {
        let from = if part == 0 { self.start } else { self.parts[part - 1][2] };
        let [a, b, end] = self.parts[part];
        let u = 1.0 - t;
        let mix = |p: f64, q: f64, r: f64, s: f64| {
            u * u * u * p + 3.0 * u * u * t * q + 3.0 * u * t * t * r + t * t * t * s
        };
        (mix(from.0, a.0, b.0, end.0), mix(from.1, a.1, b.1, end.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the first layer past a box of the second into the third, all 100 down: out of the box at 18 + 170, level from 316 to
    /// 486 where the second layer's boxes are, and six units before the third's at 614.
    #[test]
    fn an_edge_runs_level_where_it_passes_boxes() {
        let route = [85.0, 383.0, 681.0].map(|x| Place { x, y: 100.0 });
        let path = Curve::of((0, 1), &route).path();
        assert_eq!(path, "M188 118C252 118 252 118 316 118H486C547 118 547 118 608 118");
        let back: Vec<Place> = route.into_iter().rev().collect();
        assert!(
            Curve::of((1, 0), &back).path().starts_with("M614 118"),
            "one that points back leaves to the left"
        );
    }
}
