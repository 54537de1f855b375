//! Exemplars of series, those whose traces are stored.
//!
//! An exemplar of a histogram belongs to the bucket that its value is in. Traces are looked up in `traces`, all at once, so
//! that a link from a chart never leads to nothing.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use meshlake_engine::{Lean, Query, Scan};
use meshlake_promql::{Error, Labels, value_text};
use meshlake_schema::budget::Holding;
use meshlake_schema::filter::Value;
use meshlake_schema::rows::{DoubleLists, Exemplars, Integers, Rows, RowsError};
use meshlake_schema::{Filter, Table};

use super::Stored;
use super::asked::Asked;
use super::error::{of_query, of_rows};
use super::names::TABLES;
use super::range;
use super::reading::{Stems, stems};
use super::stems::{Keys, Shape, Stem, optional};
use crate::series::{Exemplar, Found, Wanted};

/// Characters of an exemplar's labels, beyond which only the ids are given.
/// Source: OpenMetrics 1.0, "Exemplars".
const CHARACTERS_MAX: usize = 128;

/// Exemplars that are read for one question; the rest is cut. Prometheus keeps 100,000 by default, of all series.
const EXEMPLARS_MAX: usize = 100_000;

/// Bytes that one exemplar takes, about: ids, a few labels.
const EXEMPLAR_BYTES: usize = 512;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Exemplars by series, in order of time.
type BySeries = BTreeMap<Labels, Vec<Exemplar>>;

/// The exemplars of series that match, each series once; of series at most as many as are wanted.
///
/// # Errors
/// As [`super::select::select`].
pub async fn exemplars(
    stored: &Stored,
    wanted: &Wanted<'_>,
) -> Result<Found<Vec<(Labels, Vec<Exemplar>)>>, Error> {
    let query = &stored.query;
    let budget = query.budget();
    let (mut held_stems, mut held) = (Holding::new(&*budget), Holding::new(&*budget));
    let asked = Asked::of(wanted.matchers);
    let range = range::from(wanted.from, wanted.to);
    let found = stems(stored, &asked, range, &mut held_stems).await?;
    let mut reading = Reading { asked: &asked, wanted, found: &found, by_series: BySeries::new(), count: 0 };
    for table in TABLES {
        let Some(filter) = found.filter(table, &asked) else { continue };
        let bounds = (table == Table::MetricHistograms).then_some("explicit_bounds");
        let columns: Vec<&str> =
            ["time_unix_nano", "exemplars"].into_iter().chain(Keys::columns(table)).chain(bounds).collect();
        let dictionaries: Vec<&str> = Keys::dictionaries(table).collect();
        let lean = Some(Lean { dictionaries: &dictionaries, nested: &[] });
        let scan = Scan { columns: Some(&columns), filter, range, lean, ..Scan::of(table) };
        let mut rows = query.scan(&scan).await.map_err(|error| of_query(&error))?;
        while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
            reading.add(table, &batch).map_err(|error| of_rows(&error))?;
            held.resize(reading.count.saturating_mul(EXEMPLAR_BYTES))?;
        }
    }
    let is_cut = reading.count >= EXEMPLARS_MAX;
    let mut by_series = with_traces(query, reading.by_series).await?;
    let is_cut = is_cut || by_series.len() > wanted.limit;
    by_series.truncate(wanted.limit);
    Ok(Found { found: by_series, is_cut })
}

struct Reading<'a> {
    asked: &'a Asked<'a>,
    wanted: &'a Wanted<'a>,
    found: &'a Stems,
    by_series: BySeries,
    count: usize,
}

