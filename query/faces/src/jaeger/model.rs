//! Spans as Jaeger has them: the messages of `jaeger.api_v2`, which its v1 JSON is made of too.
//!
//! Declared by hand with the numbers and names of `jaeger-idl`'s proto/api_v2/model.proto; what is not written is not declared.

/// `google.protobuf.Timestamp`, and `Duration`, which has the same fields.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Stamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// With the sign of the seconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum ValueType {
    String = 0,
    Bool = 1,
    Int64 = 2,
    Float64 = 3,
    Binary = 4,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(enumeration = "ValueType", tag = "2")]
    pub v_type: i32,
    #[prost(string, tag = "3")]
    pub v_str: String,
    #[prost(bool, tag = "4")]
    pub v_bool: bool,
    #[prost(int64, tag = "5")]
    pub v_int64: i64,
    #[prost(double, tag = "6")]
    pub v_float64: f64,
    #[prost(bytes = "vec", tag = "7")]
    pub v_binary: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Log {
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Stamp>,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<KeyValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum SpanRefType {
    ChildOf = 0,
    FollowsFrom = 1,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SpanRef {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(enumeration = "SpanRefType", tag = "3")]
    pub ref_type: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Process {
    #[prost(string, tag = "1")]
    pub service_name: String,
    #[prost(message, repeated, tag = "2")]
    pub tags: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub operation_name: String,
    #[prost(message, repeated, tag = "4")]
    pub references: Vec<SpanRef>,
    #[prost(message, optional, tag = "6")]
    pub start_time: Option<Stamp>,
    #[prost(message, optional, tag = "7")]
    pub duration: Option<Stamp>,
    #[prost(message, repeated, tag = "8")]
    pub tags: Vec<KeyValue>,
    #[prost(message, repeated, tag = "9")]
    pub logs: Vec<Log>,
    #[prost(message, optional, tag = "10")]
    pub process: Option<Process>,
    #[prost(string, repeated, tag = "12")]
    pub warnings: Vec<String>,
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Stamp {
    /// Of nanoseconds, since the epoch or long.
    pub fn of(nanos: i64) -> Stamp {
        Stamp { seconds: nanos / NANOS_PER_SECOND, nanos: (nanos % NANOS_PER_SECOND) as i32 }
    }

    /// Nanoseconds, at the end of what 64 bits hold where they do not hold it.
    pub fn total(self) -> i64 {
        self.seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(i64::from(self.nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_seconds_and_the_rest() {
        for nanos in [0, 1, NANOS_PER_SECOND, 1_500_000_000, -1, i64::MAX, i64::MIN] {
            assert_eq!(Stamp::of(nanos).total(), nanos);
        }
        assert_eq!(Stamp::of(1_500_000_000), Stamp { seconds: 1, nanos: 500_000_000 });
        assert_eq!(Stamp { seconds: i64::MAX, nanos: 0 }.total(), i64::MAX);
    }
}
