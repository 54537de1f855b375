//! Windows before instants, cut into cells where any of them begins or ends.
//!
//! A window has its end and not its start, and so has a cell: `(start, end]`. Windows that do not meet leave cells between
//! them that are of none.

use std::ops::Range;

use super::steps::Steps;
use crate::tree::metric::OverTime;

/// The windows of one range aggregation.
#[derive(Debug, Clone)]
pub struct Windows {
    offset_nano: i64,
    /// Ends of cells, ascending, moved by the offset; the first is where the first cell begins.
    edges: Vec<i64>,
    /// The cells of each window.
    cells: Vec<Range<usize>>,
    is_of_window: Vec<bool>,
}

impl Windows {
    pub fn new(over_time: &OverTime, steps: Steps) -> Windows {
        let start = |end: i64| end.saturating_sub(over_time.range_nano);
        let mut edges: Vec<i64> = steps.times().flat_map(|end| [start(end), end]).collect();
        edges.sort_unstable();
        edges.dedup();
        let place = |edge: i64| edges.partition_point(|known| *known < edge);
        // The cell behind an edge has the edge's number.
        let cells: Vec<Range<usize>> = steps.times().map(|end| place(start(end))..place(end)).collect();
        let mut is_of_window = vec![false; edges.len()];
        cells.iter().for_each(|cells| is_of_window[cells.clone()].fill(true));
        Windows { offset_nano: over_time.offset_nano, edges, cells, is_of_window }
    }

    /// How many cells there are.
    pub fn count(&self) -> usize {
        self.edges.len() - 1
    }

    /// The cells of each window, in the order of instants: neither their starts nor their ends go back.
    pub fn cells(&self) -> &[Range<usize>] {
        &self.cells
    }

    /// Lines later than the first and at the latest at the second can be in a window; nanoseconds since the epoch.
    pub fn covered(&self) -> (i64, i64) {
        let moved = |edge: i64| edge.saturating_sub(self.offset_nano);
        (moved(self.edges[0]), moved(self.edges[self.edges.len() - 1]))
    }

    /// Which cell a time is in, if any window has it.
    pub fn place(&self, time_nano: i64) -> Option<usize> {
        let moved = time_nano.saturating_add(self.offset_nano);
        let cell = self.edges.partition_point(|edge| *edge < moved).checked_sub(1)?;
        (cell < self.count() && self.is_of_window[cell]).then_some(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::log::Log;
    use crate::tree::metric::Function;

    fn windows(range_nano: i64, offset_nano: i64, steps: Steps) -> Windows {
        let log = Log { matchers: Vec::new(), stages: Vec::new() };
        let function = Function::CountOverTime;
        Windows::new(
            &OverTime { function, log, unwrap: None, range_nano, offset_nano, grouping: None },
            steps,
        )
    }

    /// For each instant: which of the times 0..40 are in its cells.
    fn held(windows: &Windows) -> Vec<Vec<i64>> {
        let of = |cells: &Range<usize>| {
            (0..40).filter(|time| windows.place(*time).is_some_and(|cell| cells.contains(&cell))).collect()
        };
        windows.cells().iter().map(of).collect()
    }

    #[test]
    fn a_window_has_its_end_and_not_its_start() {
        let steps = Steps::range(10, 30, 10).expect("a range");
        for (range, offset) in [(10, 0), (25, 0), (3, 0), (7, 4), (10, -5)] {
            let windows = windows(range, offset, steps);
            let want: Vec<Vec<i64>> = [10, 20, 30]
                .into_iter()
                .map(|end| {
                    (0..40).filter(|time| *time > end - range - offset && *time <= end - offset).collect()
                })
                .collect();
            assert_eq!(held(&windows), want, "[{range}] offset {offset}");
        }
    }
}
