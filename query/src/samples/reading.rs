//! Reads which stems have rows in a time.
//!
//! Of files the tables of series tell it, and points themselves where those do not. What a file tells is known from
//! earlier questions, or is read whole, once; only what would be too much for that, and the buffer, is read for one
//! question: first narrow columns, to find the metrics whose names are asked for, then of those what tells series apart,
//! and what makes labels where a series is new.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use hashbrown::HashMap;
use meshlake_engine::{DataFile, Lean, Part, Query, RowStream, Scan};
use meshlake_promql::Error;
use meshlake_schema::budget::Holding;
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

use super::Stored;
use super::asked::Asked;
use super::choosing::{Chooser, Which};
use super::error::{of_query, of_rows};
use super::known::{self, ClassEntries, Entries, Generation};
use super::names::{TABLES, Told, metrics, standing, told};
use super::stems::{Stem, StemKey};

/// Stored series that a scan is asked for by id; of more all rows of their metrics are read. Guess, not measured.
const IDS_MAX: usize = 10_000;

/// Rows of files that one question reads to know their series ever after; of more it reads only what it asks for. Some
/// seconds of work. Guess, not measured.
pub const LEARNT_ROWS_MAX: u64 = 20_000_000;

/// Bytes that one found stem takes, about.
const FOUND_BYTES: usize = 640;

/// What was read for one question: which series there are, by file and in the buffer.
#[derive(Debug)]
pub struct Read<'a> {
    pub generation: Arc<Generation>,
    pub entries: Vec<Arc<Entries>>,
    /// Files that were too many to be known: of them only what is asked for was read.
    pub unlearnt: Vec<Told<'a>>,
}

/// The stems that were found, in the order of their labels.
#[derive(Debug)]
pub struct Stems {
    pub found: Vec<Found>,
    pub generation: Arc<Generation>,
    places: HashMap<StemKey, usize>,
    /// Whether metrics that were found have stems that are not asked for.
    has_others: bool,
}

/// One of them.
#[derive(Debug)]
pub struct Found {
    pub key: StemKey,
    pub stem: Stem,
}

impl Stems {
    /// The stem of a key; none if it is not asked for.
    pub fn place(&self, key: StemKey) -> Option<usize> {
        self.places.get(&key).copied()
    }

    pub fn stem(&self, place: usize) -> &Stem {
        &self.found[place].stem
    }

    /// The stems of one table.
    pub fn of_table(&self, table: Table) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(move |found| found.key.table == table)
    }

    /// The rows of a table that stems have; none if it has no stem that is asked for.
    pub fn filter(&self, table: Table, asked: &Asked<'_>) -> Option<Filter> {
        let metrics: BTreeSet<&str> = self.of_table(table).map(|found| &*found.stem.metric).collect();
        if metrics.is_empty() {
            return None;
        }
        let metrics = metrics.into_iter().map(|metric| Value::Text(metric.to_owned())).collect();
        let filter = asked.filter().and(Filter::is_in("metric_name", metrics));
        let ids = || self.of_table(table).map(|found| found.key.series_id).collect();
        Some(if self.has_others { filter.and(of_ids(ids())) } else { filter })
    }

    fn chosen(read: &Read<'_>, tenant: &str, asked: &Asked<'_>, range: TimeRange) -> Stems {
        let generation = Arc::clone(&read.generation);
        let mut stems = Stems { found: Vec::new(), generation, places: HashMap::new(), has_others: false };
        let kept = read.generation.read();
        let Some(index) = kept.index(tenant) else { return stems };
        let mut chooser = Chooser::new(asked, index);
        let mut seen = vec![false; index.stem_count()];
        let mut refused = BTreeSet::new();
        let mut metrics = BTreeSet::new();
        let mut chosen = Vec::new();
        for of_class in read.entries.iter().flat_map(|entries| entries.by_class()) {
            let ClassEntries { class, entries, .. } = of_class;
            let metric = index.metric(class);
            if !chooser.has_class(index, class) || chooser.which(index, &of_class) == Which::None {
                refused.insert(metric);
                continue;
            }
            for entry in entries.iter().filter(|entry| entry.is_within(range)) {
                if std::mem::replace(&mut seen[entry.stem as usize], true) {
                    continue;
                }
                if chooser.has_stem(index, entry.stem) {
                    chosen.push(entry.stem);
                    metrics.insert(metric);
                } else {
                    refused.insert(metric);
                }
            }
        }
        let found = known::in_order(index, &chosen).into_iter();
        stems.found = found.map(|stem| Found { key: index.key(stem), stem: index.stem(stem) }).collect();
        stems.places = stems.found.iter().enumerate().map(|(place, found)| (found.key, place)).collect();
        stems.has_others = metrics.intersection(&refused).next().is_some();
        stems
    }
}

