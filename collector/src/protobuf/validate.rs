//! The first pass over a payload: proves that it is a well-formed message, nested no deeper than allowed.
//!
//! Column builders cannot roll back, so a payload must be known to be whole before its first record is
//! pushed. The walk follows the tables of `messages` with a stack of its own, no recursion and no
//! allocation per message; it looks at tags and lengths and skips over text and unknown fields, so it costs
//! a fraction of decoding. After it no decoder meets a [`WireError`].
//!
//! Limits: text is not checked for UTF-8 (readers replace what is invalid); what an `Any` wraps and what
//! belongs to unknown fields is opaque; a number too wide for its declared type is cut, as protobuf says.

use crate::protobuf::messages::{FieldType, Message, Step, wire_type};
use crate::protobuf::wire::{Fields, Value, WireError, packed_fixed64, packed_varints};

/// How deep attribute values may hold values: a plain value is level 1. Decoders of OTLP keep fewer levels and warn of
/// what is below; a payload with more than this is no telemetry, and most readers of protobuf would refuse it (prost and
/// those of C++ and Java stop at 100 messages, which are 33 to 50 values). Reading JSON, and writing what a proxy's log
/// entry holds, recurse once a level.
pub const VALUE_DEPTH_MAX: usize = 100;

/// Proves that `payload` is a well-formed `message`: every known field has its declared wire type, every
/// length stays inside its message, and values nest at most [`VALUE_DEPTH_MAX`] deep. Returns how many bytes its rows
/// take in columns beside their text: a row of nothing but defaults is two bytes here and some hundred there.
///
/// # Errors
/// The first [`WireError`]; the payload's sender is at fault and trying again cannot help.
pub fn validate(payload: &[u8], message: &'static Message) -> Result<usize, WireError> {
    let mut walk = Walk { rest: payload, message, values: 0 };
    let mut column_bytes = 0;
    let mut around: Vec<Walk<'_>> = Vec::with_capacity(AROUND_USUAL);
    loop {
        let [tag, after_tag @ ..] = walk.rest else {
            match around.pop() {
                Some(outer) => walk = outer,
                None => return Ok(column_bytes),
            }
            continue;
        };
        match if *tag < 0x80 { walk.message.step(*tag) } else { Step::Other } {
            Step::Skip => (_, walk.rest) = counted(after_tag)?,
            Step::Enter(index) => {
                let (inner, rest) = counted(after_tag)?;
                walk.rest = rest;
                if let FieldType::Message(message) = walk.message.fields[usize::from(index)].field_type {
                    column_bytes += message.column_bytes;
                    enter(&mut walk, &mut around, message, inner)?;
                }
            }
            Step::Varint => {
                (_, walk.rest) = varint(after_tag)?;
                column_bytes += NUMBER_BYTES;
            }
            Step::Fixed64 => walk.rest = after_tag.get(8..).ok_or(WireError::Truncated)?,
            Step::Fixed32 => walk.rest = after_tag.get(4..).ok_or(WireError::Truncated)?,
            Step::PackedVarints => {
                let (numbers, rest) = counted(after_tag)?;
                column_bytes += NUMBER_BYTES * check_packed_varints(numbers)?;
                walk.rest = rest;
            }
            Step::PackedFixed64 => {
                let (numbers, rest) = counted(after_tag)?;
                drop(packed_fixed64(numbers)?);
                walk.rest = rest;
            }
            Step::Other => {
                if let Some((message, inner)) = other(&mut walk)? {
                    column_bytes += message.column_bytes;
                    enter(&mut walk, &mut around, message, inner)?;
                }
            }
        }
    }
}

/// A number in a column. Counts of buckets are one byte on the wire.
const NUMBER_BYTES: usize = size_of::<i64>();

/// Messages that are open at once in an attribute of an event of a span: request, resource, scope, span,
/// event, key-value, value. More make the stack grow once.
const AROUND_USUAL: usize = 16;

/// A message that is being walked.
#[derive(Clone, Copy)]
struct Walk<'a> {
    /// What is left of it.
    rest: &'a [u8],
    message: &'static Message,
    /// How many of the messages around and including this one are values that may nest.
    values: usize,
}

#[inline]
fn enter<'a>(
    walk: &mut Walk<'a>,
    around: &mut Vec<Walk<'a>>,
    message: &'static Message,
    inner: &'a [u8],
) -> Result<(), WireError> {
    let values = walk.values + usize::from(message.nests);
    if values > VALUE_DEPTH_MAX {
        return Err(WireError::TooDeep(VALUE_DEPTH_MAX));
    }
    // Two attributes in three are one short text in a value: not worth the way in and out.
    if let [tag, length, text @ ..] = inner
        && *length < 0x80
        && text.len() == usize::from(*length)
        && *tag < 0x80
        && message.step(*tag) == Step::Skip
    {
        return Ok(());
    }
    around.push(std::mem::replace(walk, Walk { rest: inner, message, values }));
    Ok(())
}

