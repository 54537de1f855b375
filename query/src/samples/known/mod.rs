//! What is known of the series in files, for all questions: a file never changes, so that its labels are read once.
//!
//! Questions read numbers by the row and labels by the series, and most rows are of series that were met in the file before or
//! in the question before. So stems are made once, and each file keeps which of them it has and when. What is in the
//! buffer is read anew for each question.
//!
//! Kept are at most [`BYTES_MAX`] and what one question added above that; then all is forgotten and read again as it is
//! needed. Tenants are kept apart, as ids of series are hashes that one tenant could make of another's.

mod order;
mod index;
mod labelled;

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow::array::RecordBatch;
use hashbrown::HashMap;
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Table, TimeRange};

use super::names::DELTA;
use super::stems::{Keys, Promoted, Variants};
use labelled::{Labelled, Marked};

pub use index::Index;
pub use order::in_order;

/// Bytes that are kept: of some two million series, a fraction of what the process may take beside its queries. Guess, not
/// measured.
const BYTES_MAX: usize = 384 << 20;

/// Columns that labels are made of, beside those of keys.
const COLUMNS: [&str; 8] = [
    "metric_name",
    "resource_id",
    "resource",
    "resource_types",
    "scope_name",
    "scope_attribute_types",
    "attributes",
    "attribute_types",
];
const DICTIONARIES: [&str; 6] =
    ["metric_name", "resource", "resource_types", "scope_name", "scope_attribute_types", "attribute_types"];

/// The columns of `table` that stems are made of.
pub fn columns(table: Table) -> Vec<&'static str> {
    COLUMNS.into_iter().chain(columns_of_known(table)).collect()
}

/// Those of them that tell which stems rows are of, and when: enough where all are known.
pub fn columns_of_known(table: Table) -> Vec<&'static str> {
    let own: &[&str] = match table {
        table if table.source().is_some() => &["last_time_unix_nano", "marks", "sum_count"],
        Table::MetricHistograms => &["explicit_bounds", "sum"],
        Table::MetricSummaries => &["quantiles", "sum"],
        _ => &[],
    };
    ["time_unix_nano"].into_iter().chain(Keys::columns(table)).chain(own.iter().copied()).collect()
}

/// Those of them that are text: few in many rows.
pub fn dictionaries(table: Table) -> Vec<&'static str> {
    DICTIONARIES.into_iter().chain(Keys::dictionaries(table)).collect()
}

/// The series of one file, or of rows that were read for a question; each once with each list of marks, those of one class
/// together: a question mostly asks for the series of a few names among thousands.
#[derive(Debug, Default)]
pub struct Entries {
    all: Vec<Entry>,
    classes: Vec<OfClass>,
    /// By stem and marks, while rows are added.
    places: HashMap<(u32, Option<u32>), usize>,
}

/// The entries of one class, one after the other.
#[derive(Debug)]
struct OfClass {
    class: u32,
    /// Where they end.
    end: usize,
    /// The latest first and the earliest last time of any.
    first_max: i64,
    last_min: i64,
    /// Of a class whose stems are one series each.
    labels: Option<OfAll>,
}

/// The labels of some stems.
#[derive(Debug)]
struct OfAll {
    /// Those that any has, pairs by number, each once.
    pairs: Vec<u32>,
    /// Names that all have, numbers of texts.
    common: Vec<u32>,
}

/// The entries of one class.
#[derive(Debug, Clone, Copy)]
pub struct ClassEntries<'e> {
    pub class: u32,
    pub entries: &'e [Entry],
    of: &'e OfClass,
}

impl<'e> ClassEntries<'e> {
    /// The labels that any has, pairs by number, each once, and the names that all have, numbers of texts, if each is one series.
    pub fn pairs(&self) -> Option<(&'e [u32], &'e [u32])> {
        self.of.labels.as_ref().map(|of| (&of.pairs[..], &of.common[..]))
    }

    /// Whether all may have rows in `range`.
    pub fn are_within(&self, range: TimeRange) -> bool {
        self.of.first_max < range.to.0 && self.of.last_min >= range.from.0
    }
}

/// A stem, and what its rows are there.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// By number in the tenant's index.
    pub stem: u32,
    /// What tells apart the series of a stem, by number; none for what is one series.
    pub marks: Option<u32>,
    /// Whether some row told a sum, of what is several series.
    pub has_sum: bool,
    /// Of its first and last row, nanoseconds since the epoch.
    first: i64,
    last: i64,
}

