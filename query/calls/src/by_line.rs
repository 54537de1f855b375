//! What is known of lines in each of the ten minutes that they tell of.
//!
//! Mostly that is the same in all of them, or in many in a row, so it is held once for each such run: a day of a mesh of fifteen
//! hundred edges is a million cells, and some thousand runs.

use crate::cell_key::{CellKey, Line};
use crate::hashing::NumberMap;
use crate::survey::Counted;

/// Windows in a row, both included.
#[derive(Debug, Clone, Copy)]
struct Run<T> {
    first: u16,
    last: u16,
    value: T,
}

/// Runs of one line, ascending and apart.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'r, T>(&'r [Run<T>]);

impl<T: Copy> Runs<'_, T> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|run| &run.value)
    }

    pub fn get(&self, window: u16) -> Option<T> {
        self.run_of(window).map(|run| self.value(run))
    }

    /// The place of the run that a window is in.
    pub fn run_of(&self, window: u16) -> Option<usize> {
        let next = self.0.partition_point(|run| run.last < window);
        self.0.get(next).filter(|run| run.first <= window).map(|_| next)
    }

    /// The first window of the run at this place.
    pub fn first(&self, run: usize) -> u16 {
        self.0[run].first
    }

    /// The value of the run at this place.
    pub fn value(&self, run: usize) -> T {
        self.0[run].value
    }
}

/// Values by line and window.
#[derive(Debug)]
pub struct ByLine<T> {
    lines: NumberMap<Line, Vec<Run<T>>>,
    runs: usize,
}

impl<T> Default for ByLine<T> {
    fn default() -> Self {
        ByLine { lines: NumberMap::default(), runs: 0 }
    }
}

impl<T: Copy> ByLine<T> {
    /// A value for all windows that are told of a line; of a line that is told in parts, one for each.
    pub fn of<'t>(told: impl Iterator<Item = (Line, &'t [(u16, Counted)], T)>) -> ByLine<T> {
        let mut by_line = ByLine::default();
        for (line, told, value) in told {
            by_line.put(line, told.iter().map(|(window, _)| (*window, value)), |_, _| true);
        }
        by_line
    }

    /// Puts values of a line in windows that ascend, none of which has one yet. Those that follow each other are held once where
    /// `is_same` says so.
    pub fn put(
        &mut self,
        line: Line,
        values: impl Iterator<Item = (u16, T)>,
        is_same: impl Fn(&T, &T) -> bool,
    ) {
        let runs = self.lines.entry(line).or_default();
        let begins = runs.len();
        for (window, value) in values {
            match runs[begins..].last_mut() {
                Some(run) if run.last.checked_add(1) == Some(window) && is_same(&run.value, &value) => {
                    run.last = window;
                }
                _ => runs.push(Run { first: window, last: window, value }),
            }
        }
        self.runs += runs.len() - begins;
        if begins > 0 {
            runs.sort_unstable_by_key(|run| run.first);
        }
    }

    /// Changes the value of each run.
    pub fn change(&mut self, change: impl Fn(&mut T)) {
        self.lines.values_mut().flatten().for_each(|run| change(&mut run.value));
    }

    pub fn get(&self, cell: &CellKey) -> Option<T> {
        self.of_line(&cell.line()).get(cell.at.window)
    }

    pub fn of_line(&self, line: &Line) -> Runs<'_, T> {
        Runs(self.lines.get(line).map_or(&[], Vec::as_slice))
    }

    /// Every line with the value of each of its runs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Line, &T)> {
        self.lines.iter().flat_map(|(line, runs)| runs.iter().map(move |run| (line, &run.value)))
    }

    /// Bytes taken, about: of lists and maps that are half full.
    pub fn bytes(&self) -> usize {
        2 * (self.lines.len() * size_of::<(Line, Vec<Run<T>>)>() + self.runs * size_of::<Run<T>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell_key::Evidence;
    use crate::entry::Entry;
    use crate::party::PartyId;

    fn line(entry: Entry) -> Line {
        let (source, destination) = (PartyId::NOBODY, PartyId::OTHER);
        Line { source, destination, evidence: Evidence::Spans, entry }
    }

    #[test]
    fn windows_in_a_row_with_one_value_are_one_run() {
        let (edge, received) = (line(Entry::Edge), line(Entry::Received));
        let mut by_line = ByLine::default();
        by_line.put(edge, [(1, 'a'), (2, 'a'), (4, 'a'), (5, 'b')].into_iter(), char::eq);
        by_line.put(received, [(6, 'b')].into_iter(), char::eq);
        assert_eq!(by_line.runs, 4);
        let told: Vec<Option<char>> = (0..8).map(|window| by_line.of_line(&edge).get(window)).collect();
        assert_eq!(told, [None, Some('a'), Some('a'), None, Some('a'), Some('b'), None, None]);
        let at = |entry, window| by_line.get(&CellKey::surveyed_of(&line(entry), window));
        assert_eq!(
            (at(Entry::Received, 6), at(Entry::Received, 5), at(Entry::Alias, 6)),
            (Some('b'), None, None)
        );
    }

    /// As where an address is one service's in some of the ten minutes and another's in those between.
    #[test]
    fn values_of_a_line_may_come_in_turns() {
        let edge = line(Entry::Edge);
        let mut by_line = ByLine::default();
        by_line.put(edge, [(1, 'a'), (3, 'a')].into_iter(), char::eq);
        by_line.put(edge, [(2, 'b'), (u16::MAX, 'b')].into_iter(), char::eq);
        let told: Vec<Option<char>> =
            [0, 1, 2, 3, 4, u16::MAX].iter().map(|window| by_line.of_line(&edge).get(*window)).collect();
        assert_eq!(told, [None, Some('a'), Some('b'), Some('a'), None, Some('b')]);
    }
}
