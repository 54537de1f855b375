//! How many bytes of lines there are, by labels of streams: what Grafana's pages of logs begin with.
//!
//! Volumes are sums of `bytes_over_time`, so that they say what a query for the same would.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_engine::Engine;
use meshlake_logql::tree::log::Log;
use meshlake_logql::tree::metric::{Aggregate, Function, Grouping, Metric, OverTime};
use meshlake_logql::{Answer, Steps};
use meshlake_promql::tree::Aggregator;
use meshlake_schema::UnixNanos;

use super::browse::label_names;
use super::error::LogsError;
use super::numbers::{Numbers, numbers};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Volumes {
    /// Of streams; of all without matchers.
    pub log: Log,
    /// Labels that are told apart. None: those of the matchers, or all that there are without matchers.
    pub labels: Vec<String>,
    /// Whether the labels themselves are asked for, each with the bytes of all streams that have it.
    pub are_of_labels: bool,
    /// The time before each instant of `steps`, nanoseconds, above 0.
    pub range_nano: i64,
    pub steps: Steps,
    /// The largest so many.
    pub limit: usize,
}

/// Bytes of the streams of some labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// A label that is asked for by itself has no value.
    pub labels: Vec<(String, String)>,
    /// By step; not there where there are none.
    pub bytes: BTreeMap<usize, f64>,
}

impl Volume {
    fn total(&self) -> f64 {
        self.bytes.values().sum()
    }
}

/// The largest volumes, of equal ones the first by labels.
///
/// # Errors
/// Those of reading, and of too many series.
pub async fn volumes(engine: &Engine, tenant: &str, asked: Volumes) -> Result<Vec<Volume>, LogsError> {
    let labels = labels(engine, tenant, &asked).await?;
    let over_time = OverTime {
        function: Function::BytesOverTime,
        log: asked.log,
        unwrap: None,
        range_nano: asked.range_nano,
        offset_nano: 0,
        grouping: None,
    };
    let metric = Metric::Aggregate(Box::new(Aggregate {
        aggregator: Aggregator::Sum,
        parameter: None,
        grouping: Some(Grouping { is_without: false, labels }),
        operand: Metric::OverTime(Box::new(over_time)),
    }));
    let Answer::Series(series) = numbers(engine, tenant, Numbers { metric, steps: asked.steps }).await?
    else {
        return Ok(Vec::new());
    };
    let series = series.into_iter().map(|(labels, values)| {
        let labels = labels.iter().map(|label| (label.name.to_string(), label.value.to_string()));
        Volume { labels: labels.collect(), bytes: values.into_iter().collect() }
    });
    let mut volumes: Vec<Volume> = if asked.are_of_labels { of_labels(series) } else { series.collect() };
    volumes.sort_by(|a, b| b.total().total_cmp(&a.total()).then_with(|| a.labels.cmp(&b.labels)));
    volumes.truncate(asked.limit);
    Ok(volumes)
}

async fn labels(engine: &Engine, tenant: &str, asked: &Volumes) -> Result<Vec<String>, LogsError> {
    if !asked.labels.is_empty() {
        return Ok(asked.labels.clone());
    }
    let named: BTreeSet<String> = asked.log.matchers.iter().map(|matcher| matcher.name.clone()).collect();
    if !named.is_empty() {
        return Ok(named.into_iter().collect());
    }
    let last = asked.steps.time(asked.steps.count().saturating_sub(1));
    let first = asked.steps.time(0).saturating_sub(asked.range_nano);
    let times = (UnixNanos(first), UnixNanos(last.saturating_add(1)));
    Ok(label_names(engine, tenant, Vec::new(), times).await?.into_keys().collect())
}

/// Each label with the bytes of the series that have it.
fn of_labels(series: impl Iterator<Item = Volume>) -> Vec<Volume> {
    let mut of_labels: BTreeMap<String, BTreeMap<usize, f64>> = BTreeMap::new();
    for volume in series {
        for (name, _) in &volume.labels {
            let own = of_labels.entry(name.clone()).or_default();
            volume.bytes.iter().for_each(|(step, bytes)| *own.entry(*step).or_default() += bytes);
        }
    }
    let volume = |(name, bytes)| Volume { labels: vec![(name, String::new())], bytes };
    of_labels.into_iter().map(volume).collect()
}
