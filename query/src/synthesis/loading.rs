//! Reads the ten minutes of a range that are not kept: cells where they are settled, rows where they are not.
//!
//! The narrowest cells that a question needs are read. Where those are gone for their age, wider ones are, which a question
//! sees by the width of the slots that it gets. Cells of many windows lie in one file, so several are read in one scan
//! and sorted out by time.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use futures::StreamExt;
use meshlake_calls::series::chunk::Chunk;
use meshlake_calls::settled::decode;
use meshlake_calls::{By, Fold, FoldError, Grain, Question, Range, Source};
use meshlake_engine::{Lean, Query, QueryError, Scan};
use meshlake_schema::{Table, TimeRange, UnixNanos};

use super::chunks::{Chunks, Key};
use super::grid::{DAY, WINDOW, floor};
use crate::calls::feed::{aside, counted, feed};
use crate::calls::{LoadError, reading};

const NANOS_PER_MILLI: i64 = 1_000_000;
const MINUTE_NANOS: i64 = 60_000 * NANOS_PER_MILLI;
const WINDOW_NANOS: i64 = WINDOW * NANOS_PER_MILLI;

/// Most windows of one question: sixty days. A year of them would not fit into memory.
pub const WINDOWS_MAX: usize = 60 * 144;

/// Windows that began at most so long ago are read in the narrowest slots for every question: rows still come, so that they
/// are folded again and again, and one fold is to serve all. Two windows.
const NEWEST_NANOS: i64 = 2 * WINDOW_NANOS;

/// Minutes of a window that one table's cells may lack and narrower cells have: so many may be on their way. More are
/// gone for their age.
const LAGGING_MINUTES_MAX: i64 = 2;

/// What is wanted. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub from: i64,
    pub until: i64,
    /// In slots of so many seconds from `from` on; what lies before it on its day in ten minutes.
    pub slot_seconds: u32,
    pub by_operation: bool,
}

/// One window that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    key: Key,
    version: u64,
}

impl Wanted {
    fn times(&self) -> TimeRange {
        TimeRange {
            from: UnixNanos(self.key.start),
            to: UnixNanos(self.key.start.saturating_add(WINDOW_NANOS)),
        }
    }
}

