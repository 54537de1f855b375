//! Which streams there are, their labels, and how much is in them.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_engine::Engine;
use meshlake_logql::tree::log::Log;
use meshlake_logql::{Entry, Pipeline};
use meshlake_promql::Labels;
use meshlake_schema::UnixNanos;

use super::asking::asked;
use super::error::LogsError;
use super::reading::fold;
use super::rows::Needs;

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub streams: u64,
    pub entries: u64,
    /// Of lines as they are answered.
    pub bytes: u64,
}

/// Any of the queries' streams with a line from the first time on and before the second; of all streams without a query.
pub async fn stream_labels(
    engine: &Engine,
    tenant: &str,
    logs: Vec<Log>,
    times: (UnixNanos, UnixNanos),
) -> Result<BTreeSet<Labels>, LogsError> {
    let logs = if logs.is_empty() { vec![Log { matchers: Vec::new(), stages: Vec::new() }] } else { logs };
    asked(engine, tenant, move |at| {
        let mut found = BTreeSet::new();
        for log in &logs {
            let needs = Needs { pipeline: Pipeline::new(log, at.now), lines: false, metadata: false, times };
            for ((), streams) in fold(at, &needs, || (), |(), _| Ok(()))? {
                let asked = streams.found().iter().filter(|stream| stream.is_asked);
                found.extend(asked.map(|stream| stream.labels.clone()));
            }
        }
        Ok(found)
    })
    .await
}

/// Names of labels of streams, sorted.
///
/// # Errors
/// Those of reading.
pub async fn label_names(
    engine: &Engine,
    tenant: &str,
    logs: Vec<Log>,
    times: (UnixNanos, UnixNanos),
) -> Result<BTreeMap<String, BTreeSet<String>>, LogsError> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for labels in stream_labels(engine, tenant, logs, times).await? {
        for label in labels.iter() {
            found.entry(label.name.to_string()).or_default().insert(label.value.to_string());
        }
    }
    Ok(found)
}

/// Values of one label of streams, sorted.
///
/// # Errors
/// Those of reading.
pub async fn label_values(
    engine: &Engine,
    tenant: &str,
    label: &str,
    logs: Vec<Log>,
    times: (UnixNanos, UnixNanos),
) -> Result<BTreeSet<String>, LogsError> {
    Ok(label_names(engine, tenant, logs, times).await?.remove(label).unwrap_or_default())
}

/// How much a query reads.
///
/// # Errors
/// Those of reading.
pub async fn counted(
    engine: &Engine,
    tenant: &str,
    log: Log,
    times: (UnixNanos, UnixNanos),
) -> Result<Counted, LogsError> {
    asked(engine, tenant, move |at| {
        let needs = Needs { pipeline: Pipeline::new(&log, at.now), lines: true, metadata: false, times };
        let add = |counted: &mut Counted, entry: &mut Entry<'_>| {
            counted.entries += 1;
            counted.bytes += entry.line.len() as u64;
            Ok(())
        };
        let mut whole = Counted::default();
        let mut found = BTreeSet::new();
        for (counted, streams) in fold(at, &needs, Counted::default, add)? {
            whole.entries += counted.entries;
            whole.bytes += counted.bytes;
            let asked = streams.found().iter().filter(|stream| stream.is_asked);
            found.extend(asked.map(|stream| stream.labels.clone()));
        }
        whole.streams = found.len() as u64;
        Ok(whole)
    })
    .await
}
