//! What a row of a proxy says under the key that calls are grouped by.
//!
//! Proxies have no semantic conventions: a key that says the same as a column of `requests` is read there, and any other
//! among the attributes that the log was told to carry. Where a column tells of each end, the callee's is meant; a gateway
//! is the callee of what it received, and its own end is the row's source.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use meshlake_schema::Table;
use meshlake_schema::rows::{Attributes, Rows};

use crate::attribute::{AttributeKey, CLUSTER_KEY};
use crate::columns::{Integers, Text};
use crate::grouping::Grain;

/// Keys of the OpenTelemetry semantic conventions that say what a column of the callee's end says.
const ENDS: [(&str, [&str; 2]); 8] = [
    ("service.name", ["source_service", "destination_service"]),
    ("service.namespace", ["source_namespace", "destination_namespace"]),
    ("service.version", ["source_version", "destination_version"]),
    ("service.instance.id", ["source_instance", "destination_instance"]),
    ("k8s.namespace.name", ["source_namespace", "destination_namespace"]),
    ("k8s.pod.name", ["source_instance", "destination_instance"]),
    ("k8s.deployment.name", ["source_workload", "destination_workload"]),
    (CLUSTER_KEY, ["source_cluster", "destination_cluster"]),
];

/// Those that say what another column says.
const COLUMNS: [(&str, &str); 5] = [
    ("http.request.method", "method"),
    ("http.response.status_code", "response_code"),
    ("rpc.grpc.status_code", "grpc_status"),
    ("url.scheme", "scheme"),
    ("user_agent.original", "user_agent"),
];

/// Columns of numbers among them.
const NUMBERS: [&str; 2] = ["response_code", "grpc_status"];

const ATTRIBUTES: &str = "attributes";

/// The values of one key in a batch.
pub enum Asked<'a> {
    Nothing,
    Ends([Text<'a>; 2]),
    Text(Text<'a>),
    Number(Integers<'a>),
    Attribute(Attributes<'a>, AttributeKey),
}

fn key(grain: Grain) -> Option<AttributeKey> {
    match grain {
        Grain::Cluster => AttributeKey::new(CLUSTER_KEY),
        Grain::Attribute(key) => Some(key),
        Grain::Node | Grain::Operation | Grain::Instance | Grain::InstanceAndProxy | Grain::Told(_) => None,
        Grain::Whole | Grain::Labels { .. } => None,
    }
}

fn ends(key: &str) -> Option<[&'static str; 2]> {
    ENDS.into_iter().find(|(known, _)| *known == key).map(|(_, ends)| ends)
}

fn column(key: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|(known, _)| *known == key).map(|(_, column)| column)
}

/// The columns that a question with this grain reads for its key.
pub fn columns(grain: Grain) -> Vec<&'static str> {
    let Some(key) = key(grain) else { return Vec::new() };
    match (ends(key.text()), column(key.text())) {
        (Some(ends), _) => ends.to_vec(),
        (None, column) => vec![column.unwrap_or(ATTRIBUTES)],
    }
}

impl<'a> Asked<'a> {
    pub fn of(grain: Grain, batch: &'a RecordBatch) -> Asked<'a> {
        let Some(key) = key(grain) else { return Asked::Nothing };
        if let Some(ends) = ends(key.text()) {
            return Asked::Ends(ends.map(|column| Text::of(batch, column)));
        }
        match column(key.text()) {
            Some(column) if NUMBERS.contains(&column) => Asked::Number(Integers::of(batch, column)),
            Some(column) => Asked::Text(Text::of(batch, column)),
            None => {
                let attributes = Rows::of(Table::Requests, batch).read(ATTRIBUTES);
                attributes.map_or(Asked::Nothing, |attributes| Asked::Attribute(attributes, key))
            }
        }
    }

    /// What the row says of the callee; of a gateway's row that is the gateway where `is_own` says so.
    pub fn of_callee(&self, row: usize, is_own: bool) -> Option<Cow<'a, str>> {
        match self {
            Asked::Nothing => None,
            Asked::Ends(ends) => ends[usize::from(!is_own)].get(row).map(Cow::Borrowed),
            Asked::Text(texts) => texts.get(row).map(Cow::Borrowed),
            Asked::Number(numbers) => numbers.get(row).map(|number| Cow::Owned(number.to_string())),
            Asked::Attribute(attributes, key) => {
                attributes.get(row, key.text()).filter(|value| !value.is_empty()).map(Cow::Borrowed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_in_columns_of_requests() {
        let keys = ENDS.into_iter().map(|(key, _)| key).chain(COLUMNS.map(|(key, _)| key)).chain(["tier"]);
        for key in keys {
            let grain = Grain::Attribute(AttributeKey::new(key).expect("a short key"));
            for name in columns(grain) {
                let known = Table::Requests.columns().iter().any(|column| column.name == name);
                assert!(known, "{key} is read in {name}");
            }
            let batch = RecordBatch::new_empty(Table::Requests.schema().clone());
            assert!(!matches!(Asked::of(grain, &batch), Asked::Nothing), "{key}");
        }
    }
}
