//! `target_info`: what resources tell of themselves beside their names, a series a resource.
//!
//! Prometheus makes it of each export: a sample where the resource's points begin, one every half of the lookback, and one
//! where they end, so that it is there whenever one of their samples is. Exports are known by when they were taken in.
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#resource-attributes-1>,
//! and Prometheus's OTLP receiver for the times.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{Lean, Part, Query, Scan};
use meshlake_promql::{Error, Labels, METRIC_NAME};
use meshlake_schema::rows::{Integers, Micros, Rows, RowsError, Text};
use meshlake_schema::{Table, TimeRange};

use super::asked::Asked;
use super::error::{of_query, of_rows};
use super::known::{ClassEntries, Entries, Index};
use super::names::{self, TABLES, Told};
use super::stems::{REMOTE_WRITTEN, ResourceLabels, has, optional};

/// The name of the metric.
pub const NAME: &str = "target_info";

/// What metadata says of it, as in Prometheus.
pub const HELP: &str = "Target metadata";

/// Half of the time that a sample is the latest one for, unless a question says otherwise; nanoseconds.
const INTERVAL: i64 = 150_000_000_000;

const COLUMNS: [&str; 6] =
    ["ingest_time", "time_unix_nano", "resource_id", "resource", "resource_types", "scope_name"];
/// Where a part of a series ends.
const LAST: &str = "last_time_unix_nano";
const DICTIONARIES: [&str; 3] = ["resource", "resource_types", "scope_name"];

/// The exports of one resource: when they were taken in, and their first and last point.
type Exports = BTreeMap<i64, (i64, i64)>;

/// The labels of targets that are asked for, each once, with the times of their samples: nanoseconds, in order.
///
/// # Errors
/// Of the query. Cancel: nothing is lost.
pub async fn targets(
    query: &Query,
    asked: &Asked<'_>,
    range: TimeRange,
) -> Result<Vec<(Labels, BTreeSet<i64>)>, Error> {
    if !asked.has_name(NAME) {
        return Ok(Vec::new());
    }
    let mut targets = Targets::default();
    for table in TABLES {
        targets.read(query, table, (asked, range, Part::Whole), &COLUMNS).await?;
    }
    Ok(targets.finish())
}

