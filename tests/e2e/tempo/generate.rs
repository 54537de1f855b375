//! Traces that hold all that OTLP can say of spans, made from a seed.
//!
//! What a receiver has to mend is left out: keys that come twice, ids without a digit, times that run backwards.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::payloads::string;

/// Keys with columns of their own, older spellings of them, and others; each holds any type.
const KEYS: [&str; 12] = [
    "http.request.method",
    "http.method",
    "http.response.status_code",
    "http.status_code",
    "server.address",
    "net.peer.name",
    "rpc.grpc.status_code",
    "rpc.status_code",
    "url.full",
    "any.key",
    "ключ",
    "with \"quotes\"\n",
];

/// Source: Numerical Recipes, "quick and dirty" generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }
}

/// A root of the service `web` and some spans of `cart` below it, in scopes of their own.
pub fn trace(seed: u64, begin: u64) -> Vec<ResourceSpans> {
    let mut dice = Dice(seed);
    let trace_id = u128::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834).to_be_bytes();
    let id = |at: u64| (seed * 100 + at).to_be_bytes().to_vec();
    let root = Span { kind: 2, ..span(&mut dice, trace_id, id(1), Vec::new(), begin) };
    let below: Vec<Span> =
        (2..5).map(|at| span(&mut dice, trace_id, id(at), id(1), begin + at * 1_000)).collect();
    let mut scopes: Vec<ScopeSpans> = Vec::new();
    for (at, span) in below.into_iter().enumerate() {
        scopes.push(ScopeSpans { spans: vec![span], ..scope(&mut dice, at) });
    }
    let of_root = vec![ScopeSpans { spans: vec![root], ..ScopeSpans::default() }];
    vec![resource(&mut dice, "web", of_root), resource(&mut dice, "cart", scopes)]
}

fn resource(dice: &mut Dice, service: &str, scope_spans: Vec<ScopeSpans>) -> ResourceSpans {
    let mut attributes = attributes(dice);
    attributes.push(string("service.name", service));
    let dropped_attributes_count = dice.below(3) as u32;
    let resource = Resource { attributes, dropped_attributes_count, ..Resource::default() };
    let schema_url = dice.of(&["", "https://opentelemetry.io/schemas/1.37.0"]).to_owned();
    ResourceSpans { resource: Some(resource), scope_spans, schema_url }
}

fn scope(dice: &mut Dice, at: usize) -> ScopeSpans {
    let scope = InstrumentationScope {
        name: format!("scope-{at}"),
        version: dice.of(&["", "1.0"]).to_owned(),
        attributes: attributes(dice),
        dropped_attributes_count: dice.below(2) as u32,
    };
    let schema_url = dice.of(&["", "https://opentelemetry.io/schemas/1.38.0"]).to_owned();
    ScopeSpans { scope: Some(scope), spans: Vec::new(), schema_url }
}

fn span(dice: &mut Dice, trace_id: [u8; 16], span_id: Vec<u8>, parent: Vec<u8>, start: u64) -> Span {
    Span {
        trace_id: trace_id.to_vec(),
        span_id,
        trace_state: dice.of(&["", "a=b,c=d"]).to_owned(),
        parent_span_id: parent,
        flags: dice.of(&[0, 1, 0x301]),
        name: dice.of(&["GET /", "запрос"]).to_owned(),
        kind: dice.below(6) as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + dice.below(5_000_000_000),
        attributes: attributes(dice),
        dropped_attributes_count: dice.below(3) as u32,
        events: (0..dice.below(3)).map(|at| event(dice, start + at)).collect(),
        dropped_events_count: dice.below(3) as u32,
        links: (0..dice.below(3)).map(|at| link(dice, at as u8 + 1)).collect(),
        dropped_links_count: dice.below(3) as u32,
        status: Some(Status { message: dice.of(&["", "closed"]).to_owned(), code: dice.below(3) as i32 }),
    }
}

fn event(dice: &mut Dice, time: u64) -> Event {
    Event {
        time_unix_nano: dice.of(&[0, time]),
        name: dice.of(&["exception", "note"]).to_owned(),
        attributes: attributes(dice),
        dropped_attributes_count: dice.below(2) as u32,
    }
}

fn link(dice: &mut Dice, byte: u8) -> Link {
    Link {
        trace_id: vec![byte; 16],
        span_id: vec![byte; 8],
        trace_state: dice.of(&["", "x=y"]).to_owned(),
        attributes: attributes(dice),
        dropped_attributes_count: dice.below(2) as u32,
        flags: dice.of(&[0, 0x100]),
    }
}

fn attributes(dice: &mut Dice) -> Vec<KeyValue> {
    let keys = KEYS.into_iter().filter(|_| dice.below(3) == 0).collect::<Vec<_>>();
    keys.into_iter().map(|key| key_value(key, value(dice, 0))).collect()
}

fn key_value(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn value(dice: &mut Dice, depth: u64) -> AnyValue {
    let value = match dice.below(if depth < 2 { 8 } else { 6 }) {
        0 => Some(Value::StringValue(dice.of(&["", "text", "5", "-", "ä \"b\""]).to_owned())),
        1 => Some(Value::IntValue(dice.of(&[0, 5, 200, -7, i64::MIN, i64::MAX]))),
        2 => Some(Value::DoubleValue(dice.of(&[0.5, 1.0, -0.0, 1e300, f64::INFINITY]))),
        3 => Some(Value::BoolValue(dice.below(2) == 0)),
        4 => Some(Value::BytesValue((0..dice.below(4)).map(|byte| byte as u8 * 85).collect())),
        5 => None,
        6 => {
            let values = (0..dice.below(3)).map(|_| value(dice, depth + 1)).collect();
            Some(Value::ArrayValue(ArrayValue { values }))
        }
        _ => {
            // Not in the order of letters, which must not become the order.
            let keys = ["z", "a", "m"].into_iter().take(dice.below(4) as usize);
            let values = keys.map(|key| key_value(key, value(dice, depth + 1))).collect();
            Some(Value::KvlistValue(KeyValueList { values }))
        }
    };
    AnyValue { value }
}
