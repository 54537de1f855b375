//! What the rows of metric tables are called in Prometheus, read from the few narrow columns that say so.

use std::collections::{BTreeSet, HashSet};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{DataFile, Lean, Part, Query, Scan};
use meshlake_promql::Error;
use meshlake_schema::rows::{Booleans, Rows, RowsError, Text};
use meshlake_schema::time::WINDOW_MICROS;
use meshlake_schema::{Table, TimeRange, UnixNanos};

use super::asked::Asked;
use super::error::{of_query, of_rows};
use super::naming::metric;
use super::stems::{REMOTE_WRITTEN, Shape, has, optional, points_of};

/// The tables that hold points.
pub const TABLES: [Table; 4] =
    [Table::MetricPoints, Table::MetricHistograms, Table::MetricExpHistograms, Table::MetricSummaries];

const NANOS_PER_MICRO: i64 = 1_000;

/// `aggregation_temporality` of points that tell of the time since the one before. Source: metrics.proto.
pub const DELTA: i64 = 1;

/// The table that tells which series a table of points has.
pub fn series_of(table: Table) -> Table {
    table.derived().next().expect("every table of points has one of series; tested")
}

/// A table that tells of series, and the files of it that have to be read for all that is in files.
#[derive(Debug)]
pub struct Told<'a> {
    pub table: Table,
    pub files: Vec<&'a DataFile>,
}

/// Where the series of `table` are told that may have points in `range`, but for those in the buffer: in the files of its
/// table of series, and in the files of points that have none there.
pub fn told(query: &Query, table: Table, range: TimeRange) -> [Told<'_>; 2] {
    let within = |table: Table| query.files(table).iter().filter(move |file| is_within(table, file, range));
    let of_series = series_of(table);
    [
        Told { table: of_series, files: within(of_series).collect() },
        Told { table, files: within(table).filter(|file| !file.is_derived_from).collect() },
    ]
}

/// The times that rows of `table` may stand at which tell of points in `range`: a part of a series stands at its first point,
/// and ends with its window.
pub fn standing(table: Table, range: TimeRange) -> TimeRange {
    if table.source().is_none() {
        return range;
    }
    let window_nanos = WINDOW_MICROS * NANOS_PER_MICRO;
    TimeRange { from: UnixNanos(range.from.0.saturating_sub(window_nanos)), to: range.to }
}

fn is_within(table: Table, file: &DataFile, range: TimeRange) -> bool {
    let range = standing(table, range);
    let nanos = |micros: i64| micros.saturating_mul(NANOS_PER_MICRO);
    nanos(file.time_min_micros) < range.to.0 && nanos(file.time_max_micros.saturating_add(1)) > range.from.0
}

/// What makes the name of a row's series, and what is told of its metric where that is read.
pub struct Names<'a> {
    table: Table,
    pub metric: Text<'a>,
    pub unit: Text<'a>,
    pub scope: Text<'a>,
    pub metric_type: Text<'a>,
    pub is_monotonic: Booleans<'a>,
    pub description: Text<'a>,
    pub metadata: Text<'a>,
}

/// Names of one batch by numbers.
type Code = ([(u64, u64); 6], Option<bool>);

impl<'a> Names<'a> {
    pub fn of(table: Table, batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let rows = Rows::of(table, batch);
        Ok(Names {
            table: points_of(table),
            metric: rows.read("metric_name")?,
            unit: rows.read("metric_unit")?,
            scope: rows.read("scope_name")?,
            metric_type: optional(table, &rows, "metric_type")?,
            is_monotonic: optional(table, &rows, "is_monotonic")?,
            description: rows.read("metric_description")?,
            metadata: rows.read("metric_metadata")?,
        })
    }

    fn code(&self, row: usize) -> Code {
        let texts = [self.metric, self.unit, self.scope, self.metric_type, self.description, self.metadata];
        (texts.map(|text| text.code(row)), self.is_monotonic.get(row))
    }

    pub fn is_remote_written(&self, row: usize) -> bool {
        self.scope.get(row) == Some(REMOTE_WRITTEN)
    }

    /// The family of a row and its shape; none for a metric that has no name in Prometheus.
    pub fn family(&self, row: usize) -> Option<(String, Shape)> {
        let own = self.metric.get(row)?;
        let is_remote_written = self.is_remote_written(row);
        let shape = Shape::of(self.table, is_remote_written);
        if is_remote_written {
            return Some((own.to_owned(), shape));
        }
        let kind = match (self.metric_type.get(row), self.is_monotonic.get(row)) {
            (Some("gauge"), _) => metric::Kind::Gauge,
            (_, Some(true)) => metric::Kind::Counter,
            _ => metric::Kind::Other,
        };
        Some((metric::name(own, self.unit.get(row).unwrap_or_default(), kind)?, shape))
    }
}

/// The metrics of rows of that part of `table` in `range` whose series have a name that is asked for.
///
/// # Errors
/// Of the query.
pub async fn metrics(
    query: &Query,
    table: Table,
    asked: &Asked<'_>,
    range: TimeRange,
    part: Part<'_>,
) -> Result<BTreeSet<String>, Error> {
    let mut metrics = BTreeSet::new();
    each_name(query, table, (range, part), &[], |names, row| {
        let Some((family, shape)) = names.family(row) else { return };
        if shape.endings().iter().any(|ending| asked.has_name(&format!("{family}{ending}"))) {
            metrics.insert(names.metric.get(row).unwrap_or_default().to_owned());
        }
    })
    .await?;
    Ok(metrics)
}

/// Calls `told` with the rows of that part of `table` in `range` that differ in what makes a name or in one of the columns `more`, which are
/// text; with some of them several times.
///
/// # Errors
/// Of the query.
pub async fn each_name(
    query: &Query,
    table: Table,
    (range, part): (TimeRange, Part<'_>),
    more: &[&str],
    mut told: impl FnMut(&Names<'_>, usize),
) -> Result<(), Error> {
    let own: &[&str] = if has(table, "metric_type") { &["metric_type"] } else { &[] };
    let dictionaries = [&["metric_name", "metric_unit", "scope_name"], own, more].concat();
    let own: &[&str] = if has(table, "is_monotonic") { &["is_monotonic"] } else { &[] };
    let columns = [&["time_unix_nano"], own, &dictionaries].concat();
    let lean = Some(Lean { dictionaries: &dictionaries, nested: &[] });
    let range = standing(table, range);
    let scan = Scan { columns: Some(&columns), range, lean, part, ..Scan::of(table) };
    let mut rows = query.scan(&scan).await.map_err(|error| of_query(&error))?;
    while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
        let names = Names::of(table, &batch).map_err(|error| of_rows(&error))?;
        let mut seen = HashSet::new();
        (0..batch.num_rows()).filter(|row| seen.insert(names.code(*row))).for_each(|row| told(&names, row));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_points_has_one_of_series() {
        for table in TABLES {
            assert_eq!(points_of(series_of(table)), table);
            assert_eq!(points_of(table), table);
        }
    }

    /// A part that begins at 11:50 may end at 11:59.
    #[test]
    fn a_part_is_looked_for_from_a_window_before() {
        let range = TimeRange { from: UnixNanos(0), to: UnixNanos(5) };
        assert_eq!(standing(Table::MetricPoints, range), range);
        assert_eq!(standing(Table::MetricPointsSeries, range).from, UnixNanos(-900_000_000_000));
        let all = standing(Table::MetricPointsSeries, TimeRange::ALL);
        assert_eq!((all.from.0, all.to), (i64::MIN, TimeRange::ALL.to));
    }
}
