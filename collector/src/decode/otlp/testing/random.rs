//! Random OTLP messages from a seed: all fields, all types of value, the odd corners more often than chance.

use meshlake_schema::tables::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
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

use super::rebuild::sorted;
use super::{NOW, any, array, entry, list};

/// SplitMix64 (Steele, Lea, Flood 2014): one multiplication-mixed counter, good enough to pick cases.
pub(in crate::decode) struct Random(pub(in crate::decode) u64);

impl Random {
    pub(in crate::decode) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(in crate::decode) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    fn several<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        let number = self.below(1000);
        self.one_of(&["", "x", "-", "\0\"\\\n", "täxt ✓", "[1,{\"a\":2}]", "{}", "null"]).to_owned()
            + &self.one_of(&[String::new(), number.to_string()])
    }

    fn double(&mut self) -> f64 {
        let bits = f64::from_bits(self.next());
        let any = if bits.is_nan() { f64::NAN } else { bits };
        self.one_of(&[0.0, -0.0, 1.0, 0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, any])
    }

    /// A double of a field without presence: the encoder takes -0 for the default and leaves it out.
    fn plain_double(&mut self) -> f64 {
        self.double() + 0.0
    }

    fn int(&mut self) -> i64 {
        let any = self.next() as i64;
        self.one_of(&[0, -1, 1, i64::MIN, i64::MAX, any])
    }

    fn u32(&mut self) -> u32 {
        let any = self.next() as u32;
        self.one_of(&[0, 1, u32::MAX, any])
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8 | 1).collect()
    }

    /// An id that may be absent.
    fn id(&mut self, length: usize) -> Vec<u8> {
        self.maybe(|random| random.bytes(length)).unwrap_or_default()
    }

    fn time(&mut self) -> u64 {
        NOW + self.next() % 1_000_000_000
    }

    /// A time that columns can hold.
    fn any_time(&mut self) -> u64 {
        self.next() >> 1
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        match self.below(if depth < 4 { 9 } else { 7 }) {
            0 => AnyValue { value: None },
            1 => any(Value::BoolValue(self.below(2) == 0)),
            2 => any(Value::IntValue(self.int())),
            3 => any(Value::DoubleValue(self.double())),
            4 => {
                let length = self.below(5);
                any(Value::BytesValue(self.bytes(length)))
            }
            7 => array(self.several(3, |random| random.value(depth + 1))),
            8 => list(self.several(3, |random| entry(&random.text(), random.value(depth + 1)))),
            _ => any(Value::StringValue(self.text())),
        }
    }

    /// Attributes with distinct keys.
    fn attributes(&mut self) -> Vec<KeyValue> {
        let mut attributes = self.several(5, |random| entry(&random.text(), random.value(0)));
        let mut keys = std::collections::HashSet::new();
        attributes.retain(|attribute| keys.insert(attribute.key.clone()));
        sorted(attributes)
    }

    /// Attributes among which today's and older keys of columns are frequent, and may repeat.
    fn span_attributes(&mut self) -> Vec<KeyValue> {
        let today = PROMOTED_SPAN_KEYS.map(|(key, ..)| key);
        let older = OTHER_SPAN_KEYS.map(|(key, _)| key);
        let keys = [today.as_slice(), older.as_slice(), &["component", "response_flags"]].concat();
        let mut attributes = self.attributes();
        attributes.extend(self.several(12, |random| {
            let number = random.below(600).to_string();
            let value = match random.below(4) {
                0 => any(Value::IntValue(random.int())),
                1 => any(Value::StringValue(number)),
                _ => random.value(3),
            };
            entry(random.one_of(&keys), value)
        }));
        sorted(attributes)
    }

    pub(in crate::decode) fn resource(&mut self) -> Resource {
        let mut attributes = self.attributes();
        attributes.extend(self.maybe(|random| entry("service.name", random.value(0))));
        Resource { attributes: sorted(attributes), dropped_attributes_count: self.u32(), entity_refs: vec![] }
    }

    pub(in crate::decode) fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
        }
    }

    pub(in crate::decode) fn span(&mut self) -> Span {
        let any_end = self.next();
        Span {
            trace_id: self.bytes(16),
            span_id: self.bytes(8),
            trace_state: self.one_of(&["", "ot=th:8", "a=b,c=d"]).to_owned(),
            parent_span_id: self.id(8),
            flags: self.u32(),
            name: self.text(),
            kind: self.one_of(&[0, 1, 2, 3, 4, 5, 99, -1]),
            start_time_unix_nano: self.time(),
            end_time_unix_nano: self.one_of(&[0, NOW, u64::MAX, any_end]),
            attributes: self.span_attributes(),
            dropped_attributes_count: self.u32(),
            events: self.several(3, |random| Event {
                time_unix_nano: random.any_time(),
                name: random.text(),
                attributes: random.attributes(),
                dropped_attributes_count: random.u32(),
            }),
            dropped_events_count: self.u32(),
            links: self.several(2, |random| Link {
                trace_id: random.bytes(16),
                span_id: random.bytes(8),
                trace_state: random.text(),
                attributes: random.attributes(),
                dropped_attributes_count: random.u32(),
                flags: random.u32(),
            }),
            dropped_links_count: self.u32(),
            status: Some(Status { message: self.text(), code: self.one_of(&[0, 1, 2, 7, -1]) }),
        }
    }

    pub(in crate::decode) fn log_record(&mut self) -> LogRecord {
        let time = self.time();
        LogRecord {
            time_unix_nano: self.one_of(&[0, time]),
            observed_time_unix_nano: self.one_of(&[0, time]),
            severity_number: self.one_of(&[0, 9, 24, 99, -1]),
            severity_text: self.text(),
            body: self.maybe(|random| random.value(0)),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            flags: self.u32(),
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        let values = [exemplar::Value::AsDouble(self.double()), exemplar::Value::AsInt(self.int())];
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.any_time(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: Some(self.one_of(&values)),
        }
    }

    /// Flags of a data point that has a value.
    fn flags(&mut self) -> u32 {
        self.u32() & !1
    }

    pub(in crate::decode) fn number(&mut self) -> NumberDataPoint {
        let values =
            [number_data_point::Value::AsDouble(self.double()), number_data_point::Value::AsInt(self.int())];
        let value = self.maybe(|random| random.one_of(&values));
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.any_time(),
            time_unix_nano: self.time(),
            exemplars: self.several(2, Random::exemplar),
            // The flag says whether there is a value.
            flags: self.flags() | u32::from(value.is_none()),
            value,
        }
    }

    pub(in crate::decode) fn histogram(&mut self) -> HistogramDataPoint {
        let bounds = self.several(6, |random| random.below(100) as f64 - 50.5);
        let mut bounds: Vec<f64> =
            bounds.iter().enumerate().map(|(at, bound)| bound + 200.0 * at as f64).collect();
        bounds.dedup();
        let counts: Vec<u64> = (0..=bounds.len()).map(|_| self.next() % 1000).collect();
        let no_buckets = self.below(4) == 0;
        let count = counts.iter().sum();
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.any_time(),
            time_unix_nano: self.time(),
            count,
            sum: self.maybe(Random::double).filter(|sum| count != 0 || *sum == 0.0),
            bucket_counts: if no_buckets { vec![] } else { counts },
            explicit_bounds: if no_buckets { vec![] } else { bounds },
            exemplars: self.several(2, Random::exemplar),
            flags: self.flags(),
            min: self.maybe(Random::double),
            max: self.maybe(Random::double),
        }
    }

    fn buckets(&mut self) -> Option<Buckets> {
        let offset = self.next() as i32;
        let bucket_counts = self.several(5, |random| random.next() % (1 << 40));
        self.maybe(|random| Buckets { offset: random.one_of(&[0, -1, i32::MIN, offset]), bucket_counts })
            .filter(|buckets| *buckets != Buckets::default())
    }

    pub(in crate::decode) fn exp_histogram(&mut self) -> ExponentialHistogramDataPoint {
        let (positive, negative, zero_count) = (self.buckets(), self.buckets(), self.next() % 100);
        let buckets = positive.iter().chain(&negative).flat_map(|buckets| &buckets.bucket_counts);
        let count = zero_count + buckets.sum::<u64>();
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.any_time(),
            time_unix_nano: self.time(),
            count,
            sum: self.maybe(Random::double).filter(|sum| count != 0 || *sum == 0.0),
            scale: self.one_of(&[0, 20, -10, i32::MAX, i32::MIN]),
            zero_count,
            positive,
            negative,
            flags: self.flags(),
            exemplars: self.several(2, Random::exemplar),
            min: self.maybe(Random::double),
            max: self.maybe(Random::double),
            zero_threshold: self.plain_double(),
        }
    }

    pub(in crate::decode) fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.any_time(),
            time_unix_nano: self.time(),
            count: self.next() >> 1,
            sum: self.plain_double(),
            quantile_values: self.several(3, |random| ValueAtQuantile {
                quantile: random.plain_double(),
                value: random.plain_double(),
            }),
            flags: self.flags(),
        }
    }
}
