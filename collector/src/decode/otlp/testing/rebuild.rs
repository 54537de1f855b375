//! Builds the OTLP messages again from rows: the proof that decoding loses nothing.
//!
//! What the wire can say in two ways comes back in one: attributes sorted by key (their order has no
//! meaning), no message where it would be empty, no buckets where there are none.

use meshlake_schema::tables::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::row::{Row, value};
use super::{entry, int, string};

/// Attributes in an order of their own, for comparing.
pub(in crate::decode) fn sorted(mut attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    attributes.sort_by_cached_key(|attribute| format!("{attribute:?}"));
    attributes
}

/// What is stored of attributes: of those with one key the last.
pub(in crate::decode) fn last_of_each(attributes: &[KeyValue]) -> Vec<KeyValue> {
    let again = |at: usize| attributes[at + 1..].iter().any(|later| later.key == attributes[at].key);
    (0..attributes.len()).filter(|at| !again(*at)).map(|at| attributes[at].clone()).collect()
}

pub(in crate::decode) fn resource(row: &Row) -> (Resource, String) {
    let resource = Resource {
        attributes: sorted(row.object("resource", "resource_types")),
        dropped_attributes_count: row.count32("resource_dropped_attributes_count"),
        entity_refs: vec![],
    };
    (resource, row.text_or_empty("resource_schema_url"))
}

pub(in crate::decode) fn scope(row: &Row) -> (InstrumentationScope, String) {
    let scope = InstrumentationScope {
        name: row.text_or_empty("scope_name"),
        version: row.text_or_empty("scope_version"),
        attributes: sorted(row.object("scope_attributes", "scope_attribute_types")),
        dropped_attributes_count: row.count32("scope_dropped_attributes_count"),
    };
    (scope, row.text_or_empty("scope_schema_url"))
}

/// The map's entries, and the columns that hold an attribute: those without any entry of theirs in the map.
fn span_attributes(row: &Row) -> Vec<KeyValue> {
    let mut attributes = row.attributes();
    let in_map: Vec<_> = attributes.iter().map(|attribute| attribute.key.clone()).collect();
    for (key, column, kind) in PROMOTED_SPAN_KEYS {
        let older = OTHER_SPAN_KEYS.iter().filter(|(_, of)| *of == column).map(|(older, _)| *older);
        if older.chain([key]).any(|belonging| in_map.iter().any(|k| k == belonging)) {
            continue;
        }
        match kind {
            PromotedType::String => attributes.extend(row.text(column).map(|text| entry(key, string(&text)))),
            PromotedType::Int => attributes.extend(row.int(column).map(|number| entry(key, int(number)))),
        }
    }
    sorted(attributes)
}

pub(in crate::decode) fn span(row: &Row) -> Span {
    let status =
        Status { message: row.text_or_empty("status_message"), code: row.int32("status_code").unwrap_or(-1) };
    let start = row.count("time_unix_nano");
    Span {
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        trace_state: row.text_or_empty("trace_state"),
        parent_span_id: row.id("parent_span_id"),
        flags: row.count32("flags"),
        name: row.text_or_empty("name"),
        kind: row.int32("kind").unwrap_or(-1),
        start_time_unix_nano: start,
        end_time_unix_nano: start.wrapping_add(row.count("duration_nano")),
        attributes: span_attributes(row),
        dropped_attributes_count: row.count32("dropped_attributes_count"),
        events: row.elements("events").iter().map(event).collect(),
        dropped_events_count: row.count32("dropped_events_count"),
        links: row.elements("links").iter().map(link).collect(),
        dropped_links_count: row.count32("dropped_links_count"),
        status: Some(status),
    }
}

fn event(row: &Row) -> Event {
    Event {
        time_unix_nano: row.count("time_unix_nano"),
        name: row.text_or_empty("name"),
        attributes: sorted(row.attributes()),
        dropped_attributes_count: row.count32("dropped_attributes_count"),
    }
}

fn link(row: &Row) -> Link {
    Link {
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        trace_state: row.text_or_empty("trace_state"),
        attributes: sorted(row.attributes()),
        dropped_attributes_count: row.count32("dropped_attributes_count"),
        flags: row.count32("flags"),
    }
}