/// The labels of targets in the buffer and in `files` that are asked for, each once.
///
/// # Errors
/// Of the query. Cancel: nothing is lost.
pub async fn labels(
    query: &Query,
    asked: &Asked<'_>,
    range: TimeRange,
    files: &[Told<'_>],
) -> Result<Vec<Labels>, Error> {
    if !asked.has_name(NAME) {
        return Ok(Vec::new());
    }
    let mut targets = Targets::default();
    let in_files = files.iter().map(|told| (told.table, Part::Files(&told.files)));
    for (table, part) in in_files.chain(TABLES.map(|table| (table, Part::Buffered))) {
        // Without the time at which each row was taken in all are one export.
        let last = has(table, LAST).then_some(LAST);
        let columns: Vec<&str> = COLUMNS[1..].iter().copied().chain(last).collect();
        targets.read(query, table, (asked, range, part), &columns).await?;
    }
    Ok(targets.finish().into_iter().map(|(labels, _)| labels).collect())
}

/// The labels of targets that are asked for of resources with known series.
pub fn resources(
    index: &Index,
    asked: &Asked<'_>,
    range: TimeRange,
    entries: &[Arc<Entries>],
) -> Vec<Labels> {
    if !asked.has_name(NAME) {
        return Vec::new();
    }
    let mut is_told = vec![false; index.resource_count()];
    // What came by remote write has the targets that were sent.
    let is_own = |of: &ClassEntries<'_>| !index.class(of.class).is_remote_written;
    let own = entries.iter().flat_map(|entries| entries.by_class()).filter(is_own);
    for entry in own.flat_map(|of| of.entries).filter(|entry| entry.is_within(range)) {
        is_told[index.resource_of(entry.stem) as usize] = true;
    }
    let told = (0..).zip(is_told).filter(|(_, is_told)| *is_told);
    told.filter_map(|(resource, _)| asked_target(index.target(resource)?.to_vec(), asked)).collect()
}

/// Whether any resource has a target.
///
/// # Errors
/// Of the query. Cancel: nothing is lost.
pub async fn is_told(query: &Query) -> Result<bool, Error> {
    let files: Vec<Told<'_>> =
        TABLES.into_iter().flat_map(|table| names::told(query, table, TimeRange::ALL)).collect();
    Ok(!labels(query, &Asked::of(&[]), TimeRange::ALL, &files).await?.is_empty())
}

#[derive(Default)]
struct Targets {
    /// By the resource's id; none for one that has no target or is not asked for.
    by_resource: HashMap<i64, Option<(Labels, Exports)>>,
}

impl Targets {
    /// Adds what rows of `table` tell that are in that part of it and of points in the range.
    async fn read(
        &mut self,
        query: &Query,
        table: Table,
        (asked, range, part): (&Asked<'_>, TimeRange, Part<'_>),
        columns: &[&str],
    ) -> Result<(), Error> {
        let lean = Some(Lean { dictionaries: &DICTIONARIES, nested: &[] });
        let (filter, standing) = (asked.filter(), names::standing(table, range));
        let scan = Scan { columns: Some(columns), filter, range: standing, lean, part, ..Scan::of(table) };
        let mut rows = query.scan(&scan).await.map_err(|error| of_query(&error))?;
        while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
            self.add(table, &batch, (asked, range)).map_err(|error| of_rows(&error))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        table: Table,
        batch: &RecordBatch,
        (asked, range): (&Asked<'_>, TimeRange),
    ) -> Result<(), RowsError> {
        let rows = Rows::of(table, batch);
        let last_times: Integers<'_> = optional(table, &rows, LAST)?;
        let times: Integers<'_> = rows.read("time_unix_nano")?;
        let taken_in: Micros<'_> = rows.read("ingest_time")?;
        let ids: Integers<'_> = rows.read("resource_id")?;
        let resources: Text<'_> = rows.read("resource")?;
        let types: Text<'_> = rows.read("resource_types")?;
        let scopes: Text<'_> = rows.read("scope_name")?;
        for row in 0..batch.num_rows() {
            let is_before = last_times.get(row).is_some_and(|last| last < range.from.0);
            if is_before || scopes.get(row) == Some(REMOTE_WRITTEN) {
                continue;
            }
            let target = self.by_resource.entry(ids.or_zero(row)).or_insert_with(|| {
                let text = |text: Text<'_>| text.get(row).unwrap_or_default().to_owned();
                target(&text(resources), &text(types), asked).map(|labels| (labels, Exports::new()))
            });
            let Some((_, exports)) = target else { continue };
            let time = times.or_zero(row);
            let export = exports.entry(taken_in.get(row).unwrap_or_default()).or_insert((time, time));
            *export = (export.0.min(time), export.1.max(time));
        }
        Ok(())
    }

    fn finish(self) -> Vec<(Labels, BTreeSet<i64>)> {
        let mut by_labels: BTreeMap<Labels, BTreeSet<i64>> = BTreeMap::new();
        for (labels, exports) in self.by_resource.into_values().flatten() {
            let times = by_labels.entry(labels).or_default();
            times.extend(exports.into_values().flat_map(sample_times));
        }
        by_labels.into_iter().collect()
    }
}

fn target(resource: &str, types: &str, asked: &Asked<'_>) -> Option<Labels> {
    asked_target(ResourceLabels::of_target(resource, types)?, asked)
}

fn asked_target(own: Vec<(String, String)>, asked: &Asked<'_>) -> Option<Labels> {
    let name = (METRIC_NAME.to_owned(), NAME.to_owned());
    let labels = Labels::from_pairs(own.into_iter().chain([name]));
    asked.has_labels(|name| labels.get(name)).then_some(labels)
}

fn sample_times((first, last): (i64, i64)) -> impl Iterator<Item = i64> {
    let step = usize::try_from(INTERVAL).expect("it is a small number");
    (first..last).step_by(step).chain([last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_half_a_lookback_apart_and_one_is_the_last() {
        let seconds = |first: i64, last: i64| -> Vec<i64> {
            sample_times((first * 1_000_000_000, last * 1_000_000_000))
                .map(|time| time / 1_000_000_000)
                .collect()
        };
        assert_eq!(seconds(10, 10), [10]);
        assert_eq!(seconds(10, 160), [10, 160]);
        assert_eq!(seconds(10, 311), [10, 160, 310, 311]);
    }
}