impl Reading<'_> {
    fn add(&mut self, table: Table, batch: &RecordBatch) -> Result<(), RowsError> {
        let rows = Rows::of(table, batch);
        let times: Integers<'_> = rows.read("time_unix_nano")?;
        let exemplars: Exemplars<'_> = rows.read("exemplars")?;
        let bounds: DoubleLists<'_> = optional(table, &rows, "explicit_bounds")?;
        let mut keys = Keys::of(table, batch)?;
        for row in 0..batch.num_rows() {
            let places = exemplars.places(row);
            if places.is_empty() || self.count >= EXEMPLARS_MAX {
                continue;
            }
            let Some(stem) = self.found.place(keys.get(row, &self.found.generation.variants)) else {
                continue;
            };
            let stem = self.found.stem(stem);
            for place in places {
                let time = Some(exemplars.time_unix_nano.or_zero(place)).filter(|time| *time != 0);
                let time = time.unwrap_or_else(|| times.or_zero(row)).div_euclid(NANOS_PER_MILLI);
                let Some(value) = exemplars.value.get(place) else { continue };
                if time < self.wanted.from || time > self.wanted.to {
                    continue;
                }
                let Some(series) = self.series_of(stem, value, bounds.get(row)) else { continue };
                let Some(labels) = labels(&exemplars, place) else { continue };
                self.by_series.entry(series).or_default().push(Exemplar { labels, value, time });
                self.count += 1;
            }
        }
        Ok(())
    }

    /// The series that an exemplar of that value belongs to; none if it is not asked for.
    fn series_of(&self, stem: &Stem, value: f64, bounds: &[f64]) -> Option<Labels> {
        let bound = bounds.iter().find(|bound| value <= **bound).copied().unwrap_or(f64::INFINITY);
        let text = value_text(bound);
        let (ending, more) = match stem.shape {
            Shape::Classic => ("_bucket", Some(("le", text.as_str()))),
            _ => ("", None),
        };
        self.asked.has_series(stem, ending, more).then(|| stem.labels(ending, more))
    }
}

/// The labels of an exemplar; none without a trace.
fn labels(exemplars: &Exemplars<'_>, place: usize) -> Option<Labels> {
    let trace = exemplars.trace_id.named(place)?;
    let span = exemplars.span_id.named(place).map(|span| ("span_id", span));
    let ids: Vec<(&str, &str)> = [("trace_id", trace)].into_iter().chain(span).collect();
    let others = exemplars.attributes.entries(place);
    let others: Vec<(&str, &str)> = others.filter(|(key, _)| ids.iter().all(|(id, _)| id != key)).collect();
    let characters = |pair: &(&str, &str)| pair.0.chars().count() + pair.1.chars().count();
    let is_long = ids.iter().chain(&others).map(characters).sum::<usize>() > CHARACTERS_MAX;
    Some(Labels::from_pairs(ids.into_iter().chain(others.into_iter().filter(|_| !is_long))))
}

/// What remains when exemplars without a stored trace are taken out.
async fn with_traces(query: &Query, by_series: BySeries) -> Result<Vec<(Labels, Vec<Exemplar>)>, Error> {
    let all = by_series.values().flatten().map(|exemplar| exemplar.labels.get("trace_id"));
    let ids: BTreeSet<&str> = all.collect();
    let stored = stored(query, ids).await?;
    let mut kept = Vec::new();
    for (labels, mut exemplars) in by_series {
        exemplars.retain(|exemplar| stored.contains(exemplar.labels.get("trace_id")));
        exemplars.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.labels.cmp(&b.labels)));
        exemplars.dedup();
        if !exemplars.is_empty() {
            kept.push((labels, exemplars));
        }
    }
    Ok(kept)
}

async fn stored(query: &Query, ids: BTreeSet<&str>) -> Result<BTreeSet<String>, Error> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ids = ids.into_iter().map(|id| Value::Text(id.to_owned())).collect();
    let filter = Filter::is_in("trace_id", ids);
    let scan = Scan { columns: Some(&["trace_id"]), filter, ..Scan::of(Table::Traces) };
    let mut rows = query.scan(&scan).await.map_err(|error| of_query(&error))?;
    let mut stored = BTreeSet::new();
    while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
        let ids = batch.column(0).as_string_view();
        stored.extend(ids.iter().flatten().map(str::to_owned));
    }
    Ok(stored)
}