pub(in crate::decode) fn log_record(row: &Row) -> LogRecord {
    let body = row.text("body_type").map(|body_type| value(&row.text_or_empty("body"), &body_type));
    LogRecord {
        time_unix_nano: row.count("time_unix_nano"),
        observed_time_unix_nano: row.count("observed_time_unix_nano"),
        severity_number: row.int32("severity_number").unwrap_or(-1),
        severity_text: row.text_or_empty("severity_text"),
        body,
        attributes: sorted(row.attributes()),
        dropped_attributes_count: row.count32("dropped_attributes_count"),
        flags: row.count32("flags"),
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        event_name: row.text_or_empty("event_name"),
    }
}

fn exemplars(row: &Row) -> Vec<Exemplar> {
    let exemplar = |row: Row| Exemplar {
        filtered_attributes: sorted(row.attributes()),
        time_unix_nano: row.count("time_unix_nano"),
        span_id: row.id("span_id"),
        trace_id: row.id("trace_id"),
        value: row
            .int("value_int")
            .map(exemplar::Value::AsInt)
            .or_else(|| row.double("value").map(exemplar::Value::AsDouble)),
    };
    row.elements("exemplars").into_iter().map(exemplar).collect()
}

pub(in crate::decode) fn number(row: &Row) -> NumberDataPoint {
    NumberDataPoint {
        attributes: sorted(row.attributes()),
        start_time_unix_nano: row.count("start_time_unix_nano"),
        time_unix_nano: row.count("time_unix_nano"),
        exemplars: exemplars(row),
        flags: row.count32("flags"),
        value: row
            .int("value_int")
            .map(number_data_point::Value::AsInt)
            .or_else(|| row.double("value").map(number_data_point::Value::AsDouble)),
    }
}

pub(in crate::decode) fn histogram(row: &Row) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: sorted(row.attributes()),
        start_time_unix_nano: row.count("start_time_unix_nano"),
        time_unix_nano: row.count("time_unix_nano"),
        count: row.count("count"),
        sum: row.double("sum"),
        bucket_counts: row.counts("bucket_counts"),
        explicit_bounds: row.doubles("explicit_bounds"),
        exemplars: exemplars(row),
        flags: row.count32("flags"),
        min: row.double("min"),
        max: row.double("max"),
    }
}

pub(in crate::decode) fn exp_histogram(row: &Row) -> ExponentialHistogramDataPoint {
    let buckets = |offset: &str, counts: &str| {
        let buckets =
            Buckets { offset: row.int32(offset).unwrap_or_default(), bucket_counts: row.counts(counts) };
        (buckets != Buckets::default()).then_some(buckets)
    };
    ExponentialHistogramDataPoint {
        attributes: sorted(row.attributes()),
        start_time_unix_nano: row.count("start_time_unix_nano"),
        time_unix_nano: row.count("time_unix_nano"),
        count: row.count("count"),
        sum: row.double("sum"),
        scale: row.int32("scale").unwrap_or(i32::MIN),
        zero_count: row.count("zero_count"),
        positive: buckets("positive_offset", "positive_bucket_counts"),
        negative: buckets("negative_offset", "negative_bucket_counts"),
        flags: row.count32("flags"),
        exemplars: exemplars(row),
        min: row.double("min"),
        max: row.double("max"),
        zero_threshold: row.double("zero_threshold").unwrap_or(f64::NAN),
    }
}

pub(in crate::decode) fn summary(row: &Row) -> SummaryDataPoint {
    let quantile = |row: Row| ValueAtQuantile {
        quantile: row.double("quantile").unwrap_or(f64::NAN),
        value: row.double("value").unwrap_or(f64::NAN),
    };
    SummaryDataPoint {
        attributes: sorted(row.attributes()),
        start_time_unix_nano: row.count("start_time_unix_nano"),
        time_unix_nano: row.count("time_unix_nano"),
        count: row.count("count"),
        sum: row.double("sum").unwrap_or(f64::NAN),
        quantile_values: row.elements("quantiles").into_iter().map(quantile).collect(),
        flags: row.count32("flags"),
    }
}