/// Reads a varint: the number, and what follows it.
#[inline]
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), WireError> {
    match bytes {
        [first, rest @ ..] if *first < 0x80 => Ok((u64::from(*first), rest)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), WireError> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err(if bytes.len() < 10 { WireError::Truncated } else { WireError::VarintTooLong })
}

/// Reads a length: the bytes that it counts, and what follows them.
#[inline]
fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (length, rest) = varint(bytes)?;
    let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
    rest.split_at_checked(length).ok_or(WireError::Truncated)
}

/// Passes over one field whose tag is not in the table of steps: a high number, an unknown field, a group,
/// or an error. Gives the message that it holds, if it does, for the walk to enter.
fn other<'a>(walk: &mut Walk<'a>) -> Result<Option<(&'static Message, &'a [u8])>, WireError> {
    let mut fields = Fields::new(walk.rest);
    let field = fields.next().transpose()?;
    walk.rest = fields.rest();
    // Only groups were left, or the field is unknown.
    let Some((number, value)) = field else { return Ok(None) };
    let Some(field) = walk.message.field(number) else { return Ok(None) };
    let scalar = field.field_type;
    match (scalar, value) {
        (FieldType::Message(inner), value) => return Ok(Some((inner, value.bytes(number)?))),
        (_, Value::Bytes(bytes)) if field.repeated && scalar.wire_type() != wire_type::LENGTH => {
            match scalar.wire_type() {
                wire_type::FIXED64 => drop(packed_fixed64(bytes)?),
                _ => _ = check_packed_varints(bytes)?,
            }
        }
        (_, value) => match scalar.wire_type() {
            wire_type::VARINT => drop(value.varint(number)?),
            wire_type::FIXED64 => drop(value.fixed64(number)?),
            wire_type::FIXED32 => drop(value.fixed32(number)?),
            _ => drop(value.bytes(number)?),
        },
    }
    Ok(None)
}

