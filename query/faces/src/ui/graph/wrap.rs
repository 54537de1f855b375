//! Layers of many nodes as several columns: a star of a thousand services as one column is a hundred screens high.
//!
//! Nodes are dealt in their order into rows of as many as there are columns, so that neighbours stay near. An edge to or from a
//! column inside runs between two rows, a channel that all edges of the row below share, and never behind a box.

use super::layout::NODE_PITCH;

/// Rows of a column before a second one is begun: what a large screen shows at once.
pub const ROWS_MIN: f64 = 24.0;

/// The grid that the nodes of one layer stand in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub columns: usize,
    rows: usize,
}

impl Grid {
    /// About as wide as high where there are many: a column takes twice the room of a row.
    pub fn of(nodes: usize) -> Grid {
        let rows = ROWS_MIN.max((2.0 * nodes as f64).sqrt().ceil());
        let columns = (nodes as f64 / rows).ceil().max(1.0) as usize;
        Grid { columns, rows: nodes.div_ceil(columns) }
    }

    pub fn is_wrapped(self) -> bool {
        self.columns > 1
    }

    /// The column of a node, of which so many stand before it in its layer.
    pub fn column(self, before: usize) -> usize {
        before % self.columns
    }

    /// The middle of its row, where 0 is that of the grid.
    pub fn y(self, before: usize) -> f64 {
        ((before / self.columns) as f64 - (self.rows as f64 - 1.0) / 2.0) * NODE_PITCH
    }

    /// The channel above that row.
    pub fn channel(self, before: usize) -> f64 {
        self.y(before) - NODE_PITCH / 2.0
    }

    /// The columns at whose places an edge bends to run through the channel that ends, from the left, at `column`; and from there to
    /// the right.
    pub fn bends_before(self, column: usize) -> Vec<usize> {
        Grid::ends(0..column)
    }

    pub fn bends_after(self, column: usize) -> Vec<usize> {
        Grid::ends(column + 1..self.columns)
    }

    fn ends(passed: std::ops::Range<usize>) -> Vec<usize> {
        match passed.len() {
            0 => Vec::new(),
            1 => vec![passed.start],
            _ => vec![passed.start, passed.end - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_wrapped_where_it_is_higher_than_a_screen() {
        let grid = |nodes| (Grid::of(nodes).columns, Grid::of(nodes).rows);
        assert_eq!([0, 1, 24, 25, 48, 100].map(grid), [(1, 0), (1, 1), (1, 24), (2, 13), (2, 24), (5, 20)]);
        // The square root of 3,000 is 54.8.
        assert_eq!(grid(1_500), (28, 54));
    }

    #[test]
    fn an_edge_bends_where_it_enters_a_channel_and_where_it_leaves_it() {
        let grid = Grid::of(100);
        let before = [0, 1, 2, 4].map(|column| grid.bends_before(column));
        assert_eq!(before, [vec![], vec![0], vec![0, 1], vec![0, 3]]);
        assert_eq!([4, 3, 0].map(|column| grid.bends_after(column)), [vec![], vec![4], vec![1, 4]]);
    }
}
