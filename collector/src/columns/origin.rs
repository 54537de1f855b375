//! What senders say once for many records: the resource, the scope, and whose data it is.
//!
//! The texts of a resource are made once (in OTLP once per `ResourceSpans`, logs or metrics) and pushed as a run when a
//! scope's rows are known, so that these seventeen columns cost a row next to nothing.

use arrow::array::ArrayRef;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::xxh3_64;

use super::{DictionaryColumn, NumberColumn};
use crate::tally::Arrival;

/// A resource as the columns hold it.
#[derive(Debug, Default)]
pub struct Resource {
    /// The attributes as canonical JSON, and their types.
    pub json: String,
    pub types: String,
    /// See the column `resource_id`.
    pub id: i64,
    pub schema_url: String,
    pub dropped_attributes: u32,
    pub service_name: Option<String>,
    pub service_namespace: Option<String>,
    pub service_version: Option<String>,
    pub service_instance_id: Option<String>,
    /// The records were made by Envoy itself.
    pub from_envoy: bool,
}

impl Resource {
    /// Those of the columns, in their order.
    fn texts(&self) -> [Option<&str>; RESOURCE_TEXTS] {
        [
            self.service_name.as_deref(),
            self.service_namespace.as_deref(),
            self.service_version.as_deref(),
            self.service_instance_id.as_deref(),
            Some(self.json.as_str()),
            Some(self.types.as_str()),
            Some(self.schema_url.as_str()).filter(|url| !url.is_empty()),
        ]
    }

    /// Gives it the id that belongs to its texts.
    pub fn identify(&mut self) {
        self.id = resource_id(&self.json, &self.types);
    }
}

/// xxh3-64 of the JSON, a zero byte and the types; neither text can hold a zero byte, so no two pairs join
/// to the same bytes.
fn resource_id(json: &str, types: &str) -> i64 {
    xxh3_64(&[json.as_bytes(), b"\0", types.as_bytes()].concat()) as i64
}

/// An instrumentation scope as the columns hold it; what is empty or absent on the wire is `None`.
#[derive(Debug, Default)]
pub struct Scope {
    pub name: Option<String>,
    pub version: Option<String>,
    pub attributes: Option<(String, String)>,
    pub dropped_attributes: u32,
    pub schema_url: Option<String>,
}

/// The columns that every table of telemetry shares: arrival, resource and scope.
#[derive(Debug, Default)]
pub struct OriginColumns {
    tenant: DictionaryColumn,
    ingest_time: NumberColumn<TimestampMicrosecondType>,
    /// In the order of the tables, from `service_name` to `scope_schema_url`, the two numbers apart.
    texts: [DictionaryColumn; 12],
    /// Of the texts of the resource that is being read, once it has rows. Kept from scope to scope: each may be as
    /// large as a request, and a request may have a million scopes.
    resource_keys: Option<[Option<i32>; RESOURCE_TEXTS]>,
    resource_id: NumberColumn<Int64Type>,
    resource_dropped_attributes: NumberColumn<Int64Type>,
    scope_dropped_attributes: NumberColumn<Int64Type>,
}

/// How many of [`OriginColumns::texts`] come before `resource_id`.
const TEXTS_BEFORE_ID: usize = 6;

/// How many of them are the resource's, the first.
const RESOURCE_TEXTS: usize = 7;

impl OriginColumns {
    /// Begins another resource.
    pub fn begin_resource(&mut self) {
        self.resource_keys = None;
    }

    /// Pushes rows that have all of this in common, until there are `rows_total`. The resource is the one that was
    /// begun last.
    pub fn fill(&mut self, arrival: &Arrival<'_>, resource: &Resource, scope: &Scope, rows_total: usize) {
        let rows = rows_total - self.tenant.len();
        if rows == 0 {
            return;
        }
        self.tenant.push_run(Some(arrival.tenant), rows);
        self.ingest_time.push_run(arrival.ingest_time.micros(), rows);
        let (of_resource, of_scope) = self.texts.split_at_mut(RESOURCE_TEXTS);
        let keys = self.resource_keys.get_or_insert_with(|| {
            let mut texts = resource.texts().into_iter();
            std::array::from_fn(|at| of_resource[at].key(texts.next().flatten()))
        });
        for (column, key) in of_resource.iter_mut().zip(keys) {
            column.push_key_run(*key, rows);
        }
        let texts = [
            scope.name.as_deref(),
            scope.version.as_deref(),
            scope.attributes.as_ref().map(|(json, _)| json.as_str()),
            scope.attributes.as_ref().map(|(_, types)| types.as_str()),
            scope.schema_url.as_deref(),
        ];
        for (column, text) in of_scope.iter_mut().zip(texts) {
            column.push_run(text, rows);
        }
        self.resource_id.push_run(resource.id, rows);
        self.resource_dropped_attributes.push_run(i64::from(resource.dropped_attributes), rows);
        self.scope_dropped_attributes.push_run(i64::from(scope.dropped_attributes), rows);
    }

    /// Takes `tenant` and `ingest_time`, the first columns of every table.
    pub fn finish_arrival(&mut self) -> [ArrayRef; 2] {
        [self.tenant.finish(), self.ingest_time.finish_utc()]
    }

    /// Takes the columns from `service_name` to `scope_dropped_attributes_count`, in the order of the tables.
    pub fn finish_origin(&mut self) -> Vec<ArrayRef> {
        self.resource_keys = None;
        let mut texts = self.texts.iter_mut().map(DictionaryColumn::finish);
        let mut columns: Vec<_> = texts.by_ref().take(TEXTS_BEFORE_ID).collect();
        columns.push(self.resource_id.finish());
        columns.extend(texts.by_ref().take(1));
        columns.push(self.resource_dropped_attributes.finish());
        columns.extend(texts);
        columns.push(self.scope_dropped_attributes.finish());
        columns
    }
}
