//! What is known of the series in files, for all questions: a file never changes, so that its labels are read once.
//!
//! Questions read numbers by the row and labels by the series, and most rows are of series that were met in the file before or
//! in the question before. So stems are made once, and each file keeps which of them it has and when. What is in the
//! buffer is read anew for each question.
//!
//! Kept are at most [`BYTES_MAX`] and what one question added above that; then all is forgotten and read again as it is
//! needed. Tenants are kept apart, as ids of series are hashes that one tenant could make of another's.

mod labelled;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use meshlake_schema::rows::{RowsError, Text};
use meshlake_schema::{Table, TimeRange};

use super::names::DELTA;
use super::stems::{Keys, ResourceLabels, Stem, StemKey, Variants, labels};
use labelled::Labelled;

/// Bytes that are kept: of some 200,000 series, or twice what footers of files may take. Guess, not measured.
const BYTES_MAX: usize = 128 << 20;

/// Bytes that a stem, one of its labels, a text and an entry of a file take, about.
const STEM_BYTES: usize = 320;
const LABEL_BYTES: usize = 32;
const TEXT_BYTES: usize = 64;
const ENTRY_BYTES: usize = 96;

/// Columns that labels are made of, beside those of keys.
const COLUMNS: [&str; 9] = [
    "time_unix_nano",
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
    let own: &[&str] = match table {
        Table::MetricHistograms => &["explicit_bounds", "sum"],
        Table::MetricSummaries => &["quantiles", "sum"],
        _ => &[],
    };
    COLUMNS.into_iter().chain(Keys::columns(table)).chain(own.iter().copied()).collect()
}

/// Those of them that are text: few in many rows.
pub fn dictionaries(table: Table) -> Vec<&'static str> {
    DICTIONARIES.into_iter().chain(Keys::dictionaries(table)).collect()
}

/// The series of one file, or of rows that were read for a question.
#[derive(Debug, Default)]
pub struct Entries(HashMap<StemKey, Entry>);

/// A stem, and what its rows are there.
#[derive(Debug)]
pub struct Entry {
    /// None for a metric that has no name in Prometheus.
    pub stem: Option<Arc<Stem>>,
    /// Of its first and last row, nanoseconds since the epoch.
    first: i64,
    last: i64,
    /// None for what is one series.
    pub marks: Option<Box<Marks>>,
}

/// What tells the series of a stem apart.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Bounds of buckets, or quantiles; each list once.
    pub lists: Vec<Vec<f64>>,
    /// Whether some row told a sum.
    pub has_sum: bool,
}

impl Entries {
    /// Those that may have rows in `range`.
    pub fn within(&self, range: TimeRange) -> impl Iterator<Item = (StemKey, &Entry)> {
        let entries = self.0.iter().map(|(key, entry)| (*key, entry));
        entries.filter(move |(_, entry)| entry.first < range.to.0 && entry.last >= range.from.0)
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        let lists = |marks: &Marks| marks.lists.iter().map(|list| 24 + 8 * list.len()).sum::<usize>();
        let marks = |entry: &Entry| entry.marks.as_ref().map_or(0, |marks| lists(marks));
        self.0.values().map(|entry| ENTRY_BYTES + marks(entry)).sum()
    }
}

/// All that is kept; for one engine.
#[derive(Debug, Default)]
pub struct Known(Mutex<Arc<Generation>>);

impl Known {
    /// What is known now; a question keeps it to its end.
    pub fn generation(&self) -> Arc<Generation> {
        self.generation_of(BYTES_MAX)
    }

    /// The same, where at most so many bytes are kept.
    fn generation_of(&self, bytes_max: usize) -> Arc<Generation> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.bytes() > bytes_max {
            *current = Arc::default();
        }
        Arc::clone(&current)
    }
}

/// What is known between two times that all was forgotten.
#[derive(Debug, Default)]
pub struct Generation {
    pub variants: Variants,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    tenants: HashMap<String, Tenant>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Tenant {
    /// By path.
    files: HashMap<String, Arc<Entries>>,
    stems: HashMap<StemKey, Option<Arc<Stem>>>,
    resources: HashMap<i64, Arc<ResourceLabels>>,
    texts: HashSet<Arc<str>>,
}

impl Generation {
    /// The series of a file; none if it was not read.
    pub fn file(&self, tenant: &str, path: &str) -> Option<Arc<Entries>> {
        self.kept().tenants.get(tenant)?.files.get(path).cloned()
    }

