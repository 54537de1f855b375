//! Reads which stems have rows in a time.
//!
//! Of files it is known from earlier questions, or is read whole, once; only what would be too much for that, and
//! the buffer, is read for one question: first narrow columns, to find the metrics whose names are asked for, then of those
//! what makes labels.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::TryStreamExt;
use meshlake_engine::{DataFile, Lean, Part, Query, RowStream, Scan};
use meshlake_promql::Error;
use meshlake_schema::budget::Holding;
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

use super::Stored;
use super::asked::Asked;
use super::error::{of_query, of_rows};
use super::known::{self, Entries, Generation, Marks};
use super::names::{TABLES, metrics};
use super::stems::{Stem, StemKey};

/// Stored series that a scan is asked for by id; of more all rows of their metrics are read. Guess, not measured.
const IDS_MAX: usize = 10_000;

/// Rows of files that one question reads to know their series ever after; of more it reads only what it asks for. Some
/// seconds of work. Guess, not measured.
pub const LEARNT_ROWS_MAX: u64 = 20_000_000;

/// Bytes that one found stem takes, about.
const FOUND_BYTES: usize = 160;

const NANOS_PER_MICRO: i64 = 1_000;

/// The stems that were found.
#[derive(Debug)]
pub struct Stems {
    pub found: Vec<Found>,
    pub generation: Arc<Generation>,
    places: HashMap<StemKey, Option<u32>>,
}

/// One of them.
#[derive(Debug)]
pub struct Found {
    pub table: Table,
    pub stem: Arc<Stem>,
    pub marks: Option<Box<Marks>>,
}

impl Stems {
    /// The stem of a key; none if it is not asked for.
    pub fn place(&self, key: StemKey) -> Option<usize> {
        self.places.get(&key).copied().flatten().map(|place| place as usize)
    }

    pub fn stem(&self, place: usize) -> &Stem {
        &self.found[place].stem
    }

    /// The stems of one table.
    pub fn of_table(&self, table: Table) -> impl Iterator<Item = &Stem> {
        self.found.iter().filter(move |found| found.table == table).map(|found| &*found.stem)
    }

    /// The rows of a table that stems have; none if it has no stem that is asked for.
    pub fn filter(&self, table: Table, asked: &Asked<'_>) -> Option<Filter> {
        let metrics: BTreeSet<&str> = self.of_table(table).map(|stem| &*stem.metric).collect();
        if metrics.is_empty() {
            return None;
        }
        let metrics = metrics.into_iter().map(|metric| Value::Text(metric.to_owned())).collect();
        let filter = asked.filter().and(Filter::is_in("metric_name", metrics));
        let mut others = false;
        let mut ids = BTreeSet::new();
        for (key, place) in self.places.iter().filter(|(key, _)| key.table == table) {
            others |= place.is_none();
            ids.extend(place.map(|_| key.series_id));
        }
        Some(if others { filter.and(of_ids(ids)) } else { filter })
    }

    fn take(&mut self, table: Table, entries: &Entries, asked: &Asked<'_>, range: TimeRange) {
        for (key, entry) in entries.within(range) {
            let next = u32::try_from(self.found.len()).expect("a stem takes more than a byte of memory");
            let place = *self.places.entry(key).or_insert_with(|| {
                let stem = entry.stem.as_ref().filter(|stem| asked.has_stem(stem))?;
                let marks = entry.marks.is_some().then(Box::default);
                self.found.push(Found { table, stem: Arc::clone(stem), marks });
                Some(next)
            });
            let found = place.and_then(|place| self.found.get_mut(place as usize));
            if let (Some(marks), Some(own)) = (found.and_then(|found| found.marks.as_mut()), &entry.marks) {
                own.lists.iter().for_each(|list| marks.add(list, own.has_sum));
            }
        }
    }

