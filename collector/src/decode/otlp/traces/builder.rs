//! The builder of `spans`: one column each, pushed together.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::{Table, TableBatch, UnixNanos};

use super::Span;
use super::exception::Exception;
use super::nested::{EventsColumn, LinksColumn};
use super::promoted::PromotedColumns;
use crate::columns::attributes::AttributesColumn;
use crate::columns::origin::{OriginColumns, Resource, Scope};
use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn, TextColumn};
use crate::decode::otlp::is_zero;
use crate::decode::otlp::value_writer::ValueWriter;
use crate::limits::{VALUE_BYTES_MAX, cut_text};
use crate::normalize::spans::{SpanFacts, adjusted_count};
use crate::protobuf::wire::{self, WireError};
use crate::tally::{Arrival, Warning};

/// Rows of `spans` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct SpanBuilder {
    origin: OriginColumns,
    time: NumberColumn<TimestampMicrosecondType>,
    time_unix_nano: NumberColumn<Int64Type>,
    duration_nano: NumberColumn<Int64Type>,
    trace_id: TextColumn,
    span_id: TextColumn,
    parent_span_id: TextColumn,
    trace_state: DictionaryColumn,
    flags: NumberColumn<Int64Type>,
    name: DictionaryColumn,
    kind: NumberColumn<Int32Type>,
    status_code: NumberColumn<Int32Type>,
    status_message: DictionaryColumn,
    is_proxy: BooleanColumn,
    adjusted_count: NumberColumn<Float64Type>,
    outcome: DictionaryColumn,
    counted: BooleanColumn,
    dropped_attributes: NumberColumn<Int64Type>,
    dropped_events: NumberColumn<Int64Type>,
    dropped_links: NumberColumn<Int64Type>,
    events: EventsColumn,
    links: LinksColumn,
    exception_type: DictionaryColumn,
    exception_cause: DictionaryColumn,
    promoted: PromotedColumns,
    attributes: AttributesColumn,
    attribute_types: DictionaryColumn,
}

impl SpanBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        let rows = self.rows();
        if rows == 0 {
            return None;
        }
        let mut columns = Vec::with_capacity(Table::Spans.columns().len());
        columns.extend(self.origin.finish_arrival());
        columns.extend(self.finish_own(rows));
        columns.extend(self.origin.finish_origin());
        columns.extend(self.promoted.finish(rows));
        columns.extend([self.attributes.finish(), self.attribute_types.finish()]);
        let batch = RecordBatch::try_new(Arc::clone(Table::Spans.schema()), columns)
            .expect("every row is pushed to every column, in the order of the table");
        Some(TableBatch::try_new(Table::Spans, batch).expect("the schema is the table's own"))
    }

    fn finish_own(&mut self, rows: usize) -> [ArrayRef; 23] {
        self.exception_type.pad_nulls(rows);
        self.exception_cause.pad_nulls(rows);
        self.trace_state.pad_nulls(rows);
        self.status_message.pad_nulls(rows);
        [
            self.time.finish_utc(),
            self.time_unix_nano.finish(),
            self.duration_nano.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.parent_span_id.finish(),
            self.trace_state.finish(),
            self.flags.finish(),
            self.name.finish(),
            self.kind.finish(),
            self.status_code.finish(),
            self.status_message.finish(),
            self.is_proxy.finish(),
            self.adjusted_count.finish(),
            self.outcome.finish(),
            self.counted.finish(),
            self.dropped_attributes.finish(),
            self.dropped_events.finish(),
            self.dropped_links.finish(),
            self.events.finish(),
            self.links.finish(),
            self.exception_type.finish(),
            self.exception_cause.finish(),
        ]
    }

    /// Pushes a span that was accepted with `start`; the columns of its resource and scope follow with
    /// [`end_scope`](Self::end_scope).
    pub(super) fn push(
        &mut self,
        span: &Span<'_>,
        start: UnixNanos,
        resource: &Resource,
        writer: &mut ValueWriter,
    ) -> Result<(), WireError> {
        let row = self.rows();
        self.time.push(start.micros());
        self.time_unix_nano.push(start.0);
        // In 128 bits any end less any start fits; the start was accepted and is no later than 2^63 - 1. An end of 0 is
        // none: a span that is still running, or was never ended.
        let duration = match span.end_unix_nano {
            0 => 0,
            end => i128::from(end) - i128::from(start.0),
        };
        let stored = i64::try_from(duration).unwrap_or(i64::MAX);
        self.duration_nano.push(stored);
        writer.warn(Warning::OddEnd, u64::from(duration < 0 || duration != i128::from(stored)));
        writer.warn(Warning::NoEnd, u64::from(span.end_unix_nano == 0));
        writer.warn(Warning::NoName, u64::from(span.name.is_empty()));
        self.trace_id.push_hex(span.trace_id);
        self.span_id.push_hex(span.span_id);
        match span.parent_span_id {
            root if is_zero(root) => self.parent_span_id.push_null(),
            parent => self.parent_span_id.push_hex(parent),
        }
        let trace_state = writer.utf8(span.trace_state);
        push_sparse(&mut self.trace_state, row, &trace_state);
        self.adjusted_count.push(adjusted_count(&trace_state));
        self.flags.push(i64::from(span.flags));
        writer.push_repeating(&mut self.name, span.name);
        self.kind.push(span.kind);
        self.status_code.push(span.status_code);
        push_sparse(&mut self.status_message, row, &writer.utf8(span.status_message));
        let events = self.events.push_row(&span.events, writer)?;
        self.dropped_events.push(i64::from(span.dropped_events) + events.left_out);
        let Exception { name, cause } = events.exception;
        for (column, told) in [(&mut self.exception_type, name), (&mut self.exception_cause, cause)] {
            if let Some(told) = told {
                // What is cut or mended of it was warned of at the event.
                push_sparse(column, row, &wire::text(cut_text(told, VALUE_BYTES_MAX)));
            }
        }
        let left_out = self.links.push_row(&span.links, writer)?;
        self.dropped_links.push(i64::from(span.dropped_links) + left_out);
        self.push_attributes(row, span, resource, writer)
    }

    fn push_attributes(
        &mut self,
        row: usize,
        span: &Span<'_>,
        resource: &Resource,
        writer: &mut ValueWriter,
    ) -> Result<(), WireError> {
        let mut facts = SpanFacts {
            kind: span.kind,
            status_code: span.status_code,
            from_envoy: resource.from_envoy,
            ..SpanFacts::default()
        };
        let left_out =
            self.promoted.push_row(row, &span.attributes, &mut self.attributes, writer, &mut facts)?;
        writer.end_row(&mut self.attributes, &mut self.attribute_types);
        self.dropped_attributes.push(i64::from(span.dropped_attributes) + left_out);
        self.is_proxy.push(facts.is_proxy());
        self.outcome.push(facts.outcome().name());
        self.counted.push(facts.counted());
        Ok(())
    }

    /// Begins another resource.
    pub(super) fn begin_resource(&mut self) {
        self.origin.begin_resource();
    }

    /// Pushes what the spans since the last scope have in common.
    pub(super) fn end_scope(&mut self, arrival: &Arrival<'_>, resource: &Resource, scope: &Scope) {
        self.origin.fill(arrival, resource, scope, self.time.len());
    }
}

/// Pushes text to a column in which the empty string is null and most rows are empty.
fn push_sparse(column: &mut DictionaryColumn, row: usize, text: &str) {
    if !text.is_empty() {
        column.pad_nulls(row);
        column.push(text);
    }
}
