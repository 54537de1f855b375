//! The samples that matchers ask for.

use futures::TryStreamExt;
use meshlake_engine::{Lean, Scan};
use meshlake_promql::{Error, Hints, Selected, Selection};
use meshlake_schema::budget::Holding;
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table, TimeRange};

use super::Stored;
use super::asked::Asked;
use super::collect::{Collector, Window, counts_from};
use super::error::of_query;
use super::names::{DELTA, TABLES};
use super::range::later_than;
use super::reading::{Stems, stems};
use super::stems::{Keys, Shape};
use super::target_info;

/// Samples that one selection reads, those of histograms by their size: as many as an evaluation may hold.
const SAMPLES_MAX: usize = 50_000_000;

/// Functions to which counts of deltas are as good as totals, and better: they are exact.
const COUNTING: [&str; 3] = ["rate", "increase", "delta"];

/// The samples of the series that match, each label set once.
///
/// # Errors
/// Of the query; [`Error::Execution`] when there are too many samples or the budget ends. Cancel: nothing is lost.
pub async fn select(stored: &Stored, selection: &Selection<'_>) -> Result<Selected, Error> {
    select_at_most(SAMPLES_MAX, stored, selection).await
}

/// The same with another limit on samples, those of histograms by their size.
pub async fn select_at_most(
    samples_max: usize,
    stored: &Stored,
    selection: &Selection<'_>,
) -> Result<Selected, Error> {
    let query = &stored.query;
    let budget = query.budget();
    let (mut held_stems, mut held_samples) = (Holding::new(&*budget), Holding::new(&*budget));
    let asked = Asked::of(selection.matchers);
    let range = later_than(selection.after, selection.until);
    let found = stems(stored, &asked, range, &mut held_stems).await?;
    let mut collector = Collector::new(&asked, &found, samples_max);
    let has_events = has_events(&selection.hints);
    for table in TABLES {
        for (filter, range) in parts(table, &asked, &found, selection, has_events) {
            let columns = Collector::columns(table);
            let dictionaries: Vec<&str> = Keys::dictionaries(table).collect();
            let lean = Some(Lean { dictionaries: &dictionaries, nested: &[] });
            let scan = Scan { columns: Some(&columns), filter, range, lean, ..Scan::of(table) };
            let mut rows = query.scan(&scan).await.map_err(|error| of_query(&error))?;
            while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
                collector.add(table, &batch, &mut held_samples)?;
                budget.check_time()?;
            }
        }
    }
    for (labels, times) in target_info::targets(query, &asked, range).await? {
        collector.add_ones(labels, times);
    }
    Ok(collector.finish(Window { after: selection.after, has_events }))
}

fn has_events(hints: &Hints<'_>) -> bool {
    hints.function.is_some_and(|function| COUNTING.contains(&function))
}

/// Which rows of a table are read, and of which times: for totals of deltas those of the day so far as well.
fn parts(
    table: Table,
    asked: &Asked<'_>,
    found: &Stems,
    selection: &Selection<'_>,
    has_events: bool,
) -> Vec<(Filter, TimeRange)> {
    let Some(filter) = found.filter(table, asked) else { return Vec::new() };
    let range = later_than(selection.after, selection.until);
    // Histograms are counted by their totals alone.
    let needs_totals = |shape: Shape| !has_events || shape == Shape::Native;
    if !found.of_table(table).any(|found| found.stem.is_delta && needs_totals(found.stem.shape)) {
        return vec![(filter, range)];
    }
    let is_delta = Filter::equals("aggregation_temporality", Value::Integer(DELTA));
    let day = later_than(counts_from(selection.after.saturating_add(1)), selection.until);
    vec![(filter.clone().and(is_delta.clone().negated()), range), (filter.and(is_delta), day)]
}
