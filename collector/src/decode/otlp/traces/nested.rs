//! Events and links of spans: lists of structs, built field by field.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use meshlake_schema::Kind;

use super::exception::{ATTRIBUTES, Exception};
use crate::columns::attributes::AttributesColumn;
use crate::columns::rows::ListEnds;
use crate::columns::{NumberColumn, TextColumn};
use crate::decode::otlp::value_writer::ValueWriter;
use crate::limits::{EVENTS_MAX, LINKS_MAX};
use crate::protobuf::wire::{Fields, WireError};
use crate::tally::Warning;

/// The event by which a span tells of an exception. Source: OpenTelemetry's semantic conventions, "Exceptions on spans".
const EXCEPTION: &[u8] = b"exception";

/// What the events of a span come to beside the column.
#[derive(Debug)]
pub(super) struct Events<'a> {
    /// Events that are not kept.
    pub(super) left_out: i64,
    /// The last exception with a type among those that are.
    pub(super) exception: Exception<'a>,
}

/// The column `events`.
#[derive(Debug, Default)]
pub(super) struct EventsColumn {
    rows: ListEnds,
    time_unix_nano: NumberColumn<Int64Type>,
    name: TextColumn,
    attributes: AttributesColumn,
    attribute_types: TextColumn,
    dropped_attributes: NumberColumn<Int64Type>,
}

impl EventsColumn {
    /// Pushes the events of one span, each a `Span.Event` message, as many as are kept.
    ///
    /// # Errors
    /// Bytes that are no such message.
    #[inline]
    pub(super) fn push_row<'a>(
        &mut self,
        events: &[&'a [u8]],
        writer: &mut ValueWriter,
    ) -> Result<Events<'a>, WireError> {
        let mut exception = Exception::default();
        for event in events.iter().take(EVENTS_MAX) {
            let told = self.push_event(event, writer)?;
            exception = if told.name.is_some() { told } else { exception };
        }
        self.rows.end_row(self.name.len());
        let left_out = events.len().saturating_sub(EVENTS_MAX);
        writer.warn(Warning::EventDropped, left_out as u64);
        Ok(Events { left_out: left_out as i64, exception })
    }

    /// Pushes an event; gives the exception that it tells of.
    fn push_event<'a>(
        &mut self,
        message: &'a [u8],
        writer: &mut ValueWriter,
    ) -> Result<Exception<'a>, WireError> {
        let (mut time, mut name, mut dropped, mut left_out) = (0, [].as_slice(), 0, 0);
        for field in Fields::new(message) {
            match field? {
                (1, value) => time = value.fixed64(1)?,
                (2, value) => name = value.bytes(2)?,
                (ATTRIBUTES, value) => {
                    left_out += writer.push_sent(&mut self.attributes, value.bytes(ATTRIBUTES)?)?;
                }
                (4, value) => dropped = value.varint(4)? as u32,
                _ => {}
            }
        }
        self.time_unix_nano.push(writer.time(time));
        writer.push_text(&mut self.name, name);
        writer.end_list_row(&mut self.attributes, &mut self.attribute_types);
        self.dropped_attributes.push(i64::from(dropped) + i64::from(left_out));
        if name == EXCEPTION { Exception::read(message) } else { Ok(Exception::default()) }
    }

    /// Takes all rows as an array and leaves the column empty.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let fields = vec![
            self.time_unix_nano.finish(),
            self.name.finish(),
            self.attributes.finish(),
            self.attribute_types.finish(),
            self.dropped_attributes.finish(),
        ];
        self.rows.finish_structs(Kind::Events, fields)
    }
}

/// The column `links`. Ids are kept as sent, whatever their length: a link cannot be refused by itself.
#[derive(Debug, Default)]
pub(super) struct LinksColumn {
    rows: ListEnds,
    trace_id: TextColumn,
    span_id: TextColumn,
    trace_state: TextColumn,
    attributes: AttributesColumn,
    attribute_types: TextColumn,
    dropped_attributes: NumberColumn<Int64Type>,
    flags: NumberColumn<Int64Type>,
}

impl LinksColumn {
    /// Pushes the links of one span, each a `Span.Link` message, as many as are kept; returns how many are not.
    ///
    /// # Errors
    /// Bytes that are no such message.
    #[inline]
    pub(super) fn push_row(&mut self, links: &[&[u8]], writer: &mut ValueWriter) -> Result<i64, WireError> {
        for link in links.iter().take(LINKS_MAX) {
            self.push_link(link, writer)?;
        }
        self.rows.end_row(self.trace_id.len());
        let left_out = links.len().saturating_sub(LINKS_MAX);
        writer.warn(Warning::LinkDropped, left_out as u64);
        Ok(left_out as i64)
    }

    fn push_link(&mut self, message: &[u8], writer: &mut ValueWriter) -> Result<(), WireError> {
        let (mut trace_id, mut span_id, mut trace_state) = ([].as_slice(), [].as_slice(), [].as_slice());
        let (mut dropped, mut left_out, mut flags) = (0, 0, 0);
        for field in Fields::new(message) {
            match field? {
                (1, value) => trace_id = value.bytes(1)?,
                (2, value) => span_id = value.bytes(2)?,
                (3, value) => trace_state = value.bytes(3)?,
                (4, value) => {
                    left_out += writer.push_sent(&mut self.attributes, value.bytes(4)?)?;
                }
                (5, value) => dropped = value.varint(5)? as u32,
                (6, value) => flags = value.fixed32(6)?,
                _ => {}
            }
        }
        self.trace_id.push_hex(trace_id);
        self.span_id.push_hex(span_id);
        writer.push_text(&mut self.trace_state, trace_state);
        writer.end_list_row(&mut self.attributes, &mut self.attribute_types);
        self.dropped_attributes.push(i64::from(dropped) + i64::from(left_out));
        self.flags.push(i64::from(flags));
        Ok(())
    }

    /// Takes all rows as an array and leaves the column empty.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let fields = vec![
            self.trace_id.finish(),
            self.span_id.finish(),
            self.trace_state.finish(),
            self.attributes.finish(),
            self.attribute_types.finish(),
            self.dropped_attributes.finish(),
            self.flags.finish(),
        ];
        self.rows.finish_structs(Kind::Links, fields)
    }
}