impl Entry {
    /// Whether it may have rows in `range`.
    pub fn is_within(&self, range: TimeRange) -> bool {
        self.first < range.to.0 && self.last >= range.from.0
    }
}

impl Entries {
    /// All of them by class, by number in the tenant's index.
    pub fn by_class(&self) -> impl Iterator<Item = ClassEntries<'_>> {
        let begins = std::iter::once(0).chain(self.classes.iter().map(|of| of.end));
        let of_class = |(of, begin): (_, usize)| {
            let of: &OfClass = of;
            ClassEntries { class: of.class, entries: &self.all[begin..of.end], of }
        };
        self.classes.iter().zip(begins).map(of_class)
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        let of_classes = self.classes.iter().map(|of| {
            let labels = of.labels.as_ref().map_or(0, |of| of.pairs.len() + of.common.len());
            size_of::<OfClass>() + labels * size_of::<u32>()
        });
        self.all.len() * size_of::<Entry>()
            + self.places.len() * 2 * size_of::<(u32, Option<u32>, usize)>()
            + of_classes.sum::<usize>()
    }

    /// Once all rows are added; `index` is the tenant's.
    fn complete(&mut self, index: &Index) {
        self.places = HashMap::new();
        self.all.shrink_to_fit();
        self.all.sort_by_key(|entry| index.class_of(entry.stem));
        let mut pairs_seen = vec![false; index.pair_count()];
        let mut begin = 0;
        for alike in self.all.chunk_by(|a, b| index.class_of(a.stem) == index.class_of(b.stem)) {
            begin += alike.len();
            let labels = alike[0].marks.is_none().then(|| OfAll::of(alike, index, &mut pairs_seen));
            self.classes.push(OfClass {
                class: index.class_of(alike[0].stem),
                end: begin,
                first_max: alike.iter().map(|entry| entry.first).max().unwrap_or(i64::MAX),
                last_min: alike.iter().map(|entry| entry.last).min().unwrap_or(i64::MIN),
                labels,
            });
        }
    }

    fn add(&mut self, entry: Entry) {
        let next = self.all.len();
        let place = *self.places.entry((entry.stem, entry.marks)).or_insert(next);
        match self.all.get_mut(place) {
            Some(known) => {
                known.has_sum |= entry.has_sum;
                known.first = known.first.min(entry.first);
                known.last = known.last.max(entry.last);
            }
            None => self.all.push(entry),
        }
    }
}

impl OfAll {
    /// `seen` is false for all, and is again.
    fn of(entries: &[Entry], index: &Index, seen: &mut [bool]) -> Self {
        let mut pairs = Vec::new();
        let mut common: Option<Vec<u32>> = None;
        for entry in entries {
            let own = index.labels_of(entry.stem);
            let name = |pair: &u32| index.pair_numbers(*pair).0;
            match &mut common {
                Some(common)
                    if own.len() == common.len() && own.iter().map(name).eq(common.iter().copied()) => {}
                Some(common) => common.retain(|common| own.iter().any(|pair| name(pair) == *common)),
                None => common = Some(own.iter().map(name).collect()),
            }
            for pair in own {
                if !std::mem::replace(&mut seen[*pair as usize], true) {
                    pairs.push(*pair);
                }
            }
        }
        pairs.iter().for_each(|pair| seen[*pair as usize] = false);
        pairs.shrink_to_fit();
        OfAll { pairs, common: common.unwrap_or_default() }
    }
}

/// All that is kept; for one engine.
#[derive(Debug, Default)]
pub struct Known {
    promoted: Promoted,
    current: Mutex<Arc<Generation>>,
}

impl Known {
    /// Nothing yet, of resources which add the labels of `promoted`.
    pub fn of(promoted: Promoted) -> Self {
        Known { current: Mutex::new(Arc::new(Generation::of(&promoted))), promoted }
    }

    /// What is known now; a question keeps it to its end.
    pub fn generation(&self) -> Arc<Generation> {
        self.generation_of(BYTES_MAX)
    }

    /// The same, where at most so many bytes are kept.
    fn generation_of(&self, bytes_max: usize) -> Arc<Generation> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.bytes() > bytes_max {
            *current = Arc::new(Generation::of(&self.promoted));
        }
        Arc::clone(&current)
    }
}

