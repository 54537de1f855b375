//! Small traces of plain structs, made by chance.

use std::collections::BTreeMap;

use meshlake_traceql::{Span, Spans, Value, tree::Scope};

/// A die whose throws a seed decides.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A value, told from the crate's.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    Nil,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nanos(i64),
    Status(i64),
    Kind(i64),
    List(Vec<Plain>),
}

pub type Keyed = BTreeMap<String, Plain>;

#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub time: i64,
    pub attributes: Keyed,
}

#[derive(Debug, Clone)]
pub struct Link {
    pub trace: String,
    pub span: String,
    pub attributes: Keyed,
}

#[derive(Debug, Clone)]
pub struct One {
    pub id: String,
    pub parent: Option<String>,
    pub name: String,
    pub kind: i64,
    pub status: i64,
    pub message: String,
    pub start: i64,
    pub duration: i64,
    pub service: Option<String>,
    pub scope: String,
    pub attributes: Keyed,
    pub resource: Keyed,
    pub instrumentation: Keyed,
    pub events: Vec<Event>,
    pub links: Vec<Link>,
}

#[derive(Debug, Clone)]
pub struct Made {
    pub id: String,
    pub spans: Vec<One>,
}

pub const KEYS: [&str; 3] = ["a", "b", "service.name"];
pub const TEXTS: [&str; 4] = ["x", "y", "xy", ""];

fn id(number: usize) -> String {
    format!("{number:016x}")
}

fn value(dice: &mut Dice) -> Plain {
    match dice.below(13) {
        0..4 => Plain::Text(dice.pick(&TEXTS).to_owned()),
        4..7 => Plain::Int(dice.below(5) as i64 - 2),
        7..9 => Plain::Float(dice.below(9) as f64 / 2.0 - 2.0),
        9 | 10 => Plain::Bool(dice.one_in(2)),
        11 => Plain::Nil,
        _ => Plain::List((0..dice.below(3)).map(|_| Plain::Text(dice.pick(&TEXTS).to_owned())).collect()),
    }
}

fn keyed(dice: &mut Dice) -> Keyed {
    (0..dice.below(3)).map(|_| (dice.pick(&KEYS).to_owned(), value(dice))).collect()
}

/// One to ten spans, some with parents that are not there.
pub fn trace(dice: &mut Dice) -> Made {
    let count = 1 + dice.below(10);
    let spans = (0..count).map(|at| {
        let parent = match dice.below(8) {
            0 => None,
            1 => Some(id(90 + dice.below(2))),
            _ if at == 0 => None,
            _ => Some(id(1 + dice.below(at))),
        };
        let mut resource = keyed(dice);
        let service = dice.pick(&[None, Some("x"), Some("y")]).map(str::to_owned);
        match &service {
            Some(service) => resource.insert("service.name".to_owned(), Plain::Text(service.clone())),
            None => resource.remove("service.name"),
        };
        let start = 1_000_000 + 1_000 * dice.below(20) as i64;
        One {
            id: id(at + 1),
            parent,
            name: dice.pick(&TEXTS).to_owned(),
            kind: dice.below(6) as i64,
            status: dice.below(3) as i64,
            message: dice.pick(&TEXTS).to_owned(),
            start,
            duration: 500 * dice.below(9) as i64,
            service,
            scope: dice.pick(&TEXTS).to_owned(),
            attributes: keyed(dice),
            resource,
            instrumentation: keyed(dice),
            events: (0..dice.below(3))
                .map(|_| Event {
                    name: dice.pick(&TEXTS).to_owned(),
                    // Some senders leave it out.
                    time: if dice.below(5) == 0 { 0 } else { start + 500 * dice.below(5) as i64 - 500 },
                    attributes: keyed(dice),
                })
                .collect(),
            links: (0..dice.below(3))
                .map(|_| Link {
                    trace: format!("{:032x}", dice.below(3)),
                    span: id(dice.below(3)),
                    attributes: keyed(dice),
                })
                .collect(),
        }
    });
    Made { id: format!("{:032x}", 7), spans: spans.collect() }
}

fn of(plain: Option<&Plain>) -> Value<'_> {
    match plain {
        None | Some(Plain::Nil) => Value::Nil,
        Some(Plain::Text(text)) => Value::text(text),
        Some(Plain::Int(value)) => Value::Integer(*value),
        Some(Plain::Float(value)) => Value::Float(*value),
        Some(Plain::Bool(value)) => Value::Boolean(*value),
        Some(Plain::List(items)) => Value::List(items.iter().map(|item| of(Some(item))).collect()),
        Some(other) => panic!("no attribute is {other:?}"),
    }
}

impl Spans for Made {
    fn count(&self) -> usize {
        self.spans.len()
    }

    fn trace_id(&self, _: usize) -> &str {
        &self.id
    }

    fn span(&self, at: usize) -> Span<'_> {
        let span = &self.spans[at];
        Span {
            id: &span.id,
            parent: span.parent.as_deref(),
            name: &span.name,
            kind: span.kind,
            status: span.status,
            status_message: &span.message,
            start_nano: span.start,
            duration_nano: span.duration,
            namespace: None,
            service: span.service.as_deref(),
            scope_name: &span.scope,
            scope_version: "",
        }
    }

    fn attribute(&self, at: usize, scope: Scope, key: &str) -> Value<'_> {
        let span = &self.spans[at];
        of(match scope {
            Scope::Span => span.attributes.get(key),
            Scope::Resource => span.resource.get(key),
            Scope::Instrumentation => span.instrumentation.get(key),
            other => panic!("{other:?} is asked for otherwise"),
        })
    }

    fn for_each_attribute<'s>(&'s self, at: usize, scope: Scope, visit: &mut dyn FnMut(&'s str, Value<'s>)) {
        let span = &self.spans[at];
        let keyed = if scope == Scope::Span { &span.attributes } else { &span.resource };
        keyed.iter().for_each(|(key, value)| visit(key, of(Some(value))));
    }

    fn event_count(&self, at: usize) -> usize {
        self.spans[at].events.len()
    }

    fn event(&self, at: usize, event: usize) -> (&str, i64) {
        let event = &self.spans[at].events[event];
        (&event.name, event.time)
    }

    fn event_attribute(&self, at: usize, event: usize, key: &str) -> Value<'_> {
        of(self.spans[at].events[event].attributes.get(key))
    }

    fn link_count(&self, at: usize) -> usize {
        self.spans[at].links.len()
    }

    fn link(&self, at: usize, link: usize) -> (&str, &str) {
        let link = &self.spans[at].links[link];
        (&link.trace, &link.span)
    }

    fn link_attribute(&self, at: usize, link: usize, key: &str) -> Value<'_> {
        of(self.spans[at].links[link].attributes.get(key))
    }
}
