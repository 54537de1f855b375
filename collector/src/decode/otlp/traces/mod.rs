//! OTLP traces: an `ExportTraceServiceRequest` to rows of `spans`.
//!
//! A span's message is walked once: numbers and slices are noted, then the row is checked, then pushed.
//! Noting first is what allows fields in any order and a refusal before the first push.
//!
//! Sources: opentelemetry/proto/collector/trace/v1/trace_service.proto, trace/v1/trace.proto.

mod builder;
mod promoted;
mod keys;
mod nested;
mod exception;

pub use builder::SpanBuilder;

use meshlake_schema::UnixNanos;

use crate::columns::origin::{Resource, Scope};
use crate::decode::otlp::value_writer::ValueWriter;
use crate::decode::otlp::{SPAN_ID_BYTES, TRACE_ID_BYTES, is_zero};
use crate::protobuf::wire::{Fields, WireError, repeated};
use crate::tally::{Arrival, RejectReason, Tally};

/// A `Span` message as it lies in the payload.
#[derive(Debug, Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    flags: u32,
    name: &'a [u8],
    kind: i32,
    start_unix_nano: u64,
    end_unix_nano: u64,
    status_code: i32,
    status_message: &'a [u8],
    attributes: Vec<&'a [u8]>,
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
}

/// Decodes the spans of one request into `out`, one row each, in the order sent.
///
/// Refused, and counted by reason: an invalid trace, span or parent id, a start of zero or outside the
/// accepted window. An end before the start and an empty name are kept as sent, with a warning; without an end the
/// duration is 0, with a warning; an unknown kind is kept without one.
///
/// # Errors
/// A payload that was not validated; `out` may then hold part of a row.
pub fn decode_traces(
    payload: &[u8],
    arrival: &Arrival<'_>,
    out: &mut SpanBuilder,
) -> Result<Tally, WireError> {
    let mut tally = Tally::of(arrival);
    let mut span = Span::default();
    let mut writer = ValueWriter::default();
    for resource_spans in repeated(payload, 1) {
        let resource_spans = resource_spans?;
        let resource = Resource::read(resource_spans, &mut writer)?;
        out.begin_resource();
        for scope_spans in repeated(resource_spans, 2) {
            let (mut scope, mut schema_url) = ([].as_slice(), [].as_slice());
            for field in Fields::new(scope_spans?) {
                match field? {
                    (1, value) => scope = value.bytes(1)?,
                    (2, value) => {
                        span.read(value.bytes(2)?)?;
                        let accepted = span.accepted_start(arrival);
                        if let Ok(start) = accepted {
                            out.push(&span, start, &resource, &mut writer)?;
                        }
                        tally.count(accepted.map(drop));
                    }
                    (3, value) => schema_url = value.bytes(3)?,
                    _ => {}
                }
            }
            let scope = Scope::read(scope, schema_url, &mut writer)?;
            out.end_scope(arrival, &resource, &scope);
        }
    }
    tally.warnings = writer.warnings();
    Ok(tally)
}

