//! One row of `spans` as JSON, with its attributes as they were sent; see `meshlake_schema::sent`.

use arrow::array::RecordBatch;
use meshlake_query::trace::{kind_name, status_name};
use meshlake_schema::rows::{Booleans, Doubles, Events, Integers, Links, Rows, RowsError, Text};
use meshlake_schema::sent::{SentAttributes, SentValue, entries};
use meshlake_schema::{Table, UnixNanos, read_columns};
use serde_json::{Map, Value, json};

const NANOS_PER_MILLI: f64 = 1_000_000.0;

read_columns! {
    /// What the answer shows of a span, but for the columns of its attributes.
    struct Columns of Table::Spans {
        span_id: Text,
        parent_span_id: Text,
        name: Text,
        kind: Integers,
        service_name: Text,
        service_namespace: Text,
        service_version: Text,
        service_instance_id: Text,
        time_unix_nano: Integers,
        duration_nano: Integers,
        status_code: Integers,
        status_message: Text,
        outcome: Text,
        is_proxy: Booleans,
        adjusted_count: Doubles,
        trace_state: Text,
        flags: Integers,
        resource: Text,
        scope_name: Text,
        scope_version: Text,
        scope_attributes: Text,
        dropped_attributes_count: Integers,
        dropped_events_count: Integers,
        dropped_links_count: Integers,
        events: Events,
        links: Links,
    }
}

/// Every row of the batch, in order.
///
/// # Errors
/// A bug of ours: the batch is not one of columns of `spans`.
pub fn spans_to_json(batch: &RecordBatch) -> Result<Vec<Value>, RowsError> {
    let columns = Columns::of(batch)?;
    let attributes = SentAttributes::of(Rows::of(Table::Spans, batch))?;
    Ok((0..batch.num_rows()).map(|row| span_to_json(row, &columns, &attributes)).collect())
}

fn span_to_json(row: usize, span: &Columns<'_>, attributes: &SentAttributes<'_>) -> Value {
    let start = span.time_unix_nano.or_zero(row);
    json!({
        "span_id": span.span_id.get(row),
        "parent_span_id": span.parent_span_id.get(row),
        "name": span.name.get(row),
        "kind": kind_name(span.kind.get(row)),
        "service": span.service_name.get(row),
        "namespace": span.service_namespace.get(row),
        "version": span.service_version.get(row),
        "instance": span.service_instance_id.get(row),
        "time": UnixNanos(start).to_rfc3339(),
        // A string: JavaScript would round it.
        "time_unix_nano": start.to_string(),
        "duration_ms": span.duration_nano.or_zero(row) as f64 / NANOS_PER_MILLI,
        "status": status_name(span.status_code.get(row)),
        "status_message": span.status_message.get(row),
        "outcome": span.outcome.get(row),
        "is_proxy": span.is_proxy.get(row),
        "adjusted_count": span.adjusted_count.get(row),
        "trace_state": span.trace_state.get(row),
        "flags": span.flags.get(row),
        "attributes": told(attributes.entries(row)),
        "resource": object(span.resource.get(row)),
        "scope": {
            "name": span.scope_name.get(row),
            "version": span.scope_version.get(row),
            "attributes": object(span.scope_attributes.get(row)),
        },
        "events": events(row, &span.events),
        "links": links(row, &span.links),
        "dropped": {
            "attributes": span.dropped_attributes_count.get(row),
            "events": span.dropped_events_count.get(row),
            "links": span.dropped_links_count.get(row),
        },
    })
}

/// A column of canonical JSON; an object without entries when null or not one.
fn object(text: Option<&str>) -> Value {
    let parsed = text.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    Value::Object(parsed.unwrap_or_default())
}

fn told<'a>(entries: impl IntoIterator<Item = (&'a str, SentValue<'a>)>) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn events(row: usize, events: &Events<'_>) -> Vec<Value> {
    let event = |place: usize| {
        // 0 is that of an event without a time.
        let time = events.time_unix_nano.get(place).filter(|at| *at != 0);
        json!({
            "name": events.name.get(place),
            "time": time.map(|at| UnixNanos(at).to_rfc3339()),
            "attributes": told(entries(&events.attributes, &events.attribute_types, place)),
        })
    };
    events.places(row).map(event).collect()
}

fn links(row: usize, links: &Links<'_>) -> Vec<Value> {
    let link = |place: usize| {
        json!({
            "trace_id": links.trace_id.get(place),
            "span_id": links.span_id.get(place),
            "trace_state": links.trace_state.get(place),
            "attributes": told(entries(&links.attributes, &links.attribute_types, place)),
        })
    };
    links.places(row).map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_one_of_spans() {
        let batch = RecordBatch::new_empty(Table::Spans.schema().clone());
        assert_eq!(spans_to_json(&batch), Ok(vec![]));
    }
}
