//! What a column can hold, and the shapes of what is nested in one.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// One column: its name, its kind, whether it may be null, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
    /// Meaning, unit, origin; when null.
    pub doc: &'static str,
}

/// What a column can hold. Nested kinds have fixed shapes so that files of all tables agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string that rarely repeats: ids, paths, bodies.
    Text,
    /// A string that repeats: a dictionary in memory, plain text in the open schema.
    Dictionary,
    Int32,
    Int64,
    Float64,
    Boolean,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    /// Attribute keys and values as text; see `attributes.rs` for how values are written.
    Attributes,
    /// Distinct strings, sorted.
    TextList,
    Int64List,
    Float64List,
    Events,
    Links,
    Exemplars,
    Quantiles,
}

impl Column {
    pub(super) fn hot_field(&self) -> Field {
        Field::new(self.name, self.kind.hot_type(), self.nullable)
    }

    pub(super) fn open_field(&self) -> Field {
        let kind = if self.kind == Kind::Dictionary { Kind::Text } else { self.kind };
        Field::new(self.name, kind.hot_type(), self.nullable)
    }
}

impl Kind {
    /// The Arrow type in memory. Field names inside lists and maps are those that Parquet and Delta
    /// prescribe (`element`; `key_value` with `key` and `value`), so that no reader has to rename.
    pub fn hot_type(self) -> DataType {
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Dictionary => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::Float64 => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Attributes => attributes_type(),
            Kind::TextList => list_of(DataType::Utf8),
            Kind::Int64List => list_of(DataType::Int64),
            Kind::Float64List => list_of(DataType::Float64),
            Kind::Events => list_of(DataType::Struct(event_fields())),
            Kind::Links => list_of(DataType::Struct(link_fields())),
            Kind::Exemplars => list_of(DataType::Struct(exemplar_fields())),
            Kind::Quantiles => list_of(DataType::Struct(quantile_fields())),
        }
    }
}

fn attributes_type() -> DataType {
    let entry = DataType::Struct(Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]));
    DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, false)))
}

/// Fields of one span event, in order. Source: opentelemetry/proto/trace/v1/trace.proto, `Span.Event`.
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("attributes", attributes_type(), false),
        Field::new("attribute_types", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
    ])
}

/// Fields of one span link, in order. Source: trace.proto, `Span.Link`.
pub fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new("trace_id", DataType::Utf8, false),
        Field::new("span_id", DataType::Utf8, false),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("attributes", attributes_type(), false),
        Field::new("attribute_types", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
        Field::new("flags", DataType::Int64, false),
    ])
}

/// Fields of one exemplar, in order. Source: metrics.proto, `Exemplar`. `value_int` is set exactly when
/// the value was sent as an integer; `value` holds it as a double in either case.
pub fn exemplar_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_unix_nano", DataType::Int64, false),
        Field::new("value", DataType::Float64, true),
        Field::new("value_int", DataType::Int64, true),
        Field::new("trace_id", DataType::Utf8, true),
        Field::new("span_id", DataType::Utf8, true),
        Field::new("attributes", attributes_type(), false),
        Field::new("attribute_types", DataType::Utf8, false),
    ])
}

/// Fields of one summary quantile, in order. Source: metrics.proto, `SummaryDataPoint.ValueAtQuantile`.
pub fn quantile_fields() -> Fields {
    Fields::from(vec![
        Field::new("quantile", DataType::Float64, false),
        Field::new("value", DataType::Float64, false),
    ])
}

pub(super) const fn column(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, doc }
}

pub(super) const fn nullable(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, doc }
}
