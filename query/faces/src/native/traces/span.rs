//! One row of `spans` as JSON, with its attributes as they were sent.
//!
//! Attributes that moved to columns go back under their semantic-convention keys, unless the map itself
//! holds the key or an older name for it: then the column was filled from there and nothing had moved.

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use meshlake_query::trace::{kind_name, status_name};
use meshlake_schema::UnixNanos;
use meshlake_schema::attributes::map_to_json;
use meshlake_schema::tables::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};
use serde_json::{Map, Value, json};

const NANOS_PER_MILLI: f64 = 1_000_000.0;

/// Every row of the batch, in order.
pub fn spans_to_json(batch: &RecordBatch) -> impl Iterator<Item = Value> + '_ {
    let columns = StructArray::from(batch.clone());
    (0..batch.num_rows()).map(move |row| span_to_json(&Fields { columns: &columns, row }))
}

fn span_to_json(span: &Fields) -> Value {
    let start = span.int("time_unix_nano").unwrap_or_default();
    let duration = span.int("duration_nano").unwrap_or_default();
    json!({
        "span_id": span.text("span_id"),
        "parent_span_id": span.text("parent_span_id"),
        "name": span.text("name"),
        "kind": kind_name(span.int32("kind").map(i64::from)),
        "service": span.text("service_name"),
        "namespace": span.text("service_namespace"),
        "version": span.text("service_version"),
        "instance": span.text("service_instance_id"),
        "time": UnixNanos(start).to_rfc3339(),
        // A string: JavaScript would round it.
        "time_unix_nano": start.to_string(),
        "duration_ms": duration as f64 / NANOS_PER_MILLI,
        "status": status_name(span.int32("status_code").map(i64::from)),
        "status_message": span.text("status_message"),
        "outcome": span.text("outcome"),
        "is_proxy": span.boolean("is_proxy"),
        "adjusted_count": span.double("adjusted_count"),
        "trace_state": span.text("trace_state"),
        "flags": span.int("flags"),
        "attributes": attributes_as_sent(span),
        "resource": object(span.text("resource")),
        "scope": {
            "name": span.text("scope_name"),
            "version": span.text("scope_version"),
            "attributes": object(span.text("scope_attributes")),
        },
        "events": elements(span, "events", |event| json!({
            "name": event.text("name"),
            // 0 is that of an event without a time.
            "time": event.int("time_unix_nano").filter(|at| *at != 0).map(|at| UnixNanos(at).to_rfc3339()),
            "attributes": event.attributes(),
        })),
        "links": elements(span, "links", |link| json!({
            "trace_id": link.text("trace_id"),
            "span_id": link.text("span_id"),
            "trace_state": link.text("trace_state"),
            "attributes": link.attributes(),
        })),
        "dropped": {
            "attributes": span.int("dropped_attributes_count"),
            "events": span.int("dropped_events_count"),
            "links": span.int("dropped_links_count"),
        },
    })
}

fn attributes_as_sent(span: &Fields) -> Map<String, Value> {
    let mut attributes = span.attributes();
    for (key, column, kind) in PROMOTED_SPAN_KEYS {
        let value = match kind {
            PromotedType::String => span.text(column).map(Value::from),
            PromotedType::Int => span.int(column).map(Value::from),
        };
        let mut other = OTHER_SPAN_KEYS.iter().filter(|(_, filled)| *filled == column);
        let still_in_map =
            attributes.contains_key(key) || other.any(|(key, _)| attributes.contains_key(*key));
        if let (Some(value), false) = (value, still_in_map) {
            attributes.insert(key.to_owned(), value);
        }
    }
    attributes
}

/// A column of canonical JSON; an object without entries when null or not one.
fn object(text: Option<String>) -> Value {
    let parsed = text.and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
    Value::Object(parsed.unwrap_or_default())
}

fn elements(span: &Fields, list: &str, to_json: impl Fn(&Fields) -> Value) -> Vec<Value> {
    let Some(list) = span.column(list).and_then(|list| list.as_list_opt::<i32>()) else { return Vec::new() };
    let elements = list.value(span.row);
    let Some(columns) = elements.as_struct_opt() else { return Vec::new() };
    (0..columns.len()).map(|row| to_json(&Fields { columns, row })).collect()
}

/// One row of a batch, or one element of a list of structs.
struct Fields<'a> {
    columns: &'a StructArray,
    row: usize,
}

impl Fields<'_> {
    /// The column, if it is there and not null in this row.
    fn column(&self, name: &str) -> Option<&dyn Array> {
        let column = self.columns.column_by_name(name)?;
        column.is_valid(self.row).then_some(column.as_ref())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.column(name).and_then(|column| text_at(column, self.row)).map(str::to_owned)
    }

    fn int(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    fn int32(&self, name: &str) -> Option<i32> {
        Some(self.column(name)?.as_primitive_opt::<Int32Type>()?.value(self.row))
    }

    fn double(&self, name: &str) -> Option<f64> {
        Some(self.column(name)?.as_primitive_opt::<Float64Type>()?.value(self.row))
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        Some(self.column(name)?.as_boolean_opt()?.value(self.row))
    }

    /// The map `attributes` with its types from `attribute_types`.
    fn attributes(&self) -> Map<String, Value> {
        let Some(map) = self.column("attributes").and_then(|map| map.as_map_opt()) else { return Map::new() };
        let entries = map.value(self.row);
        let (keys, values) = (entries.column(0), entries.column(1));
        let entries = (0..entries.len()).map(|entry| {
            let key = text_at(keys.as_ref(), entry).unwrap_or_default();
            (key, text_at(values.as_ref(), entry).unwrap_or_default())
        });
        map_to_json(entries, &self.text("attribute_types").unwrap_or_default())
    }
}

fn text_at(column: &dyn Array, row: usize) -> Option<&str> {
    match column.data_type() {
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        _ => None,
    }
}