/// The stems of rows in `range` that are asked for. What they take, and what is learnt, is held by `held`.
///
/// # Errors
/// Of the query; [`Error::Execution`] when the budget ends.
pub async fn stems(
    stored: &Stored,
    asked: &Asked<'_>,
    range: TimeRange,
    held: &mut Holding<'_>,
) -> Result<Stems, Error> {
    let read = read(stored, asked, range, held).await?;
    let stems = Stems::chosen(&read, stored.query.tenant(), asked, range);
    held.resize(stems.found.len() * FOUND_BYTES)?;
    Ok(stems)
}

/// Which series have rows in `range`, and at least those that are asked for. What is learnt, and what is not kept for other
/// questions, is held by `held`.
///
/// # Errors
/// As [`stems`].
pub async fn read<'a>(
    stored: &'a Stored,
    asked: &Asked<'_>,
    range: TimeRange,
    held: &mut Holding<'_>,
) -> Result<Read<'a>, Error> {
    let Stored { query, known, .. } = stored;
    let generation = known.generation();
    let known_bytes = generation.bytes();
    let mut all = Read { generation: Arc::clone(&generation), entries: Vec::new(), unlearnt: Vec::new() };
    let mut reading =
        Reading { query, asked, range, generation: &generation, known_bytes, own_bytes: 0, held };
    for table in TABLES {
        for Told { table: told, files } in told(query, table, range) {
            let mut missing = Vec::new();
            for file in files {
                match generation.file(query.tenant(), file.path.as_ref()) {
                    Some(entries) => all.entries.push(entries),
                    None => missing.push(file),
                }
            }
            if missing.iter().map(|file| file.rows).sum::<u64>() <= LEARNT_ROWS_MAX {
                for file in missing {
                    all.entries.push(reading.learn(told, file).await?);
                }
            } else {
                all.entries.push(reading.scanned(told, Part::Files(&missing)).await?);
                all.unlearnt.push(Told { table: told, files: missing });
            }
        }
        all.entries.push(reading.scanned(table, Part::Buffered).await?);
    }
    Ok(all)
}

/// Rows of these stored series, as far as it is worth asking.
fn of_ids(ids: BTreeSet<i64>) -> Filter {
    if ids.len() > IDS_MAX {
        return Filter::And(Vec::new());
    }
    Filter::is_in("series_id", ids.into_iter().map(Value::Integer).collect())
}

/// Rows of a table that are asked for their series.
struct Wanted<'w> {
    table: Table,
    filter: Filter,
    range: TimeRange,
    part: Part<'w>,
}

struct Reading<'a, 'h, 'b> {
    query: &'a Query,
    asked: &'a Asked<'a>,
    range: TimeRange,
    generation: &'a Generation,
    /// What it took when the question began.
    known_bytes: usize,
    /// What was read for this question alone.
    own_bytes: usize,
    held: &'h mut Holding<'b>,
}

