//! Cells of files, decoded once and kept for the questions that come after.
//!
//! A page asks for the same day again every few seconds, and all of it but the newest minutes is in files that never change. So
//! what a file's cells say is kept by its path, for a tenant, a grouping and what is told apart; of cells of minutes only what one
//! service is asked for, and of what tells more apart than ends, counts alone or one service. Who asks for it while it is made waits for that.
//! Limits: [`KEPT_BYTES_MAX`], [`CELLS_MAX`].

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use meshlake_calls::settled::decode;
use meshlake_calls::{By, Digest, Digested, Fold, FoldError, Grain, Lines, Question, Range, Source, Told};
use meshlake_engine::{DataFile, Lean, Part, Query, QueryError, Scan};
use meshlake_schema::{Filter, Table, TimeRange, UnixNanos};
use tokio::sync::{Mutex as Turn, mpsc};

use super::LoadError;
use super::feed::aside;

/// Bytes of decoded cells that are kept: of a day of a mesh of 1,500 edges, each told by spans and by rows in all of its ten
/// minutes, 90 MB by estimate.
const KEPT_BYTES_MAX: usize = 192 << 20;

/// What a cell takes, more or less.
const CELL_BYTES: u64 = 128;

/// Most cells that a question may want kept: of more, as of some weeks, each would drive out what the next one wants.
const CELLS_MAX: u64 = KEPT_BYTES_MAX as u64 / CELL_BYTES;

/// Batches of a file that are read and not yet counted, at some megabyte each.
const BATCHES_ON_THE_WAY: usize = 2;

/// What is kept, of all tenants.
#[derive(Debug)]
pub(crate) struct Digests {
    bytes_max: usize,
    held: Mutex<Held>,
}

