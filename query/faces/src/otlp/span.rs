//! One row as a `Span`, without its resource and scope.

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Events, Integers, Links, Rows, RowsError, Text};
use meshlake_schema::sent::{SentAttributes, SentValue, entries};
use meshlake_schema::{Table, read_columns};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::value::key_value;

read_columns! {
    /// What is a span's own.
    pub struct Columns of Table::Spans {
        trace_id: Text,
        span_id: Text,
        parent_span_id: Text,
        trace_state: Text,
        flags: Integers,
        name: Text,
        kind: Integers,
        time_unix_nano: Integers,
        duration_nano: Integers,
        status_code: Integers,
        status_message: Text,
        dropped_attributes_count: Integers,
        dropped_events_count: Integers,
        dropped_links_count: Integers,
        events: Events,
        links: Links,
    }
}

/// The spans of a batch.
pub struct Spans<'a> {
    columns: Columns<'a>,
    attributes: SentAttributes<'a>,
}

impl<'a> Spans<'a> {
    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let attributes = SentAttributes::of(Rows::of(Table::Spans, batch))?;
        Ok(Spans { columns: Columns::of(batch)?, attributes })
    }

    pub fn get(&self, row: usize) -> Span {
        let columns = &self.columns;
        let start = columns.time_unix_nano.or_zero(row);
        Span {
            trace_id: id(columns.trace_id.get(row)),
            span_id: id(columns.span_id.get(row)),
            trace_state: text(&columns.trace_state, row),
            parent_span_id: id(columns.parent_span_id.get(row)),
            flags: count(&columns.flags, row),
            name: text(&columns.name, row),
            kind: columns.kind.or_zero(row) as i32,
            start_time_unix_nano: start as u64,
            end_time_unix_nano: start.wrapping_add(columns.duration_nano.or_zero(row)) as u64,
            attributes: key_values(self.attributes.entries(row)),
            dropped_attributes_count: count(&columns.dropped_attributes_count, row),
            events: columns.events.places(row).map(|place| event(&columns.events, place)).collect(),
            dropped_events_count: count(&columns.dropped_events_count, row),
            links: columns.links.places(row).map(|place| link(&columns.links, place)).collect(),
            dropped_links_count: count(&columns.dropped_links_count, row),
            status: Some(Status {
                message: text(&columns.status_message, row),
                code: columns.status_code.or_zero(row) as i32,
            }),
        }
    }
}

fn key_values<'a>(entries: impl IntoIterator<Item = (&'a str, SentValue<'a>)>) -> Vec<KeyValue> {
    entries.into_iter().map(|(key, value)| key_value(key, value)).collect()
}

fn event(events: &Events<'_>, place: usize) -> Event {
    Event {
        time_unix_nano: events.time_unix_nano.or_zero(place) as u64,
        name: text(&events.name, place),
        attributes: key_values(entries(&events.attributes, &events.attribute_types, place)),
        dropped_attributes_count: count(&events.dropped_attributes_count, place),
    }
}

fn link(links: &Links<'_>, place: usize) -> Link {
    Link {
        trace_id: id(links.trace_id.get(place)),
        span_id: id(links.span_id.get(place)),
        trace_state: text(&links.trace_state, place),
        attributes: key_values(entries(&links.attributes, &links.attribute_types, place)),
        dropped_attributes_count: count(&links.dropped_attributes_count, place),
        flags: count(&links.flags, place),
    }
}

pub fn text(column: &Text<'_>, row: usize) -> String {
    column.get(row).unwrap_or_default().to_owned()
}

/// A count that came in 32 bits.
pub fn count(column: &Integers<'_>, row: usize) -> u32 {
    column.or_zero(row) as u32
}

/// The bytes of an id; none where there is none, or where another writer wrote what is none.
fn id(digits: Option<&str>) -> Vec<u8> {
    let digits = digits.unwrap_or_default().as_bytes();
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|nibble| nibble as u8);
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    bytes.collect::<Option<Vec<u8>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_pairs_of_digits() {
        assert_eq!(id(Some("00ff7a")), [0, 255, 0x7a]);
        for none in [None, Some(""), Some("abc"), Some("zz")] {
            assert_eq!(id(none), [] as [u8; 0], "{none:?}");
        }
    }
}