impl<'a> Span<'a> {
    /// Notes the fields of a message; whatever was noted before is forgotten.
    fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
        *self = Span {
            attributes: std::mem::take(&mut self.attributes),
            events: std::mem::take(&mut self.events),
            links: std::mem::take(&mut self.links),
            ..Span::default()
        };
        for field in Fields::new(message) {
            match field? {
                (1, value) => self.trace_id = value.bytes(1)?,
                (2, value) => self.span_id = value.bytes(2)?,
                (3, value) => self.trace_state = value.bytes(3)?,
                (4, value) => self.parent_span_id = value.bytes(4)?,
                (5, value) => self.name = value.bytes(5)?,
                (6, value) => self.kind = value.varint(6)? as i32,
                (7, value) => self.start_unix_nano = value.fixed64(7)?,
                (8, value) => self.end_unix_nano = value.fixed64(8)?,
                (9, value) => self.attributes.push(value.bytes(9)?),
                (10, value) => self.dropped_attributes = value.varint(10)? as u32,
                (11, value) => self.events.push(value.bytes(11)?),
                (12, value) => self.dropped_events = value.varint(12)? as u32,
                (13, value) => self.links.push(value.bytes(13)?),
                (14, value) => self.dropped_links = value.varint(14)? as u32,
                (15, value) => self.read_status(value.bytes(15)?)?,
                (16, value) => self.flags = value.fixed32(16)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_status(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(message) {
            match field? {
                (2, value) => self.status_message = value.bytes(2)?,
                (3, value) => self.status_code = value.varint(3)? as i32,
                _ => {}
            }
        }
        Ok(())
    }

    /// The start of a span that may be stored.
    fn accepted_start(&self, arrival: &Arrival<'_>) -> Result<UnixNanos, RejectReason> {
        if self.trace_id.len() != TRACE_ID_BYTES || is_zero(self.trace_id) {
            return Err(RejectReason::InvalidTraceId);
        }
        if self.span_id.len() != SPAN_ID_BYTES || is_zero(self.span_id) {
            return Err(RejectReason::InvalidSpanId);
        }
        if !self.parent_span_id.is_empty() && self.parent_span_id.len() != SPAN_ID_BYTES {
            return Err(RejectReason::InvalidParentSpanId);
        }
        if self.start_unix_nano == 0 {
            return Err(RejectReason::MissingTime);
        }
        arrival.accepted_time(self.start_unix_nano)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
    use opentelemetry_proto::tonic::trace::v1 as otlp;
    use prost::Message as _;

    use super::*;
    use crate::decode::otlp::testing::random::Random;
    use crate::decode::otlp::testing::rebuild::{self, last_of_each, sorted};
    use crate::decode::otlp::testing::row::Row;
    use crate::decode::otlp::testing::{NOW, any, arrival, entry, int, string};
    use crate::limits::{ATTRIBUTES_MAX, EVENTS_MAX, LINKS_MAX, VALUE_BYTES_MAX};
    use crate::tally::Warning;

    fn valid_span() -> otlp::Span {
        otlp::Span {
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            start_time_unix_nano: NOW,
            end_time_unix_nano: NOW + 5,
            ..otlp::Span::default()
        }
    }

    fn request(spans: Vec<otlp::Span>) -> ExportTraceServiceRequest {
        let scope_spans = vec![otlp::ScopeSpans { spans, ..otlp::ScopeSpans::default() }];
        let resource_spans = vec![otlp::ResourceSpans { scope_spans, ..otlp::ResourceSpans::default() }];
        ExportTraceServiceRequest { resource_spans }
    }

    fn decode(payload: &[u8]) -> (RecordBatch, Tally) {
        let mut builder = SpanBuilder::default();
        let tally = decode_traces(payload, &arrival(), &mut builder).expect("the payload is well-formed");
        let batch = builder.finish().expect("some span is accepted");
        (batch.into_rows(), tally)
    }

    fn decode_span(span: otlp::Span) -> Row {
        let (batch, tally) = decode(&request(vec![span]).encode_to_vec());
        assert_eq!((tally.accepted, tally.rejected_count()), (1, 0));
        Row::of(&batch, 0)
    }

    #[test]
    fn every_field_has_its_column() {
        let row = decode_span(otlp::Span {
            trace_state: "ot=th:c".into(),
            parent_span_id: vec![1, 2, 3, 4, 5, 6, 7, 0xff],
            flags: 0x301,
            name: "GET /".into(),
            kind: 2,
            start_time_unix_nano: NOW + 1_234_567,
            end_time_unix_nano: NOW + 2_234_568,
            attributes: vec![entry("http.response.status_code", int(503)), entry("k", int(-7))],
            dropped_attributes_count: 1,
            dropped_events_count: 2,
            dropped_links_count: u32::MAX,
            status: Some(otlp::Status { message: "boom".into(), code: 2 }),
            ..valid_span()
        });
        assert_eq!(row.text("tenant").as_deref(), Some("acme"));
        assert_eq!(row.micros("ingest_time"), Some(NOW as i64 / 1000));
        assert_eq!(row.micros("time"), Some(NOW as i64 / 1000 + 1234), "rounded down");
        assert_eq!(row.int("time_unix_nano"), Some(NOW as i64 + 1_234_567));
        assert_eq!(row.int("duration_nano"), Some(1_000_001));
        assert_eq!(row.text("trace_id"), Some("ab".repeat(16)));
        assert_eq!(row.text("span_id"), Some("cd".repeat(8)));
        assert_eq!(row.text("parent_span_id").as_deref(), Some("01020304050607ff"));
        assert_eq!(row.text("trace_state").as_deref(), Some("ot=th:c"));
        assert_eq!(row.double("adjusted_count"), Some(4.0));
        assert_eq!(row.int("flags"), Some(0x301));
        assert_eq!(row.text("name").as_deref(), Some("GET /"));
        assert_eq!((row.int32("kind"), row.int32("status_code")), (Some(2), Some(2)));
        assert_eq!(row.text("status_message").as_deref(), Some("boom"));
        assert_eq!(row.text("outcome").as_deref(), Some("error"));
        assert_eq!((row.bool("is_proxy"), row.bool("counted")), (Some(false), Some(true)));
        assert_eq!(row.int("dropped_attributes_count"), Some(1));
        assert_eq!(row.int("dropped_events_count"), Some(2));
        assert_eq!(row.int("dropped_links_count"), Some(4_294_967_295));
        assert_eq!(row.int("http_response_status_code"), Some(503));
        assert_eq!(row.map(), [("k".to_owned(), "-7".to_owned())]);
        assert_eq!(row.text("attribute_types").as_deref(), Some("i"));
    }

    #[test]
    fn what_is_absent_is_null_or_zero() {
        let row = decode_span(otlp::Span { end_time_unix_nano: 0, ..valid_span() });
        for column in ["parent_span_id", "trace_state", "status_message", "service_name", "http_route"] {
            assert_eq!(row.text(column), None, "{column}");
        }
        for column in ["resource_schema_url", "scope_name", "scope_attributes", "scope_schema_url"] {
            assert_eq!(row.text(column), None, "{column}");
        }
        assert_eq!(row.text("resource").as_deref(), Some("{}"));
        assert_eq!(row.int("duration_nano"), Some(0), "an end of zero is none");
        assert_eq!(row.double("adjusted_count"), Some(1.0));
        assert_eq!(row.text("outcome").as_deref(), Some("ok"));
        assert_eq!((row.elements("events").len(), row.elements("links").len()), (0, 0));
    }

    #[test]
    fn events_and_links_keep_all_their_fields() {
        let event = otlp::span::Event {
            time_unix_nano: NOW + 3,
            name: "exception".into(),
            attributes: vec![
                entry("exception.type", string("E")),
                entry("raw", any(Value::BytesValue(vec![0]))),
            ],
            dropped_attributes_count: 4,
        };
        let link = otlp::span::Link {
            trace_id: vec![0x11; 16],
            span_id: vec![0x22; 8],
            trace_state: "a=b".into(),
            attributes: vec![entry("k", any(Value::BoolValue(true)))],
            dropped_attributes_count: 5,
            flags: 0x100,
        };
        let span = otlp::Span { events: vec![event.clone(), event], links: vec![link], ..valid_span() };
        let row = decode_span(span);
        let events = row.elements("events");
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].int("time_unix_nano"), Some(NOW as i64 + 3));
        assert_eq!(events[1].text("name").as_deref(), Some("exception"));
        assert_eq!(events[1].map(), [("exception.type".into(), "E".into()), ("raw".into(), "AA==".into())]);
        assert_eq!(events[1].text("attribute_types").as_deref(), Some("sy"));
        assert_eq!(events[1].int("dropped_attributes_count"), Some(4));
        let link = &row.elements("links")[0];
        assert_eq!(link.text("trace_id"), Some("11".repeat(16)));
        assert_eq!(link.text("span_id"), Some("22".repeat(8)));
        assert_eq!(link.text("trace_state").as_deref(), Some("a=b"));
        assert_eq!(link.map(), [("k".into(), "true".into())]);
        assert_eq!((link.int("dropped_attributes_count"), link.int("flags")), (Some(5), Some(0x100)));
    }

    #[test]
    fn the_type_of_the_last_exception_has_a_column() {
        let event = |name: &str, attributes| otlp::span::Event {
            name: name.into(),
            attributes,
            ..otlp::span::Event::default()
        };
        let of = |text: &str| entry("exception.type", string(text));
        let check = |events: Vec<otlp::span::Event>, want: Option<&str>| {
            let row = decode_span(otlp::Span { events, ..valid_span() });
            assert_eq!(row.text("exception_type").as_deref(), want);
        };
        check(vec![], None);
        check(
            vec![event("exception", vec![entry("exception.message", string("E")), of("a.First")])],
            Some("a.First"),
        );
        let two = vec![event("exception", vec![of("a.First")]), event("exception", vec![of("b.Last")])];
        check(two, Some("b.Last"));
        let untyped = vec![event("exception", vec![of("a.First")]), event("exception", vec![])];
        check(untyped, Some("a.First"));
        check(
            vec![
                event("log", vec![of("a.First")]),
                event("exception", vec![entry("exception.type", int(1))]),
            ],
            None,
        );
        check(vec![event("exception", vec![of("")])], None);
        let long = "é".repeat(VALUE_BYTES_MAX / 2 + 1);
        check(vec![event("exception", vec![of(&long)])], Some(&long[..VALUE_BYTES_MAX]));
        let mut many = vec![event("exception", vec![of("a.First")]); EVENTS_MAX];
        many.push(event("exception", vec![of("b.LeftOut")]));
        check(many, Some("a.First"));
    }

    /// What the Java agent sends of a program with Resilience4j and Sentinel; see the README beside the capture.
    #[test]
    fn exceptions_of_the_java_agent_name_what_refused() {
        let payload = include_bytes!("../../../../../tests/data/otlp-java/refusals.pb");
        let arrival = Arrival {
            tenant: "t",
            ingest_time: UnixNanos(0),
            earliest: UnixNanos(0),
            latest: UnixNanos(i64::MAX),
        };
        let mut builder = SpanBuilder::default();
        let tally = decode_traces(payload, &arrival, &mut builder).expect("as it was sent");
        assert_eq!((tally.received, tally.accepted), (25, 25));
        let batch = builder.finish().expect("rows");
        let rows = (0..batch.row_count()).map(|at| Row::of(batch.rows(), at));
        // Only the server's spans have a route.
        let told: std::collections::BTreeMap<String, [Option<String>; 2]> = rows
            .filter_map(|row| {
                let types = ["exception_type", "exception_cause"].map(|column| row.text(column));
                row.text("http_route").map(|route| (route, types))
            })
            .collect();
        let (flow, open) = (
            "com.alibaba.csp.sentinel.slots.block.flow.FlowException",
            "io.github.resilience4j.circuitbreaker.CallNotPermittedException",
        );
        for (route, name, cause) in [
            ("/resilience4j/breaker", Some(open), None),
            ("/resilience4j/limit", Some("io.github.resilience4j.ratelimiter.RequestNotPermitted"), None),
            ("/resilience4j/bulkhead", Some("io.github.resilience4j.bulkhead.BulkheadFullException"), None),
            ("/sentinel/flow", Some(flow), None),
            (
                "/sentinel/degrade",
                Some("com.alibaba.csp.sentinel.slots.block.degrade.DegradeException"),
                None,
            ),
            (
                "/sentinel/authority",
                Some("com.alibaba.csp.sentinel.slots.block.authority.AuthorityException"),
                None,
            ),
            // The agent itself takes these apart.
            ("/wrapped/servlet", Some(flow), None),
            ("/wrapped/undeclared", Some(flow), None),
            ("/wrapped/runtime", Some("java.lang.RuntimeException"), Some(flow)),
            ("/wrapped/breaker", Some("java.lang.IllegalStateException"), Some(open)),
            ("/plain", Some("java.lang.IllegalStateException"), None),
            ("/handled", None, None),
        ] {
            let want = [name, cause].map(|text| text.map(str::to_owned));
            assert_eq!(told.get(route), Some(&want), "{route}");
        }
    }

    #[test]
    fn bad_spans_are_refused_by_reason_and_leave_nothing() {
        let bad = |change: fn(&mut otlp::Span)| {
            let mut span = otlp::Span { name: "bad".into(), ..valid_span() };
            span.attributes.push(entry("http.route", string("/bad")));
            change(&mut span);
            span
        };
        let hour = 3_600_000_000_000;
        let good = otlp::Span { name: "good".into(), ..valid_span() };
        let spans = vec![
            good.clone(),
            bad(|span| span.trace_id.clear()),
            bad(|span| span.trace_id = vec![0; 16]),
            bad(|span| span.trace_id.truncate(15)),
            bad(|span| span.trace_id.push(1)),
            bad(|span| span.span_id = vec![0; 8]),
            bad(|span| span.span_id = vec![1; 16]),
            good.clone(),
            bad(|span| span.parent_span_id = vec![1; 4]),
            bad(|span| span.start_time_unix_nano = 0),
            otlp::Span { start_time_unix_nano: NOW - hour - 1, ..good.clone() },
            otlp::Span { start_time_unix_nano: NOW + hour + 1, ..good.clone() },
            bad(|span| span.start_time_unix_nano = u64::MAX),
            otlp::Span { start_time_unix_nano: NOW - hour, ..good.clone() },
            otlp::Span { start_time_unix_nano: NOW + hour, ..good },
        ];
        let (batch, tally) = decode(&request(spans).encode_to_vec());
        let want = [
            (RejectReason::InvalidTraceId, 4),
            (RejectReason::InvalidSpanId, 2),
            (RejectReason::InvalidParentSpanId, 1),
            (RejectReason::MissingTime, 1),
            (RejectReason::TimeOutOfRange, 3),
        ];
        assert_eq!(tally.rejected, want);
        assert_eq!((tally.received, tally.accepted, batch.num_rows()), (15, 4, 4));
        for row in 0..4 {
            let row = Row::of(&batch, row);
            assert_eq!(row.text("name").as_deref(), Some("good"));
            assert_eq!((row.text("http_route"), row.map().len()), (None, 0));
        }
    }

    #[test]
    fn a_duration_is_the_longest_there_is_where_it_does_not_fit() {
        let longest = i64::MAX as u64;
        let cases = [
            (NOW, 0, 0),
            (NOW - 1, -1, 1),
            (1, 1 - NOW as i64, 1),
            (0, 0, 0),
            (NOW + longest - 1, i64::MAX - 1, 0),
            (NOW + longest, i64::MAX, 0),
            (NOW + longest + 1, i64::MAX, 1),
            (u64::MAX, i64::MAX, 1),
        ];
        for (end_time_unix_nano, duration, odd) in cases {
            let span = otlp::Span { name: "n".into(), end_time_unix_nano, ..valid_span() };
            let (batch, tally) = decode(&request(vec![span]).encode_to_vec());
            assert_eq!(Row::of(&batch, 0).int("duration_nano"), Some(duration), "{end_time_unix_nano}");
            assert_eq!(tally.warnings.count(Warning::OddEnd), odd, "{end_time_unix_nano}");
            let has_no_end = u64::from(end_time_unix_nano == 0);
            assert_eq!(tally.warnings.count(Warning::NoEnd), has_no_end, "{end_time_unix_nano}");
        }
    }

    #[test]
    fn a_span_without_a_name_is_warned_of() {
        let spans = vec![valid_span(), otlp::Span { name: "n".into(), ..valid_span() }];
        let (_, tally) = decode(&request(spans).encode_to_vec());
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), [(Warning::NoName, 1)]);
    }

    #[test]
    fn what_is_more_than_is_kept_is_counted_beside_what_the_sender_dropped() {
        let attributes =
            |count: usize| -> Vec<_> { (0..count).map(|at| entry(&format!("{at}"), int(1))).collect() };
        let event = otlp::span::Event {
            attributes: attributes(ATTRIBUTES_MAX + 2),
            dropped_attributes_count: 20,
            ..otlp::span::Event::default()
        };
        let link = otlp::span::Link {
            attributes: attributes(ATTRIBUTES_MAX + 3),
            dropped_attributes_count: 30,
            ..otlp::span::Link::default()
        };
        let mut events = vec![event];
        events.resize(EVENTS_MAX + 4, otlp::span::Event::default());
        let mut links = vec![link];
        links.resize(LINKS_MAX + 5, otlp::span::Link::default());
        let row = |more: usize| {
            let span = otlp::Span {
                name: "n".into(),
                attributes: attributes(ATTRIBUTES_MAX + more),
                dropped_attributes_count: 10,
                events: events[more..].to_vec(),
                dropped_events_count: 40,
                links: links[more..].to_vec(),
                dropped_links_count: u32::MAX,
                ..valid_span()
            };
            let (batch, tally) = decode(&request(vec![span]).encode_to_vec());
            (Row::of(&batch, 0), tally.warnings.given().collect::<Vec<_>>())
        };
        let counts = |row: &Row| {
            ["dropped_attributes_count", "dropped_events_count", "dropped_links_count"]
                .map(|name| row.int(name))
        };
        let (full, warnings) = row(0);
        assert_eq!((full.map().len(), full.elements("events").len()), (ATTRIBUTES_MAX, EVENTS_MAX));
        assert_eq!(full.elements("links").len(), LINKS_MAX);
        assert_eq!(counts(&full), [Some(10), Some(44), Some(i64::from(u32::MAX) + 5)]);
        assert_eq!(full.elements("events")[0].int("dropped_attributes_count"), Some(22));
        assert_eq!(full.elements("events")[0].map().len(), ATTRIBUTES_MAX);
        assert_eq!(full.elements("links")[0].int("dropped_attributes_count"), Some(33));
        let want =
            [(Warning::AttributeDropped, 2 + 3), (Warning::EventDropped, 4), (Warning::LinkDropped, 5)];
        assert_eq!(warnings, want);
        let (more, warnings) = row(1);
        assert_eq!(counts(&more), [Some(11), Some(43), Some(i64::from(u32::MAX) + 4)]);
        assert_eq!(more.map().last().map(|(key, _)| key.as_str()), Some("127"), "the first ones are kept");
        let want = [(Warning::AttributeDropped, 1), (Warning::EventDropped, 3), (Warning::LinkDropped, 4)];
        assert_eq!(warnings, want);
    }

    #[test]
    fn a_value_that_is_too_long_is_cut_in_its_column_too() {
        let long = "é".repeat(VALUE_BYTES_MAX / 2 + 1);
        let span = otlp::Span {
            name: "n".into(),
            attributes: vec![entry("url.full", string(&long)), entry("k", string(&long[2..]))],
            ..valid_span()
        };
        let (batch, tally) = decode(&request(vec![span]).encode_to_vec());
        assert_eq!(Row::of(&batch, 0).text("url_full").as_deref(), Some(&long[2..]));
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), [(Warning::ValueCut, 1)]);
    }

    #[test]
    fn a_parent_of_zeros_is_no_parent() {
        let row = decode_span(otlp::Span { parent_span_id: vec![0; 8], ..valid_span() });
        assert_eq!(row.text("parent_span_id"), None);
    }

    #[test]
    fn random_spans_come_back_whole() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut sent = Vec::new();
            let mut resource_spans = Vec::new();
            for _ in 0..random.below(3) + 1 {
                let resource = random.resource();
                let mut scope_spans = Vec::new();
                for _ in 0..random.below(3) {
                    let scope = random.scope();
                    let spans: Vec<_> = (0..random.below(4)).map(|_| random.span()).collect();
                    let urls = ("https://r".to_owned(), "https://s".to_owned());
                    sent.extend(spans.iter().map(|span| {
                        let origin = ((resource.clone(), urls.0.clone()), (scope.clone(), urls.1.clone()));
                        (origin, span.clone())
                    }));
                    let scope = Some(scope);
                    scope_spans.push(otlp::ScopeSpans { scope, spans, schema_url: urls.1 });
                }
                let schema_url = "https://r".to_owned();
                resource_spans.push(otlp::ResourceSpans {
                    resource: Some(resource),
                    scope_spans,
                    schema_url,
                });
            }
            if sent.is_empty() {
                continue;
            }
            let (batch, tally) = decode(&ExportTraceServiceRequest { resource_spans }.encode_to_vec());
            assert_eq!((tally.accepted, batch.num_rows()), (sent.len() as u64, sent.len()), "seed {seed}");
            for (at, ((resource, scope), span)) in sent.into_iter().enumerate() {
                let row = Row::of(&batch, at);
                let latest = span.start_time_unix_nano + i64::MAX as u64;
                let end = match span.end_time_unix_nano {
                    0 => span.start_time_unix_nano,
                    end => end.min(latest),
                };
                let span = otlp::Span {
                    attributes: last_of_each(&span.attributes),
                    end_time_unix_nano: end,
                    ..span
                };
                let want = format!("{:?}", (resource, scope, span));
                let got = (rebuild::resource(&row), rebuild::scope(&row), rebuild::span(&row));
                // Compared as text: NaN equals itself, and 0 does not equal -0.
                assert_eq!(format!("{got:?}"), want, "seed {seed}, span {at}");
            }
        }
    }

    #[test]
    fn a_resource_and_a_scope_may_follow_their_spans() {
        let resource = OtlpResource {
            attributes: vec![entry("service.name", string("late"))],
            ..OtlpResource::default()
        };
        let scope = InstrumentationScope { name: "late scope".into(), ..InstrumentationScope::default() };
        let after = otlp::ScopeSpans { scope: Some(scope), ..otlp::ScopeSpans::default() };
        let scope_spans = [
            otlp::ScopeSpans { spans: vec![valid_span()], ..otlp::ScopeSpans::default() }.encode_to_vec(),
            after.encode_to_vec(),
        ]
        .concat();
        // Fields of one message may be written in any order: field 2, length, scope spans, then field 1.
        let mut resource_spans = vec![0x12, u8::try_from(scope_spans.len()).expect("short")];
        resource_spans.extend(scope_spans);
        resource_spans.extend(
            otlp::ResourceSpans { resource: Some(resource), ..otlp::ResourceSpans::default() }
                .encode_to_vec(),
        );
        let mut payload = vec![0x0a, u8::try_from(resource_spans.len()).expect("short")];
        payload.extend(resource_spans);
        let row = Row::of(&decode(&payload).0, 0);
        assert_eq!(row.text("service_name").as_deref(), Some("late"));
        assert_eq!(row.text("scope_name").as_deref(), Some("late scope"));
    }

    #[test]
    fn service_columns_fall_back_to_kubernetes_names() {
        let check = |attributes: Vec<_>, want: [Option<&str>; 3]| {
            let resource = Some(OtlpResource { attributes, ..OtlpResource::default() });
            let mut request = request(vec![valid_span()]);
            request.resource_spans[0].resource = resource;
            let row = Row::of(&decode(&request.encode_to_vec()).0, 0);
            let got =
                ["service_name", "service_namespace", "service_instance_id"].map(|column| row.text(column));
            assert_eq!(got.each_ref().map(Option::as_deref), want);
        };
        let kubernetes = [entry("k8s.namespace.name", string("ns")), entry("k8s.pod.name", string("pod-1"))];
        check(kubernetes.to_vec(), [None, Some("ns"), Some("pod-1")]);
        let own = [
            entry("service.name", string("cart")),
            entry("service.namespace", string("shop")),
            entry("service.instance.id", string("i-1")),
        ];
        check([own.as_slice(), &kubernetes].concat(), [Some("cart"), Some("shop"), Some("i-1")]);
        check(vec![entry("service.name", int(1))], [Some("1"), None, None]);
        let empty = [entry("service.name", string("")), entry("service.namespace", string(""))];
        check([empty.as_slice(), &kubernetes].concat(), [None, Some("ns"), Some("pod-1")]);
    }

    /// A proxy that sends strings, an SDK of today and one of years ago say the same of a call.
    #[test]
    fn what_became_of_a_call_is_the_same_in_every_spelling() {
        let double = |value| any(Value::DoubleValue(value));
        let rpc =
            |code| vec![entry("rpc.system.name", string("grpc")), entry("rpc.response.status_code", code)];
        let cases = [
            (2, 0, vec![entry("http.response.status_code", string("503"))], "error"),
            (2, 0, vec![entry("http.response.status_code", int(503))], "error"),
            (2, 0, vec![entry("http.response.status_code", double(503.0))], "error"),
            (2, 0, vec![entry("http.status_code", string("503"))], "error"),
            (2, 0, vec![entry("http.status_code", int(404))], "client_error"),
            (2, 0, rpc(string("NOT_FOUND")), "client_error"),
            (3, 2, rpc(string("NOT_FOUND")), "client_error"),
            (2, 0, rpc(string("UNAVAILABLE")), "error"),
            (2, 0, rpc(int(14)), "error"),
            (2, 0, rpc(string("CANCELLED")), "aborted"),
            (2, 0, vec![entry("rpc.grpc.status_code", int(1))], "aborted"),
            (2, 0, vec![entry("grpc.status_code", string("14"))], "error"),
            (2, 0, vec![entry("rpc.status_code", string("OK")), entry("rpc.system", string("dubbo"))], "ok"),
            (
                3,
                2,
                vec![entry("rpc.status_code", string("40")), entry("rpc.system", string("dubbo"))],
                "client_error",
            ),
            (
                2,
                0,
                vec![entry("rpc.status_code", string("80")), entry("rpc.system", string("dubbo"))],
                "error",
            ),
        ];
        for (kind, code, attributes, want) in cases {
            let status = Some(otlp::Status { code, ..otlp::Status::default() });
            let sent = format!("{attributes:?}");
            let row = decode_span(otlp::Span { kind, status, attributes, ..valid_span() });
            assert_eq!(row.text("outcome").as_deref(), Some(want), "{sent}");
        }
    }

    #[test]
    fn one_builder_takes_many_requests_and_starts_over_after_a_batch() {
        let payload = request(vec![valid_span()]).encode_to_vec();
        let mut builder = SpanBuilder::default();
        assert!(builder.finish().is_none());
        let other = Arrival { tenant: "other", ..arrival() };
        for tenant in [&arrival(), &other] {
            decode_traces(&payload, tenant, &mut builder).expect("well-formed");
        }
        assert_eq!(builder.rows(), 2);
        let batch = builder.finish().expect("two rows").into_rows();
        let tenants = [0, 1].map(|row| Row::of(&batch, row).text("tenant"));
        assert_eq!(tenants, [Some("acme".to_owned()), Some("other".to_owned())]);
        assert_eq!((builder.rows(), builder.finish().is_none()), (0, true));
        decode_traces(&payload, &other, &mut builder).expect("well-formed");
        let batch = builder.finish().expect("one row").into_rows();
        assert_eq!(Row::of(&batch, 0).text("tenant").as_deref(), Some("other"));
    }

    #[test]
    fn broken_text_is_replaced_and_counted() {
        let mut payload = request(vec![otlp::Span { name: "zz".into(), ..valid_span() }]).encode_to_vec();
        let at = payload.windows(2).position(|pair| pair == b"zz").expect("the name is in the payload");
        payload[at] = 0xff;
        let (batch, tally) = decode(&payload);
        assert_eq!(Row::of(&batch, 0).text("name").as_deref(), Some("\u{fffd}z"));
        assert_eq!(tally.warnings.given().collect::<Vec<_>>(), [(Warning::TextReplaced, 1)]);
    }

    #[test]
    fn no_cut_of_a_payload_panics() {
        let mut random = Random(7);
        let payload = request((0..4).map(|_| random.span()).collect()).encode_to_vec();
        for end in 0..payload.len() {
            let mut builder = SpanBuilder::default();
            let _ = decode_traces(&payload[..end], &arrival(), &mut builder);
        }
    }

    #[test]
    fn spans_of_a_real_envoy_are_judged() {
        // Values as in traces-server.json and traces-client.json beside the captures.
        let captures = [
            (
                include_bytes!("../../../../../tests/data/otlp-envoy/traces-server.pb").as_slice(),
                "reviews.default",
                [(503, "aborted"), (503, "error"), (0, "aborted"), (200, "ok"), (200, "ok")],
            ),
            (
                include_bytes!("../../../../../tests/data/otlp-envoy/traces-client.pb"),
                "productpage.default",
                [(555, "error"), (200, "ok"), (200, "ok"), (429, "client_error"), (404, "error")],
            ),
        ];
        for (payload, service, want) in captures {
            let (batch, tally) = decode(payload);
            assert_eq!((tally.received, tally.accepted, tally.warnings.is_empty()), (5, 5, true));
            for (at, (status, outcome)) in want.into_iter().enumerate() {
                let row = Row::of(&batch, at);
                assert_eq!(row.text("service_name").as_deref(), Some(service));
                assert_eq!(row.int("http_response_status_code"), Some(status), "{service} {at}");
                assert_eq!(row.text("outcome").as_deref(), Some(outcome), "{service} {at}");
                assert_eq!(row.bool("is_proxy"), Some(true));
                assert_eq!(row.bool("counted"), Some(service == "reviews.default"));
            }
        }
    }

    #[test]
    fn a_span_of_a_real_envoy_comes_back_whole() {
        let payload = include_bytes!("../../../../../tests/data/otlp-envoy/traces-client.pb");
        let sent = ExportTraceServiceRequest::decode(payload.as_slice()).expect("a capture");
        let (batch, _) = decode(payload);
        for (at, span) in sent.resource_spans[0].scope_spans[0].spans.iter().enumerate() {
            let got = rebuild::span(&Row::of(&batch, at));
            let status = Some(span.status.clone().unwrap_or_default());
            let want = otlp::Span { attributes: sorted(span.attributes.clone()), status, ..span.clone() };
            assert_eq!(got, want);
        }
        let row = Row::of(&batch, 3);
        assert_eq!(row.text("trace_id").as_deref(), Some("ab14aed30f8be4fadde23c571d9d50cc"));
        assert_eq!(row.text("url_full").as_deref(), Some("http://127.0.0.1:10000/limited"));
        assert_eq!(row.text("network_peer_address").as_deref(), Some("127.0.0.1"));
        assert_eq!(row.text("service_instance_id").as_deref(), Some("productpage-pod"));
        assert_eq!((row.map().len(), row.int("flags")), (21, Some(257)));
    }
}