impl Default for Digests {
    fn default() -> Self {
        Digests { bytes_max: KEPT_BYTES_MAX, held: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Held {
    families: HashMap<Key, Family>,
    bytes: usize,
    /// Counts uses.
    uses: u64,
}

/// Digests of one tenant that tell the same apart.
#[derive(Debug, Default)]
struct Family {
    lines: Arc<RwLock<Lines>>,
    /// Held by whoever makes some.
    turn: Arc<Turn<()>>,
    by_path: HashMap<Arc<str>, Kept>,
}

#[derive(Debug)]
struct Kept {
    digest: Arc<Digest>,
    used: u64,
}

/// What is kept of some files now.
struct Look {
    /// In their order.
    found: Vec<Option<Arc<Digest>>>,
    /// What those are numbered by.
    lines: Arc<RwLock<Lines>>,
    /// Whose it is to make others.
    turn: Arc<Turn<()>>,
}

/// What files, or minutes, say of a question.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    lines: Arc<RwLock<Lines>>,
    digests: Vec<Arc<Digest>>,
}

impl Found {
    /// These digests, by the numbers of `lines`.
    pub fn of(lines: Arc<RwLock<Lines>>, digests: Vec<Arc<Digest>>) -> Found {
        Found { lines, digests }
    }

    /// What `work` makes of the cells that begin in one of `times`.
    pub fn read<T>(&self, times: &[TimeRange], work: impl FnOnce(&Digested<'_>) -> T) -> T {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        work(&Digested { lines: &lines, digests: &self.digests, times })
    }
}

/// What is kept of files.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    table: Table,
    by: By,
    grain: Grain,
    /// Of rows.
    filter: Filter,
    /// Counts alone, of which each takes a quarter.
    without_latencies: bool,
}

impl Wanted {
    /// What every survey reads of a table, if that is worth keeping: for parts also who called.
    pub fn of_survey(table: Table, question: &Question) -> Option<Wanted> {
        let is_widest = Table::settled().last() == Some(table);
        let grain = match question.grain {
            Grain::Told(_) => Grain::Told(Told::NOTHING),
            _ => Grain::Node,
        };
        let (by, filter) = (question.by, Filter::And(Vec::new()));
        let wanted = Wanted { table, by, grain, filter, without_latencies: false };
        (is_widest && !question.grain.tells_ends()).then_some(wanted)
    }

    /// What parts are added up of, which `filter` says: of all of them counts alone, or there would be too much to be kept.
    pub fn of_parts(
        table: Table,
        question: &Question,
        filter: &Filter,
        without_latencies: bool,
    ) -> Option<Wanted> {
        let Question { by, grain, .. } = *question;
        let wanted = Wanted { table, by, grain, filter: filter.clone(), without_latencies };
        Some(wanted).filter(|wanted| without_latencies || wanted.is_narrow())
    }

    /// What a picture is drawn of, if that is worth keeping: nodes and edges are the same cells as those of a survey, and of what
    /// tells more apart there is little where one service is asked for, which `filter` says.
    pub fn of_drawing(table: Table, question: &Question, filter: &Filter) -> Option<Wanted> {
        let Question { by, grain, .. } = *question;
        let of_survey = Wanted::of_survey(table, question).filter(|_| grain == Grain::Node);
        let is_narrow = *filter != Filter::And(Vec::new());
        let narrow = Wanted { table, by, grain, filter: filter.clone(), without_latencies: false };
        of_survey.or_else(|| (is_narrow && !grain.tells_callers()).then_some(narrow))
    }

    fn is_narrow(&self) -> bool {
        self.filter != Filter::And(Vec::new())
    }

    fn key(&self, tenant: &str) -> Key {
        let Wanted { table, by, grain, filter, without_latencies } = self;
        let counts = if *without_latencies { "counts of " } else { "" };
        (tenant.into(), format!("{counts}{} {} {grain:?} {filter:?}", table.name(), by.name()).into())
    }
}

/// The digests of all files that hold such cells in `times`; none where those are too many.
///
/// # Errors
/// As [`super::load`]. Cancel: what was made is kept.
pub(crate) async fn found(
    query: &Query,
    wanted: &Wanted,
    times: &[TimeRange],
) -> Result<Option<Found>, LoadError> {
    let is_met =
        |file: &&DataFile| times.iter().any(|times| times.meets(file.time_min_micros, file.time_max_micros));
    let files: Vec<&DataFile> = query.files(wanted.table).iter().filter(is_met).collect();
    if !wanted.is_narrow() && are_too_many(files.iter().map(|file| file.rows)) {
        return Ok(None);
    }
    let kept = query.kept::<Digests>();
    let key = wanted.key(query.tenant());
    let mut look = kept.look(&key, &files);
    if look.found.iter().any(Option::is_none) {
        let turn = Arc::clone(&look.turn);
        let _turn = turn.lock().await;
        look = kept.look(&key, &files);
        let lines = &look.lines;
        let mut made = Vec::new();
        for (found, file) in look.found.iter_mut().zip(&files).filter(|(found, _)| found.is_none()) {
            made.push(async move { (found, file, digest(query, wanted, file, lines).await) }.boxed());
        }
        // While one is read another is counted: as many as the threads that a query has, and the one that waits for them.
        let mut made = stream::iter(made).buffered(query.parallelism() + 1);
        while let Some((found, file, digest)) = made.next().await {
            let Some(digest) = digest? else {
                kept.forget(&key);
                return Ok(None);
            };
            let digest = Arc::new(digest);
            kept.keep(&key, file, lines, &digest);
            *found = Some(digest);
        }
    }
    Ok(Some(Found { lines: look.lines, digests: look.found.into_iter().flatten().collect() }))
}

fn are_too_many(cells: impl Iterator<Item = u64>) -> bool {
    cells.fold(0_u64, u64::saturating_add) > CELLS_MAX
}

/// What the cells of a file say; none where that cannot be kept.
async fn digest(
    query: &Query,
    wanted: &Wanted,
    file: &DataFile,
    lines: &Arc<RwLock<Lines>>,
) -> Result<Option<Digest>, LoadError> {
    let Wanted { table, by, grain, filter, without_latencies } = wanted.clone();
    let width = i64::from(table.cell_seconds().unwrap_or(1)) * 1_000_000_000;
    let floor = |micros: i64| UnixNanos::from_micros(micros).0.div_euclid(width) * width;
    let (from, last) = (floor(file.time_min_micros), floor(file.time_max_micros));
    let step = Some(Duration::from_nanos(width.unsigned_abs()));
    let Ok(range) = Range::new(UnixNanos(from), UnixNanos(last.saturating_add(width)), step) else {
        return Ok(None);
    };
    let question = Question { range, by, grain, source: Source::Auto };
    let mut fold = Fold::new(question).fold_only(Vec::new()).within(query.budget());
    let reading =
        if without_latencies { decode::Reading::Counted(grain) } else { decode::Reading::Whole(grain) };
    let columns = decode::columns(table, reading);
    let lean = Some(Lean { dictionaries: &decode::dictionaries(table, reading), nested: &[] });
    let part = Part::Files(&[file]);
    let mut rows =
        query.scan(&Scan { columns: Some(&columns), filter, lean, part, ..Scan::of(table) }).await?;
    let (sender, mut receiver) = mpsc::channel(BATCHES_ON_THE_WAY);
    let lines = Arc::clone(lines);
    let counting = aside(move || {
        while let Some(batch) = receiver.blocking_recv() {
            fold.add_cells(table, &batch, &[TimeRange::ALL])?;
        }
        fold.digest(&mut lines.write().unwrap_or_else(PoisonError::into_inner))
    });
    let reading = async move {
        while let Some(batch) = rows.try_next().await? {
            // Who counts has ended early, and says why.
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok::<(), QueryError>(())
    };
    let (made, read) = tokio::join!(counting, reading);
    read?;
    match made? {
        Err(FoldError::TooManyCells) => Ok(None),
        made => made.map_err(|error| LoadError::of(error, query)),
    }
}

/// The tenant, and what is wanted.
type Key = (Arc<str>, Arc<str>);

/// What a digest takes beside its cells, about: its path, its place. A service that is hardly called has one for each file.
const OVERHEAD_BYTES: usize = 400;

impl Kept {
    fn bytes(&self) -> usize {
        OVERHEAD_BYTES + self.digest.bytes()
    }
}

impl Digests {
    /// Nothing is held half: each change is one insertion or removal with its bytes.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: &Key, files: &[&DataFile]) -> Look {
        let mut held = self.held();
        held.uses += 1;
        let uses = held.uses;
        let family = held.families.entry(key.clone()).or_default();
        let found = files.iter().map(|file| {
            let path: &str = file.path.as_ref();
            let kept = family.by_path.get_mut(path)?;
            kept.used = uses;
            Some(Arc::clone(&kept.digest))
        });
        let found = found.collect();
        Look { found, lines: Arc::clone(&family.lines), turn: Arc::clone(&family.turn) }
    }

    /// Keeps a digest by these lines; others go that were not used for longest.
    fn keep(&self, key: &Key, file: &DataFile, lines: &Arc<RwLock<Lines>>, digest: &Arc<Digest>) {
        let mut held = self.held();
        held.uses += 1;
        let used = held.uses;
        let family = held.families.entry(key.clone()).or_default();
        if Arc::ptr_eq(&family.lines, lines) {
            let kept = Kept { digest: Arc::clone(digest), used };
            let bytes = kept.bytes();
            let path: &str = file.path.as_ref();
            let before = family.by_path.insert(path.into(), kept);
            held.bytes = held.bytes + bytes - before.map_or(0, |before| before.bytes());
        }
        if held.bytes > self.bytes_max {
            held.make_room(self.bytes_max - self.bytes_max / 8);
        }
    }

    /// Lets go of all of a tenant and a grouping, whose lines are too many.
    fn forget(&self, key: &Key) {
        let mut held = self.held();
        if let Some(family) = held.families.remove(key) {
            held.bytes -= family.by_path.values().map(Kept::bytes).sum::<usize>();
        }
    }
}

impl Held {
    fn make_room(&mut self, bytes_max: usize) {
        let paths = self.families.iter().flat_map(|(key, family)| {
            family.by_path.iter().map(move |(path, kept)| (kept.used, key.clone(), Arc::clone(path)))
        });
        let mut order: Vec<_> = paths.collect();
        order.sort_by_key(|(used, ..)| *used);
        for (_, key, path) in order {
            if self.bytes <= bytes_max {
                break;
            }
            let Some(family) = self.families.get_mut(&key) else { continue };
            self.bytes -= family.by_path.remove(&path).map_or(0, |kept| kept.bytes());
            if family.by_path.is_empty() {
                self.families.remove(&key);
            }
        }
    }
}
