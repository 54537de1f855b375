//! Calls of series whose traces are stored.
//!
//! The calls are those that `/api/v1/exemplars` names of the same range: failed ones first, then slow ones. A call is shown
//! at the series of requests that counts it: one whose ends, and whose code where the call tells one, are the call's.

use std::collections::BTreeMap;

use meshlake_calls::Range;
use meshlake_calls::exemplars::{EXEMPLARS_MAX, Wanted as WantedCalls};
use meshlake_calls::list::ListedCall;
use meshlake_calls::series::metrics::Reading;
use meshlake_promql::{Error, Labels};
use meshlake_schema::UnixNanos;

use super::Counted;
use super::grid::DAY;
use crate::calls::exemplars::{Asked, exemplars as of_calls};
use crate::series::{Exemplar, Exemplified, Found, Wanted};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// See [`crate::series::Source::exemplars`].
pub fn exemplars(counted: &Counted, wanted: &Wanted<'_>) -> Result<Found<Vec<Exemplified>>, Error> {
    // One label set of each that has calls, whatever bounds its buckets have.
    let series = super::catalogue::first_of_each(counted, wanted)?;
    let until = wanted.to.saturating_add(1).min(counted.query.began().0.div_euclid(NANOS_PER_MILLI));
    let from = wanted.from.max(until.saturating_sub(DAY));
    let nanos = |millis: i64| UnixNanos(millis.saturating_mul(NANOS_PER_MILLI));
    let Ok(range) = Range::new(nanos(from), nanos(until), None) else { return Ok(Found::default()) };
    if series.is_empty() {
        return Ok(Found::default());
    }
    let asked = Asked {
        range,
        wanted: WantedCalls::default(),
        failed_only: false,
        duration_min: 0,
        most: EXEMPLARS_MAX.min(wanted.limit),
    };
    let found = counted.wait(of_calls(&counted.query, &asked))?;
    let mut of_series: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
    for call in &found.calls {
        let Some((labels, reading)) = series.iter().find(|(labels, _)| is_of(labels, call)) else { continue };
        if let Some(exemplar) = exemplar(call, *reading) {
            of_series.entry(labels.clone()).or_default().push(exemplar);
        }
    }
    of_series.values_mut().for_each(|exemplars| exemplars.sort_by_key(|exemplar| exemplar.time));
    Ok(Found { found: of_series.into_iter().collect(), is_cut: false })
}

/// Whether the series counts such a call. Names in series are those of services, ids of nodes have their namespaces
/// before them.
fn is_of(labels: &Labels, call: &ListedCall) -> bool {
    let is_end = |id: Option<&str>, namespace: &str, name: &str| {
        let [namespace, name] = [labels.get(namespace), labels.get(name)];
        id.is_none_or(|id| {
            id == name || id.strip_prefix(namespace).is_some_and(|id| id.strip_prefix('/') == Some(name))
        })
    };
    let code = labels.get("response_code");
    let is_code = call.response_code.is_none_or(|told| code.is_empty() || told.to_string() == code);
    let pairs = [
        (
            "destination_service_namespace",
            "destination_service_name",
            "source_workload_namespace",
            "source_canonical_service",
        ),
        ("server_service_namespace", "server", "client_service_namespace", "client"),
        ("service_namespace", "service", "", ""),
    ];
    let has = |(_, name, ..): &(&str, &str, &str, &str)| !labels.get(name).is_empty();
    let Some((to_namespace, to, from_namespace, from)) = pairs.into_iter().find(has) else { return false };
    let is_source = from.is_empty() || is_end(call.source.as_deref(), from_namespace, from);
    is_code && is_source && is_end(Some(&call.target), to_namespace, to)
}

/// The call, with its duration in the unit of the series, or one where the series counts calls.
fn exemplar(call: &ListedCall, reading: Reading) -> Option<Exemplar> {
    let nanos = call.client_nano.or(call.server_nano);
    let value = match reading {
        Reading::Buckets(histogram) | Reading::Sum(histogram) | Reading::Count(histogram) => {
            nanos? as f64 / histogram.unit
        }
        Reading::Amount { .. } | Reading::One => 1.0,
    };
    let trace_id = call.trace_id.clone()?;
    let labels = Labels::from_pairs([("trace_id", trace_id)]);
    Some(Exemplar { labels, value, time: call.time.0.div_euclid(NANOS_PER_MILLI) })
}