    /// Keeps the series of a file.
    pub fn keep(&self, tenant: &str, path: &str, entries: Arc<Entries>) {
        let mut kept = self.kept();
        kept.bytes += entries.bytes() + path.len();
        kept.tenants.entry(tenant.to_owned()).or_default().files.insert(path.to_owned(), entries);
    }

    /// Bytes that all of it takes, about.
    pub fn bytes(&self) -> usize {
        self.kept().bytes
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
        let mut kept = self.kept();
        let Kept { tenants, bytes } = &mut *kept;
        let tenant = tenants.entry(tenant.to_owned()).or_default();
        let mut last: Option<(StemKey, &mut Entry)> = None;
        for row in 0..batch.num_rows() {
            let key = keys.get(row, &self.variants);
            let time = labelled.times.or_zero(row);
            // Most rows are of the series of the row before.
            let entry = match last {
                Some((known, entry)) if known == key => entry,
                _ => entries.0.entry(key).or_insert_with(|| {
                    let stem = tenant.stem(key, &labelled, row, bytes);
                    let is_spread = stem.as_ref().is_some_and(|stem| stem.shape.is_spread());
                    Entry { stem, first: time, last: time, marks: is_spread.then(Box::default) }
                }),
            };
            entry.first = entry.first.min(time);
            entry.last = entry.last.max(time);
            if let Some(marks) = &mut entry.marks {
                marks.add(&labelled.marks(row), labelled.sum.get(row).is_some());
            }
            last = Some((key, entry));
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a panic leaves is whole entries, fewer than there could be.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    pub fn add(&mut self, list: &[f64], has_sum: bool) {
        self.has_sum |= has_sum;
        if !self.lists.iter().any(|known| known == list) {
            self.lists.push(list.to_vec());
        }
    }
}

impl Tenant {
    fn stem(
        &mut self,
        key: StemKey,
        labelled: &Labelled<'_>,
        row: usize,
        bytes: &mut usize,
    ) -> Option<Arc<Stem>> {
        if let Some(known) = self.stems.get(&key) {
            return known.clone();
        }
        let stem = self.made(labelled, row, bytes).map(Arc::new);
        *bytes += STEM_BYTES + stem.as_ref().map_or(0, |stem| stem.labels.len() * LABEL_BYTES);
        self.stems.insert(key, stem.clone());
        stem
    }

    fn made(&mut self, labelled: &Labelled<'_>, row: usize, bytes: &mut usize) -> Option<Stem> {
        let (family, shape) = labelled.names.family(row)?;
        let text = |text: Text<'_>| text.get(row).unwrap_or_default().to_owned();
        let resource = self.resources.entry(labelled.resource_id.or_zero(row));
        let resource = resource.or_insert_with(|| {
            let labels = ResourceLabels::of(&text(labelled.resource), &text(labelled.resource_types));
            *bytes += STEM_BYTES;
            Arc::new(labels)
        });
        let mut collisions = Vec::new();
        let labels = labels(resource, labelled.scope(row), labelled.own_attributes(row), &mut collisions);
        let mut shared = |text: &str| shared(&mut self.texts, text, bytes);
        let labels = labels.iter().map(|(name, value)| (shared(name), shared(value))).collect();
        Some(Stem {
            metric: shared(labelled.names.metric.get(row).unwrap_or_default()),
            family: shared(&family),
            labels,
            shape,
            is_delta: labelled.temporality.get(row) == Some(DELTA),
            is_remote_written: labelled.names.is_remote_written(row),
            collisions,
        })
    }
}

fn shared(texts: &mut HashSet<Arc<str>>, text: &str, bytes: &mut usize) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    let text: Arc<str> = text.into();
    *bytes += TEXT_BYTES + text.len();
    texts.insert(Arc::clone(&text));
    text
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
