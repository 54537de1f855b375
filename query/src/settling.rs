//! Folds minutes that are over into cells, for whoever keeps them.
//!
//! Cells of ten minutes are added up from those of minutes, as far as those are settled. They are the same as folded ones by
//! construction: what a call is depends on the minutes around its own and on nothing else, a minute lies in one such
//! cell, sums are whole numbers, and the key of the one is the key of the other without some of its columns. So each row is
//! read for its minute alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use meshlake_calls::range::GRID;
use meshlake_calls::{Beyond, By, Fold, FoldError, Grain, Question, Range, Settled, Source};
use meshlake_engine::{Query, QueryError};
use meshlake_schema::{Budget, Table, TableBatch, TimeRange, UnixNanos};

use crate::calls::feed::{aside, counted, feed};
use crate::calls::{LoadError, add_cells, reading};

/// Most time that one fold counts: its cells are held in memory, and an hour of a thousand keys are some hundred MB.
const AT_ONCE_NANOS: i64 = 3_600 * 1_000_000_000;

/// What was settled.
#[derive(Debug, Default)]
pub struct Cells {
    /// Of each table.
    pub batches: Vec<TableBatch>,
    /// Windows in which some cells are summed up in others, as there were too many, or calls from part to part of long traces
    /// are on no edge.
    pub cut_windows: u64,
}

/// The cells of the calls of the query's tenant that start in `range`, which is of whole cells and minutes, for each of
/// `tables`. Memory for rows comes from `budget`. A long range is settled in parts, so that cells are summed up only where
/// one window has too many.
///
/// # Errors
/// As [`crate::calls::load`]. Cancel: as there.
pub async fn settle(
    query: &Query,
    tables: &[Table],
    range: TimeRange,
    budget: Arc<dyn Budget>,
) -> Result<Cells, LoadError> {
    let seconds = tables.iter().filter_map(|table| table.cell_seconds()).max().unwrap_or(60).max(60);
    let window = i64::from(seconds) * 1_000_000_000;
    let mut cells = Cells::default();
    let mut parts: VecDeque<(TimeRange, Room)> =
        parts(range, AT_ONCE_NANOS).map(|part| (part, Room::of(part, window))).collect();
    while let Some((part, room)) = parts.pop_front() {
        match settled(query, tables, part, room, &budget).await {
            Ok(settled) => {
                for table in tables {
                    let rows = settled.rows(*table, query.tenant(), query.began());
                    cells.batches.push(rows.map_err(|error| LoadError::bug(&error))?);
                }
                cells.cut_windows += u64::from(settled.is_cut());
            }
            Err(error) if is_too_much(&error) => match less(part, room, window) {
                parted if parted.is_empty() => return Err(error),
                parted => parted.into_iter().rev().for_each(|part| parts.push_front(part)),
            },
            Err(error) => return Err(error),
        }
    }
    Ok(cells)
}

/// How much is held of what is settled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Of several windows a few may have too much, and only there is something summed up.
    ForAll,
    ForTheBusiest,
    /// Whatever it costs in what is told apart: a window that is not settled is folded anew by each question.
    Little,
}

impl Room {
    fn of(part: TimeRange, window: i64) -> Room {
        if part.to.0 - part.from.0 <= window { Room::ForTheBusiest } else { Room::ForAll }
    }
}

/// What is done instead where a part was too much; nothing where nothing less can be.
fn less(part: TimeRange, room: Room, window: i64) -> Vec<(TimeRange, Room)> {
    match room {
        Room::ForAll => {
            let windows = (part.to.0 - part.from.0) / window;
            let middle = UnixNanos(part.from.0 + (windows + 1) / 2 * window);
            let halves = [TimeRange { to: middle, ..part }, TimeRange { from: middle, ..part }];
            halves.map(|half| (half, Room::of(half, window))).to_vec()
        }
        Room::ForTheBusiest => vec![(part, Room::Little)],
        Room::Little => Vec::new(),
    }
}

/// Whether less of it may be done.
fn is_too_much(error: &LoadError) -> bool {
    matches!(error, LoadError::TooManyCells(_) | LoadError::Query(QueryError::Memory(_)))
}

fn parts(range: TimeRange, width: i64) -> impl Iterator<Item = TimeRange> {
    let starts = (range.from.0..range.to.0).step_by(width.unsigned_abs() as usize);
    starts.map(move |from| TimeRange {
        from: UnixNanos(from),
        to: UnixNanos(from.saturating_add(width).min(range.to.0)),
    })
}

/// The table whose cells those of `tables` are the sum of; none where some table tells more than the sum.
fn narrower(tables: &[Table]) -> Option<Table> {
    (tables == [Table::Calls10m]).then_some(Table::Calls1m)
}

async fn settled(
    query: &Query,
    tables: &[Table],
    part: TimeRange,
    room: Room,
    budget: &Arc<dyn Budget>,
) -> Result<Settled, LoadError> {
    let narrower = narrower(tables);
    let (told, folded) = match narrower {
        Some(table) => reading::told_and_open(part, query.open(table, part)),
        None => (Vec::new(), vec![part]),
    };
    let cell = tables.iter().filter_map(|table| table.cell_seconds()).min();
    let step = cell.map_or(GRID, |seconds| Duration::from_secs(seconds.into()));
    let range = Range::new(part.from, part.to, Some(step)).map_err(|error| LoadError::bug(&error))?;
    let question = Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto };
    let fold = Fold::new(question).within(Arc::clone(budget)).fold_only(folded.clone());
    let mut fold = match room {
        Room::ForAll => fold.settling(Beyond::Refuse),
        Room::ForTheBusiest => fold.settling(Beyond::OthersOfNames),
        Room::Little => fold.settling_in_little(),
    };
    if let Some(table) = narrower {
        add_cells(query, &question, table, &told, &mut fold).await?;
    }
    loop {
        fold = feed(query, &question, &folded, fold).await?;
        let (folded, more) = counted(fold).await?;
        fold = folded;
        if !more.map_err(|error: FoldError| LoadError::of(error, query))? {
            break;
        }
    }
    aside(move || fold.settle()).await?.map_err(|error| LoadError::of(error, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three minutes that are too much: two and one, then each by itself, and in the end with little told apart.
    #[test]
    fn less_is_done_until_nothing_less_can_be() {
        let times = |from, to| TimeRange { from: UnixNanos(from), to: UnixNanos(to) };
        let mut parts = vec![(times(0, 3), Room::of(times(0, 3), 1))];
        let mut tried = Vec::new();
        while let Some((part, room)) = parts.pop() {
            tried.push((part.from.0, part.to.0, room));
            parts.extend(less(part, room, 1).into_iter().rev());
        }
        let alone = |from| [(from, from + 1, Room::ForTheBusiest), (from, from + 1, Room::Little)];
        let want =
            [&[(0, 3, Room::ForAll), (0, 2, Room::ForAll)], &alone(0)[..], &alone(1), &alone(2)].concat();
        assert_eq!(tried, want);
    }

    #[test]
    fn a_long_range_is_cut_from_its_start() {
        let times = |from, to| TimeRange { from: UnixNanos(from), to: UnixNanos(to) };
        let cut: Vec<TimeRange> = parts(times(100, 350), 100).collect();
        assert_eq!(cut, [times(100, 200), times(200, 300), times(300, 350)]);
    }
}