    /// Bytes that it takes, about.
    fn bytes(&self) -> usize {
        (self.places.len() + self.found.len()) * FOUND_BYTES
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
    let Stored { query, known, .. } = stored;
    let generation = known.generation();
    let mut reading =
        Reading { query, asked, range, generation: &generation, known_bytes: generation.bytes(), held };
    let mut stems = Stems { found: Vec::new(), generation: Arc::clone(&generation), places: HashMap::new() };
    for table in TABLES {
        let mut missing = Vec::new();
        for file in query.files(table).iter().filter(|file| is_within(file, range)) {
            match generation.file(query.tenant(), file.path.as_ref()) {
                Some(entries) => stems.take(table, &entries, asked, range),
                None => missing.push(file),
            }
        }
        if missing.iter().map(|file| file.rows).sum::<u64>() <= LEARNT_ROWS_MAX {
            for file in missing {
                let entries = reading.learn(table, file).await?;
                stems.take(table, &entries, asked, range);
                reading.hold(stems.bytes())?;
            }
        } else {
            stems.take(table, &reading.scanned(table, Part::Files(&missing)).await?, asked, range);
        }
        stems.take(table, &reading.scanned(table, Part::Buffered).await?, asked, range);
        reading.hold(stems.bytes())?;
    }
    Ok(stems)
}

/// Rows of these stored series, as far as it is worth asking.
fn of_ids(ids: BTreeSet<i64>) -> Filter {
    if ids.len() > IDS_MAX {
        return Filter::And(Vec::new());
    }
    Filter::is_in("series_id", ids.into_iter().map(Value::Integer).collect())
}

fn is_within(file: &DataFile, range: TimeRange) -> bool {
    let nanos = |micros: i64| micros.saturating_mul(NANOS_PER_MICRO);
    nanos(file.time_min_micros) < range.to.0 && nanos(file.time_max_micros.saturating_add(1)) > range.from.0
}

struct Reading<'a, 'h, 'b> {
    query: &'a Query,
    asked: &'a Asked<'a>,
    range: TimeRange,
    generation: &'a Generation,
    /// What it took when the question began.
    known_bytes: usize,
    held: &'h mut Holding<'b>,
}

impl Reading<'_, '_, '_> {
    /// All series of a file.
    async fn learn(&mut self, table: Table, file: &DataFile) -> Result<Arc<Entries>, Error> {
        let rows = self.rows(table, Filter::And(Vec::new()), TimeRange::ALL, Part::Files(&[file])).await?;
        let entries = Arc::new(self.entries(table, rows).await?);
        self.generation.keep(self.query.tenant(), file.path.as_ref(), Arc::clone(&entries));
        Ok(entries)
    }

    /// The series of rows in the range that may be asked for.
    async fn scanned(&mut self, table: Table, part: Part<'_>) -> Result<Entries, Error> {
        let mut filter = self.asked.filter();
        if !self.asked.is_of_all_names() {
            let metrics = metrics(self.query, table, self.asked, self.range, part).await?;
            if metrics.is_empty() {
                return Ok(Entries::default());
            }
            let metrics = metrics.into_iter().map(Value::Text).collect();
            filter = filter.and(Filter::is_in("metric_name", metrics));
        }
        let rows = self.rows(table, filter, self.range, part).await?;
        self.entries(table, rows).await
    }

    async fn rows(
        &self,
        table: Table,
        filter: Filter,
        range: TimeRange,
        part: Part<'_>,
    ) -> Result<RowStream, Error> {
        let (columns, dictionaries) = (known::columns(table), known::dictionaries(table));
        let lean = Some(Lean { dictionaries: &dictionaries, nested: &[] });
        let scan = Scan { columns: Some(&columns), filter, range, lean, part, ..Scan::of(table) };
        self.query.scan(&scan).await.map_err(|error| of_query(&error))
    }

    async fn entries(&mut self, table: Table, mut rows: RowStream) -> Result<Entries, Error> {
        let mut entries = Entries::default();
        while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
            let added = self.generation.add(self.query.tenant(), table, &batch, &mut entries);
            added.map_err(|error| of_rows(&error))?;
            self.hold(entries.bytes())?;
        }
        Ok(entries)
    }

    /// Holds that many bytes and what was learnt.
    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        let learnt = self.generation.bytes().saturating_sub(self.known_bytes);
        Ok(self.held.resize(bytes + learnt)?)
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