impl Reading<'_, '_, '_> {
    /// All series of a file.
    async fn learn(&mut self, table: Table, file: &DataFile) -> Result<Arc<Entries>, Error> {
        let files = [file];
        let rows = Wanted {
            table,
            filter: Filter::And(Vec::new()),
            range: TimeRange::ALL,
            part: Part::Files(&files),
        };
        let entries = self.entries(&rows).await?;
        self.generation.keep(self.query.tenant(), file.path.as_ref(), Arc::clone(&entries));
        Ok(entries)
    }

    /// The series of rows in the range that may be asked for.
    async fn scanned(&mut self, table: Table, part: Part<'_>) -> Result<Arc<Entries>, Error> {
        let mut filter = self.asked.filter();
        if !self.asked.is_of_all_names() {
            let metrics = metrics(self.query, table, self.asked, self.range, part).await?;
            if metrics.is_empty() {
                return Ok(Arc::default());
            }
            let metrics = metrics.into_iter().map(Value::Text).collect();
            filter = filter.and(Filter::is_in("metric_name", metrics));
        }
        let rows = Wanted { table, filter, range: standing(table, self.range), part };
        let entries = self.entries(&rows).await?;
        self.own_bytes += entries.bytes();
        Ok(entries)
    }

    /// The series of rows. Most were met before, as every flush has those of the one before it: so first only what tells
    /// series apart is read, and what labels are made of only where a series is new.
    async fn entries(&mut self, wanted: &Wanted<'_>) -> Result<Arc<Entries>, Error> {
        let mut entries = match self.known(wanted).await? {
            Some(entries) => entries,
            None => self.labelled(wanted).await?,
        };
        self.generation.complete(self.query.tenant(), &mut entries);
        Ok(Arc::new(entries))
    }

    /// The same if all of them are known.
    async fn known(&mut self, wanted: &Wanted<'_>) -> Result<Option<Entries>, Error> {
        let mut rows = self.rows(wanted, &known::columns_of_known(wanted.table)).await?;
        let mut entries = Entries::default();
        while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
            let tenant = self.query.tenant();
            let are_known = self.generation.add_known(tenant, wanted.table, &batch, &mut entries);
            if !are_known.map_err(|error| of_rows(&error))? {
                return Ok(None);
            }
            self.hold(entries.bytes())?;
        }
        Ok(Some(entries))
    }

    async fn labelled(&mut self, wanted: &Wanted<'_>) -> Result<Entries, Error> {
        let mut rows = self.rows(wanted, &known::columns(wanted.table)).await?;
        let mut entries = Entries::default();
        while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
            let added = self.generation.add(self.query.tenant(), wanted.table, &batch, &mut entries);
            added.map_err(|error| of_rows(&error))?;
            self.hold(entries.bytes())?;
        }
        Ok(entries)
    }

    async fn rows(&self, wanted: &Wanted<'_>, columns: &[&str]) -> Result<RowStream, Error> {
        let Wanted { table, ref filter, range, part } = *wanted;
        let dictionaries = known::dictionaries(table);
        let read: Vec<&str> = dictionaries.into_iter().filter(|name| columns.contains(name)).collect();
        let lean = Some(Lean { dictionaries: &read, nested: &[] });
        let scan =
            Scan { columns: Some(columns), filter: filter.clone(), range, lean, part, ..Scan::of(table) };
        self.query.scan(&scan).await.map_err(|error| of_query(&error))
    }

    /// Holds that many bytes and what was learnt.
    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        let learnt = self.generation.bytes().saturating_sub(self.known_bytes);
        Ok(self.held.resize(self.own_bytes + bytes + learnt)?)
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::filter::Test;

    use super::*;

    #[test]
    fn more_ids_than_are_worth_it_are_not_asked_for() {
        let count = |ids: i64| match of_ids((0..ids).collect()) {
            Filter::Is(_, Test::IsIn(ids)) => Some(ids.len()),
            _ => None,
        };
        assert_eq!(count(IDS_MAX as i64), Some(IDS_MAX));
        assert_eq!(count(IDS_MAX as i64 + 1), None);
        assert_eq!(of_ids((0..=IDS_MAX as i64).collect()), Filter::And(Vec::new()), "every row passes");
    }
}