/// How many there are.
fn check_packed_varints(bytes: &[u8]) -> Result<usize, WireError> {
    packed_varints(bytes).try_fold(0, |count, number| number.map(|_| count + 1))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint, Metric,
        ResourceMetrics, ScopeMetrics, exponential_histogram_data_point::Buckets, metric::Data,
    };
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::Event};
    use prost::Message as _;

    use super::*;
    use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
    use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};

    fn validated(payload: &[u8], message: &'static Message) -> Result<(), WireError> {
        validate(payload, message).map(|_| ())
    }

    fn traces(value: AnyValue) -> Vec<u8> {
        let attributes = vec![KeyValue { key: "k".into(), value: Some(value), ..KeyValue::default() }];
        let event = Event { name: "e".into(), attributes: attributes.clone(), ..Event::default() };
        let span = Span {
            trace_id: vec![1; 16],
            name: "n".repeat(200),
            flags: 257,
            attributes,
            events: vec![event],
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    fn metrics() -> Vec<u8> {
        let histogram = HistogramDataPoint {
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![0.5],
            ..HistogramDataPoint::default()
        };
        let buckets = Buckets { offset: -3, bucket_counts: vec![1, 300] };
        let exponential =
            ExponentialHistogramDataPoint { positive: Some(buckets), scale: 5, ..Default::default() };
        let metric = |data| Metric { name: "m".into(), data: Some(data), ..Metric::default() };
        let data = [
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ];
        let scope_metrics =
            vec![ScopeMetrics { metrics: data.map(metric).to_vec(), ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }

    fn nested(levels: usize, array: bool) -> AnyValue {
        let mut value = AnyValue { value: Some(Any::IntValue(1)) };
        for _ in 1..levels {
            value = if array {
                AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: vec![value] })) }
            } else {
                let values = vec![KeyValue { key: "k".into(), value: Some(value), ..KeyValue::default() }];
                AnyValue { value: Some(Any::KvlistValue(KeyValueList { values })) }
            };
        }
        value
    }

    #[test]
    fn well_formed_payloads_pass() {
        assert_eq!(validated(&traces(nested(3, true)), &EXPORT_TRACES), Ok(()));
        assert_eq!(validated(&metrics(), &EXPORT_METRICS), Ok(()));
        assert_eq!(validated(b"", &EXPORT_LOGS), Ok(()), "an empty request is a message");
    }

    #[test]
    fn depth_is_bounded_at_the_named_limit() {
        for array in [true, false] {
            let at_limit = traces(nested(VALUE_DEPTH_MAX, array));
            assert_eq!(validated(&at_limit, &EXPORT_TRACES), Ok(()));
            let above = traces(nested(VALUE_DEPTH_MAX + 1, array));
            assert_eq!(validated(&above, &EXPORT_TRACES), Err(WireError::TooDeep(VALUE_DEPTH_MAX)));
        }
    }

    /// A message cut anywhere is either refused or ends between two fields of the outermost message; an
    /// independent decoder agrees in each case.
    #[test]
    fn truncation_at_every_offset_is_judged_as_by_prost() {
        let payload = traces(nested(4, false));
        for end in 0..payload.len() {
            let cut = &payload[..end];
            let want = ExportTraceServiceRequest::decode(cut).is_ok();
            assert_eq!(validated(cut, &EXPORT_TRACES).is_ok(), want, "cut at {end}");
        }
        let payload = metrics();
        for end in 0..payload.len() {
            let cut = &payload[..end];
            let want = ExportMetricsServiceRequest::decode(cut).is_ok();
            assert_eq!(validate(cut, &EXPORT_METRICS).is_ok(), want, "cut at {end}");
        }
    }

    /// Each byte of a message in turn is replaced by several others; whatever passes here must be readable
    /// by the decoders' field reader to its last byte, and a message that prost reads is never refused but
    /// for depth. (The reverse does not hold: prost also refuses invalid UTF-8.)
    #[test]
    fn changed_bytes_are_never_refused_when_prost_reads_them() {
        for payload in [traces(nested(3, false)), metrics()] {
            for at in 0..payload.len() {
                for with in [0x00, 0x01, 0x07, 0x0a, 0x0b, 0x0c, 0x7f, 0x80, 0xff] {
                    let mut changed = payload.clone();
                    changed[at] = with;
                    let prost_reads = ExportTraceServiceRequest::decode(changed.as_slice()).is_ok();
                    if prost_reads {
                        assert_eq!(validated(&changed, &EXPORT_TRACES), Ok(()), "{with:#x} at {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_wire_types_of_known_fields_are_refused() {
        // Field 1 of the request as a varint; as fixed32; AccessLogCommon field 33 (an enum) as text.
        let field = |field, found| WireError::FieldType { field, found };
        assert_eq!(validated(b"\x08\x01", &EXPORT_TRACES), Err(field(1, "varint")));
        assert_eq!(validated(b"\x0d\0\0\0\0", &EXPORT_TRACES), Err(field(1, "fixed32")));
        let entry = b"\x12\x07\x0a\x05\x0a\x03\x8a\x02\x00";
        assert_eq!(validated(entry, &STREAM_ACCESS_LOGS_MESSAGE), Err(field(33, "length-delimited")));
    }

    #[test]
    fn unknown_fields_and_groups_are_skipped() {
        // Field 100 as varint, field 9 as fixed64, field 8 as text, an empty group 3, then nothing.
        let payload = b"\xa0\x06\x01\x49\0\0\0\0\0\0\0\0\x42\x02hi\x1b\x1c";
        assert_eq!(validated(payload, &EXPORT_TRACES), Ok(()));
        assert_eq!(validated(b"\x1b", &EXPORT_TRACES), Err(WireError::Truncated), "a group without its end");
        assert_eq!(validated(b"\x06\x00", &EXPORT_TRACES), Err(WireError::FieldNumber));
    }

    #[test]
    fn numbers_may_be_packed_or_not() {
        // HistogramDataPoint.bucket_counts (6, fixed64) twice unpacked, then packed; wrapped in
        // request.1 / resource.2 / scope.2 / metric.9 (histogram) / data_points.1.
        let point =
            [b"\x31\x01\0\0\0\0\0\0\0".as_slice(), b"\x31\x02\0\0\0\0\0\0\0", b"\x32\x08\x03\0\0\0\0\0\0\0"]
                .concat();
        let wrap = |tag: u8, inner: &[u8]| [&[tag, inner.len() as u8], inner].concat();
        let wrapped = |point: &[u8]| {
            [0x0a, 0x4a, 0x12, 0x12, 0x0a].iter().fold(point.to_vec(), |inner, tag| wrap(*tag, &inner))
        };
        assert_eq!(validated(&wrapped(&point), &EXPORT_METRICS), Ok(()));
        assert_eq!(validate(&wrapped(b"\x32\x07\0\0\0\0\0\0\0"), &EXPORT_METRICS), Err(WireError::Truncated));
    }

    /// A LogRecord of nothing, 2 bytes in a scope in a resource; two empty events of a span of nothing; buckets with the
    /// counts 1 and 2, packed and not.
    #[test]
    fn what_rows_take_in_columns_is_counted() {
        let log = b"\x0a\x06\x12\x04\x12\x00\x12\x00";
        assert_eq!(validate(log, &EXPORT_LOGS), Ok(2 * 180));
        let span = b"\x0a\x08\x12\x06\x12\x04\x5a\x00\x5a\x00";
        assert_eq!(validate(span, &EXPORT_TRACES), Ok(320 + 2 * 32));
        let buckets = |inner: &[u8]| {
            [0x42, 0x0a, 0x52, 0x12, 0x12, 0x0a]
                .iter()
                .fold(inner.to_vec(), |inner, tag| [&[*tag, inner.len() as u8], inner.as_slice()].concat())
        };
        for counts in [b"\x12\x02\x01\x02".as_slice(), b"\x10\x01\x10\x02"] {
            assert_eq!(validate(&buckets(counts), &EXPORT_METRICS), Ok(242 + 2 * 8));
        }
    }
}