/// Every chunk of the range that holds anything, ascending, and of the part of its first day that lies before it.
///
/// # Errors
/// As [`crate::calls::load`]; [`QueryError::Invalid`] for more than [`WINDOWS_MAX`] windows.
pub async fn load(query: &Query, chunks: &Chunks, asked: &Asked) -> Result<Vec<Arc<Chunk>>, LoadError> {
    let wanted = wanted(query, asked)?;
    let kept = |wanted: &Wanted| chunks.get(&wanted.key, wanted.version);
    let mut found: Vec<Option<Arc<Chunk>>> = wanted.iter().map(kept).collect();
    if found.iter().any(Option::is_none) {
        let tenant: Arc<str> = query.tenant().into();
        let _turn = chunks.turn(&tenant).await;
        for (found, wanted) in found.iter_mut().zip(&wanted).filter(|(found, _)| found.is_none()) {
            *found = kept(wanted);
        }
        let missing: Vec<usize> = (0..wanted.len()).filter(|at| found[*at].is_none()).collect();
        let opens = Opens::of(query, missing.iter().map(|at| &wanted[*at]));
        for group in groups(&missing, &wanted, &opens) {
            let began = Instant::now();
            let made = made(query, chunks, &group, &wanted).await?;
            let cost = began.elapsed() / u32::try_from(made.len()).unwrap_or(u32::MAX).max(1);
            for (at, chunk) in group.windows.into_iter().zip(made) {
                chunks.keep(wanted[at].key.clone(), wanted[at].version, &chunk, cost);
                found[at] = Some(chunk);
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Whether there is any call, or was: what names of metrics are told for.
///
/// # Errors
/// As [`crate::calls::load`].
pub async fn has_calls(query: &Query) -> Result<bool, LoadError> {
    for table in [Table::Requests, Table::Spans].into_iter().chain(Table::settled()) {
        let scan = Scan { columns: Some(&["time"]), limit: Some(1), ..Scan::of(table) };
        let mut rows = query.scan(&scan).await?;
        while let Some(batch) = rows.next().await {
            if batch?.num_rows() > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The windows of a question of which anything is known, ascending.
pub(super) fn wanted(query: &Query, asked: &Asked) -> Result<Vec<Wanted>, LoadError> {
    let nanos = |millis: i64| UnixNanos(millis.saturating_mul(NANOS_PER_MILLI));
    let first_fine = nanos(floor(asked.from, WINDOW));
    let range = TimeRange { from: nanos(floor(asked.from, DAY)), to: nanos(asked.until) };
    if range.from >= range.to {
        return Ok(Vec::new());
    }
    let told = query.told_windows(Table::Calls10m, range);
    if told.len() > WINDOWS_MAX {
        let days = WINDOWS_MAX / 144;
        let text = format!("series that are counted from calls are told of at most {days} days at once");
        return Err(QueryError::Invalid(text).into());
    }
    let tenant: Arc<str> = query.tenant().into();
    let newest = query.began().0.saturating_sub(NEWEST_NANOS);
    let wanted = told.into_iter().map(|(start, version)| {
        let slot_seconds = match start {
            start if start.0 > newest => 10,
            start if start < first_fine => 600,
            _ => asked.slot_seconds,
        };
        let key = Key {
            tenant: Arc::clone(&tenant),
            start: start.0,
            slot_seconds,
            by_operation: asked.by_operation,
        };
        Wanted { key, version }
    });
    Ok(wanted.collect())
}

/// What cells of each width do not tell of a range.
struct Opens {
    open: Vec<(Table, Vec<TimeRange>)>,
    /// Whose cells are gone, and the rows too.
    gone: Vec<(Table, Vec<TimeRange>)>,
}

impl Opens {
    fn of<'w>(query: &Query, wanted: impl Iterator<Item = &'w Wanted>) -> Opens {
        let times: Vec<TimeRange> = wanted.map(Wanted::times).collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return Opens { open: Vec::new(), gone: Vec::new() };
        };
        let range = TimeRange { from: first.from, to: last.to };
        let open = Table::settled().map(|table| (table, query.open(table, range))).collect();
        let gone = Table::settled().map(|table| (table, query.only_wider(table, range))).collect();
        Opens { open, gone }
    }

    fn open(&self, table: Table, window: TimeRange) -> Vec<TimeRange> {
        inside(&self.open, table, window)
    }

    fn minutes(&self, table: Table, window: TimeRange) -> i64 {
        self.open(table, window).iter().map(|open| (open.to.0 - open.from.0) / MINUTE_NANOS).sum()
    }

    /// Whether the cells of the table are kept, as far as there were any.
    fn is_kept(&self, table: Table, wider: Table, window: TimeRange) -> bool {
        let lacks = self.minutes(table, window) - self.minutes(wider, window);
        inside(&self.gone, table, window).is_empty() && lacks <= LAGGING_MINUTES_MAX
    }

    /// Where a window is read from: the table, and how many seconds a slot has.
    fn source(&self, wanted: &Wanted) -> (Table, u32) {
        let (window, asked) = (wanted.times(), wanted.key.slot_seconds);
        let has_minutes = self.is_kept(Table::Calls1m, Table::Calls10m, window);
        match asked {
            10 if self.is_kept(Table::Calls10s, Table::Calls1m, window) => (Table::Calls10s, 10),
            10 | 60 if has_minutes => (Table::Calls1m, 60),
            _ if has_minutes && (wanted.key.by_operation || self.minutes(Table::Calls10m, window) > 0) => {
                (Table::Calls1m, 600)
            }
            _ => (Table::Calls10m, 600),
        }
    }
}

/// The parts of a window in the ranges of a table.
fn inside(ranges: &[(Table, Vec<TimeRange>)], table: Table, window: TimeRange) -> Vec<TimeRange> {
    let of_table = ranges.iter().filter(|(of, _)| *of == table).flat_map(|(_, ranges)| ranges);
    let cut =
        of_table.map(|range| TimeRange { from: range.from.max(window.from), to: range.to.min(window.to) });
    cut.filter(|range| range.from < range.to).collect()
}

/// Windows that are read in one scan, by their places.
struct Group {
    table: Table,
    slot_seconds: u32,
    windows: Vec<usize>,
    /// What is folded from rows in each.
    open: Vec<Vec<TimeRange>>,
}

impl Group {
    /// How many windows are held at once while they are made: the narrower their slots, the more cells.
    fn windows_max(&self) -> usize {
        match self.slot_seconds {
            10 => 6,
            60 => 12,
            _ => 36,
        }
    }
}

fn groups(missing: &[usize], wanted: &[Wanted], opens: &Opens) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for at in missing {
        let (table, slot_seconds) = opens.source(&wanted[*at]);
        let open = opens.open(table, wanted[*at].times());
        match groups.last_mut() {
            Some(last)
                if (last.table, last.slot_seconds) == (table, slot_seconds)
                    && last.windows.len() < last.windows_max() =>
            {
                last.windows.push(*at);
                last.open.push(open);
            }
            _ => groups.push(Group { table, slot_seconds, windows: vec![*at], open: vec![open] }),
        }
    }
    groups
}

async fn made(
    query: &Query,
    chunks: &Chunks,
    group: &Group,
    wanted: &[Wanted],
) -> Result<Vec<Arc<Chunk>>, LoadError> {
    match folded(query, chunks, group, wanted).await {
        Err(LoadError::TooManyCells(_)) if group.windows.len() > 1 || group.slot_seconds < 600 => {
            let mut made = Vec::new();
            for (at, open) in group.windows.iter().zip(&group.open) {
                made.push(alone(query, chunks, (*at, open), group, wanted).await?);
            }
            Ok(made)
        }
        made => made,
    }
}

/// The chunk of one window, in slots as wide as it takes to hold its cells.
async fn alone(
    query: &Query,
    chunks: &Chunks,
    (at, open): (usize, &[TimeRange]),
    group: &Group,
    wanted: &[Wanted],
) -> Result<Arc<Chunk>, LoadError> {
    let mut slots = [10, 60, 600].into_iter().filter(|slot| *slot >= group.slot_seconds).peekable();
    while let Some(slot_seconds) = slots.next() {
        let one = Group { slot_seconds, table: group.table, windows: vec![at], open: vec![open.to_vec()] };
        match folded(query, chunks, &one, wanted).await {
            Err(LoadError::TooManyCells(_)) if slots.peek().is_some() => {}
            made => {
                return made?
                    .pop()
                    .ok_or_else(|| LoadError::bug(&QueryError::Internal("no window".to_owned())));
            }
        }
    }
    Err(LoadError::TooManyCells(FoldError::TooManyCells))
}

/// The windows of a group, in its slots.
async fn folded(
    query: &Query,
    chunks: &Chunks,
    group: &Group,
    wanted: &[Wanted],
) -> Result<Vec<Arc<Chunk>>, LoadError> {
    let mut folds = Vec::new();
    for (at, open) in group.windows.iter().zip(&group.open) {
        let times = wanted[*at].times();
        let step = std::time::Duration::from_secs(group.slot_seconds.into());
        let range = Range::new(times.from, times.to, Some(step)).map_err(|error| LoadError::bug(&error))?;
        let grain = Grain::Labels { by_operation: wanted[*at].key.by_operation };
        let question = Question { range, by: By::Whole, grain, source: Source::Auto };
        let fold = Fold::new(question).within(query.budget()).fold_only(open.clone());
        let (told, _) = reading::told_and_open(times, open.clone());
        folds.push(Window { question, told, fold });
    }
    read_cells(query, group.table, &mut folds).await?;
    let mut made = Vec::new();
    for (window, open) in folds.into_iter().zip(&group.open) {
        made.push(finished(query, chunks, window, open, group.slot_seconds).await?);
    }
    Ok(made)
}

/// One window while it is made.
struct Window {
    question: Question,
    /// The times that cells tell.
    told: Vec<TimeRange>,
    fold: Fold,
}

/// Gives each window the cells of its own time.
async fn read_cells(query: &Query, table: Table, windows: &mut [Window]) -> Result<(), LoadError> {
    let told = || windows.iter().flat_map(|window| &window.told);
    let (Some(first), Some(last)) = (told().next(), told().next_back()) else { return Ok(()) };
    let range = TimeRange { from: first.from, to: last.to };
    let grain = windows[0].question.grain;
    let reading = decode::Reading::Whole(grain);
    let columns = decode::columns(table, reading);
    let lean = Some(Lean { dictionaries: &decode::dictionaries(table, reading), nested: &[] });
    let mut rows = query.scan(&Scan { columns: Some(&columns), range, lean, ..Scan::of(table) }).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let of_window = rows_by_window(&batch, windows)?;
        for (window, rows) in windows.iter_mut().zip(of_window).filter(|(_, rows)| !rows.is_empty()) {
            let rows = take_record_batch(&batch, &UInt32Array::from(rows));
            let rows = rows.map_err(|error| LoadError::bug(&error))?;
            let added = window.fold.add_cells(table, &rows, &window.told);
            added.map_err(|error| LoadError::bug(&error))?;
        }
    }
    Ok(())
}

/// The rows that begin in each window, which are ascending.
fn rows_by_window(batch: &RecordBatch, windows: &[Window]) -> Result<Vec<Vec<u32>>, LoadError> {
    let times =
        batch.column_by_name("time").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| QueryError::Internal("a cell has no time".to_owned()))?;
    let starts: Vec<i64> = windows.iter().map(|window| window.question.range.from().micros()).collect();
    let mut of_window = vec![Vec::new(); windows.len()];
    for (row, time) in (0u32..).zip(times.values()) {
        let next = starts.partition_point(|start| start <= time);
        if let Some(rows) = next.checked_sub(1).and_then(|at| of_window.get_mut(at)) {
            rows.push(row);
        }
    }
    Ok(of_window)
}

async fn finished(
    query: &Query,
    chunks: &Chunks,
    window: Window,
    open: &[TimeRange],
    slot_seconds: u32,
) -> Result<Arc<Chunk>, LoadError> {
    let Window { question, mut fold, .. } = window;
    while !open.is_empty() {
        fold = feed(query, &question, open, fold).await?;
        let (folded, more) = counted(fold).await?;
        fold = folded;
        if !more.map_err(|error| LoadError::of(error, query))? {
            break;
        }
    }
    let hasher = chunks.hasher().clone();
    let made = aside(move || fold.finish_series(slot_seconds, &hasher)).await?;
    Ok(Arc::new(made.map_err(|error| LoadError::of(error, query))?))
}
