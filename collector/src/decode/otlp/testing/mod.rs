//! What the tests of the decoders share: messages from an independent encoder, random ones, and rows read
//! back into messages.

pub(super) mod random;
pub(super) mod rebuild;
pub(super) mod row;

use meshlake_schema::UnixNanos;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

use crate::tally::Arrival;

/// 2026-11-23T07:00:00Z (`date -d 2026-11-23T07:00:00Z +%s`), the hour of the captures.
pub(super) const NOW: u64 = 1_795_417_200_000_000_000;

const HOUR: i64 = 3_600_000_000_000;

/// A payload taken in at [`NOW`] with a window of an hour either side.
pub(super) fn arrival() -> Arrival<'static> {
    let now = NOW as i64;
    Arrival {
        tenant: "acme",
        ingest_time: UnixNanos(now),
        earliest: UnixNanos(now - HOUR),
        latest: UnixNanos(now + HOUR),
    }
}

pub(super) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(super) fn string(text: &str) -> AnyValue {
    any(Value::StringValue(text.to_owned()))
}

pub(super) fn int(value: i64) -> AnyValue {
    any(Value::IntValue(value))
}

pub(super) fn array(values: Vec<AnyValue>) -> AnyValue {
    any(Value::ArrayValue(ArrayValue { values }))
}

pub(super) fn list(values: Vec<KeyValue>) -> AnyValue {
    any(Value::KvlistValue(KeyValueList { values }))
}

pub(super) fn entry(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), key_strindex: 0 }
}
