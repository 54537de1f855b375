//! Rows of `logs`.
//!
//! Labels of a stream are those that Loki makes of OTLP by default, the short names that dashboards of Kubernetes select by, and
//! the level. All else of resource, scope, record and attributes is stored beside the line.
//!
//! Source: "Ingesting logs to Loki using OpenTelemetry Collector", Format considerations,
//! <https://grafana.com/docs/loki/latest/send-data/otel/>.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use meshlake_logql::label_name;
use meshlake_promql::Labels;
use meshlake_schema::read_columns;
use meshlake_schema::rows::{Attributes, Integers, Micros, Text};
use serde_json::{Map, Value};

use super::severity::level;
use super::{Each, Needs, SOURCE, give, wrong};
use crate::logs::error::LogsError;
use crate::logs::streams::Streams;

/// Attributes of resources that are labels of streams: Loki's default.
const INDEXED: [&str; 18] = [
    "cloud.availability_zone",
    "cloud.region",
    "container.name",
    "deployment.environment",
    "deployment.environment.name",
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.cronjob.name",
    "k8s.daemonset.name",
    "k8s.deployment.name",
    "k8s.job.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.replicaset.name",
    "k8s.statefulset.name",
    "service.instance.id",
    "service.name",
    "service.namespace",
];

/// Short names, and the attributes that they are of, the first that is there.
const SHORT: [(&str, &[&str]); 4] = [
    ("namespace", &["k8s.namespace.name", "service.namespace"]),
    ("pod", &["k8s.pod.name"]),
    ("container", &["k8s.container.name", "container.name"]),
    ("cluster", &["k8s.cluster.name"]),
];

/// What a service without a name is called, by Loki as by OpenTelemetry.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

read_columns! {
    /// What a line is made of.
    struct LogRows of meshlake_schema::Table::Logs {
        time: Micros,
        time_unix_nano: Integers,
        observed_time_unix_nano: Integers,
        severity_number: Integers,
        severity_text: Text,
        resource_id: Integers,
        resource: Text,
        body: Text,
        trace_id: Text,
        span_id: Text,
        event_name: Text,
        scope_name: Text,
        scope_version: Text,
        attributes: Attributes,
    }
}

/// How many of the columns tell time and stream.
const ALWAYS: usize = 7;

pub const DICTIONARIES: &[&str] = &["severity_text", "resource"];

pub fn columns(needs: &Needs<'_>) -> Vec<&'static str> {
    let is_needed = |name: &&&str| match **name {
        "body" => needs.lines,
        _ => needs.metadata,
    };
    let (always, others) = LogRows::NAMES.split_at(ALWAYS);
    always.iter().chain(others.iter().filter(is_needed)).copied().collect()
}

pub fn entries(
    batch: &RecordBatch,
    needs: &Needs<'_>,
    streams: &mut Streams,
    each: &mut Each<'_>,
) -> Result<(), LogsError> {
    let rows = LogRows::of(batch).map_err(|error| wrong(&error))?;
    let mut key = Vec::new();
    for row in 0..batch.num_rows() {
        let sent = rows.time_unix_nano.get(row).or_else(|| rows.observed_time_unix_nano.get(row));
        let nanos = sent.or_else(|| rows.time.get(row).map(|micros| micros.saturating_mul(1_000)));
        let Some(nanos) = nanos.filter(|nanos| needs.has_time(*nanos)) else { continue };
        let (number, text) = (rows.severity_number.or_zero(row), rows.severity_text.get(row));
        key.clear();
        key.push(b'l');
        key.extend(rows.resource_id.or_zero(row).to_le_bytes());
        key.extend(number.to_le_bytes());
        key.extend(text.unwrap_or_default().as_bytes());
        let make = || stream(rows.resource.get(row).unwrap_or_default(), number, text);
        let place = streams.place(&key, &needs.pipeline, make)?;
        let stream = &streams.found()[place];
        if !stream.is_asked {
            continue;
        }
        let line = Cow::Borrowed(rows.body.get(row).unwrap_or_default());
        let metadata = |labels: &mut meshlake_logql::LabelSet<'_>| {
            let columns = [
                ("trace_id", rows.trace_id),
                ("span_id", rows.span_id),
                ("event_name", rows.event_name),
                ("scope_name", rows.scope_name),
                ("scope_version", rows.scope_version),
            ];
            for (name, column) in columns {
                if let Some(value) = column.named(row) {
                    labels.add_metadata(name, value.to_owned());
                }
            }
            for (key, value) in rows.attributes.entries(row) {
                labels.add_metadata(label_name(key).into_owned(), value.to_owned());
            }
        };
        give(needs, stream, (nanos, line), metadata, each)?;
    }
    Ok(())
}

/// The labels of a stream, and what its lines have beside them.
fn stream(resource: &str, number: i64, text: Option<&str>) -> (Labels, Vec<(String, String)>) {
    let resource: Map<String, Value> = serde_json::from_str(resource).unwrap_or_default();
    let told = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let get = |key: &str| resource.get(key).map(told).filter(|value| !value.is_empty());
    let service = get("service.name").unwrap_or_else(|| UNKNOWN_SERVICE.to_owned());
    let job = match get("service.namespace") {
        Some(namespace) => format!("{namespace}/{service}"),
        None => service.clone(),
    };
    let mut labels = vec![(SOURCE.to_owned(), "logs".to_owned()), ("job".to_owned(), job)];
    labels.extend(INDEXED.iter().filter_map(|key| Some((label_name(key).into_owned(), get(key)?))));
    labels.push(("service_name".to_owned(), service));
    for (name, keys) in SHORT {
        labels.extend(keys.iter().find_map(|key| get(key)).map(|value| (name.to_owned(), value)));
    }
    let level = level(number, text);
    let mut metadata: Vec<(String, String)> =
        vec![("detected_level".to_owned(), level.as_deref().unwrap_or("unknown").to_owned())];
    labels.extend(level.map(|level| ("level".to_owned(), level.into_owned())));
    if number > 0 {
        metadata.push(("severity_number".to_owned(), number.to_string()));
    }
    metadata.extend(text.map(|text| ("severity_text".to_owned(), text.to_owned())));
    let others = resource.iter().filter(|(key, _)| !INDEXED.contains(&key.as_str()));
    metadata.extend(others.map(|(key, value)| (label_name(key).into_owned(), told(value))));
    (Labels::from_pairs(labels), metadata)
}