/// What is known between two times that all was forgotten.
#[derive(Debug, Default)]
pub struct Generation {
    pub variants: Variants,
    promoted: Promoted,
    kept: RwLock<Kept>,
}

/// What is known of all tenants.
#[derive(Debug, Default)]
pub struct Kept {
    tenants: HashMap<String, Tenant>,
    /// Of entries; an index tells its own.
    bytes: usize,
}

#[derive(Debug)]
struct Tenant {
    /// By path.
    files: HashMap<String, Arc<Entries>>,
    index: Index,
}

impl Kept {
    /// The stems of a tenant; none before any was met.
    pub fn index(&self, tenant: &str) -> Option<&Index> {
        Some(&self.tenants.get(tenant)?.index)
    }

    fn tenant(&mut self, name: &str, promoted: &Promoted) -> &mut Tenant {
        let none = || Tenant { files: HashMap::new(), index: Index::of(promoted.clone()) };
        self.tenants.entry(name.to_owned()).or_insert_with(none)
    }
}

impl Generation {
    fn of(promoted: &Promoted) -> Self {
        Generation { promoted: promoted.clone(), ..Generation::default() }
    }

    /// The series of a file; none if it was not read.
    pub fn file(&self, tenant: &str, path: &str) -> Option<Arc<Entries>> {
        self.read().tenants.get(tenant)?.files.get(path).cloned()
    }

    /// Keeps the series of a file.
    pub fn keep(&self, tenant: &str, path: &str, entries: Arc<Entries>) {
        let mut kept = self.write();
        kept.bytes += entries.bytes() + path.len();
        kept.tenant(tenant, &self.promoted).files.insert(path.to_owned(), entries);
    }

    /// Bytes that all of it takes, about.
    pub fn bytes(&self) -> usize {
        let kept = self.read();
        kept.bytes + kept.tenants.values().map(|tenant| tenant.index.bytes()).sum::<usize>()
    }

    /// Adds the series of rows to `entries`.
    ///
    /// # Errors
    /// See `Rows::read`: a bug of ours.
    pub fn add(
        &self,
        tenant: &str,
        table: Table,
        batch: &RecordBatch,
        entries: &mut Entries,
    ) -> Result<(), RowsError> {
        let labelled = Labelled::of(table, batch)?;
        let mut keys = Keys::of(table, batch)?;
        let mut kept = self.write();
        let index = &mut kept.tenant(tenant, &self.promoted).index;
        for row in 0..batch.num_rows() {
            if let Some(stem) = index.number(keys.get(row, &self.variants), &labelled, row) {
                entries.add(index.entry(stem, &labelled.marked, row));
            }
        }
        Ok(())
    }

    /// The same of rows of which only [`columns_of_known`] were read. False as soon as a series is met that is not known;
    /// then `entries` have some rows and not others.
    ///
    /// # Errors
    /// As [`Generation::add`].
    pub fn add_known(
        &self,
        tenant: &str,
        table: Table,
        batch: &RecordBatch,
        entries: &mut Entries,
    ) -> Result<bool, RowsError> {
        let marked = Marked::of(table, batch)?;
        let mut keys = Keys::of(table, batch)?;
        let mut kept = self.write();
        let index = &mut kept.tenant(tenant, &self.promoted).index;
        for row in 0..batch.num_rows() {
            match index.known(keys.get(row, &self.variants)) {
                Some(Some(stem)) => entries.add(index.entry(stem, &marked, row)),
                Some(None) => {}
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// What [`Generation::add`] added to `entries`, once that is all.
    pub fn complete(&self, tenant: &str, entries: &mut Entries) {
        if let Some(index) = self.read().index(tenant) {
            entries.complete(index);
        }
    }

    /// All of it, to be read; not over a wait.
    pub fn read(&self) -> RwLockReadGuard<'_, Kept> {
        // What a panic leaves is whole entries, fewer than there could be.
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_forgotten_once_it_is_more_than_may_be_kept() {
        let known = Known::default();
        let first = known.generation();
        first.keep("a", "file", Arc::default());
        let bytes = first.bytes();
        assert!(known.generation_of(bytes).file("a", "file").is_some());
        assert!(known.generation_of(bytes).file("b", "file").is_none(), "tenants are apart");
        assert!(known.generation_of(bytes - 1).file("a", "file").is_none());
        assert!(first.file("a", "file").is_some(), "who asks already keeps what it has");
    }
}
