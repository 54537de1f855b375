//! Lines: the newest or the oldest of a range.
//!
//! A range is read in slices from the end that is asked for, each some times as long as the one before, until there are as
//! many lines as are wanted: who looks at the last hundred lines of a month does not read the month. Lines of one instant come
//! in the order of their labels and texts, so that the same question has the same answer.

use meshlake_engine::Engine;
use meshlake_logql::pipeline::Origin;
use meshlake_logql::tree::log::Log;
use meshlake_logql::{Entry, Pipeline};
use meshlake_schema::UnixNanos;
use meshlake_schema::budget::Holding;

use super::asking::{At, asked};
use super::error::LogsError;
use super::reading::fold;
use super::rows::Needs;

/// Lines of one answer: Loki's default limit of its limit.
pub const LINES_MAX: usize = 5_000;

/// The first slice of a range, and how many times as long each one is as the one before. Guess, not measured.
const SLICE_NANOS: i64 = 60_000_000_000;
const SLICE_FACTOR: i64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The oldest first.
    Forward,
    /// The newest first.
    Backward,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Lines {
    pub log: Log,
    /// Included.
    pub from: UnixNanos,
    /// Not included.
    pub to: UnixNanos,
    /// At most [`LINES_MAX`].
    pub limit: usize,
    pub direction: Direction,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Found {
    pub time: UnixNanos,
    /// Sorted by name.
    pub labels: Vec<(String, String, Origin)>,
    pub line: String,
}

impl Found {
    pub fn of(entry: &Entry<'_>) -> Found {
        let labels =
            entry.labels.iter().map(|(name, value, origin)| (name.to_owned(), value.to_owned(), origin));
        let errors =
            entry.labels.errors().map(|(name, value)| (name.to_owned(), value.to_owned(), Origin::Parsed));
        let mut labels: Vec<_> = labels.chain(errors).collect();
        labels.sort();
        Found { time: entry.time, labels, line: entry.line.clone().into_owned() }
    }

    /// Bytes that it takes, about.
    fn bytes(&self) -> usize {
        const EACH: usize = size_of::<(String, String, Origin)>();
        let labels = self.labels.iter().map(|(name, value, _)| name.len() + value.len() + EACH);
        size_of::<Found>() + self.line.len() + labels.sum::<usize>()
    }
}

/// The lines, in the order that is asked for.
///
/// # Errors
/// Those of the query and of reading.
pub async fn lines(engine: &Engine, tenant: &str, question: Lines) -> Result<Vec<Found>, LogsError> {
    asked(engine, tenant, move |at| found(at, &question)).await
}

/// The lines of one snapshot.
pub fn found(at: &At, question: &Lines) -> Result<Vec<Found>, LogsError> {
    let limit = question.limit.min(LINES_MAX);
    let mut found = Vec::new();
    let mut holding = Holding::new(at.budget.as_ref());
    for times in slices(question.from, question.to, question.direction) {
        if found.len() >= limit {
            break;
        }
        let mut best = slice(at, question, times, limit - found.len())?;
        found.append(&mut best);
        holding.resize(found.iter().map(Found::bytes).sum())?;
    }
    Ok(found)
}

/// Parts of a range that do not meet, in the order that they are read.
fn slices(
    from: UnixNanos,
    to: UnixNanos,
    direction: Direction,
) -> impl Iterator<Item = (UnixNanos, UnixNanos)> {
    let mut rest = (from.0, to.0);
    let mut length = SLICE_NANOS;
    std::iter::from_fn(move || {
        if rest.0 >= rest.1 {
            return None;
        }
        let slice = match direction {
            Direction::Backward => (rest.1.saturating_sub(length).max(rest.0), rest.1),
            Direction::Forward => (rest.0, rest.0.saturating_add(length).min(rest.1)),
        };
        match direction {
            Direction::Backward => rest.1 = slice.0,
            Direction::Forward => rest.0 = slice.1,
        }
        length = length.saturating_mul(SLICE_FACTOR);
        Some((UnixNanos(slice.0), UnixNanos(slice.1)))
    })
}

fn slice(
    at: &At,
    question: &Lines,
    times: (UnixNanos, UnixNanos),
    limit: usize,
) -> Result<Vec<Found>, LogsError> {
    let pipeline = Pipeline::new(&question.log, at.now);
    let needs = Needs { pipeline, lines: true, metadata: true, times };
    let new = || Best {
        direction: question.direction,
        limit,
        found: Vec::new(),
        edge: None,
        holding: Holding::new(at.budget.as_ref()),
    };
    let parts = fold(at, &needs, new, |best, entry| best.add(entry))?;
    let mut found: Vec<Found> = parts.into_iter().flat_map(|(best, _)| best.found).collect();
    cut(&mut found, question.direction, limit);
    Ok(found)
}

/// The first of the lines that were added.
struct Best<'b> {
    direction: Direction,
    limit: usize,
    /// In no order, up to twice as many.
    found: Vec<Found>,
    /// The time of the last line that is one of the first so far; what is farther is none.
    edge: Option<UnixNanos>,
    holding: Holding<'b>,
}

impl Best<'_> {
    fn add(&mut self, entry: &Entry<'_>) -> Result<(), LogsError> {
        let is_farther = |edge: UnixNanos| match self.direction {
            Direction::Forward => entry.time > edge,
            Direction::Backward => entry.time < edge,
        };
        if self.edge.is_some_and(is_farther) {
            return Ok(());
        }
        let found = Found::of(entry);
        self.holding.resize(self.holding.bytes() + found.bytes())?;
        self.found.push(found);
        if self.found.len() >= self.limit.saturating_mul(2).max(1) {
            cut(&mut self.found, self.direction, self.limit);
            self.edge = self.found.last().map(|found| found.time);
            self.holding.resize(self.found.iter().map(Found::bytes).sum())?;
        }
        Ok(())
    }
}

/// Sorts, and leaves the first.
fn cut(found: &mut Vec<Found>, direction: Direction, limit: usize) {
    found.sort_unstable_by(|a, b| match direction {
        Direction::Forward => a.cmp(b),
        Direction::Backward => b.time.cmp(&a.time).then_with(|| a.cmp(b)),
    });
    found.truncate(limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_the_range_from_the_end_that_is_asked_for() {
        let minutes = |direction| -> Vec<(i64, i64)> {
            let (from, to) = (UnixNanos(-SLICE_NANOS), UnixNanos(9 * SLICE_NANOS));
            slices(from, to, direction).map(|(from, to)| (from.0 / SLICE_NANOS, to.0 / SLICE_NANOS)).collect()
        };
        assert_eq!(minutes(Direction::Backward), [(8, 9), (4, 8), (-1, 4)]);
        assert_eq!(minutes(Direction::Forward), [(-1, 0), (0, 4), (4, 9)]);
        assert_eq!(slices(UnixNanos(5), UnixNanos(5), Direction::Forward).count(), 0);
        let all = slices(UnixNanos(i64::MIN), UnixNanos(i64::MAX), Direction::Backward);
        assert!(all.count() < 30);
    }
}
