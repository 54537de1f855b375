//! Reads the metrics of a service and of its instances; see `meshlake_calls::operate::gauges`.
//!
//! What a container or a pod uses is told by somebody else than the service, who knows the pod's name and not the service's:
//! such series are found by the instances that calls name.

use std::ops::Bound;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_calls::Range;
use meshlake_calls::operate::gauges::{Gauge, Gauges, Kind, PREFIXES, Point};
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::filter::{Place, Test, Value};
use meshlake_schema::rows::{Booleans, Doubles, Integers, Rows, RowsError, Text};
use meshlake_schema::{Filter, Table, TimeRange};

const COLUMNS: &[&str] = &[
    "time_unix_nano",
    "metric_name",
    "metric_unit",
    "metric_type",
    "series_id",
    "service_namespace",
    "service_instance_id",
    "aggregation_temporality",
    "is_monotonic",
    "value",
    "attributes",
];

/// `aggregation_temporality` of sums since the last point. Source: metrics.proto.
const DELTA: i64 = 1;

/// The series of the service with this id (`namespace/name` or a name) and of these instances, and what to say of them.
pub(super) async fn load<'a>(
    query: &Query,
    service: &str,
    instances: impl Iterator<Item = &'a str>,
    range: Range,
) -> Result<(Vec<Gauge>, Option<String>), QueryError> {
    let (namespace, name) = service.rsplit_once('/').map_or((None, service), |(n, name)| (Some(n), name));
    let text = |text: &str| Value::Text(text.to_owned());
    let of_instances = Filter::is_in("service_instance_id", instances.map(text).collect());
    let of_it = Filter::Or(vec![Filter::equals("service_name", text(name)), of_instances]);
    let filter = Filter::And(vec![of_it, Filter::Or(PREFIXES.into_iter().map(begins).collect())]);
    let range_of_rows = TimeRange { from: range.from(), to: range.to() };
    let scan = Scan { columns: Some(COLUMNS), filter, range: range_of_rows, ..Scan::of(Table::MetricPoints) };
    let mut gauges = Gauges::default();
    let mut rows = query.scan(&scan).await?;
    while let Some(batch) = rows.try_next().await? {
        add(&batch, namespace, &mut gauges)
            .map_err(|error| QueryError::Internal(format!("read metrics: {error}")))?;
    }
    let seconds = (range.to().0 - range.from().0) as f64 / 1e9;
    Ok(gauges.finish(seconds))
}

/// Whether the name of a metric begins with `prefix`, which ends with a dot: `/` is the next character.
fn begins(prefix: &str) -> Filter {
    let after = format!("{}/", prefix.trim_end_matches('.'));
    let ends = [prefix.to_owned(), after].map(Value::Text);
    let [from, to] = ends;
    Filter::Is(
        Place::Column("metric_name".to_owned()),
        Test::IsWithin(Bound::Included(from), Bound::Excluded(to)),
    )
}

/// Adds points; those of a service of the same name in another namespace are left out.
fn add(batch: &RecordBatch, namespace: Option<&str>, gauges: &mut Gauges) -> Result<(), RowsError> {
    let rows = Rows::of(Table::MetricPoints, batch);
    let times: Integers<'_> = rows.read("time_unix_nano")?;
    let [metrics, units, types, namespaces, instances]: [Text<'_>; 5] = [
        rows.read("metric_name")?,
        rows.read("metric_unit")?,
        rows.read("metric_type")?,
        rows.read("service_namespace")?,
        rows.read("service_instance_id")?,
    ];
    let series: Integers<'_> = rows.read("series_id")?;
    let temporality: Integers<'_> = rows.read("aggregation_temporality")?;
    let monotonic: Booleans<'_> = rows.read("is_monotonic")?;
    let values: Doubles<'_> = rows.read("value")?;
    let attributes: meshlake_schema::rows::Attributes<'_> = rows.read("attributes")?;
    for row in 0..batch.num_rows() {
        let is_others = match (namespace, namespaces.named(row)) {
            (Some(own), Some(told)) => own != told,
            _ => false,
        };
        let (false, Some(value), Some(metric)) = (is_others, values.get(row), metrics.named(row)) else {
            continue;
        };
        let grows = types.named(row) == Some("sum") && monotonic.get(row) == Some(true);
        let kind = match (grows, temporality.get(row)) {
            (false, _) => Kind::Level,
            (true, Some(DELTA)) => Kind::Delta,
            (true, _) => Kind::Total,
        };
        let told: Vec<String> =
            attributes.entries(row).map(|(key, value)| format!("{key}={value}")).collect();
        gauges.add(Point {
            series: series.or_zero(row),
            metric,
            unit: units.named(row),
            instance: instances.named(row),
            attributes: &told.join(","),
            time: times.or_zero(row),
            value,
            kind,
        });
    }
    Ok(())
}
